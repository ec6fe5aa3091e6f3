//! Who calls: the account, region and service of a request's signature, and whether its session
//! still holds.
//!
//! The signature itself is not computed again: the sandbox keeps no secret keys. Its form, the key and
//! the session token are checked.

use axum::http::HeaderMap;
use jiff::Timestamp;

use super::refusal::Refusal;
use super::service::{Protocol, Service};
use crate::sandbox::estate::{ACCOUNTS, PAYER};

/// The credential scope of a SigV4 `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub key: String,
    pub region: String,
    pub service: String,
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub account: String,
    /// As IAM names the caller in its answers.
    pub arn: String,
    pub user_id: String,
    /// When a session's credentials end; none for long-lived keys.
    pub expires: Option<Timestamp>,
}

/// The scope of a request, or `None` when it is not signed with SigV4.
pub fn scope(headers: &HeaderMap) -> Option<Result<Scope, &'static str>> {
    let header = headers.get("authorization")?.to_str().ok()?;
    let rest = header.strip_prefix("AWS4-HMAC-SHA256")?;
    Some(read_scope(rest))
}

fn read_scope(header: &str) -> Result<Scope, &'static str> {
    let part = |name: &str| {
        header.split([',', ' ']).find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let credential = part("Credential").ok_or("'Credential' parameter.")?;
    if part("SignedHeaders").is_none() {
        return Err("'SignedHeaders' parameter.");
    }
    let signature = part("Signature").ok_or("'Signature' parameter.")?;
    if signature.len() != 64 || !signature.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("a hexadecimal 'Signature' parameter.");
    }
    let parts: Vec<&str> = credential.split('/').collect();
    match parts.as_slice() {
        [key, _day, region, service, "aws4_request"] => Ok(Scope {
            key: (*key).to_owned(),
            region: (*region).to_owned(),
            service: (*service).to_owned(),
        }),
        _ => Err("a credential scope of key, date, region, service and aws4_request."),
    }
}

/// The accounts of the estate, the payer with them.
pub fn is_account(id: &str) -> bool {
    id == PAYER.id || ACCOUNTS.iter().any(|account| account.id == id)
}

/// The account whose number is in a key; keys without a number belong to the payer, so that any
/// credentials will do for a first look.
fn account_of(key: &str) -> Option<String> {
    let digits: Vec<&str> =
        key.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() == 12).collect();
    match digits.as_slice() {
        [] => Some(PAYER.id.to_owned()),
        [id, ..] => is_account(id).then(|| (*id).to_owned()),
    }
}

/// Who signed, or why AWS would not let them in.
pub fn caller(
    scope: &Scope,
    token: Option<&str>,
    service: Service,
    protocol: Protocol,
    now: Timestamp,
) -> Result<Caller, Refusal> {
    let unknown = || Refusal::unknown_key(Some(service), protocol);
    let account = account_of(&scope.key).ok_or_else(unknown)?;
    let Some(token) = token else {
        // A session's key is worth nothing without its token.
        if scope.key.starts_with("ASIA") {
            return Err(unknown());
        }
        return Ok(Caller {
            arn: format!("arn:aws:iam::{account}:user/sandbox"),
            user_id: "AIDASANDBOXSANDBOXSA".to_owned(),
            account,
            expires: None,
        });
    };
    let session = Session::read(token).ok_or_else(unknown)?;
    if session.account != account {
        return Err(unknown());
    }
    if now >= session.expires {
        return Err(Refusal::expired_token(service));
    }
    Ok(Caller {
        arn: session.arn(),
        user_id: format!("{}:{}", session.role_id(), session.name),
        account,
        expires: Some(session.expires),
    })
}

/// What `AssumeRole` gives: its token says all there is to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub account: String,
    pub role: String,
    pub name: String,
    pub expires: Timestamp,
}

impl Session {
    pub fn key(&self) -> String {
        format!("ASIA{}SBOX", self.account)
    }

    pub fn role_id(&self) -> String {
        format!("AROA{}SBOX", self.account)
    }

    pub fn arn(&self) -> String {
        format!("arn:aws:sts::{}:assumed-role/{}/{}", self.account, self.role, self.name)
    }

    pub fn token(&self) -> String {
        let Self { account, role, name, expires } = self;
        format!("sandbox/{account}/{}/{role}/{name}", expires.as_second())
    }

    fn read(token: &str) -> Option<Self> {
        let parts: Vec<&str> = token.split('/').collect();
        let ["sandbox", account, expires, role, name] = parts.as_slice() else { return None };
        Some(Self {
            account: (*account).to_owned(),
            role: (*role).to_owned(),
            name: (*name).to_owned(),
            expires: Timestamp::from_second(expires.parse().ok()?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIA111111111111PROD/20260201/eu-west-1/kafka/\
        aws4_request, SignedHeaders=host;x-amz-date, Signature=0000000000000000000000000000000000000000000000000000000000000000";

    fn headers(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", authorization.parse().unwrap());
        headers
    }

    fn now() -> Timestamp {
        "2026-02-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_signature_tells_account_region_and_service() {
        let scope = scope(&headers(SIGNED)).unwrap().unwrap();
        assert_eq!((scope.region.as_str(), scope.service.as_str()), ("eu-west-1", "kafka"));
        let caller = caller(&scope, None, Service::Kafka, Protocol::RestJson, now()).unwrap();
        assert_eq!(caller.account, "111111111111");
    }

    #[test]
    fn a_torn_signature_says_what_it_lacks() {
        assert!(scope(&HeaderMap::new()).is_none());
        assert!(scope(&headers("Bearer xoxb-1")).is_none());
        for cut in ["Credential", "SignedHeaders", "Signature="] {
            let torn = SIGNED.replace(cut, "X");
            assert!(scope(&headers(&torn)).unwrap().is_err(), "{cut}");
        }
    }

    #[test]
    fn a_key_of_another_organisation_is_refused() {
        let scope = Scope {
            key: "AKIA444444444444XXXX".to_owned(),
            region: "eu-west-1".to_owned(),
            service: "rds".to_owned(),
        };
        let refusal = caller(&scope, None, Service::Rds, Protocol::Query, now()).unwrap_err();
        assert_eq!((refusal.status, refusal.code.as_str()), (403, "InvalidClientTokenId"));
    }

    #[test]
    fn a_session_holds_until_it_expires_and_never_without_its_token() {
        let session = Session {
            account: "222222222222".to_owned(),
            role: "reader".to_owned(),
            name: "test".to_owned(),
            expires: now(),
        };
        let scope = Scope {
            key: session.key(),
            region: "eu-west-1".to_owned(),
            service: "kafka".to_owned(),
        };
        let at = |token: Option<&str>, now| {
            caller(&scope, token, Service::Kafka, Protocol::RestJson, now)
        };
        let token = session.token();
        let before = now() - jiff::SignedDuration::from_secs(1);
        assert_eq!(at(Some(&token), before).unwrap().account, "222222222222");
        assert_eq!(at(Some(&token), now()).unwrap_err().code, "ExpiredTokenException");
        assert_eq!(at(None, before).unwrap_err().code, "UnrecognizedClientException");
        assert_eq!(at(Some("nonsense"), before).unwrap_err().code, "UnrecognizedClientException");
    }
}
