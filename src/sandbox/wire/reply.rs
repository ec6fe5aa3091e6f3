//! An answer on its way out.

use axum::http::StatusCode;
use serde_json::Value;

use super::xml::Xml;

/// Status, headers and body. Which protocol it is in is decided where it is made.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn new(content_type: &str, body: Vec<u8>) -> Self {
        Self {
            status: StatusCode::OK,
            headers: vec![("content-type", content_type.to_owned())],
            body,
        }
    }

    pub fn json_typed(body: &Value, content_type: &str) -> Self {
        Self::new(content_type, body.to_string().into_bytes())
    }

    pub fn xml(xml: Xml, content_type: &str) -> Self {
        Self::new(content_type, xml.finish())
    }

    pub fn cbor(body: Vec<u8>) -> Self {
        Self::new("application/cbor", body).header("smithy-protocol", "rpc-v2-cbor".to_owned())
    }

    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}
