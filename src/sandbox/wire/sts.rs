//! STS: sessions of roles in the estate's accounts.

use jiff::SignedDuration;

use super::auth::{Session, is_account};
use super::call::Call;
use super::refusal::Refusal;
use super::reply::Reply;
use super::service::Service;
use super::xml::Xml;

/// What the estate's roles ask of who assumes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The external id that every role's trust policy asks for; none asks for none.
    pub external_id: Option<String>,
    /// Longest life of a session, a fault: shorter than AWS would ever give.
    pub longest_session: Option<SignedDuration>,
}

pub fn answer(call: &Call<'_>, trust: &Trust, request_id: &str) -> Result<Reply, Refusal> {
    match call.operation.as_str() {
        "AssumeRole" => assume_role(call, trust, request_id),
        "GetCallerIdentity" => Ok(result(call, request_id, |xml| {
            xml.text("Arn", &call.caller.arn);
            xml.text("UserId", &call.caller.user_id);
            xml.text("Account", call.account());
        })),
        other => Err(Refusal::unknown_operation(Service::Sts, other)),
    }
}

fn assume_role(call: &Call<'_>, trust: &Trust, request_id: &str) -> Result<Reply, Refusal> {
    let arn = call.required("RoleArn")?;
    let name = call.required("RoleSessionName")?;
    // 900 s to 12 h (STS API reference).
    let seconds = call.number_within("DurationSeconds", (900, 43_200), 3_600)?;
    let session_name_is_valid = (2..=64).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c));
    if !session_name_is_valid {
        return Err(call.invalid(
            "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: [\\w+=,.@-]*",
        ));
    }
    let denied = || {
        Refusal::new(
            403,
            "AccessDenied",
            format!(
                "User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}",
                call.caller.arn
            ),
        )
    };
    let (account, role) = arn
        .strip_prefix("arn:aws:iam::")
        .and_then(|rest| rest.split_once(":role/"))
        .ok_or_else(|| call.invalid(format!("{arn} is invalid")))?;
    // AWS tells neither that a role does not exist nor that the external id is wrong.
    if !is_account(account) || role.is_empty() {
        return Err(denied());
    }
    if let Some(expected) = &trust.external_id
        && call.text("ExternalId")? != Some(expected)
    {
        return Err(denied());
    }
    let asked = SignedDuration::from_secs(seconds as i64);
    let life = trust.longest_session.map_or(asked, |longest| longest.min(asked));
    let session = Session {
        account: account.to_owned(),
        // A role's path is no part of the session's name.
        role: role.rsplit('/').next().unwrap_or(role).to_owned(),
        name: name.to_owned(),
        expires: call.now + life,
    };
    Ok(result(call, request_id, |xml| {
        xml.within("AssumedRoleUser", |xml| {
            xml.text("AssumedRoleId", &format!("{}:{name}", session.role_id()));
            xml.text("Arn", &session.arn());
        });
        xml.within("Credentials", |xml| {
            xml.text("AccessKeyId", &session.key());
            xml.text("SecretAccessKey", "sandbox-secret-key-that-signs-nothing-real");
            xml.text("SessionToken", &session.token());
            xml.text("Expiration", &session.expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        });
        xml.value("PackedPolicySize", 0);
    }))
}

/// `<OpResponse><OpResult>…</OpResult><ResponseMetadata>…`: the query protocol's envelope.
pub fn result(call: &Call<'_>, request_id: &str, content: impl FnOnce(&mut Xml)) -> Reply {
    let mut xml = Xml::new();
    let response = format!("{}Response", call.operation);
    xml.open_with(&response, &[("xmlns", call.service.xml_namespace())]);
    xml.within(&format!("{}Result", call.operation), content);
    xml.within("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    xml.close(&response);
    Reply::xml(xml, "text/xml")
}
