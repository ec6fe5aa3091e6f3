//! The section `aws:` of the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;

use super::limiter;
use crate::model::Usd;
use crate::model::names::is_region;
use crate::model::time::Span;
use crate::yaml::{Fields, Node, Read, Reader, nearest};

/// `aws`
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Accounts to watch. Empty: the one that the standard credential chain gives.
    pub accounts: Vec<AccountConfig>,
    /// Regions to watch. Empty: the one that the standard chain gives (`AWS_REGION`, profile).
    pub regions: Vec<String>,
    /// Payer account, where Cost Explorer sees the whole bill. `None`: the standard credential
    /// chain's own account.
    pub billing_account: Option<AccountConfig>,
    /// Most that centime's own requests may cost in a calendar month (UTC), at list price.
    ///
    /// 20.00 unless set: five times what the reference estate needs, so that it stops a mistake and
    /// not the work.
    pub monthly_cap: Usd,
    pub retry: RetryConfig,
    pub timeouts: Timeouts,
    /// Requests per second for each account and region, by API (IAM's prefix).
    pub limits: BTreeMap<String, f64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            regions: Vec::new(),
            billing_account: None,
            monthly_cap: Usd(Decimal::from(20)),
            retry: RetryConfig::default(),
            timeouts: Timeouts::default(),
            limits: limiter::DEFAULT_LIMITS
                .iter()
                .map(|(api, per_second)| ((*api).to_owned(), *per_second))
                .collect(),
        }
    }
}

/// An entry of `aws.accounts`, or `aws.billing_account`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountConfig {
    /// 12 digits.
    pub id: String,
    /// What people call it; the id unless set.
    pub name: String,
    /// Role to assume in it; `None`: the standard chain's credentials belong to it.
    pub role_arn: Option<String>,
    /// External id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// Environment of its resources that have no environment tag.
    pub environment: Option<String>,
    /// Its regions; empty: `aws.regions`.
    pub regions: Vec<String>,
}

/// `aws.retry`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryConfig {
    /// Attempts of one request, the first included.
    pub attempts: u32,
    /// Slow down by itself when AWS throttles, beside waiting before each retry.
    pub adaptive: bool,
    /// Longest wait before the first retry; it doubles with each, and the wait is a random part of
    /// it.
    pub first_wait: Duration,
    /// The wait never grows over this.
    pub longest_wait: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: 5,
            adaptive: true,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(20),
        }
    }
}

/// `aws.timeouts`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect.
    pub connect: Duration,
    /// From a request sent to the first byte of its answer.
    pub read: Duration,
    /// One call with its retries and waits.
    pub operation: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(30),
            operation: Duration::from_secs(180),
        }
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let default = Self::default();
        let mut fields = Fields::of(node, path, reader)?;
        let accounts: Vec<AccountConfig> = fields.or("accounts", Vec::new(), reader);
        for (index, account) in accounts.iter().enumerate() {
            if accounts[..index].iter().any(|earlier| earlier.id == account.id) {
                let message = format!("account {} stands in `{path}.accounts` twice", account.id);
                reader.problem(fields.place_of("accounts"), message);
            }
        }
        let regions = fields.or("regions", default.regions, reader);
        check_regions(&regions, "regions", &fields, reader);
        let billing_account = fields.optional("billing_account", reader);
        let monthly_cap = fields.or("monthly_cap", default.monthly_cap, reader);
        if monthly_cap < Usd::ZERO {
            let message = format!("`{path}.monthly_cap` must not be negative");
            reader.problem(fields.place_of("monthly_cap"), message);
        }
        let retry = fields.or("retry", default.retry, reader);
        let timeouts = fields.or("timeouts", default.timeouts, reader);
        let mut limits = default.limits;
        let known: Vec<&str> = limiter::DEFAULT_LIMITS.iter().map(|(api, _)| *api).collect();
        for (api, per_second) in fields.or("limits", BTreeMap::<String, f64>::new(), reader) {
            if !known.contains(&api.as_str()) {
                let help = nearest(&api, known.iter().copied())
                    .map_or_else(|| known.join(", "), |near| format!("did you mean `{near}`?"));
                let message = format!("`{path}.limits` holds an unknown API `{api}`; {help}");
                reader.problem(fields.place_of("limits"), message);
            } else if per_second <= 0.0 {
                let message = format!("`{path}.limits.{api}` must be over 0");
                reader.problem(fields.place_of("limits"), message);
            }
            limits.insert(api, per_second);
        }
        fields.finish(reader);
        Some(Self { accounts, regions, billing_account, monthly_cap, retry, timeouts, limits })
    }
}

fn check_regions(regions: &[String], name: &str, fields: &Fields<'_>, reader: &mut Reader) {
    for region in regions.iter().filter(|region| !is_region(region)) {
        let path = fields.path();
        let message = format!("`{path}.{name}` holds `{region}`; a region looks like eu-west-1");
        reader.problem(fields.place_of(name), message);
    }
}

impl Read for AccountConfig {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let id: Option<String> = fields.required("id", reader);
        if let Some(id) = &id
            && (id.len() != 12 || !id.chars().all(|c| c.is_ascii_digit()))
        {
            let message = format!("`{path}.id` must be 12 digits in quotes, not `{id}`");
            reader.problem(fields.place_of("id"), message);
        }
        let name = fields.optional("name", reader);
        let role_arn: Option<String> = fields.optional("role_arn", reader);
        if let Some(arn) = &role_arn
            && !(arn.starts_with("arn:aws") && arn.contains(":role/"))
        {
            let message = format!(
                "`{path}.role_arn` must look like arn:aws:iam::123456789012:role/centime, not `{arn}`"
            );
            reader.problem(fields.place_of("role_arn"), message);
        }
        let external_id: Option<String> = fields.optional("external_id", reader);
        if external_id.is_some() && role_arn.is_none() {
            let message = format!("`{path}.external_id` needs a `role_arn` beside it");
            reader.problem(fields.place_of("external_id"), message);
        }
        let environment = fields.optional("environment", reader);
        let regions = fields.or("regions", Vec::new(), reader);
        check_regions(&regions, "regions", &fields, reader);
        fields.finish(reader);
        let id = id?;
        let name = name.unwrap_or_else(|| id.clone());
        Some(Self { id, name, role_arn, external_id, environment, regions })
    }
}

impl Read for RetryConfig {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let default = Self::default();
        let mut fields = Fields::of(node, path, reader)?;
        let attempts = fields.or("attempts", default.attempts, reader);
        if attempts == 0 {
            let message = format!("`{path}.attempts` must be at least 1");
            reader.problem(fields.place_of("attempts"), message);
        }
        let adaptive = fields.or("adaptive", default.adaptive, reader);
        let first_wait = span(&mut fields, "first_wait", default.first_wait, reader);
        let longest_wait = span(&mut fields, "longest_wait", default.longest_wait, reader);
        fields.finish(reader);
        Some(Self { attempts, adaptive, first_wait, longest_wait })
    }
}

impl Read for Timeouts {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let default = Self::default();
        let mut fields = Fields::of(node, path, reader)?;
        let connect = span(&mut fields, "connect", default.connect, reader);
        let read = span(&mut fields, "read", default.read, reader);
        let operation = span(&mut fields, "operation", default.operation, reader);
        for (name, value) in [("connect", connect), ("read", read), ("operation", operation)] {
            if value.is_zero() {
                let message = format!("`{path}.{name}` must be over 0s");
                reader.problem(fields.place_of(name), message);
            }
        }
        fields.finish(reader);
        Some(Self { connect, read, operation })
    }
}

fn span(
    fields: &mut Fields<'_>,
    name: &'static str,
    default: Duration,
    reader: &mut Reader,
) -> Duration {
    fields.optional::<Span>(name, reader).map_or(default, Span::duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{self, Problems};

    fn read(text: &str) -> Result<Config, Problems> {
        yaml::read("centime.yaml", text, |root, reader| {
            let mut fields = Fields::of(root, "", reader)?;
            let config = fields.or("aws", Config::default(), reader);
            fields.finish(reader);
            Some(config)
        })
    }

    #[test]
    fn everything_has_a_default() {
        let config = read("").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.monthly_cap, "20".parse().unwrap());
        assert_eq!(read("aws: {}").unwrap(), config);
    }

    #[test]
    fn all_settings_are_read() {
        let config = read(
            "aws:\n  regions: [eu-west-1]\n  monthly_cap: 3.50\n  limits: { ce: 0.5 }\n  \
             retry: { attempts: 2, adaptive: false, first_wait: 2s, longest_wait: 9s }\n  \
             timeouts: { connect: 1s, read: 2s, operation: 3s }\n  \
             billing_account: { id: '999999999999' }\n  \
             accounts:\n    - id: '111111111111'\n      name: prod\n      \
             role_arn: arn:aws:iam::111111111111:role/centime\n      external_id: x\n      \
             environment: prod\n      regions: [us-east-1]\n",
        )
        .unwrap();
        assert_eq!(config.limits["ce"], 0.5);
        assert_eq!(config.limits["kafka"], 10.0);
        assert_eq!(config.retry.longest_wait, Duration::from_secs(9));
        assert_eq!(config.timeouts.operation, Duration::from_secs(3));
        assert_eq!(config.billing_account.unwrap().name, "999999999999");
        assert_eq!(config.accounts[0].external_id.as_deref(), Some("x"));
        assert_eq!(config.accounts[0].regions, ["us-east-1"]);
    }

    #[test]
    fn what_cannot_work_is_told_with_its_place() {
        let problems = read(
            "aws:\n  regions: [Ireland]\n  monthly_cap: -1\n  limits: { cw: 3, s3: 0 }\n  \
             retry: { attempts: 0 }\n  timeouts: { read: 0s }\n  accounts:\n    \
             - { id: '12', external_id: x }\n    - { id: '111111111111', role_arn: centime }\n    \
             - { id: '111111111111' }\n",
        )
        .unwrap_err();
        let mut told: Vec<String> = problems
            .0
            .iter()
            .map(|problem| format!("{}: {}", problem.place.line, problem.message))
            .collect();
        told.sort();
        assert_eq!(
            told,
            [
                "2: `aws.regions` holds `Ireland`; a region looks like eu-west-1",
                "3: `aws.monthly_cap` must not be negative",
                "4: `aws.limits.s3` must be over 0",
                "4: `aws.limits` holds an unknown API `cw`; did you mean `ce`?",
                "5: `aws.retry.attempts` must be at least 1",
                "6: `aws.timeouts.read` must be over 0s",
                "7: account 111111111111 stands in `aws.accounts` twice",
                "8: `aws.accounts[].external_id` needs a `role_arn` beside it",
                "8: `aws.accounts[].id` must be 12 digits in quotes, not `12`",
                "9: `aws.accounts[].role_arn` must look like \
                 arn:aws:iam::123456789012:role/centime, not `centime`",
            ]
        );
    }
}
