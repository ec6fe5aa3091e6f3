//! Lists EMR Serverless applications, and what their job runs were billed.

use aws_sdk_emrserverless::Client;
use aws_sdk_emrserverless::types::{
    Application, ApplicationState, ApplicationSummary, JobRun, JobRunState,
};
use aws_smithy_types::DateTime;
use jiff::{SignedDuration, Timestamp};

use super::EmrServerlessApplication;
use crate::aws::Scope;
use crate::model::Resource;
use crate::services::listing::{
    Found, Gap, Gaps, each, every_page, instant, list_failed, resource, text,
};

const LIST_APPLICATIONS: &str = "emr-serverless:ListApplications";
const GET_APPLICATION: &str = "emr-serverless:GetApplication";
const LIST_JOB_RUNS: &str = "emr-serverless:ListJobRuns";
const GET_JOB_RUN: &str = "emr-serverless:GetJobRun";

/// How far back job runs are added up.
const JOB_RUNS_SINCE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Job runs of an application that are asked one by one. What more of them were billed stays
/// unknown: a sum of some would be a wrong number.
const JOB_RUNS_READ: usize = 200;

pub(super) async fn applications(
    scope: &Scope,
    client: &Client,
    now: Timestamp,
) -> Result<Vec<Found>, Gap> {
    let request = client.list_applications().max_results(50);
    let answer = every_page!(LIST_APPLICATIONS, request, |page| Some(page.applications));
    let applications = answer.map_err(list_failed(LIST_APPLICATIONS))?;
    let kept = applications.into_iter().filter(|app| app.state != ApplicationState::Terminated);
    Ok(each(kept, |application| found(scope, client, application, now)).await)
}

async fn found(
    scope: &Scope,
    client: &Client,
    summary: ApplicationSummary,
    now: Timestamp,
) -> Found {
    let id = summary.id();
    let mut gaps = Gaps::of(id);
    let answer = client.get_application().application_id(id).send().await;
    let application = gaps.known(GET_APPLICATION, answer).and_then(|answer| answer.application);
    let mut details = application.as_ref().map(described).unwrap_or_default();
    details.release = text(summary.release_label());
    details.application_type = text(summary.r#type()).map(|name| name.to_uppercase());
    details.architecture = Some(
        // Applications older than the choice run on x86.
        summary.architecture().map_or("X86_64", |architecture| architecture.as_str()).to_owned(),
    );
    if let Some(billed) = billed(client, id, now, &mut gaps).await {
        details.billed_vcpu_hours_14d = Some(billed.vcpu_hours);
        details.billed_memory_gb_hours_14d = Some(billed.memory_gb_hours);
        details.used_vcpu_hours_14d = billed.used.map(|used| used.0);
        details.used_memory_gb_hours_14d = billed.used.map(|used| used.1);
        details.job_runs_14d = Some(billed.runs);
        details.mean_run_minutes_14d = billed
            .seconds
            .filter(|_| billed.runs > 0)
            .map(|seconds| seconds as f64 / 60.0 / billed.runs as f64);
    }
    let tags = application.map(|application| application.tags.unwrap_or_default());
    let resource = Resource {
        name: summary.name().and_then(text).unwrap_or_else(|| id.to_owned()),
        arn: text(summary.arn()),
        state: text(summary.state().as_str()),
        created_at: instant(summary.created_at()),
        tags: tags.map(|tags| tags.into_iter().collect()),
        ..resource(scope, &EmrServerlessApplication::KIND, id, details.into_values())
    };
    gaps.found(resource)
}

fn described(application: &Application) -> EmrServerlessApplication {
    let workers: Vec<_> = application.initial_capacity().into_iter().flatten().collect();
    // One worker's size times the workers; unknown when a size is not told or not understood.
    let total = |size: fn(&aws_sdk_emrserverless::types::WorkerResourceConfig) -> &str| {
        let mut sizes: Vec<f64> = workers
            .iter()
            .map(|(_, capacity)| {
                let each = quantity(size(capacity.worker_configuration()?))?;
                Some(each * capacity.worker_count() as f64)
            })
            .collect::<Option<_>>()?;
        // The order of a map is not the same twice, and a sum of doubles depends on it.
        sizes.sort_by(f64::total_cmp);
        // Not `sum`: of nothing it is -0.
        Some(sizes.iter().fold(0.0, |sum, size| sum + size))
    };
    let auto_stop = application.auto_stop_configuration();
    EmrServerlessApplication {
        initial_workers: Some(workers.iter().map(|(_, capacity)| capacity.worker_count()).sum()),
        initial_vcpus: total(|worker| worker.cpu()),
        initial_memory_gb: total(|worker| worker.memory()),
        // EMR Serverless API Reference, AutoStopConfig: true and 15 minutes unless set.
        auto_stop: Some(auto_stop.and_then(|stop| stop.enabled()).unwrap_or(true)),
        auto_stop_idle_minutes: Some(
            auto_stop.and_then(|stop| stop.idle_timeout_minutes()).map_or(15, i64::from),
        ),
        ..EmrServerlessApplication::default()
    }
}

/// The number of a size such as `4 vCPU`, `16 GB` or `16gb`.
fn quantity(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].parse().ok()
}

/// What job runs were billed, and what their workers held.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Billed {
    runs: i64,
    /// Time of execution; `None` when a run does not tell.
    seconds: Option<i64>,
    vcpu_hours: f64,
    memory_gb_hours: f64,
    /// vCPU-hours and GB-hours; `None` when a run does not tell.
    used: Option<(f64, f64)>,
}

impl Billed {
    const NOTHING: Self = Self {
        runs: 0,
        seconds: Some(0),
        vcpu_hours: 0.0,
        memory_gb_hours: 0.0,
        used: Some((0.0, 0.0)),
    };
}

/// What an application's job runs of the last days were billed; `None` when it is not known of all.
async fn billed(client: &Client, id: &str, now: Timestamp, gaps: &mut Gaps) -> Option<Billed> {
    let since = now.saturating_sub(JOB_RUNS_SINCE).ok()?;
    let request = client
        .list_job_runs()
        .application_id(id)
        .created_at_after(DateTime::from_secs(since.as_second()))
        .max_results(50);
    let one_more = JOB_RUNS_READ + 1;
    let answer = every_page!(LIST_JOB_RUNS, request, |page| Some(page.job_runs), one_more);
    let runs = gaps.known_list(LIST_JOB_RUNS, answer)?;
    if runs.len() > JOB_RUNS_READ {
        return None;
    }
    let answers =
        each(&runs, |run| client.get_job_run().application_id(id).job_run_id(run.id()).send())
            .await;
    let mut sum = Billed::NOTHING;
    let mut all_known = true;
    for answer in answers {
        let run = gaps.known(GET_JOB_RUN, answer).and_then(|answer| answer.job_run);
        match run.as_ref().and_then(billed_of) {
            Some(billed) => {
                sum.vcpu_hours += billed.vcpu_hours;
                sum.memory_gb_hours += billed.memory_gb_hours;
                sum.runs += billed.runs;
                sum.seconds = sum.seconds.zip(billed.seconds).map(|(sum, run)| sum + run);
                sum.used =
                    sum.used.zip(billed.used).map(|(sum, run)| (sum.0 + run.0, sum.1 + run.1));
            }
            None => all_known = false,
        }
    }
    all_known.then_some(sum)
}

/// A run that has not ended, or failed before it had workers, has no bill yet: that is zero. One
/// that succeeded without a bill is unknown.
fn billed_of(run: &JobRun) -> Option<Billed> {
    let Some(billed) = run.billed_resource_utilization() else {
        let nothing = Billed { runs: 1, ..Billed::NOTHING };
        return (run.state != JobRunState::Success).then_some(nothing);
    };
    Some(Billed {
        runs: 1,
        seconds: run.total_execution_duration_seconds().map(i64::from),
        vcpu_hours: billed.v_cpu_hour().unwrap_or(0.0),
        memory_gb_hours: billed.memory_gb_hour().unwrap_or(0.0),
        used: run
            .total_resource_utilization()
            .and_then(|used| Some((used.v_cpu_hour()?, used.memory_gb_hour()?))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_however_their_unit_is_written() {
        for (text, number) in [("4 vCPU", 4.0), ("16gb", 16.0), (" 0.5 vcpu", 0.5), ("8", 8.0)] {
            assert_eq!(quantity(text), Some(number));
        }
        assert_eq!(quantity("large"), None);
        assert_eq!(quantity(""), None);
    }
}
