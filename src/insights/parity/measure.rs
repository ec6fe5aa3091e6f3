//! What is compared of each kind, and asking the lake for it as rules ask.

use std::collections::{BTreeMap, HashMap};

use super::{Seen, without_environment};
use crate::insights::prices::PriceBook;
use crate::insights::rules::{self, Pack, Scene};
use crate::model::{Finding, Ownership, Tags, Usd};
use crate::yaml::Problems;

/// What is compared of a kind, in the words of rules.
#[derive(Debug, Clone, Copy)]
struct Measured {
    kind: &'static str,
    /// What of it is there and counts.
    when: &'static str,
    /// Columns and expressions that say how large it is, each by the name that evidence has.
    sizes: &'static [(&'static str, &'static str)],
    /// Columns that people set.
    settings: &'static [&'static str],
    /// USD of a month of 730 hours at list price.
    month: &'static str,
    /// What of that is billed only while it runs, and can be stopped and started again.
    running: Result<&'static str, &'static str>,
}

/// The kinds whose size somebody chooses. What is billed by use has no hours to switch off.
const MEASURED: &[Measured] = &[
    Measured {
        kind: "msk_clusters",
        when: "state = 'ACTIVE'",
        sizes: &[
            ("brokers", "brokers"),
            ("instance_type", "instance_type"),
            ("volume_gib", "volume_gib"),
        ],
        settings: &[
            "cluster_type",
            "kafka_version",
            "storage_mode",
            "storage_autoscaling",
            "enhanced_monitoring",
            "retention_hours",
            "replication_factor",
        ],
        // Express brokers and serverless clusters are billed for what they take in and hold too, and
        // tiers for what they keep: then the whole is not known.
        month: "case when cluster_type = 'PROVISIONED' and broker_family = 'standard' \
                and coalesce(storage_mode, 'LOCAL') = 'LOCAL' \
                and coalesce(provisioned_throughput_mib_per_s, 0) = 0 \
                then brokers * (price(instance_type) * hours_per_month \
                  + volume_gib * price('msk.storage-gib-month')) end",
        running: Err("an MSK cluster cannot be stopped: it is billed until it is deleted"),
    },
    Measured {
        kind: "emr_clusters",
        when: "state in ('RUNNING', 'WAITING')",
        sizes: &[
            ("primary", "primary_instance_type"),
            ("core_nodes", "core_nodes"),
            ("core", "core_instance_type"),
            ("task_nodes", "task_nodes"),
            ("task", "task_instance_type"),
        ],
        settings: &[
            "release",
            "managed_scaling",
            "scaling_min",
            "scaling_max",
            "auto_termination_policy",
            "idle_timeout_seconds",
            "ebs_type",
        ],
        month: "cost_per_hour * hours_per_month",
        // It ends in the evening and is made anew in the morning: all of it is billed by the hour.
        running: Ok("cost_per_hour * hours_per_month"),
    },
    Measured {
        kind: "emr_serverless_applications",
        when: "resource_id is not null",
        sizes: &[("initial_workers", "initial_workers")],
        settings: &["release", "architecture", "auto_stop", "auto_stop_idle_minutes"],
        month: "(billed_vcpu_hours_14d * case when architecture = 'ARM64' \
                  then price('emr-serverless.vcpu-hour-arm') \
                  else price('emr-serverless.vcpu-hour-x86') end \
                + billed_memory_gb_hours_14d * case when architecture = 'ARM64' \
                  then price('emr-serverless.memory-gb-hour-arm') \
                  else price('emr-serverless.memory-gb-hour-x86') end) / 14 * days_per_month",
        running: Err("EMR Serverless is billed by what its jobs use, and stops by itself"),
    },
    Measured {
        kind: "lambda_functions",
        when: "resource_id is not null",
        sizes: &[("memory_mib", "memory_mib")],
        settings: &[
            "runtime",
            "architecture",
            "timeout_seconds",
            "ephemeral_mib",
            "provisioned_concurrency",
            "reserved_concurrency",
            "log_retention_days",
        ],
        // Provisioned concurrency has prices of its own.
        month: "case when coalesce(provisioned_concurrency, 0) = 0 \
                then (gb_seconds_sum * gb_second_price + invocations_sum * price('lambda.request')) \
                  / window_days * days_per_month end",
        running: Err("Lambda is billed by its runs: nothing is billed while nothing runs"),
    },
    Measured {
        kind: "rds_instances",
        when: "resource_id is not null",
        sizes: &[("instance_class", "instance_class"), ("allocated_gib", "allocated_gib")],
        settings: &[
            "engine",
            "engine_version",
            "multi_az",
            "storage_type",
            "iops",
            "backup_retention_days",
            "performance_insights",
            "performance_insights_days",
            "state",
        ],
        // A stopped one is billed for its storage.
        month: "case when state = 'stopped' then 0 \
                else instance_price_hour * hours_per_month * zones_billed end + storage_price_month",
        // Amazon RDS User Guide, "Stopping an Amazon RDS DB instance temporarily": read replicas, what
        // has some, and SQL Server in two zones cannot be stopped. It starts by itself after 7 days.
        running: Ok("case when state = 'stopped' or replica_of is not null or replicas > 0 \
                     or (multi_az and engine like 'sqlserver%') then 0 \
                     else instance_price_hour * hours_per_month * zones_billed end"),
    },
    Measured {
        kind: "s3_buckets",
        when: "resource_id is not null",
        sizes: &[("stored_bytes_mean", "stored_bytes_mean")],
        settings: &[
            "versioning",
            "lifecycle_rules",
            "abort_uploads_after_days",
            "expire_noncurrent_after_days",
            "transition_classes",
            "replication",
        ],
        month: "storage_cost",
        running: Err("S3 is billed for what it stores, day and night"),
    },
];

/// The kinds that can be compared.
pub fn measured_kinds() -> Vec<&'static str> {
    MEASURED.iter().map(|it| it.kind).collect()
}

/// Why nothing of a kind can be switched off; `None` where it can.
pub(super) fn always_on(kind: &str) -> Option<&'static str> {
    MEASURED.iter().find(|it| it.kind == kind).and_then(|it| it.running.err())
}

/// Why the lake could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Problems(#[from] Problems),
    #[error("{kind} could not be compared: {reason}")]
    Kind { kind: &'static str, reason: String },
}

/// Everything of these kinds in the newest inventory, with its component: the tag of it, else its name
/// without its environment's word.
///
/// # Errors
///
/// What the query engine says.
pub async fn measure(
    kinds: &[&str],
    ownership: &Ownership,
    prices: &PriceBook,
    scene: &Scene<'_>,
) -> Result<Vec<Seen>, Error> {
    let measured: Vec<&Measured> =
        MEASURED.iter().filter(|it| kinds.is_empty() || kinds.contains(&it.kind)).collect();
    let files: Vec<(String, String)> = measured.iter().flat_map(|it| questions(it)).collect();
    let pack = Pack::of(&files, prices)?;
    let evaluation = rules::evaluate(&pack, prices, scene).await;
    let mut running: HashMap<[&str; 4], Option<Usd>> = HashMap::new();
    for finding in evaluation.findings.iter().filter(|it| it.rule.ends_with(RUNNING)) {
        running.insert(key(finding), finding.monthly_saving);
    }
    let mut seen = Vec::new();
    for it in measured {
        let rule = id(it, MONTH);
        let result = evaluation.results.iter().find(|result| result.rule == rule);
        if let Some(reason) = result.and_then(|result| result.error.clone()) {
            return Err(Error::Kind { kind: it.kind, reason });
        }
        for finding in evaluation.findings.iter().filter(|finding| finding.rule == rule) {
            let running = running.get(&key(finding)).copied().flatten();
            seen.push(one(it, finding, running, ownership));
        }
    }
    seen.sort_by(|a, b| (&a.component, a.kind).cmp(&(&b.component, b.kind)));
    Ok(seen)
}

/// What a rule that asks for the whole cost, and one that asks for that of running, end with.
const MONTH: &str = "-month";
const RUNNING: &str = "-running";

fn id(it: &Measured, what: &str) -> String {
    format!("parity-{}{what}", it.kind.replace('_', "-"))
}

fn key(finding: &Finding) -> [&str; 4] {
    [&finding.kind, &finding.account, &finding.region, &finding.resource_id]
}

/// The questions as rules that find everything: their saving is what is asked for.
fn questions(it: &Measured) -> Vec<(String, String)> {
    let Measured { kind, when, sizes, settings, month, running } = it;
    let mut evidence = String::from("  - tags\n");
    for (name, sql) in *sizes {
        evidence.push_str(&format!("  - {name}: {sql}\n"));
    }
    for setting in *settings {
        evidence.push_str(&format!("  - {setting}\n"));
    }
    let rule = |id: &str, asked: &str, evidence: &str| {
        let text = format!(
            "id: {id}\ntitle: {kind}\nwhy: It is there.\naction: Compare it.\nsources: []\n\
             on: {kind}\nwhen: >\n  {when}\nsaving: >\n  {asked}\nevidence:\n{evidence}\
             risk: none\neffort: none\n"
        );
        (format!("{id}.yaml"), text)
    };
    let mut files = vec![rule(&id(it, MONTH), month, &evidence)];
    files.extend(running.ok().map(|sql| rule(&id(it, RUNNING), sql, "  - name\n")));
    files
}

fn one(it: &Measured, finding: &Finding, running: Option<Usd>, ownership: &Ownership) -> Seen {
    let shown: BTreeMap<&str, String> = finding
        .evidence
        .iter()
        .map(|fact| (fact.name.as_str(), format!("{} {}", fact.value, fact.unit).trim().to_owned()))
        .collect();
    let value = |name: &str| shown.get(name).cloned().unwrap_or_default();
    let tags: Tags = serde_json::from_str(&value("tags")).ok();
    let words = ownership.environment_words(finding.environment.as_deref());
    let component = ownership
        .component(&tags)
        .unwrap_or_else(|| without_environment(&finding.resource_name, &words));
    let known = |(name, _): &(&'static str, &str)| {
        Some(value(name)).filter(|value| value != "unknown" && !value.starts_with("0 "))
    };
    let sizes: Vec<String> = it.sizes.iter().filter_map(known).collect();
    Seen {
        kind: it.kind,
        component,
        environment: finding.environment.clone(),
        size: if sizes.is_empty() { "not known".to_owned() } else { sizes.join(", ") },
        settings: it.settings.iter().map(|name| (*name, value(name))).collect(),
        month: finding.monthly_saving,
        running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::{Evidence, Level};

    #[test]
    fn every_question_can_be_asked() {
        let files: Vec<_> = MEASURED.iter().flat_map(questions).collect();
        let pack = Pack::of(&files, &PriceBook::builtin()).unwrap();
        assert_eq!(pack.rules().len(), files.len());
        assert!(pack.exclusions().is_none(), "a tag that leaves findings alone hides nothing here");
    }

    /// A database of that name in dev, with these tags.
    fn found(name: &str, tags: &str) -> Finding {
        let fact = |name: &str, value: &str, unit: &str| Evidence {
            name: name.to_owned(),
            value: value.to_owned(),
            unit: unit.to_owned(),
        };
        Finding {
            id: String::new(),
            rule: String::new(),
            title: String::new(),
            service: "rds".to_owned(),
            kind: "rds_instances".to_owned(),
            account: String::new(),
            region: String::new(),
            resource_id: name.to_owned(),
            resource_name: name.to_owned(),
            environment: Some("dev".to_owned()),
            team: None,
            owner: None,
            monthly_saving: None,
            effective_saving: None,
            counted: true,
            evidence: vec![
                fact("tags", tags, ""),
                fact("instance_class", "db.t3.medium", ""),
                fact("allocated_gib", "100", "GiB"),
                fact("multi_az", "no", ""),
                fact("iops", "unknown", ""),
            ],
            action: String::new(),
            why: String::new(),
            risk: Level::None,
            effort: Level::None,
            price_grade: None,
            terraform: None,
        }
    }

    #[test]
    fn the_tag_names_the_component_before_the_name_does() {
        let it = MEASURED.iter().find(|it| it.kind == "rds_instances").unwrap();
        let ownership = Ownership::default();
        let seen = |name, tags| one(it, &found(name, tags), None, &ownership);
        assert_eq!(seen("development-ledger", "{}").component, "ledger");
        assert_eq!(seen("x-dev", r#"{"App":"Ledger"}"#).component, "ledger");
        assert_eq!(seen("x-dev", "unknown").component, "x", "tags that AWS did not tell");
        let seen = seen("x-dev", "{}");
        assert_eq!(seen.size, "db.t3.medium, 100 GiB");
        assert!(seen.settings.contains(&("iops", "unknown".to_owned())));
    }
}
