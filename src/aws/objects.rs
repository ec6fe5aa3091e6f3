//! Objects of S3 whose content centime reads or writes. It reads Terraform states where `terraform.states`
//! names them, and puts files where `report.s3` asks for it, with a role of its own that may do nothing
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
