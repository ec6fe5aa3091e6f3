//! Objects of S3 whose content centime reads or writes. It reads Terraform states where `terraform.states`
//! names them, exports of the bill where `exports` does, and puts files where `report.s3` asks for it, with a role of its own that may do nothing
//! else: all that centime ever writes in AWS.

use aws_sdk_s3::primitives::ByteStream;

use super::access::Scope;
use super::error::{Error, classify};

/// Gets an object of a bucket of the scope's region, as a stream.
///
/// # Errors
///
/// Whatever S3 answers but the object.
pub async fn get(scope: &Scope, bucket: &str, key: &str) -> Result<ByteStream, Error> {
    let answer = scope.s3().get_object().bucket(bucket).key(key).send().await;
    answer.map(|answer| answer.body).map_err(|error| classify("s3:GetObject", error))
}

/// An object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// Changes whenever the content does.
    pub etag: String,
}

/// Pages after which a listing is taken for one that never ends.
const MOST_PAGES: usize = 10_000;

/// Lists the objects of a bucket whose keys begin with `prefix`, in the order of their keys.
///
/// # Errors
///
/// Whatever S3 answers but a list; a page of it costs as much as any other list request.
pub async fn list(scope: &Scope, bucket: &str, prefix: &str) -> Result<Vec<Listed>, Error> {
    let client = scope.s3();
    let mut objects = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let page = client.list_objects_v2().bucket(bucket).prefix(prefix);
        let page = page.set_continuation_token(token.take()).send().await;
        let page = page.map_err(|error| classify("s3:ListBucket", error))?;
        token = page.next_continuation_token;
        objects.extend(page.contents.unwrap_or_default().into_iter().map(|object| Listed {
            key: object.key.unwrap_or_default(),
            size: object.size.unwrap_or_default().unsigned_abs(),
            etag: object.e_tag.unwrap_or_default(),
        }));
        if token.is_none() {
            break;
        }
    }
    Ok(objects)
}

/// [`get`] of the content that was listed; `None` when the object is another one by now, or gone.
///
/// # Errors
///
/// As [`get`].
pub async fn get_listed(
    scope: &Scope,
    bucket: &str,
    object: &Listed,
) -> Result<Option<ByteStream>, Error> {
    let request = scope.s3().get_object().bucket(bucket).key(&object.key).if_match(&object.etag);
    match request.send().await {
        Ok(answer) => Ok(Some(answer.body)),
        Err(error) => {
            let status = error.raw_response().map(|response| response.status().as_u16());
            match status {
                Some(404 | 412) => Ok(None),
                _ => Err(classify("s3:GetObject", error)),
            }
        }
    }
}

/// Puts a file into a bucket of the scope's region, in place of one of the same name.
///
/// # Errors
///
/// Whatever S3 answers but success; a name that was there before then still has its old content.
pub async fn put(
    scope: &Scope,
    bucket: &str,
    key: &str,
    content_type: &str,
    bytes: Vec<u8>,
) -> Result<(), Error> {
    let request = scope.s3().put_object().bucket(bucket).key(key).content_type(content_type);
    let answer = request.body(ByteStream::from(bytes)).send().await;
    answer.map(|_| ()).map_err(|error| classify("s3:PutObject", error))
}
