//! What AWS answers when it does not answer: code, message, status, in each protocol's own form.

use axum::http::StatusCode;
use serde_json::json;

use super::cbor;
use super::reply::Reply;
use super::service::{Protocol, Service};
use super::xml::Xml;

/// An error answer, before it is put into a protocol's form.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
    /// Code of the time before JSON and CBOR, which CloudWatch still sends beside the new one.
    pub query_code: Option<&'static str>,
    /// Further elements of an S3 error: bucket, region, endpoint.
    pub elements: Vec<(&'static str, String)>,
    pub headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            query_code: None,
            elements: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub fn query_code(mut self, code: &'static str) -> Self {
        self.query_code = Some(code);
        self
    }

    pub fn element(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.elements.push((name, value.into()));
        self
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A wrong argument, in the service's own code.
    pub fn invalid(service: Service, message: impl Into<String>) -> Self {
        let refusal = Self::new(400, service.validation_code(), message);
        if service == Service::CloudWatch { refusal.query_code("ValidationError") } else { refusal }
    }

    /// A body or member that cannot be read as its type.
    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new(400, "SerializationException", message).query_code("MalformedInput")
    }

    /// An operation that the service does not have.
    pub fn unknown_operation(service: Service, operation: &str) -> Self {
        match service.protocol() {
            Protocol::Query => Self::new(
                400,
                "InvalidAction",
                format!(
                    "Could not find operation {operation} for version {}",
                    match service {
                        Service::Sts => "2011-06-15",
                        _ => "2014-10-31",
                    }
                ),
            ),
            Protocol::RestXml => Self::new(
                405,
                "MethodNotAllowed",
                "The specified method is not allowed against this resource.",
            ),
            Protocol::RestJson => Self::new(404, "UnknownOperationException", ""),
            Protocol::AwsJson(_) | Protocol::Cbor => {
                Self::new(400, "UnknownOperationException", "").query_code("InvalidAction")
            }
        }
    }

    /// The caller lacks the permission. Each service words and codes it in its own way.
    pub fn denied(service: Service, caller: &str, action: &str, resource: &str) -> Self {
        let message = format!(
            "User: {caller} is not authorized to perform: {action} on resource: {resource} \
             because no identity-based policy allows the {action} action"
        );
        match service.protocol() {
            Protocol::Query | Protocol::RestXml => Self::new(403, "AccessDenied", message),
            Protocol::RestJson => Self::new(403, "AccessDeniedException", message),
            Protocol::AwsJson(_) | Protocol::Cbor => {
                Self::new(400, "AccessDeniedException", message).query_code("AccessDenied")
            }
        }
    }

    /// Too many requests. `turn` chooses among the forms that a service is known to use.
    pub fn throttled(service: Service, turn: u64) -> Self {
        match service {
            Service::S3 => Self::new(503, "SlowDown", "Please reduce your request rate."),
            Service::Rds if turn.is_multiple_of(2) => {
                Self::new(503, "RequestLimitExceeded", "Request limit exceeded.")
            }
            Service::Rds | Service::Sts => Self::new(400, "Throttling", "Rate exceeded"),
            Service::Kafka => Self::new(429, "TooManyRequestsException", "Too Many Requests"),
            Service::Lambda => Self::new(429, "TooManyRequestsException", "Rate exceeded"),
            Service::EmrServerless | Service::SavingsPlans => {
                Self::new(429, "ThrottlingException", "Rate exceeded")
            }
            Service::CostExplorer if turn.is_multiple_of(2) => {
                Self::new(400, "LimitExceededException", "Rate limit exceeded")
            }
            Service::CostExplorer
            | Service::Budgets
            | Service::AutoScaling
            | Service::Pricing
            | Service::ComputeOptimizer
            | Service::CostOptimizationHub
            | Service::Emr
            | Service::Logs => Self::new(400, "ThrottlingException", "Rate exceeded"),
            Service::CloudWatch => {
                Self::new(400, "ThrottlingException", "Rate exceeded").query_code("Throttling")
            }
        }
    }

    /// A failure on AWS's side: 500 or 503 by turns.
    pub fn server(service: Service, turn: u64) -> Self {
        let unavailable = turn.is_multiple_of(2);
        let status = if unavailable { 503 } else { 500 };
        let code = match (service.protocol(), unavailable) {
            (Protocol::Query, true) => "ServiceUnavailable",
            (Protocol::Query, false) => "InternalFailure",
            (Protocol::RestXml, true) => "ServiceUnavailable",
            (Protocol::RestXml, false) => "InternalError",
            (_, true) => "ServiceUnavailableException",
            (_, false) => match service {
                Service::Emr | Service::EmrServerless => "InternalServerException",
                Service::Kafka => "InternalServerErrorException",
                Service::Lambda => "ServiceException",
                _ => "InternalFailure",
            },
        };
        let message = if unavailable {
            "The service is temporarily unavailable. Please try again."
        } else {
            "We encountered an internal error. Please try again."
        };
        Self::new(status, code, message).query_code("InternalServiceError")
    }

    /// The session's credentials have ended.
    pub fn expired_token(service: Service) -> Self {
        let message = "The security token included in the request is expired";
        match service.protocol() {
            Protocol::RestXml => Self::new(400, "ExpiredToken", "The provided token has expired."),
            Protocol::Query => Self::new(403, "ExpiredToken", message),
            Protocol::RestJson => Self::new(403, "ExpiredTokenException", message),
            Protocol::AwsJson(_) | Protocol::Cbor => {
                Self::new(400, "ExpiredTokenException", message).query_code("ExpiredToken")
            }
        }
    }

    /// The request carries no signature at all.
    pub fn unsigned(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Query => Self::new(
                403,
                "MissingAuthenticationToken",
                "Request is missing Authentication Token",
            ),
            Protocol::RestXml => Self::new(403, "AccessDenied", "Access Denied"),
            Protocol::RestJson => Self::new(
                403,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            ),
            Protocol::AwsJson(_) | Protocol::Cbor => Self::new(
                403,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            )
            .query_code("MissingAuthenticationToken"),
        }
    }

    /// The key is of no account of the estate.
    pub fn unknown_key(service: Option<Service>, protocol: Protocol) -> Self {
        let message = "The security token included in the request is invalid.";
        match protocol {
            Protocol::Query => Self::new(403, "InvalidClientTokenId", message),
            Protocol::RestXml => Self::new(
                403,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
            ),
            Protocol::RestJson => Self::new(403, "UnrecognizedClientException", message),
            Protocol::AwsJson(_) | Protocol::Cbor => {
                let refusal = Self::new(400, "UnrecognizedClientException", message);
                if service == Some(Service::CloudWatch) {
                    refusal.query_code("InvalidClientTokenId")
                } else {
                    refusal
                }
            }
        }
    }

    /// The signature header cannot be read.
    pub fn incomplete_signature(protocol: Protocol, what: &str) -> Self {
        let message = format!("Authorization header requires {what}");
        match protocol {
            Protocol::Query => Self::new(400, "IncompleteSignature", message),
            Protocol::RestXml => Self::new(400, "AuthorizationHeaderMalformed", message),
            Protocol::RestJson => Self::new(403, "IncompleteSignatureException", message),
            Protocol::AwsJson(_) | Protocol::Cbor => {
                Self::new(400, "IncompleteSignatureException", message)
                    .query_code("IncompleteSignature")
            }
        }
    }

    /// The answer in a protocol's form.
    pub fn reply(&self, service: Option<Service>, protocol: Protocol, request_id: &str) -> Reply {
        let mut reply = match protocol {
            Protocol::AwsJson(version) => {
                // CloudWatch's newer protocols name the shape with its namespace.
                let mut body = json!({ "__type": self.qualified(service) });
                if !self.message.is_empty() {
                    // Cost Explorer and EMR write the member `Message`, the others `message`.
                    let member = match service {
                        Some(Service::CostExplorer | Service::Emr)
                            if self.code.ends_with("Denied") =>
                        {
                            "Message"
                        }
                        _ => "message",
                    };
                    body[member] = json!(self.message);
                }
                Reply::json_typed(&body, &format!("application/x-amz-json-{version}"))
            }
            Protocol::RestJson => {
                let body = match service {
                    Some(Service::Lambda) => json!({
                        "Type": if self.status < 500 { "User" } else { "Service" },
                        "Message": self.message,
                        "message": self.message,
                    }),
                    Some(Service::Kafka) => {
                        json!({ "invalidParameter": null, "message": self.message })
                    }
                    _ => json!({ "message": self.message }),
                };
                Reply::json_typed(&body, "application/json")
                    .header("x-amzn-errortype", self.code.clone())
            }
            Protocol::Query => {
                let mut xml = Xml::new();
                let namespace = service.unwrap_or(Service::Sts).xml_namespace();
                xml.open_with("ErrorResponse", &[("xmlns", namespace)]);
                xml.open("Error");
                xml.text("Type", if self.status < 500 { "Sender" } else { "Receiver" });
                xml.text("Code", &self.code);
                xml.text("Message", &self.message);
                xml.close("Error");
                xml.text("RequestId", request_id);
                xml.close("ErrorResponse");
                Reply::xml(xml, "text/xml")
            }
            Protocol::RestXml => {
                let mut xml = Xml::with_declaration();
                xml.open("Error");
                xml.text("Code", &self.code);
                xml.text("Message", &self.message);
                for (name, value) in &self.elements {
                    xml.text(name, value);
                }
                xml.text("RequestId", request_id);
                xml.text("HostId", "c2FuZGJveA==");
                xml.close("Error");
                Reply::xml(xml, "application/xml")
            }
            Protocol::Cbor => {
                let mut body = json!({ "__type": self.qualified(service) });
                if !self.message.is_empty() {
                    body["message"] = json!(self.message);
                }
                Reply::cbor(cbor::encode(&body))
            }
        };
        reply.status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        if service == Some(Service::CloudWatch)
            && let Some(code) = self.query_code
        {
            let side = if self.status < 500 { "Sender" } else { "Receiver" };
            reply = reply.header("x-amzn-query-error", format!("{code};{side}"));
        }
        for (name, value) in &self.headers {
            reply = reply.header(name, value.clone());
        }
        reply
    }

    fn qualified(&self, service: Option<Service>) -> String {
        match service {
            Some(Service::CloudWatch) => format!("com.amazonaws.cloudwatch#{}", self.code),
            _ => self.code.clone(),
        }
    }
}
