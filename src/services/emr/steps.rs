//! How much of the last days a cluster's steps took.

use std::collections::BTreeMap;

use aws_sdk_emr::types::{StepState, StepSummary};
use jiff::{SignedDuration, Timestamp};

use crate::services::listing::instant;

/// How far back steps are added up.
const SINCE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A pause between steps from which on the next one begins a new batch. Practice: schedulers submit
/// the steps of one batch within minutes.
const PAUSE_SECONDS: i64 = 3_600;

/// What the steps of the last 14 days did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Work {
    /// Hours in which a step ran; steps at the same time count once.
    pub(super) hours: f64,
    pub(super) batches: i64,
    /// Hours in which a step ran that failed.
    pub(super) failed_hours: f64,
    /// Name of the steps whose failures took longest.
    pub(super) worst: Option<String>,
}

impl Work {
    /// `None` where `steps`, newest first, are cut off at `most` and may not reach back far enough.
    pub(super) fn of(steps: &[StepSummary], most: usize, now: Timestamp) -> Option<Self> {
        let since = now.saturating_sub(SINCE).ok()?;
        let created =
            |step: &StepSummary| instant(step.status()?.timeline()?.creation_date_time()?);
        if steps.len() >= most && steps.last().and_then(created).is_none_or(|oldest| oldest > since)
        {
            return None;
        }
        let runs = || steps.iter().filter_map(|step| Some((step, run(step, since, now)?)));
        let is_failed = |step: &StepSummary| {
            step.status().and_then(|status| status.state()) == Some(&StepState::Failed)
        };
        let failed = || runs().filter(|(step, _)| is_failed(step));
        let mut by_name: BTreeMap<&str, i64> = BTreeMap::new();
        for (step, run) in failed() {
            *by_name.entry(step.name().unwrap_or_default()).or_default() += run.1 - run.0;
        }
        Some(Self {
            hours: hours(&joined(runs().map(|(_, run)| run), 0)),
            batches: joined(runs().map(|(_, run)| run), PAUSE_SECONDS).len() as i64,
            failed_hours: hours(&joined(failed().map(|(_, run)| run), 0)),
            worst: by_name
                .into_iter()
                .max_by_key(|(_, seconds)| *seconds)
                .map(|(name, _)| name.to_owned()),
        })
    }
}

/// From when to when, in seconds.
type Run = (i64, i64);

/// When a step ran, as far as it was since `since`; one without an end runs still.
fn run(step: &StepSummary, since: Timestamp, now: Timestamp) -> Option<Run> {
    let timeline = step.status()?.timeline()?;
    let from = instant(timeline.start_date_time()?)?.max(since);
    let to = timeline.end_date_time().and_then(instant).unwrap_or(now).min(now);
    (from < to).then(|| (from.as_second(), to.as_second()))
}

/// The runs in their order, those that overlap, or lie less than `pause` seconds apart, as one.
fn joined(runs: impl Iterator<Item = Run>, pause: i64) -> Vec<Run> {
    let mut runs: Vec<Run> = runs.collect();
    runs.sort_unstable();
    let mut joined: Vec<Run> = Vec::new();
    for (from, to) in runs {
        match joined.last_mut() {
            Some((_, end)) if from - *end < pause.max(1) => *end = to.max(*end),
            _ => joined.push((from, to)),
        }
    }
    joined
}

fn hours(runs: &[Run]) -> f64 {
    runs.iter().map(|(from, to)| to - from).sum::<i64>() as f64 / 3_600.0
}

#[cfg(test)]
mod tests {
    use aws_sdk_emr::types::{StepStatus, StepTimeline};
    use aws_smithy_types::DateTime;

    use super::*;

    fn now() -> Timestamp {
        "2026-03-15T00:00:00Z".parse().unwrap()
    }

    /// A step that began so many hours ago and ran for so many.
    fn step(name: &str, state: StepState, ago: f64, ran: Option<f64>) -> StepSummary {
        let at = |ago: f64| DateTime::from_secs(now().as_second() - (ago * 3_600.0) as i64);
        let timeline = StepTimeline::builder()
            .creation_date_time(at(ago))
            .start_date_time(at(ago))
            .set_end_date_time(ran.map(|ran| at(ago - ran)))
            .build();
        let status = StepStatus::builder().state(state).timeline(timeline).build();
        StepSummary::builder().name(name).status(status).build()
    }

    #[test]
    fn steps_at_the_same_time_count_once_and_a_pause_of_an_hour_ends_a_batch() {
        let steps = [
            step("c", StepState::Running, 1.5, None),
            step("b", StepState::Completed, 27.0, Some(2.0)),
            step("b", StepState::Failed, 28.0, Some(2.0)),
            step("a", StepState::Completed, 30.5, Some(2.0)),
        ];
        let work = Work::of(&steps, 1_000, now()).unwrap();
        assert_eq!(
            work,
            Work { hours: 6.5, batches: 2, failed_hours: 2.0, worst: Some("b".to_owned()) }
        );
    }

    #[test]
    fn a_pause_of_exactly_an_hour_is_a_pause() {
        let batches = |pause: f64| {
            let steps = [
                step("a", StepState::Completed, 10.0, Some(1.0)),
                step("a", StepState::Completed, 11.0 + pause, Some(1.0)),
            ];
            Work::of(&steps, 1_000, now()).unwrap().batches
        };
        assert_eq!((batches(0.99), batches(1.0)), (1, 2));
    }

    #[test]
    fn what_ran_before_the_fortnight_is_cut_off() {
        let steps = [step("a", StepState::Completed, 14.0 * 24.0 + 1.0, Some(3.0))];
        assert_eq!(Work::of(&steps, 1_000, now()).unwrap().hours, 2.0);
        let steps = [step("a", StepState::Completed, 14.0 * 24.0 + 4.0, Some(3.0))];
        assert_eq!(Work::of(&steps, 1_000, now()).unwrap().batches, 0);
        assert_eq!(Work::of(&[], 1_000, now()).unwrap().worst, None);
    }

    #[test]
    fn a_list_that_is_cut_off_within_the_fortnight_tells_nothing() {
        let recent = [step("a", StepState::Completed, 300.0, Some(1.0))];
        assert_eq!(Work::of(&recent, 1, now()), None);
        let old = [step("a", StepState::Completed, 400.0, Some(1.0))];
        assert!(Work::of(&old, 1, now()).is_some());
    }
}
