//! Faults on demand: what goes wrong at AWS, as often as asked, and the same each time.
//!
//! Each request has a number, and what happens to it is a function of the seed and that number.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::model::time::Span;

/// What goes wrong, and how often: shares are of all signed requests, from 0 to 1.
///
/// ```text
/// throttle=10%,server=5%,slow=2%:3s,cut=1%,empty-page=5%,deny=kafka:ListNodes,expire=300s,seed=7
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Faults {
    pub seed: u64,
    /// Refused for being too many, in each service's own form.
    pub throttle: f64,
    /// Answered 500 or 503.
    pub server: f64,
    /// Cut off in the middle of the answer's body.
    pub cut: f64,
    /// A page of a list is empty though more follow.
    pub empty_page: f64,
    /// Refused because the token expired, though it did not.
    pub expired: f64,
    /// Answered late, and how late.
    pub slow: Option<(f64, Duration)>,
    /// Results of `GetMetricData` that come back with status `InternalError`.
    pub metric_error: f64,
    pub deny: Vec<Denied>,
    /// Longest life of a role's session, also below the 15 minutes that AWS gives at least.
    pub expire: Option<Duration>,
    /// Requests to Slack that fail: by turns 429 with `Retry-After`, 500, a hang, and a cut connection.
    pub slack: f64,
    /// Slack takes one message a second per channel, as the real one does.
    pub slack_rate: bool,
}

/// An action that the caller may not use: `kafka:ListNodes`, `s3:*`, in one account or in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    pub action: String,
    pub account: Option<String>,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    Throttle,
    Server,
    Cut,
    EmptyPage,
    Expired,
}

/// The names that a specification may hold.
const NAMES: &[&str] = &[
    "throttle",
    "server",
    "cut",
    "empty-page",
    "expired",
    "slow",
    "metric-error",
    "deny",
    "expire",
    "fail",
    "seed",
    "slack",
    "slack-rate",
];

impl Faults {
    /// What happens to the request of that number.
    pub fn of_request(&self, number: u64) -> Option<Fault> {
        let mut left = draw(self.seed, number);
        [
            (Fault::Throttle, self.throttle),
            (Fault::Server, self.server),
            (Fault::Cut, self.cut),
            (Fault::EmptyPage, self.empty_page),
            (Fault::Expired, self.expired),
        ]
        .into_iter()
        .find(|(_, share)| {
            let is_it = left < *share;
            left -= share;
            is_it
        })
        .map(|(fault, _)| fault)
    }

    /// How long the request of that number waits, beside what else happens to it.
    pub fn delay(&self, number: u64) -> Option<Duration> {
        let (share, delay) = self.slow?;
        (draw(self.seed ^ 0x510, number) < share).then_some(delay)
    }

    /// What happens to a request to Slack.
    pub fn of_slack(&self, number: u64) -> Option<SlackFault> {
        if draw(self.seed ^ 0x51ac, number) >= self.slack {
            return None;
        }
        Some(match (draw(self.seed ^ 0x51ad, number) * 4.0) as u8 {
            0 => SlackFault::TooMany,
            1 => SlackFault::Server,
            2 => SlackFault::Hang,
            _ => SlackFault::Cut,
        })
    }

    /// Whether an action is denied to callers of an account.
    pub fn denies(&self, action: &str, account: &str) -> bool {
        self.deny.iter().any(|denied| {
            let is_action = match denied.action.strip_suffix('*') {
                Some(prefix) => action.starts_with(prefix),
                None => action.eq_ignore_ascii_case(&denied.action),
            };
            is_action && denied.account.as_deref().is_none_or(|id| id == account)
        })
    }
}

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlackFault {
    TooMany,
    Server,
    Hang,
    /// It took the message, or not: nobody hears.
    Cut,
}

/// A number from 0 to 1 (excluded), the same for the same seed and number (SplitMix64).
pub fn draw(seed: u64, number: u64) -> f64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // 53 bits are all that a double holds.
    (z >> 11) as f64 / (1u64 << 53) as f64
}

/// Why a specification is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fault `{part}`: {problem}")]
pub struct FaultsError {
    pub part: String,
    pub problem: String,
}

impl FromStr for Faults {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<Self, FaultsError> {
        let mut faults = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            faults.read(part).map_err(|problem| FaultsError { part: part.to_owned(), problem })?;
        }
        let sum = faults.throttle + faults.server + faults.cut + faults.empty_page + faults.expired;
        if sum > 1.0 + 1e-9 {
            return Err(FaultsError {
                part: text.to_owned(),
                problem: format!("the shares of failing requests add up to {:.0}%", sum * 100.0),
            });
        }
        Ok(faults)
    }
}

impl Faults {
    fn read(&mut self, part: &str) -> Result<(), String> {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim(), value.trim()),
            None => (part, ""),
        };
        if name == "slack-rate" {
            if !value.is_empty() {
                return Err("takes no value".to_owned());
            }
            self.slack_rate = true;
            return Ok(());
        }
        if !NAMES.contains(&name) {
            return Err(unknown(name));
        }
        if value.is_empty() {
            return Err(format!("needs a value: {}", example(name)));
        }
        match name {
            "throttle" => self.throttle += share(value)?,
            "server" => self.server += share(value)?,
            "cut" => self.cut += share(value)?,
            "empty-page" => self.empty_page += share(value)?,
            "expired" => self.expired += share(value)?,
            "metric-error" => self.metric_error = share(value)?,
            "slack" => self.slack = share(value)?,
            "fail" => {
                // What a bad day is made of.
                let all = share(value)?;
                self.throttle += all * 0.4;
                self.server += all * 0.4;
                self.cut += all * 0.2;
            }
            "slow" => {
                let (part, delay) = value.split_once(':').unwrap_or((value, "3s"));
                self.slow = Some((share(part)?, delay.parse::<Span>()?.duration()));
            }
            "expire" => self.expire = Some(value.parse::<Span>()?.duration()),
            "seed" => {
                self.seed =
                    value.parse().map_err(|_| format!("`{value}` is not a whole number"))?;
            }
            _ => self.deny.push(denied(value)?),
        }
        Ok(())
    }
}

fn unknown(name: &str) -> String {
    let nearest = NAMES
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), *known))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    match nearest {
        Some((_, known)) => format!("there is none of that name; did you mean `{known}`?"),
        None => format!("there is none of that name; there are {}", NAMES.join(", ")),
    }
}

fn example(name: &str) -> String {
    match name {
        "slow" => "slow=2%:3s".to_owned(),
        "deny" => "deny=kafka:ListNodes or deny=s3:*@222222222222".to_owned(),
        "expire" => "expire=300s".to_owned(),
        "seed" => "seed=7".to_owned(),
        name => format!("{name}=10%"),
    }
}

fn share(text: &str) -> Result<f64, String> {
    text.strip_suffix('%')
        .and_then(|number| number.parse::<f64>().ok())
        .filter(|percent| (0.0..=100.0).contains(percent))
        .map(|percent| percent / 100.0)
        .ok_or_else(|| format!("`{text}` is not a share such as 10%"))
}

fn denied(text: &str) -> Result<Denied, String> {
    let (action, account) = match text.split_once('@') {
        Some((action, account)) => (action, Some(account.to_owned())),
        None => (text, None),
    };
    let is_action = action.split_once(':').is_some_and(|(service, name)| {
        !service.is_empty() && !name.is_empty() && !name.trim_end_matches('*').contains('*')
    });
    if !is_action {
        return Err(format!("`{action}` is not an IAM action such as kafka:ListNodes or s3:*"));
    }
    Ok(Denied { action: action.to_owned(), account })
}

/// As it is written on the command line.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (name, share) in [
            ("throttle", self.throttle),
            ("server", self.server),
            ("cut", self.cut),
            ("empty-page", self.empty_page),
            ("expired", self.expired),
            ("metric-error", self.metric_error),
            ("slack", self.slack),
        ] {
            if share > 0.0 {
                parts.push(format!("{name}={}%", percent(share)));
            }
        }
        if let Some((share, delay)) = self.slow {
            parts.push(format!("slow={}%:{}", percent(share), Span::seconds(delay.as_secs())));
        }
        for Denied { action, account } in &self.deny {
            let account = account.as_ref().map(|id| format!("@{id}")).unwrap_or_default();
            parts.push(format!("deny={action}{account}"));
        }
        if let Some(expire) = self.expire {
            parts.push(format!("expire={}", Span::seconds(expire.as_secs())));
        }
        if self.slack_rate {
            parts.push("slack-rate".to_owned());
        }
        if self.seed != 0 {
            parts.push(format!("seed={}", self.seed));
        }
        f.write_str(&parts.join(","))
    }
}

/// Rounded to what a person wrote, where a double is not.
fn percent(share: f64) -> f64 {
    (share * 1e6).round() / 1e4
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: &str = "throttle=10%,server=5%,cut=1%,empty-page=5%,expired=0.5%,metric-error=2%,\
        slack=20%,slow=2%:3s,deny=kafka:ListNodes,deny=s3:*@222222222222,expire=5m,slack-rate,seed=7";

    #[test]
    fn a_specification_reads_as_it_is_written() {
        let faults: Faults = ALL.parse().unwrap();
        assert_eq!(faults.to_string().parse::<Faults>().unwrap(), faults);
        assert_eq!(faults.slow, Some((0.02, Duration::from_secs(3))));
        assert_eq!(faults.expire, Some(Duration::from_secs(300)));
        assert_eq!("".parse::<Faults>().unwrap(), Faults::default());
    }

    #[test]
    fn a_mistake_is_named_with_its_way_out() {
        for (text, said) in [
            ("throtle=10%", "did you mean `throttle`?"),
            ("nonsense-that-is-far=1%", "there are throttle, server"),
            ("throttle", "needs a value: throttle=10%"),
            ("server=ten", "`ten` is not a share such as 10%"),
            ("server=101%", "is not a share"),
            ("slow=2%:3", "`3` is not a length of time"),
            ("deny=ListNodes", "is not an IAM action"),
            ("seed=x", "`x` is not a whole number"),
            ("throttle=60%,fail=50%", "add up to 110%"),
            ("slack-rate=1", "takes no value"),
        ] {
            let error = text.parse::<Faults>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn shares_hold_over_many_requests() {
        let faults: Faults = "fail=30%,empty-page=10%,seed=3".parse().unwrap();
        let count = |wanted: Option<Fault>| {
            (0..20_000).filter(|n| faults.of_request(*n) == wanted).count() as f64 / 20_000.0
        };
        assert!((count(None) - 0.6).abs() < 0.01);
        assert!((count(Some(Fault::Throttle)) - 0.12).abs() < 0.01);
        assert!((count(Some(Fault::Cut)) - 0.06).abs() < 0.01);
        assert!((count(Some(Fault::EmptyPage)) - 0.1).abs() < 0.01);
    }

    #[test]
    fn denials_are_by_action_and_account() {
        let faults: Faults = ALL.parse().unwrap();
        assert!(faults.denies("kafka:ListNodes", "111111111111"));
        assert!(!faults.denies("kafka:ListClustersV2", "111111111111"));
        assert!(faults.denies("s3:GetBucketTagging", "222222222222"));
        assert!(!faults.denies("s3:GetBucketTagging", "111111111111"));
    }

    proptest! {
        #[test]
        fn the_same_seed_and_number_meet_the_same_fault(seed in any::<u64>(), number in any::<u64>()) {
            let faults = Faults { seed, ..ALL.parse().unwrap() };
            let again = Faults { seed, ..ALL.parse().unwrap() };
            prop_assert_eq!(faults.of_request(number), again.of_request(number));
            let drawn = draw(seed, number);
            prop_assert!((0.0..1.0).contains(&drawn));
        }

        #[test]
        fn no_text_stops_the_reader(text in ".{0,80}") {
            let _ = text.parse::<Faults>();
        }
    }
}
