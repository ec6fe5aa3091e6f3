//! The life of incidents, one decision after the other.

use proptest::prelude::*;

use super::*;
use crate::insights::alerts::config::{KnownEvent, Nature, Scope};
use crate::insights::alerts::hours::{QuietHours, Zone};
use crate::model::alert::{AlertKind, AlertScope, Severity, Verdict};
use crate::model::incident::Place;

/// What was decided so far, as the state would keep it.
struct World {
    config: Config,
    channels: Channels,
    incidents: BTreeMap<i64, Incident>,
    events: Vec<IncidentEvent>,
    now: Timestamp,
    feedback: Vec<Feedback>,
    sent: BTreeMap<String, u32>,
}

impl World {
    fn new() -> Self {
        let mut channels = Channels::default();
        for (name, nature) in [("slack", Nature::People), ("alertmanager", Nature::Machines)] {
            channels.natures.insert(name.to_owned(), nature);
            channels.usual.push(name.to_owned());
            channels.operators.push(name.to_owned());
        }
        Self {
            config: Config::default(),
            channels,
            incidents: BTreeMap::new(),
            events: Vec::new(),
            now: "2026-02-18T10:00:00Z".parse().unwrap(),
            feedback: Vec::new(),
            sent: BTreeMap::new(),
        }
    }

    fn decide(&mut self, with: impl FnOnce(Vec<Incident>, &Scene<'_>) -> Decision) -> Decision {
        let (now, since) = (self.now, self.now - REOPENS_WITHIN);
        let known: Vec<Incident> = self
            .incidents
            .values()
            .filter(|it| it.resolved_at.is_none_or(|at| at > since))
            .cloned()
            .collect();
        let scene = Scene {
            now,
            config: &self.config,
            channels: &self.channels,
            sent_today: self.sent.clone(),
            feedback: &self.feedback,
            next_id: self.incidents.keys().max().map_or(1, |id| id + 1),
        };
        let decision = with(known, &scene);
        for incident in &decision.incidents {
            self.incidents.insert(incident.id, incident.clone());
        }
        self.events.extend(decision.events.iter().cloned());
        decision
    }

    fn says(&mut self, firing: Vec<Alert>) -> Decision {
        let kinds = vec![AlertKind::Budget, AlertKind::Burn];
        let said = Assessment { kinds, firing, ..Assessment::default() };
        self.decide(|known, scene| assess(known, &said, scene))
    }

    fn does(&mut self, id: i64, done: &Act) -> Result<Decision, Refused> {
        let mut refused = None;
        let decision = self.decide(|known, scene| {
            act(known, id, done, "anna", scene).unwrap_or_else(|why| {
                refused = Some(why);
                Decision::default()
            })
        });
        refused.map_or(Ok(decision), Err)
    }

    fn later(&mut self, hours: i64) -> Decision {
        self.now += SignedDuration::from_hours(hours);
        self.decide(tend)
    }
}

fn budget(name: &str, severity: Severity, impact: &str) -> Alert {
    Alert {
        key: format!("budget/{name}/2026-02"),
        kind: AlertKind::Budget,
        severity,
        scope: AlertScope::default(),
        title: format!("Budget {name}"),
        summary: format!("{impact} USD over"),
        facts: Vec::new(),
        drivers: Vec::new(),
        action: None,
        impact: Some(impact.parse().unwrap()),
        impact_step: Some("100".parse().unwrap()),
        since: None,
        settled_through: None,
        basis: None,
        page: Vec::new(),
    }
}

fn warning(name: &str, impact: &str) -> Alert {
    budget(name, Severity::Warning, impact)
}

fn burn(name: &str, severity: Severity) -> Alert {
    Alert {
        key: format!("burn/{name}/2026-02"),
        kind: AlertKind::Burn,
        ..budget(name, severity, "10")
    }
}

/// What people are told, and whether loudly.
fn told(decision: &Decision) -> Vec<(i64, &'static str, bool)> {
    decision
        .tellings
        .iter()
        .filter(|it| it.channel == "slack")
        .map(|it| (it.lead, it.event.what.as_str(), it.is_loud))
        .collect()
}

fn reasons(decision: &Decision) -> Vec<&'static str> {
    decision.suppressed.iter().map(|it| it.reason.as_str()).collect()
}

#[test]
fn one_incident_is_told_once_and_its_end() {
    let mut world = World::new();
    assert_eq!(told(&world.says(vec![warning("a", "50")])), [(1, "opened", true)]);
    // The same again, and again: nothing changes, nothing is said.
    assert_eq!(world.says(vec![warning("a", "50")]), Decision::default());
    // Other figures: the message is edited, and nobody is notified.
    let changed = world.says(vec![warning("a", "90")]);
    assert_eq!(told(&changed), [(1, "changed", false)]);
    assert_eq!(reasons(&changed), ["duplicate"]);
    assert_eq!(told(&world.says(vec![])), [(1, "resolved", true)]);
    assert_eq!(world.says(vec![]), Decision::default());
    let kept: Vec<_> = world.events.iter().map(|it| it.what.as_str()).collect();
    assert_eq!(kept, ["opened", "resolved"]);
}

#[test]
fn growth_by_the_step_and_a_rise_are_told_again() {
    let mut world = World::new();
    world.says(vec![warning("a", "50")]);
    assert_eq!(told(&world.says(vec![warning("a", "150")])), [(1, "grew", false)]);
    // The step counts from what was last told.
    assert_eq!(told(&world.says(vec![warning("a", "249")])), [(1, "changed", false)]);
    assert_eq!(told(&world.says(vec![warning("a", "250")])), [(1, "grew", false)]);
    let risen = world.says(vec![budget("a", Severity::Critical, "250")]);
    assert_eq!(told(&risen), [(1, "rose", true)]);
    // Down and up again is no news.
    assert_eq!(told(&world.says(vec![warning("a", "250")])), [(1, "fell", false)]);
    let again = world.says(vec![budget("a", Severity::Critical, "250")]);
    assert_eq!(told(&again), [(1, "changed", false)]);
}

#[test]
fn what_cannot_be_judged_stays_as_it_is() {
    let mut world = World::new();
    world.says(vec![warning("a", "50"), warning("b", "50")]);
    let verdict = |key: &str, word: &str| Verdict { key: key.into(), word: word.into() };
    let said = Assessment {
        kinds: vec![AlertKind::Budget],
        frozen: vec![verdict("budget/a/2026-02", "Cost Explorer was not read")],
        closed: vec![verdict("budget/b/2026-02", "closed at 12,480 of 12,000 (104 %)")],
        ..Assessment::default()
    };
    let decision = world.decide(|known, scene| assess(known, &said, scene));
    assert_eq!(told(&decision), [(1, "frozen", false), (2, "resolved", true)]);
    assert!(world.incidents[&1].is_live());
    assert_eq!(
        world.incidents[&2].last_word.as_deref(),
        Some("closed at 12,480 of 12,000 (104 %)")
    );
    let again = world.decide(|known, scene| assess(known, &said, scene));
    assert_eq!(again, Decision::default());
    // It is judged again, unchanged.
    let thawed = world.says(vec![warning("a", "50")]);
    assert_eq!(told(&thawed), [(1, "changed", false)]);
    assert_eq!(world.incidents[&1].frozen, None);
}

#[test]
fn kinds_that_were_not_looked_at_are_left_alone() {
    let mut world = World::new();
    world.says(vec![warning("a", "50")]);
    let other = Assessment { kinds: vec![AlertKind::Source], ..Assessment::default() };
    let decision = world.decide(|known, scene| assess(known, &other, scene));
    assert_eq!(decision, Decision::default());
}

#[test]
fn what_comes_back_within_a_day_is_the_same_incident() {
    let mut world = World::new();
    world.says(vec![warning("a", "50")]);
    world.says(vec![]);
    world.now += SignedDuration::from_hours(3);
    assert_eq!(told(&world.says(vec![warning("a", "50")])), [(1, "reopened", false)]);
    world.says(vec![]);
    world.now += SignedDuration::from_hours(25);
    assert_eq!(told(&world.says(vec![warning("a", "50")])), [(2, "opened", true)]);
}

#[test]
fn whoever_acknowledges_is_left_alone_until_it_is_much_worse() {
    let mut world = World::new();
    world.says(vec![warning("a", "100")]);
    let acknowledge = Act::Acknowledge { note: None };
    assert_eq!(told(&world.does(1, &acknowledge).unwrap()), [(1, "acknowledged", false)]);
    let twice = world.does(1, &acknowledge).unwrap_err();
    assert_eq!(twice, Refused::Acknowledged("inc_1".into(), "anna".into()));
    let grown = world.says(vec![warning("a", "199")]);
    assert_eq!((told(&grown), reasons(&grown)), (vec![(1, "changed", false)], vec![]));
    let grown = world.says(vec![warning("a", "199.5")]);
    assert_eq!(world.incidents[&1].status, IncidentStatus::Acknowledged);
    assert_eq!(reasons(&grown), Vec::<&str>::new());
    // Twice what it was.
    assert_eq!(told(&world.says(vec![warning("a", "200")])), [(1, "grew", false)]);
    assert_eq!(world.incidents[&1].status, IncidentStatus::Open);
    world.does(1, &acknowledge).unwrap();
    let risen = world.says(vec![budget("a", Severity::Critical, "200")]);
    assert_eq!(told(&risen), [(1, "rose", true)]);
}

#[test]
fn a_snooze_is_silent_and_ends() {
    let mut world = World::new();
    world.says(vec![budget("a", Severity::Info, "1")]);
    world.says(vec![warning("a", "100")]);
    let until = world.now + SignedDuration::from_hours(48);
    let snooze = Act::Snooze { until, reason: "load test".into() };
    assert_eq!(told(&world.does(1, &snooze).unwrap()), [(1, "snoozed", false)]);
    assert_eq!(world.does(1, &snooze).unwrap_err(), Refused::Snoozed("inc_1".into()));
    let past = Act::Snooze { until: world.now, reason: "x".into() };
    assert_eq!(world.does(1, &past).unwrap_err(), Refused::Past);
    let grown = world.says(vec![warning("a", "900")]);
    assert_eq!((told(&grown), reasons(&grown)), (vec![(1, "changed", false)], vec!["snoozed"]));
    let known: Vec<_> = world.incidents.values().cloned().collect();
    assert_eq!(next(&known), Some(until));
    assert_eq!(world.later(47), Decision::default());
    assert_eq!(told(&world.later(1)), [(1, "snooze_over", false)]);
    assert_eq!(world.incidents[&1].status, IncidentStatus::Open);
    // What rises to critical breaks it.
    let until = world.now + SignedDuration::from_hours(48);
    world.does(1, &Act::Snooze { until, reason: "again".into() }).unwrap();
    let risen = world.says(vec![budget("a", Severity::Critical, "900")]);
    assert_eq!(told(&risen), [(1, "rose", true)]);
}

#[test]
fn the_end_of_what_is_snoozed_is_not_loud() {
    let mut world = World::new();
    world.says(vec![warning("a", "100")]);
    let until = world.now + SignedDuration::from_hours(48);
    world.does(1, &Act::Snooze { until, reason: "x".into() }).unwrap();
    assert_eq!(told(&world.says(vec![])), [(1, "resolved", false)]);
    let over = world.does(1, &Act::Acknowledge { note: None }).unwrap_err();
    assert_eq!(over, Refused::Over("inc_1".into(), world.now));
    let none = world.does(9, &Act::Acknowledge { note: None }).unwrap_err();
    assert_eq!(none, Refused::Unknown("inc_9".into()));
}

#[test]
fn known_events_are_kept_and_not_told() {
    let mut world = World::new();
    world.config.known_events.push(KnownEvent {
        scope: Scope { kinds: vec![AlertKind::Budget], ..Scope::default() },
        from: "2026-02-18".parse().unwrap(),
        to: "2026-02-19".parse().unwrap(),
        reason: "load test".into(),
    });
    let held = world.says(vec![budget("a", Severity::Critical, "500")]);
    assert_eq!((held.tellings.len(), reasons(&held)), (0, vec!["known_event"]));
    assert_eq!(held.suppressed[0].word.as_deref(), Some("load test"));
    // It is counted once, whatever its figures do.
    let more = world.says(vec![budget("a", Severity::Critical, "900")]);
    assert_eq!((more.tellings.len(), more.suppressed.len()), (0, 0));
    // The day after it is told, to people and programs.
    assert_eq!(world.later(37), Decision::default());
    let after = world.later(1);
    assert_eq!(told(&after), [(1, "opened", true)]);
    assert_eq!(after.tellings.len(), 2);
}

#[test]
fn what_begins_together_is_one_message() {
    let mut world = World::new();
    let mut all: Vec<Alert> = ["a", "b", "c"].iter().map(|name| warning(name, "50")).collect();
    all.push(budget("d", Severity::Critical, "50"));
    let decision = world.says(all.clone());
    assert_eq!(
        told(&decision),
        [(4, "opened", true), (1, "opened", true), (1, "opened", false), (1, "opened", false)]
    );
    assert_eq!(reasons(&decision), ["grouped", "grouped"]);
    // Programs are told of each.
    let machines = decision.tellings.iter().filter(|it| it.channel == "alertmanager");
    let leads: Vec<i64> = machines.map(|it| it.lead).collect();
    assert_eq!(leads.len(), 4);
    assert!(leads.iter().collect::<BTreeSet<_>>().len() == 4, "{leads:?}");
    // One of them ends: the message says so.
    all.remove(1);
    assert_eq!(told(&world.says(all)), [(1, "resolved", true)]);
    // An answer to the message is one for all of it.
    world.does(1, &Act::Acknowledge { note: None }).unwrap();
    let statuses: Vec<_> = world.incidents.values().map(|it| it.status.as_str()).collect();
    assert_eq!(statuses, ["acknowledged", "resolved", "acknowledged", "open"]);
}

#[test]
fn a_burn_is_told_with_its_budget() {
    let mut world = World::new();
    let decision = world.says(vec![
        burn("a", Severity::Warning),
        warning("a", "50"),
        burn("b", Severity::Warning),
    ]);
    let mut leads: Vec<i64> = told(&decision).iter().map(|it| it.0).collect();
    leads.dedup();
    assert_eq!(leads, [2, 3]);
    assert_eq!(reasons(&decision), ["hierarchy"]);
    assert_eq!((world.incidents[&1].lead, world.incidents[&3].lead), (2, 3));
    // One that is worse than its budget speaks for itself.
    let mut world = World::new();
    world.says(vec![warning("a", "50")]);
    let decision = world.says(vec![warning("a", "50"), burn("a", Severity::Critical)]);
    assert_eq!(told(&decision), [(2, "opened", true)]);
}

#[test]
fn at_night_only_what_is_critical_is_told() {
    let mut world = World::new();
    world.config.time_zone = Zone(chrono_tz::Europe::Paris);
    world.config.quiet_hours = Some(QuietHours {
        from: "18:30".parse().unwrap(),
        to: "08:30".parse().unwrap(),
        working_days: vec![jiff::civil::Weekday::Wednesday, jiff::civil::Weekday::Thursday],
        holidays: BTreeSet::new(),
    });
    // Wednesday, 22:00 in Paris.
    world.now = "2026-02-18T21:00:00Z".parse().unwrap();
    let night = world.says(vec![
        warning("a", "50"),
        budget("b", Severity::Critical, "50"),
        warning("c", "1"),
    ]);
    assert_eq!(told(&night), [(2, "opened", true)]);
    assert_eq!(reasons(&night), ["quiet_hours", "quiet_hours"]);
    // Programs do not sleep.
    let machines = night.tellings.iter().filter(|it| it.channel == "alertmanager").count();
    assert_eq!(machines, 3);
    // One ends before anybody was told: nobody is.
    let ended = world.says(vec![warning("a", "50"), budget("b", Severity::Critical, "50")]);
    assert_eq!(told(&ended), []);
    let known: Vec<_> = world.incidents.values().cloned().collect();
    assert_eq!(next(&known).unwrap().to_string(), "2026-02-19T07:30:00Z");
    assert_eq!(world.later(10), Decision::default());
    let morning = world.later(1);
    assert_eq!(told(&morning), [(1, "opened", true)]);
    assert!(morning.tellings.iter().all(|it| it.channel == "slack"), "programs knew it");
    // What ends at night is edited in quietly.
    world.now = "2026-02-19T21:00:00Z".parse().unwrap();
    let ended = world.says(vec![budget("b", Severity::Critical, "50")]);
    assert_eq!(told(&ended), [(1, "resolved", false)]);
    let telling = ended.tellings.iter().find(|it| it.channel == "slack").unwrap();
    assert_eq!(telling.not_before.unwrap().to_string(), "2026-02-25T07:30:00Z");
}

#[test]
fn what_rises_to_critical_in_the_night_is_told_at_once() {
    let mut world = World::new();
    world.config.quiet_hours = Some(QuietHours {
        from: "00:00".parse().unwrap(),
        to: "23:59".parse().unwrap(),
        working_days: vec![jiff::civil::Weekday::Sunday],
        holidays: BTreeSet::new(),
    });
    assert_eq!(told(&world.says(vec![warning("a", "50")])), []);
    let risen = world.says(vec![budget("a", Severity::Critical, "50")]);
    assert_eq!(told(&risen), [(1, "rose", true)]);
    assert_eq!(world.incidents[&1].hold, None);
}

#[test]
fn a_channel_has_its_messages_of_the_day_and_then_the_digest() {
    let mut world = World::new();
    world.config.daily_cap = 2;
    world.sent.insert("slack".into(), 1);
    let names = ["a", "b"];
    let decision = world.says(names.iter().map(|name| warning(name, "50")).collect());
    assert_eq!(told(&decision), [(1, "opened", true)]);
    assert_eq!(reasons(&decision), ["cap"]);
    assert_eq!(world.incidents[&2].places["slack"], Place::Digest);
    world.sent.insert("slack".into(), 2);
    // What is critical goes out all the same.
    let all = vec![warning("a", "50"), warning("b", "50"), budget("c", Severity::Critical, "1")];
    assert_eq!(told(&world.says(all)), [(3, "opened", true)]);
}

#[test]
fn what_is_small_has_no_message_until_it_grows_up() {
    let mut world = World::new();
    assert_eq!(told(&world.says(vec![budget("a", Severity::Info, "5")])), []);
    assert_eq!(world.incidents[&1].places["slack"], Place::Digest);
    assert_eq!(told(&world.says(vec![warning("a", "50")])), [(1, "rose", true)]);
    assert_eq!(world.incidents[&1].places["slack"], Place::Message);
}

#[test]
fn what_was_called_not_useful_three_times_has_to_be_larger() {
    let mut world = World::new();
    world.feedback = ["100", "80", "90"]
        .map(|impact| Feedback {
            key: "budget/a/2026-01".into(),
            impact: Some(impact.parse().unwrap()),
        })
        .into();
    let held = world.says(vec![warning("a", "149")]);
    assert_eq!((held.tellings.len(), reasons(&held)), (0, vec!["feedback"]));
    assert_eq!(told(&world.says(vec![warning("a", "150")])), [(1, "changed", true)]);
    // Another budget is another matter.
    let both = world.says(vec![warning("a", "150"), warning("b", "10")]);
    assert_eq!(told(&both), [(2, "opened", true)]);
}

#[test]
fn not_useful_is_silent_until_it_is_over() {
    let mut world = World::new();
    world.says(vec![warning("a", "50")]);
    let dismiss = Act::Dismiss { reason: Some("planned".into()) };
    assert_eq!(told(&world.does(1, &dismiss).unwrap()), [(1, "dismissed", false)]);
    assert!(matches!(world.does(1, &dismiss), Err(Refused::Dismissed(..))));
    let grown = world.says(vec![warning("a", "5000")]);
    assert_eq!((told(&grown), reasons(&grown)), (vec![(1, "changed", false)], vec!["dismissed"]));
    assert_eq!(told(&world.says(vec![])), [(1, "resolved", false)]);
}

#[test]
fn keys_lose_their_period() {
    assert_eq!(stem("budget/msk-prod/2026-02"), "budget/msk-prod");
    assert_eq!(stem("budget/msk-prod/2026-Q1"), "budget/msk-prod");
    assert_eq!(stem("source/inventory"), "source/inventory");
    assert_eq!(stem("finding/rds-idle"), "finding/rds-idle");
}

#[test]
fn what_comes_back_worse_in_quiet_hours_says_so_in_its_message() {
    let mut world = World::new();
    world.config.quiet_hours = Some(QuietHours {
        from: "18:00".parse().unwrap(),
        to: "09:00".parse().unwrap(),
        // The world begins on a Wednesday.
        working_days: vec![jiff::civil::Weekday::Thursday],
        holidays: BTreeSet::new(),
    });
    // Three are one message, which waits; the first becomes critical, and the last, which is now
    // small, is told in its message.
    world.says(vec![warning("a", "1"), warning("b", "1"), warning("c", "1")]);
    let second =
        world.says(vec![budget("a", Severity::Critical, "1"), budget("c", Severity::Info, "1")]);
    assert!(told(&second).contains(&(1, "fell", true)), "{:?}", told(&second));
    assert!(told(&world.says(vec![])).contains(&(1, "resolved", false)));
    // It is back, and worse: the message says so, and nobody is woken.
    assert_eq!(told(&world.says(vec![warning("c", "1")])), [(1, "reopened", false)]);
    assert_eq!(told(&world.later(24)), [(1, "rose", true)]);
    assert_eq!(told(&world.says(vec![])), [(1, "resolved", true)]);
}

#[test]
fn what_comes_back_worse_in_a_known_event_is_loud_after_it() {
    let mut world = World::new();
    world.config.known_events.push(KnownEvent {
        scope: Scope::default(),
        from: "2026-02-19".parse().unwrap(),
        to: "2026-02-19".parse().unwrap(),
        reason: "migration".into(),
    });
    assert_eq!(told(&world.says(vec![warning("a", "50")])), [(1, "opened", true)]);
    assert_eq!(told(&world.says(vec![])), [(1, "resolved", true)]);
    world.now += SignedDuration::from_hours(15);
    let worse = || vec![budget("a", Severity::Critical, "50")];
    assert_eq!(told(&world.says(worse())), [(1, "reopened", false)]);
    assert_eq!(told(&world.says(worse())), []);
    assert_eq!(told(&world.later(24)), [(1, "rose", true)]);
    assert_eq!(told(&world.says(vec![])), [(1, "resolved", true)]);
}

proptest! {
    /// Whatever fires, and however often it is said: one message for each incident, one end for each
    /// message, and a second look changes nothing. Killing and restarting between two decisions is
    /// the same as going on, because a decision depends on nothing but what is kept.
    #[test]
    fn every_message_has_one_beginning_and_one_end(
        days in prop::collection::vec(
            prop::collection::btree_map(0_u8..6, (0_usize..3, 1_i64..2_000), 0..5),
            1..25,
        ),
        quiet in any::<bool>(),
        known in any::<bool>(),
        hours in prop::sample::select(vec![5_i64, 11, 30]),
        cap in 0_u32..5,
    ) {
        let mut world = World::new();
        world.config.daily_cap = cap;
        if quiet {
            world.config.quiet_hours = Some(QuietHours {
                from: "18:00".parse().unwrap(),
                to: "09:00".parse().unwrap(),
                working_days: vec![jiff::civil::Weekday::Monday, jiff::civil::Weekday::Thursday],
                holidays: BTreeSet::new(),
            });
        }
        if known {
            world.config.known_events.push(KnownEvent {
                scope: Scope::default(),
                from: "2026-02-19".parse().unwrap(),
                to: "2026-02-20".parse().unwrap(),
                reason: "load test".into(),
            });
        }
        let mut tellings: Vec<Telling> = Vec::new();
        let mut last = days;
        last.push(BTreeMap::new());
        for day in last {
            let firing: Vec<Alert> = day
                .iter()
                .map(|(name, (severity, impact))| {
                    budget(&format!("b{name}"), Severity::ALL[*severity], &impact.to_string())
                })
                .collect();
            tellings.extend(world.says(firing.clone()).tellings);
            prop_assert_eq!(world.says(firing), Decision::default());
            tellings.extend(world.later(hours).tellings);
            prop_assert_eq!(world.decide(tend), Decision::default());
        }
        for incident in world.incidents.values() {
            prop_assert!(!incident.is_live(), "{incident:?}");
            for channel in ["slack", "alertmanager"] {
                let of: Vec<&Telling> = tellings
                    .iter()
                    .filter(|it| it.channel == channel && it.event.incident == incident.id)
                    .collect();
                let count = |what: Happening| of.iter().filter(|it| it.event.what == what).count();
                prop_assert!(count(Happening::Opened) <= 1, "{of:#?}");
                // What was told has an end, and after that only a new beginning is told.
                let mut is_open = false;
                let mut has_ended = false;
                for telling in &of {
                    let what = telling.event.what;
                    prop_assert!(is_open || what != Happening::Resolved, "{of:#?}");
                    let begins = !is_open && has_ended;
                    prop_assert!(!begins || what == Happening::Reopened, "{of:#?}");
                    is_open = what != Happening::Resolved;
                    has_ended = !is_open;
                }
                prop_assert!(!is_open, "{of:#?}");
                if incident.places.get(channel) == Some(&Place::Message) {
                    prop_assert!(!of.is_empty());
                } else {
                    prop_assert!(of.is_empty(), "{of:#?}");
                }
            }
        }
    }
}
