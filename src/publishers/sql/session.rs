//! What a connection remembers between statements: its settings and its transaction. Nothing of it
//! changes data; a transaction only keeps looking at the same versions when it asks for that.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::error::{self, Error};

/// The version that clients are told: they decide by it what they ask of the catalog.
pub(super) const SERVER_VERSION: &str = "15.0";
const SERVER_VERSION_NUMBER: &str = "150000";

/// Shows the lake as it was.
pub(super) const AS_OF: &str = "centime.as_of";

/// Settings whose changes the client is told of, spelled as it knows them.
const REPORTED: [&str; 10] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "server_version",
    "standard_conforming_strings",
    "TimeZone",
];

/// Settings and what they are unless set, by their names in small letters.
pub(super) const DEFAULTS: &[(&str, &str)] = &[
    ("application_name", ""),
    ("bytea_output", "hex"),
    (AS_OF, ""),
    ("client_encoding", "UTF8"),
    ("client_min_messages", "notice"),
    ("datestyle", "ISO, MDY"),
    ("default_transaction_deferrable", "off"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "on"),
    ("extra_float_digits", "1"),
    ("idle_in_transaction_session_timeout", "0"),
    ("in_hot_standby", "on"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("is_superuser", "off"),
    ("jit", "off"),
    ("lc_collate", "C.UTF-8"),
    ("lc_ctype", "C.UTF-8"),
    ("lc_messages", "C.UTF-8"),
    ("lc_monetary", "C.UTF-8"),
    ("lc_numeric", "C.UTF-8"),
    ("lc_time", "C.UTF-8"),
    ("lock_timeout", "0"),
    ("max_connections", "100"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("row_security", "on"),
    ("search_path", "\"$user\", public"),
    ("server_encoding", "UTF8"),
    ("server_version", SERVER_VERSION),
    ("server_version_num", SERVER_VERSION_NUMBER),
    ("session_authorization", ""),
    ("ssl", "off"),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("synchronous_commit", "off"),
    ("timezone", "UTC"),
    ("transaction_deferrable", "off"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "on"),
    ("wal_level", "replica"),
];

/// Those that nobody changes. A client that sets one to what it is already gets no error.
const FIXED: [&str; 10] = [
    "in_hot_standby",
    "integer_datetimes",
    "is_superuser",
    "max_connections",
    "server_encoding",
    "server_version",
    "server_version_num",
    "session_authorization",
    "ssl",
    "wal_level",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transaction {
    None,
    Open,
    /// A statement in it failed; only its end is taken.
    Failed,
}

impl Transaction {
    /// As `ReadyForQuery` tells it.
    pub(super) fn letter(self) -> u8 {
        match self {
            Self::None => b'I',
            Self::Open => b'T',
            Self::Failed => b'E',
        }
    }
}

/// The settings of a connection.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Those that differ from the defaults.
    set: BTreeMap<String, String>,
    as_of: Option<Timestamp>,
    /// Longest that a statement may take here.
    most: Duration,
}

impl Settings {
    pub(super) fn new(user: &str, encrypted: bool, most: Duration) -> Self {
        let mut set = BTreeMap::new();
        set.insert("session_authorization".to_owned(), user.to_owned());
        if encrypted {
            set.insert("ssl".to_owned(), "on".to_owned());
        }
        set.insert("statement_timeout".to_owned(), milliseconds(most));
        Self { set, as_of: None, most }
    }

    /// The value of a setting; `None` when there is no such setting.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        let set = self.set.get(&name).map(String::as_str);
        let default = || DEFAULTS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        set.or_else(default)
    }

    /// All of them, by name.
    pub(super) fn all(&self) -> BTreeMap<&str, &str> {
        let mut all: BTreeMap<&str, &str> = DEFAULTS.iter().copied().collect();
        all.extend(self.set.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        all
    }

    /// What the client is told when it has logged in, and of a setting that it changed.
    pub(super) fn reported(&self) -> impl Iterator<Item = (&'static str, &str)> {
        REPORTED.iter().filter_map(|name| Some((*name, self.get(name)?)))
    }

    /// Changes a setting; `None` gives it its default back. Settings that are not known here are
    /// kept, as PostgreSQL keeps those of its extensions.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Error> {
        let name = name.to_ascii_lowercase();
        if FIXED.contains(&name.as_str()) {
            return match value {
                Some(value) if self.get(&name) == Some(value) => Ok(()),
                _ => Err(Error::new("55P02", format!("parameter \"{name}\" cannot be changed"))),
            };
        }
        let invalid = |value: &str, hint: &str| {
            let message = format!("invalid value for parameter \"{name}\": \"{value}\"");
            Err(Error::new(error::INVALID_PARAMETER, message).hint(hint))
        };
        match (name.as_str(), value) {
            (AS_OF, None | Some("")) => {
                self.as_of = None;
                self.set.remove(AS_OF);
                return Ok(());
            }
            (AS_OF, Some(value)) => match instant(value) {
                Some(instant) => self.as_of = Some(instant),
                None => {
                    return invalid(value, "An instant such as 2026-02-01T00:00Z, or a UTC day.");
                }
            },
            ("client_encoding", Some(value)) => {
                let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
                if !["UTF8", "UNICODE"].contains(&plain.to_ascii_uppercase().as_str()) {
                    return invalid(value, "All text is UTF8.");
                }
                return Ok(());
            }
            // Days, months and instants are UTC's, in AWS's bill as here.
            ("timezone" | "datestyle" | "intervalstyle" | "standard_conforming_strings", _) => {
                return Ok(());
            }
            // Drivers ask for both, whatever they then do; it stays read-only.
            ("transaction_read_only" | "default_transaction_read_only", _) => return Ok(()),
            ("statement_timeout", value) => {
                let asked = value.and_then(duration);
                if value.is_some() && asked.is_none() {
                    return invalid(
                        value.unwrap_or_default(),
                        "Milliseconds, or a length such as 5s.",
                    );
                }
                let asked = asked.filter(|asked| !asked.is_zero()).unwrap_or(self.most);
                self.set.insert(name, milliseconds(asked.min(self.most)));
                return Ok(());
            }
            _ => {}
        }
        if self.set.len() > 200 || value.is_some_and(|value| value.len() > 1_000) {
            return Err(Error::new(error::STATEMENTS, "too many or too long settings"));
        }
        match value {
            Some(value) => self.set.insert(name, value.to_owned()),
            None => self.set.remove(&name),
        };
        Ok(())
    }

    /// All back to their defaults.
    pub(super) fn reset(&mut self) {
        let keep = ["session_authorization", "ssl"];
        self.set.retain(|name, _| keep.contains(&name.as_str()));
        self.set.insert("statement_timeout".to_owned(), milliseconds(self.most));
        self.as_of = None;
    }

    /// The instant at which the lake is shown; `None` the newest.
    pub(super) fn as_of(&self) -> Option<Timestamp> {
        self.as_of
    }

    /// How long a statement may take.
    pub(super) fn timeout(&self) -> Duration {
        let asked = self.get("statement_timeout").and_then(duration);
        asked.filter(|asked| !asked.is_zero()).map_or(self.most, |asked| asked.min(self.most))
    }
}

fn milliseconds(duration: Duration) -> String {
    duration.as_millis().to_string()
}

/// `1500`, `1500ms`, `30s`, `2min`, `1h`.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let factor = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(factor)?))
}

/// An instant, or the beginning of a UTC day.
fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let day = || {
        let day: jiff::civil::Date = text.parse().ok()?;
        Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    text.parse().ok().or_else(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("ops", true, Duration::from_secs(30))
    }

    #[test]
    fn a_client_may_ask_for_less_time_and_never_for_more() {
        let mut settings = settings();
        assert_eq!(settings.get("statement_timeout"), Some("30000"));
        settings.set("statement_timeout", Some("1500")).unwrap();
        assert_eq!(settings.timeout(), Duration::from_millis(1_500));
        for more in ["0", "1h", "9999999999"] {
            settings.set("Statement_Timeout", Some(more)).unwrap();
            assert_eq!(settings.timeout(), Duration::from_secs(30), "{more}");
        }
        assert!(settings.set("statement_timeout", Some("soon")).is_err());
        settings.set("statement_timeout", Some("2s")).unwrap();
        settings.reset();
        assert_eq!(settings.timeout(), Duration::from_secs(30));
    }

    #[test]
    fn the_lake_can_be_asked_for_its_past() {
        let mut settings = settings();
        let expected = Some("2026-02-01T00:00:00Z".parse().unwrap());
        for text in ["2026-02-01T00:00Z", "2026-02-01", "2026-02-01 01:00:00+01"] {
            settings.set(AS_OF, Some(text)).unwrap();
            assert_eq!(settings.as_of(), expected, "{text}");
            assert_eq!(settings.get(AS_OF), Some(text));
        }
        let error = settings.set(AS_OF, Some("yesterday")).unwrap_err();
        assert_eq!(error.code, error::INVALID_PARAMETER);
        settings.set(AS_OF, None).unwrap();
        assert_eq!((settings.as_of(), settings.get(AS_OF)), (None, Some("")));
    }

    #[test]
    fn what_it_is_cannot_be_changed_and_what_clients_set_is_taken() {
        let mut settings = settings();
        assert!(settings.set("is_superuser", Some("on")).is_err());
        assert!(settings.set("session_authorization", Some("root")).is_err());
        settings.set("default_transaction_read_only", Some("off")).unwrap();
        assert_eq!(settings.get("default_transaction_read_only"), Some("on"));
        assert!(settings.set("client_encoding", Some("LATIN1")).is_err());
        settings.set("client_encoding", Some("utf-8")).unwrap();
        settings.set("TimeZone", Some("Europe/Paris")).unwrap();
        settings.set("application_name", Some("grafana")).unwrap();
        assert_eq!(settings.get("timezone"), Some("UTC"));
        let reported: BTreeMap<_, _> = settings.reported().collect();
        assert_eq!(reported["application_name"], "grafana");
        assert_eq!(reported["DateStyle"], "ISO, MDY");
        assert_eq!(settings.get("no.such"), None);
        settings.set("my.setting", Some("x")).unwrap();
        assert_eq!(settings.get("my.setting"), Some("x"));
    }
}
