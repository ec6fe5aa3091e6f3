//! EMR Serverless: rest-json. Instants are seconds since 1970 in bodies.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::emr::epoch;
use super::msk::tags;
use super::page::page;
use super::refusal::Refusal;
use super::service::Service;
use crate::sandbox::estate::{EmrJobRun, EmrResources, EmrServerlessApplication};

/// The operation of a method and path, and the parts of the path that are arguments.
pub fn route(method: &str, path: &[&str]) -> Option<(&'static str, Vec<(&'static str, String)>)> {
    let id = |id: &str| ("applicationId", id.to_owned());
    Some(match (method, path) {
        ("GET", ["applications"]) => ("ListApplications", vec![]),
        ("GET", ["applications", application]) => ("GetApplication", vec![id(application)]),
        ("GET", ["applications", application, "jobruns"]) => ("ListJobRuns", vec![id(application)]),
        ("GET", ["applications", application, "jobruns", run]) => {
            ("GetJobRun", vec![id(application), ("jobRunId", (*run).to_owned())])
        }
        _ => return None,
    })
}

pub fn answer(call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation.as_str() {
        "ListApplications" => list(call),
        "GetApplication" => Ok(json!({ "application": detail(find(call)?) })),
        "ListJobRuns" => job_runs(call),
        "GetJobRun" => job_run(call),
        other => Err(Refusal::unknown_operation(Service::EmrServerless, other)),
    }
}

fn list(call: &Call<'_>) -> Result<Value, Refusal> {
    let size = call.number_within("maxResults", (1, 50), 50)?;
    let states = call.texts("states")?;
    let applications: Vec<&EmrServerlessApplication> = call
        .estate
        .emr_serverless_applications(call.account(), &call.region)
        .iter()
        .filter(|application| states.is_empty() || states.contains(&application.state))
        .collect();
    let page = page(call, &applications, size, "nextToken", &["maxResults"])?;
    let items: Vec<Value> = page
        .items
        .iter()
        .map(|application| {
            json!({
                "id": application.id,
                "name": application.meta.name,
                "arn": application.meta.arn,
                "releaseLabel": application.release,
                "type": application.application_type,
                "state": application.state,
                "stateDetails": application.state_details,
                "createdAt": epoch(application.meta.created),
                "updatedAt": epoch(application.updated),
                "architecture": application.architecture,
            })
        })
        .collect();
    Ok(with_next(json!({ "applications": items }), page.next))
}

fn detail(application: &EmrServerlessApplication) -> Value {
    let mut detail = json!({
        "applicationId": application.id,
        "name": application.meta.name,
        "arn": application.meta.arn,
        "releaseLabel": application.release,
        "type": application.application_type,
        "state": application.state,
        "stateDetails": application.state_details,
        "createdAt": epoch(application.meta.created),
        "updatedAt": epoch(application.updated),
        "tags": tags(&application.meta.tags),
        "autoStartConfiguration": { "enabled": application.auto_start },
        "autoStopConfiguration": {
            "enabled": application.auto_stop,
            "idleTimeoutMinutes": application.auto_stop_idle_minutes,
        },
        "architecture": application.architecture,
    });
    if !application.initial_capacity.is_empty() {
        let capacity: Map<String, Value> = application
            .initial_capacity
            .iter()
            .map(|workers| {
                let of_each = json!({
                    "cpu": format!("{} vCPU", workers.vcpus),
                    "memory": format!("{} GB", workers.memory_gb),
                    "disk": format!("{} GB", workers.disk_gb),
                });
                let entry = json!({ "workerCount": workers.count, "workerConfiguration": of_each });
                (workers.worker_type.to_owned(), entry)
            })
            .collect();
        detail["initialCapacity"] = capacity.into();
    }
    if let Some((vcpus, memory_gb, disk_gb)) = application.maximum_capacity {
        detail["maximumCapacity"] = json!({
            "cpu": format!("{vcpus} vCPU"),
            "memory": format!("{memory_gb} GB"),
            "disk": format!("{disk_gb} GB"),
        });
    }
    detail
}

fn job_runs(call: &Call<'_>) -> Result<Value, Refusal> {
    let application = find(call)?;
    let size = call.number_within("maxResults", (1, 50), 50)?;
    let states = call.texts("states")?;
    let after = call.instant("createdAtAfter")?.unwrap_or(Timestamp::MIN);
    let before = call.instant("createdAtBefore")?.unwrap_or(Timestamp::MAX);
    // The simulated runs are all batch ones.
    let of_mode = call.text("mode")?.is_none_or(|mode| mode == "BATCH");
    let runs: Vec<&EmrJobRun> = application
        .job_runs
        .iter()
        .filter(|run| of_mode && (states.is_empty() || states.contains(&run.state)))
        .filter(|run| run.created >= after && run.created <= before)
        .collect();
    let page = page(call, &runs, size, "nextToken", &["maxResults"])?;
    let items: Vec<Value> = page
        .items
        .iter()
        .map(|run| {
            let mut summary = run_info(run, application, call.account());
            summary["id"] = json!(run.id);
            summary["type"] = json!(application.application_type);
            summary
        })
        .collect();
    Ok(with_next(json!({ "jobRuns": items }), page.next))
}

fn job_run(call: &Call<'_>) -> Result<Value, Refusal> {
    let application = find(call)?;
    let id = call.required("jobRunId")?;
    let run = application
        .job_runs
        .iter()
        .find(|run| run.id == id)
        .ok_or_else(|| not_found(format!("Job run {id} does not exist")))?;
    let mut detail = run_info(run, application, call.account());
    detail["jobRunId"] = json!(run.id);
    detail["jobDriver"] = json!({ "sparkSubmit": {
        "entryPoint": format!("s3://artifacts/{}.py", run.name),
    } });
    detail["tags"] = tags(&application.meta.tags).into();
    detail["billedResourceUtilization"] = resources(run.billed);
    detail["totalResourceUtilization"] = resources(run.total);
    if let (Some(started), Some(ended)) = (run.started, run.ended) {
        detail["totalExecutionDurationSeconds"] = json!(ended.as_second() - started.as_second());
    }
    for (name, instant) in [("startedAt", run.started), ("endedAt", run.ended)] {
        if let Some(instant) = instant {
            detail[name] = epoch(instant);
        }
    }
    Ok(json!({ "jobRun": detail }))
}

/// What a run's summary and its detail have in common.
fn run_info(run: &EmrJobRun, application: &EmrServerlessApplication, account: &str) -> Value {
    json!({
        "applicationId": application.id,
        "name": run.name,
        "mode": "BATCH",
        "arn": run.arn,
        "createdBy": format!("arn:aws:sts::{account}:assumed-role/orchestrator/airflow"),
        "createdAt": epoch(run.created),
        "updatedAt": epoch(run.ended.or(run.started).unwrap_or(run.created)),
        "executionRole": format!("arn:aws:iam::{account}:role/emr-serverless-jobs"),
        "state": run.state,
        "stateDetails": "-",
        "releaseLabel": application.release,
    })
}

fn resources(used: EmrResources) -> Value {
    json!({
        "vCPUHour": used.vcpu_hours,
        "memoryGBHour": used.memory_gb_hours,
        "storageGBHour": used.storage_gb_hours,
    })
}

fn find<'a>(call: &Call<'a>) -> Result<&'a EmrServerlessApplication, Refusal> {
    let id = call.required("applicationId")?;
    call.estate
        .emr_serverless_applications(call.account(), &call.region)
        .iter()
        .find(|application| application.id == id)
        .ok_or_else(|| not_found(format!("Application {id} does not exist")))
}

fn not_found(message: String) -> Refusal {
    Refusal::new(404, "ResourceNotFoundException", message)
}

fn with_next(mut answer: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    answer
}
