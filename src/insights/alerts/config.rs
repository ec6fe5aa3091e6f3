//! `alerts`: who is told of what, and when people are left alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Weekday;

use super::hours::{ClockTime, QuietHours, WEEKDAYS, Zone};
use crate::model::Day;
use crate::model::alert::{Alert, AlertKind, Severity};
use crate::yaml::{self, Fields, Node, Place, Read, Reader};

/// `alerts`
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Of quiet hours, of the digest, and of a day's messages.
    pub time_zone: Zone,
    /// `None`: there are none.
    pub quiet_hours: Option<QuietHours>,
    /// New messages for people in each channel and day; what is beyond goes to the digest. What is
    /// critical always goes out.
    pub daily_cap: u32,
    /// When the digest of what is small goes out.
    pub digest_at: ClockTime,
    pub routes: Vec<Route>,
    pub known_events: Vec<KnownEvent>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            time_zone: Zone(chrono_tz::UTC),
            quiet_hours: None,
            daily_cap: 10,
            digest_at: nine(),
            routes: Vec::new(),
            known_events: Vec::new(),
        }
    }
}

#[allow(clippy::expect_used, reason = "a constant")]
fn nine() -> ClockTime {
    "09:00".parse().expect("a time of day")
}

/// Which alerts are meant; what is left empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    pub kinds: Vec<AlertKind>,
    /// At least this.
    pub severity: Option<Severity>,
    pub accounts: Vec<String>,
    pub environments: Vec<String>,
    pub services: Vec<String>,
    pub teams: Vec<String>,
}

impl Scope {
    pub fn holds(&self, alert: &Alert) -> bool {
        let is_in = |wanted: &[String], found: &Option<String>| {
            wanted.is_empty() || found.as_ref().is_some_and(|found| wanted.contains(found))
        };
        (self.kinds.is_empty() || self.kinds.contains(&alert.kind))
            && self.severity.is_none_or(|least| alert.severity >= least)
            && is_in(&self.accounts, &alert.scope.account)
            && is_in(&self.environments, &alert.scope.environment)
            && is_in(&self.services, &alert.scope.service)
            && is_in(&self.teams, &alert.scope.team)
    }

    fn read(fields: &mut Fields<'_>, reader: &mut Reader) -> Self {
        let kinds: Vec<KindName> = fields.or("kinds", Vec::new(), reader);
        Self {
            kinds: kinds.into_iter().map(|it| it.0).collect(),
            severity: fields.optional::<SeverityName>("severity", reader).map(|it| it.0),
            accounts: fields.or("accounts", Vec::new(), reader),
            environments: fields.or("environments", Vec::new(), reader),
            services: fields.or("services", Vec::new(), reader),
            teams: fields.or("teams", Vec::new(), reader),
        }
    }
}

/// Where alerts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub scope: Scope,
    /// Names of channels; none: it is kept and told to nobody.
    pub channels: Vec<String>,
    /// Later routes are looked at too.
    pub goes_on: bool,
    /// Where the names stand, for a message about one that is not known.
    pub place: Place,
}

/// Something that costs money on purpose: its alerts are kept and not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownEvent {
    pub scope: Scope,
    /// First and last day, in the time zone of the alerts.
    pub from: Day,
    pub to: Day,
    pub reason: String,
}

impl KnownEvent {
    pub fn covers(&self, alert: &Alert, day: Day) -> bool {
        self.from <= day && day <= self.to && self.scope.holds(alert)
    }
}

/// Who reads a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// They are left alone in quiet hours, and get what is small as a digest.
    People,
    /// They take every change when it happens.
    Machines,
}

/// The channels there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Channels {
    pub natures: BTreeMap<String, Nature>,
    /// Where alerts about cost go when no route says otherwise.
    pub usual: Vec<String>,
    /// Where alerts about centime itself go when no route says otherwise.
    pub operators: Vec<String>,
}

impl Channels {
    pub fn nature(&self, channel: &str) -> Option<Nature> {
        self.natures.get(channel).copied()
    }

    /// Channels of an alert, each once, by name.
    pub fn of(&self, alert: &Alert, routes: &[Route]) -> Vec<String> {
        let mut found = BTreeSet::new();
        let mut is_routed = false;
        for route in routes.iter().filter(|route| route.scope.holds(alert)) {
            is_routed = true;
            found.extend(route.channels.iter().cloned());
            if !route.goes_on {
                break;
            }
        }
        if !is_routed {
            let usual = match alert.kind {
                AlertKind::Source | AlertKind::OwnCost => &self.operators,
                AlertKind::Budget
                | AlertKind::Burn
                | AlertKind::Restatement
                | AlertKind::Finding => &self.usual,
            };
            found.extend(usual.iter().cloned());
        }
        found.retain(|channel| self.natures.contains_key(channel));
        found.into_iter().collect()
    }

    /// Routes that name a channel that there is not, with the nearest one.
    pub fn unknown<'r>(&self, routes: &'r [Route]) -> impl Iterator<Item = (&'r Route, String)> {
        routes.iter().flat_map(move |route| {
            route.channels.iter().filter(|name| !self.natures.contains_key(*name)).map(
                move |name| {
                    let known = self.natures.keys().map(String::as_str);
                    let help = match yaml::nearest(name, known.clone()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None if self.natures.is_empty() => {
                            "no channel is configured: see `slack`, `email`, `alertmanager`, \
                             `webhooks`"
                                .to_owned()
                        }
                        None => {
                            format!("there are {}", known.collect::<Vec<_>>().join(", "))
                        }
                    };
                    (route, format!("there is no channel `{name}`; {help}"))
                },
            )
        })
    }
}

#[derive(Clone)]
struct KindName(AlertKind);

impl Read for KindName {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let name = yaml::one_of(node, path, reader, &AlertKind::ALL.map(AlertKind::as_str))?;
        AlertKind::parse(name).map(Self)
    }
}

struct SeverityName(Severity);

impl Read for SeverityName {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let name = yaml::one_of(node, path, reader, &Severity::ALL.map(Severity::as_str))?;
        Severity::parse(name).map(Self)
    }
}

struct WeekdayName(Weekday);

impl Read for WeekdayName {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let name = yaml::one_of(node, path, reader, &WEEKDAYS.map(|(name, _)| name))?;
        WEEKDAYS.iter().find(|(known, _)| *known == name).map(|(_, day)| Self(*day))
    }
}

impl Read for Route {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let scope = Scope::read(&mut fields, reader);
        let channels = fields.required("channels", reader);
        let goes_on = fields.or("continue", false, reader);
        let place = fields.place_of("channels");
        fields.finish(reader);
        Some(Self { scope, channels: channels?, goes_on, place })
    }
}

impl Read for KnownEvent {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let scope = Scope::read(&mut fields, reader);
        let from: Option<Day> = fields.required("from", reader);
        let to_place = fields.place_of("to");
        let to: Option<Day> = fields.required("to", reader);
        let reason = fields.required("reason", reader);
        fields.finish(reader);
        if from.zip(to).is_some_and(|(from, to)| to < from) {
            reader.problem(to_place, format!("`{path}.to` lies before `{path}.from`"));
            return None;
        }
        Some(Self { scope, from: from?, to: to?, reason: reason? })
    }
}

impl Read for QuietHours {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let from = fields.required("from", reader);
        let to = fields.required("to", reader);
        let days_place = fields.place_of("working_days");
        let days: Option<Vec<WeekdayName>> = fields.optional("working_days", reader);
        let holidays: Vec<Day> = fields.or("holidays", Vec::new(), reader);
        fields.finish(reader);
        let working_days: Vec<_> = match days {
            Some(days) => days.into_iter().map(|it| it.0).collect(),
            None => WEEKDAYS.iter().take(5).map(|(_, day)| *day).collect(),
        };
        if working_days.is_empty() {
            reader.problem(
                days_place,
                format!("`{path}.working_days` is empty: nothing would ever be told"),
            );
            return None;
        }
        Some(Self { from: from?, to: to?, working_days, holidays: holidays.into_iter().collect() })
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let default = Self::default();
        let config = Self {
            time_zone: fields.or("time_zone", default.time_zone, reader),
            quiet_hours: fields.optional("quiet_hours", reader),
            daily_cap: fields.or("daily_cap", default.daily_cap, reader),
            digest_at: fields.or("digest_at", default.digest_at, reader),
            routes: fields.or("routes", default.routes, reader),
            known_events: fields.or("known_events", default.known_events, reader),
        };
        fields.finish(reader);
        Some(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alert::AlertScope;

    fn config(text: &str) -> Result<Config, String> {
        yaml::read("c.yaml", text, |root, reader| Config::read(root, "alerts", reader))
            .map_err(|problems| problems.to_string())
    }

    fn alert(kind: AlertKind, severity: Severity, team: Option<&str>) -> Alert {
        Alert {
            key: "k".to_owned(),
            kind,
            severity,
            scope: AlertScope { team: team.map(str::to_owned), ..AlertScope::default() },
            title: "t".to_owned(),
            summary: "s".to_owned(),
            facts: Vec::new(),
            drivers: Vec::new(),
            action: None,
            impact: None,
            impact_step: None,
            since: None,
            settled_through: None,
            basis: None,
            page: Vec::new(),
        }
    }

    fn channels() -> Channels {
        let people = ["email.risk", "slack", "slack-operators"];
        let mut natures: BTreeMap<String, Nature> =
            people.map(|name| (name.to_owned(), Nature::People)).into();
        natures.insert("alertmanager".to_owned(), Nature::Machines);
        Channels {
            natures,
            usual: vec!["slack".to_owned(), "alertmanager".to_owned()],
            operators: vec!["slack-operators".to_owned(), "alertmanager".to_owned()],
        }
    }

    #[test]
    fn without_routes_operators_hear_of_centime_and_the_others_of_cost() {
        let of = |kind| channels().of(&alert(kind, Severity::Warning, None), &[]);
        assert_eq!(of(AlertKind::Budget), ["alertmanager", "slack"]);
        assert_eq!(of(AlertKind::Source), ["alertmanager", "slack-operators"]);
    }

    #[test]
    fn the_first_route_that_matches_decides_unless_it_goes_on() {
        let config = config(
            "routes:\n\
             - { severity: critical, channels: [alertmanager], continue: true }\n\
             - { teams: [risk], kinds: [budget, burn], channels: [email.risk] }\n\
             - { teams: [secret], channels: [] }\n",
        )
        .unwrap();
        let of = |severity, team| {
            channels().of(&alert(AlertKind::Budget, severity, Some(team)), &config.routes)
        };
        assert_eq!(of(Severity::Warning, "risk"), ["email.risk"]);
        assert_eq!(of(Severity::Critical, "risk"), ["alertmanager", "email.risk"]);
        assert_eq!(of(Severity::Critical, "cards"), ["alertmanager"]);
        assert_eq!(of(Severity::Info, "cards"), ["alertmanager", "slack"]);
        assert_eq!(of(Severity::Info, "secret"), [""; 0]);
    }

    #[test]
    fn a_channel_that_is_not_there_is_named_with_the_nearest() {
        let config = config("routes: [{ channels: [slak, slack] }]").unwrap();
        let channels = channels();
        let unknown: Vec<_> = channels.unknown(&config.routes).map(|(_, text)| text).collect();
        assert_eq!(unknown, ["there is no channel `slak`; did you mean `slack`?"]);
        let none = Channels::default();
        let (_, text) = none.unknown(&config.routes).next().unwrap();
        assert!(text.contains("no channel is configured"), "{text}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, problem) in [
            ("time_zone: Europe/Pariss", "c.yaml:1:12: `alerts.time_zone` must be an IANA"),
            ("quiet_hours: { from: \"18:30\" }", "`alerts.quiet_hours.to` is missing"),
            ("quiet_hours: { from: \"18:30\", to: \"8h\" }", "must be a time of day"),
            (
                "quiet_hours: { from: \"18:30\", to: \"08:30\", working_days: [] }",
                "nothing would ever be told",
            ),
            ("routes: [{ kinds: [bugdet], channels: [] }]", "did you mean `budget`?"),
            ("routes: [{ team: [a], channels: [] }]", "did you mean `teams`?"),
            ("routes: [{ teams: [a] }]", "`alerts.routes[].channels` is missing"),
            (
                "known_events: [{ from: 2026-02-02, to: 2026-02-01, reason: x }]",
                "lies before `alerts.known_events[].from`",
            ),
        ] {
            let told = config(text).unwrap_err();
            assert!(told.contains(problem), "{told}");
        }
    }
}
