//! What requests carry beside what the SDK signs by itself.

use std::fmt::Write as _;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use sha2::{Digest, Sha256};

const HASH_HEADER: &str = "x-amz-content-sha256";

/// Names the hash of an empty body in a header of its own, before the request is signed.
///
/// AWS hashes the body it received, and takes the header from anybody (IAM User Guide, "Create a
/// signed AWS API request"). Endpoints that stand for AWS, and gateways that check signatures without
/// reading bodies, know the hash of a body only from this header, and refuse the GETs of MSK, Lambda
/// and EMR Serverless without it. S3's requests carry it anyway.
#[derive(Debug)]
pub(super) struct EmptyBodyHash;

impl Intercept for EmptyBodyHash {
    fn name(&self) -> &'static str {
        "EmptyBodyHash"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        if request.body().bytes().is_some_and(<[u8]>::is_empty) {
            request.headers_mut().insert(HASH_HEADER, hash_of_nothing());
        }
        Ok(())
    }
}

fn hash_of_nothing() -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest([]) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_hash_is_the_one_of_the_signing_documentation() {
        // IAM User Guide, "Create a signed AWS API request": the hash of an empty payload.
        let told = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(super::hash_of_nothing(), told);
    }
}
