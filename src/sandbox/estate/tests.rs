//! What holds of every estate.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::oracle::{Oracle, Verdicts};
use super::*;
use crate::model::time::{day_of, days, start_of};

/// Ids of the rules that centime ships.
fn shipped() -> BTreeSet<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let folders = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let services = folders.filter(|path| path.is_dir() && !path.ends_with("prices"));
    let files = services.flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let id = |text: &str| Some(text.lines().find_map(|line| line.strip_prefix("id: "))?.to_owned());
    files.filter_map(|file| id(&std::fs::read_to_string(file.unwrap().path()).unwrap())).collect()
}

fn now() -> Timestamp {
    "2026-02-18T10:20:00Z".parse().unwrap()
}

fn estate() -> Estate {
    Estate::new(Options::new(42, now()))
}

fn pairs(list: &[Planted]) -> Verdicts {
    list.iter().map(|planted| (planted.rule, planted.resource_id.clone())).collect()
}

/// Those of the rules that the oracle knows. Of the others, the end-to-end test
/// `a_cycle_finds_exactly_what_was_planted` is the proof.
fn judged(list: &[Planted]) -> Verdicts {
    pairs(list).into_iter().filter(|(rule, _)| super::oracle::RULES.contains(rule)).collect()
}

/// All that an estate says, apart from its metrics.
fn inventory(estate: &Estate) -> String {
    let mut text = String::new();
    for account in ACCOUNTS {
        for region in REGIONS {
            text += &format!(
                "{:?}{:?}{:?}{:?}{:?}{:?}{:?}{:?}{:?}{:?}",
                estate.msk_clusters(account.id, region),
                estate.emr_clusters(account.id, region),
                estate.emr_serverless_applications(account.id, region),
                estate.lambda_functions(account.id, region),
                estate.log_groups(account.id, region),
                estate.rds_instances(account.id, region),
                estate.rds_clusters(account.id, region),
                estate.rds_snapshots(account.id, region),
                estate.rds_backups(account.id, region),
                estate.rds_reservations(account.id, region),
            );
        }
        text += &format!("{:?}", estate.s3_buckets(account.id));
    }
    text
}

fn hourly(
    estate: &Estate,
    namespace: &str,
    name: &str,
    dimensions: &[(&str, &str)],
    statistic: Statistic,
    window: (&str, &str),
) -> Option<Vec<(Timestamp, f64)>> {
    let (start, end) = window;
    let query = MetricQuery {
        account: ACCOUNTS[0].id,
        region: "eu-west-1",
        namespace,
        name,
        dimensions,
        statistic,
        period_seconds: 3_600,
        start: start.parse().unwrap(),
        end: end.parse().unwrap(),
    };
    estate.metric(&query, now())
}

const BROKER: &[(&str, &str)] = &[("Cluster Name", "orders-stream"), ("Broker ID", "1")];

#[test]
fn equal_seeds_give_equal_estates_and_others_do_not() {
    let (one, same) = (estate(), estate());
    assert_eq!(inventory(&one), inventory(&same));
    assert_eq!(one.charges(date(2026, 1, 7), now()), same.charges(date(2026, 1, 7), now()));
    let other = Estate::new(Options::new(43, now()));
    assert_ne!(inventory(&one), inventory(&other));
    let window = ("2026-02-16T00:00:00Z", "2026-02-17T00:00:00Z");
    let cpu = |estate| hourly(estate, "AWS/Kafka", "CpuUser", BROKER, Statistic::Average, window);
    assert_eq!(cpu(&one), cpu(&same));
    assert_ne!(cpu(&one), cpu(&other));
}

#[test]
fn what_is_planted_is_exactly_what_the_rules_say() {
    for seed in [1, 42, 7_777] {
        let estate = Estate::new(Options::new(seed, now()));
        let oracle = Oracle::judge(&estate);
        assert_eq!(judged(estate.planted()), oracle.findings, "seed {seed}");
        assert_eq!(judged(estate.expected_unknowns()), oracle.unknown, "seed {seed}");
    }
}

#[test]
fn every_rule_has_something_planted_and_a_near_miss_beside_it() {
    let estate = estate();
    let rules = |list: &[Planted]| list.iter().map(|p| p.rule.to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(rules(estate.planted()), shipped());
    assert_eq!(rules(estate.near_misses()), shipped());
    let planted = pairs(estate.planted());
    assert!(pairs(estate.near_misses()).is_disjoint(&planted));
    assert_eq!(planted.len(), estate.planted().len(), "nothing is planted twice");
}

#[test]
fn scale_multiplies_everything_and_keeps_names_unique() {
    let (one, three) = (estate(), Estate::new(Options { scale: 3, ..Options::new(42, now()) }));
    assert_eq!(three.planted().len(), 3 * one.planted().len());
    let names = |estate: &Estate| {
        let mut names = BTreeSet::new();
        let mut count = 0;
        for account in ACCOUNTS {
            for region in REGIONS {
                for function in estate.lambda_functions(account.id, region) {
                    count += 1;
                    names.insert(function.meta.arn.clone());
                    let found = estate.lambda_function(account.id, region, &function.meta.name);
                    assert_eq!(found, Some(function));
                }
                for instance in estate.rds_instances(account.id, region) {
                    count += 1;
                    names.insert(instance.meta.arn.clone());
                }
                for cluster in estate.emr_clusters(account.id, region) {
                    count += 1;
                    names.insert(cluster.id.clone());
                }
            }
            for bucket in estate.s3_buckets(account.id) {
                count += 1;
                names.insert(bucket.meta.name.clone());
            }
        }
        assert_eq!(names.len(), count);
        count
    };
    assert_eq!(names(&three), 3 * names(&one));
    let oracle = Oracle::judge(&three);
    assert_eq!(judged(three.planted()), oracle.findings);
    assert_eq!(judged(three.expected_unknowns()), oracle.unknown);
}

#[test]
fn some_resources_have_no_tags() {
    let estate = estate();
    let functions = estate.lambda_functions(ACCOUNTS[0].id, "eu-west-1");
    assert!(functions.iter().any(|function| function.meta.tags.is_empty()));
    assert!(estate.s3_buckets(ACCOUNTS[2].id).iter().any(|bucket| bucket.meta.tags.is_empty()));
}

#[test]
fn load_follows_the_week() {
    // 2026-02-10 was a Tuesday, 2026-02-14 a Saturday.
    let mean = |window| {
        let cpu = hourly(&estate(), "AWS/Kafka", "CpuUser", BROKER, Statistic::Average, window);
        let values = cpu.unwrap();
        values.iter().map(|(_, value)| value).sum::<f64>() / values.len() as f64
    };
    let tuesday = mean(("2026-02-10T10:00:00Z", "2026-02-10T18:00:00Z"));
    let saturday = mean(("2026-02-14T10:00:00Z", "2026-02-14T18:00:00Z"));
    let night = mean(("2026-02-10T01:00:00Z", "2026-02-10T04:00:00Z"));
    assert!(tuesday > 1.05 * saturday && tuesday > 1.2 * night);
}

#[test]
fn metrics_end_at_the_publication_delay_and_begin_with_the_resource() {
    let estate = estate();
    let window = ("2026-02-18T00:00:00Z", "2026-02-19T00:00:00Z");
    let cpu =
        hourly(&estate, "AWS/Kafka", "CpuUser", BROKER, Statistic::SampleCount, window).unwrap();
    let (last, samples) = *cpu.last().unwrap();
    assert_eq!((last.to_string().as_str(), samples), ("2026-02-18T10:00:00Z", 18.0));
    let long_ago = ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
    let cpu = hourly(&estate, "AWS/Kafka", "CpuUser", BROKER, Statistic::Average, long_ago);
    assert_eq!(cpu, Some(Vec::new()));
}

#[test]
fn only_the_exact_dimensions_name_a_metric() {
    let estate = estate();
    let window = ("2026-02-17T00:00:00Z", "2026-02-18T00:00:00Z");
    let ask = |namespace, name, dimensions: &[(&str, &str)]| {
        hourly(&estate, namespace, name, dimensions, Statistic::Average, window)
    };
    let cluster = ("Cluster Name", "orders-stream");
    assert!(ask("AWS/Kafka", "CpuUser", &[("Broker ID", "2"), cluster]).is_some());
    assert!(ask("AWS/Kafka", "CpuUser", &[cluster]).is_none());
    assert!(ask("AWS/Kafka", "CpuUser", &[cluster, ("Broker ID", "4")]).is_none());
    assert!(ask("AWS/Kafka", "CPUUser", BROKER).is_none());
    assert!(ask("AWS/RDS", "CPUUtilization", &[cluster]).is_none());
    // From release 7.10 on, EMR Serverless series carry the application's name.
    for application in estate.emr_serverless_applications(ACCOUNTS[0].id, "eu-west-1") {
        let id = ("ApplicationId", application.id.as_str());
        let name = ("ApplicationName", application.meta.name.as_str());
        let new = application.release == "emr-7.10.0";
        assert_eq!(ask("AWS/EMRServerless", "RunningWorkerCount", &[id, name]).is_some(), new);
        assert_eq!(ask("AWS/EMRServerless", "RunningWorkerCount", &[id]).is_some(), !new);
    }
}

#[test]
fn a_cluster_total_is_true_in_its_maximum_only() {
    let estate = estate();
    let window = ("2026-02-17T00:00:00Z", "2026-02-17T01:00:00Z");
    let ask = |statistic| {
        let dimensions = [("Cluster Name", "orders-stream")];
        hourly(&estate, "AWS/Kafka", "GlobalPartitionCount", &dimensions, statistic, window)
            .unwrap()[0]
            .1
    };
    assert_eq!(ask(Statistic::Maximum), 700.0);
    assert!((ask(Statistic::Average) - 700.0 / 3.0).abs() < 1e-9);
}

#[test]
fn a_bucket_is_measured_once_a_day_and_a_day_late() {
    let estate = estate();
    let bucket = [("BucketName", "bank-orders-raw-prod"), ("StorageType", "StandardStorage")];
    let query = MetricQuery {
        account: ACCOUNTS[0].id,
        region: "eu-west-1",
        namespace: "AWS/S3",
        name: "BucketSizeBytes",
        dimensions: &bucket,
        statistic: Statistic::Average,
        period_seconds: 86_400,
        start: "2026-02-14T00:00:00Z".parse().unwrap(),
        end: now(),
    };
    let points = estate.metric(&query, now()).unwrap();
    let newest = points.last().unwrap().0;
    assert!(points.len() >= 3 && points.len() <= 4);
    assert!(now().duration_since(newest) > SignedDuration::from_hours(24));
    assert!(newest.as_second() % 86_400 == 0);
}

#[test]
fn listed_metrics_answer_and_silent_ones_are_not_listed() {
    let estate = estate();
    let mut series = 0;
    for account in ACCOUNTS {
        let listed = estate.list_metrics(account.id, "eu-west-1", None, None, &[], now());
        series += listed.len();
        for metric in listed {
            let dimensions: Vec<(&str, &str)> = metric
                .dimensions
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect();
            let query = MetricQuery {
                account: account.id,
                region: "eu-west-1",
                namespace: metric.namespace,
                name: metric.name,
                dimensions: &dimensions,
                statistic: Statistic::Maximum,
                period_seconds: 86_400,
                start: now() - SignedDuration::from_hours(14 * 24),
                end: now(),
            };
            let points = estate.metric(&query, now());
            assert!(points.is_some_and(|points| !points.is_empty()), "{metric:?}");
        }
    }
    assert!(series > 900, "{series} series");
    let filter = [("FunctionName", Some("orders-legacy-importer"))];
    let region = "eu-west-1";
    assert!(estate.list_metrics(ACCOUNTS[2].id, region, None, None, &filter, now()).is_empty());
    let of = [("Cluster Name", Some("orders-stream")), ("Broker ID", None)];
    let listed =
        estate.list_metrics(ACCOUNTS[0].id, region, Some("AWS/Kafka"), Some("CpuUser"), &of, now());
    assert_eq!(listed.len(), 3);
}

#[test]
fn a_month_is_the_sum_of_its_lines() {
    let estate = estate();
    let month: Month = "2026-01".parse().unwrap();
    let mut sum = Usd::ZERO;
    let mut by_account: BTreeMap<&str, Usd> = BTreeMap::new();
    for day in month.days() {
        let lines = estate.charges(day, now()).lines;
        let mut keys = BTreeSet::new();
        for line in &lines {
            let key = (line.account, line.service, line.region, &line.usage_type, line.operation);
            assert!(keys.insert((key, line.record_type, &line.tags)), "{line:?} twice");
            sum += line.unblended;
            *by_account.entry(line.account).or_default() += line.unblended;
        }
    }
    assert_eq!(estate.total(month, None, None, now()), sum);
    for (account, total) in &by_account {
        assert_eq!(estate.total(month, Some(account), None, now()), *total);
    }
    assert_eq!(by_account.values().copied().sum::<Usd>(), sum);
    assert!(sum > Usd(Decimal::from(5_000)), "{sum}");
}

#[test]
fn the_bill_has_every_kind_of_charge() {
    let estate = estate();
    let mut kinds = BTreeSet::new();
    let mut services = BTreeSet::new();
    for day in days(date(2025, 12, 1), date(2026, 1, 31)) {
        for line in estate.charges(day, now()).lines {
            kinds.insert(line.record_type);
            services.insert(line.service);
        }
    }
    assert_eq!(
        kinds,
        [
            "Credit",
            "DiscountedUsage",
            "RIFee",
            "Refund",
            "SavingsPlanCoveredUsage",
            "SavingsPlanNegation",
            "SavingsPlanRecurringFee",
            "Support",
            "Tax",
            "Usage",
        ]
        .into()
    );
    for service in [bill::MSK, bill::EMR, bill::EC2, bill::LAMBDA, bill::RDS, bill::S3] {
        assert!(services.contains(service), "{service}");
    }
}

#[test]
fn savings_plans_cancel_what_they_cover_and_cost_what_they_commit() {
    let estate = estate();
    let lines = estate.charges(date(2026, 1, 20), now()).lines;
    let sum = |kind: &str, amount: fn(&BillLine) -> Usd| {
        lines.iter().filter(|line| line.record_type == kind).map(amount).sum::<Usd>()
    };
    let covered = sum("SavingsPlanCoveredUsage", |line| line.unblended);
    assert_eq!(covered, -sum("SavingsPlanNegation", |line| line.unblended));
    assert_eq!(sum("SavingsPlanNegation", |line| line.amortized), Usd::ZERO);
    assert!(sum("SavingsPlanCoveredUsage", |line| line.amortized) < covered);
    let fee = sum("SavingsPlanRecurringFee", |line| line.unblended);
    let unused = sum("SavingsPlanRecurringFee", |line| line.amortized);
    assert!(unused > Usd::ZERO);
    assert_eq!(sum("SavingsPlanCoveredUsage", |line| line.amortized) + unused, fee);
}

#[test]
fn what_is_overspent_is_on_the_bill_of_its_days_and_of_no_other() {
    let estate = estate();
    let long_after = now() + SignedDuration::from_hours(24 * 200);
    let paid = |planted: &Overspend, day: jiff::civil::Date| -> Decimal {
        let lines = estate.charges(day, long_after).lines;
        let counts = |line: &&BillLine| {
            line.account == planted.account
                && line.service == planted.service
                && line.record_type == "Usage"
                && line.tags.iter().any(|(key, value)| key == "team" && value == planted.team)
        };
        lines.iter().filter(counts).map(|line| line.unblended.0).sum()
    };
    assert_eq!(estate.overspends().len(), 4);
    for planted in estate.overspends() {
        let before = planted.first_day.yesterday().unwrap();
        // Growth of a day, and rounding of quantities.
        let times = |day| {
            let ratio = paid(planted, day) / paid(planted, before);
            (ratio * Decimal::ONE_HUNDRED).round_dp(0)
        };
        let with = |days: i64| {
            let percent = if planted.drifts { planted.percent * days } else { planted.percent };
            Decimal::from(100 + percent)
        };
        let near = |day, expected: Decimal| {
            let off = (times(day) - expected).abs();
            assert!(off <= Decimal::from(4), "{}: {day}: {}", planted.id, times(day));
        };
        near(planted.first_day, with(1));
        near(planted.first_day.tomorrow().unwrap(), with(2));
        near(planted.last_day.tomorrow().unwrap(), Decimal::ONE_HUNDRED);
    }
}

#[test]
fn a_bill_follows_the_week_and_grows() {
    let estate = estate();
    let total = |day| {
        let lines = estate.charges(day, now()).lines;
        lines
            .iter()
            .filter(|line| line.service == bill::S3 && line.record_type == "Usage")
            .map(|line| line.unblended)
            .sum::<Usd>()
    };
    // A Tuesday and the Saturday after it; the same Tuesday a year before.
    assert!(total(date(2026, 2, 10)) > total(date(2026, 2, 14)));
    assert!(total(date(2026, 2, 10)) > total(date(2025, 2, 11)));
}

#[test]
fn today_is_partial_and_the_day_before_yesterday_nearly_complete() {
    let estate = estate();
    let today = day_of(now());
    let total = |day, as_of| -> Usd {
        let lines = estate.charges(day, as_of).lines;
        lines.iter().filter(|line| line.record_type == "Usage").map(|line| line.unblended).sum()
    };
    let settled = now() + SignedDuration::from_hours(24 * 30);
    let part = |day| {
        use rust_decimal::prelude::ToPrimitive;
        (total(day, now()).0 / total(day, settled).0).to_f64().unwrap()
    };
    let yesterday = today.yesterday().unwrap();
    assert!(part(today) < 0.3);
    assert!(part(yesterday) > part(today));
    assert!(part(yesterday.yesterday().unwrap()) > 0.97);
    assert!(estate.charges(today.tomorrow().unwrap(), now()).lines.is_empty());
    assert!(estate.charges(estate.first_day().yesterday().unwrap(), now()).lines.is_empty());
    assert!(!estate.charges(estate.first_day(), now()).lines.is_empty());
}

#[test]
fn every_month_has_one_restated_day_until_the_12th() {
    let estate = estate();
    let mut restated = 0;
    for day in Month::of(date(2026, 1, 1)).days().skip(1) {
        let usage = |as_of: &str| -> Usd {
            let lines = estate.charges(day, as_of.parse().unwrap()).lines;
            lines.iter().filter(|line| line.record_type == "Usage").map(|l| l.unblended).sum()
        };
        let (before, after) = (usage("2026-02-12T08:00:00Z"), usage("2026-02-12T10:00:00Z"));
        if before != after {
            restated += 1;
        }
        assert_eq!(usage("2026-02-05T08:00:00Z"), before);
        assert_eq!(usage("2026-03-30T08:00:00Z"), after);
    }
    assert_eq!(restated, 1);
}

#[test]
fn estimates_end_on_the_7th_and_support_comes_on_the_6th() {
    let estate = estate();
    let first = date(2026, 1, 1);
    let at = |as_of: &str| estate.charges(first, as_of.parse().unwrap());
    let support = |bill: &BillDay| bill.lines.iter().any(|line| line.record_type == "Support");
    assert!(at("2026-02-06T23:00:00Z").estimated && !at("2026-02-07T00:00:00Z").estimated);
    assert!(!support(&at("2026-02-06T11:00:00Z")) && support(&at("2026-02-06T12:00:00Z")));
    let tax = |as_of: &str| -> Usd {
        let lines = at(as_of).lines;
        lines.iter().filter(|line| line.record_type == "Tax").map(|line| line.unblended).sum()
    };
    assert!(tax("2026-01-10T00:00:00Z") < tax("2026-01-20T00:00:00Z"), "tax follows the month");
}

#[test]
fn crumbs_below_a_cent_stay_on_the_bill() {
    let lines = estate().charges(date(2026, 1, 20), now()).lines;
    let crumb = lines.iter().find(|line| line.record_type == "Credit").unwrap();
    assert_eq!(crumb.unblended.0.to_string(), "-0.0000004");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_series_is_consistent(pick in any::<u64>(), hour in 0i64..(24 * 60)) {
        let estate = estate();
        let listed = estate.list_metrics(ACCOUNTS[0].id, "eu-west-1", None, None, &[], now());
        let metric = &listed[(pick % listed.len() as u64) as usize];
        let dimensions: Vec<(&str, &str)> =
            metric.dimensions.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let start = start_of(day_of(now())) - SignedDuration::from_hours(hour);
        let ask = |statistic, period_seconds| {
            let query = MetricQuery {
                account: ACCOUNTS[0].id,
                region: "eu-west-1",
                namespace: metric.namespace,
                name: metric.name,
                dimensions: &dimensions,
                statistic,
                period_seconds,
                start,
                end: start + SignedDuration::from_hours(1),
            };
            estate.metric(&query, now()).unwrap()
        };
        let hourly = |statistic| ask(statistic, 3_600).first().map(|(_, value)| *value);
        if let Some(mean) = hourly(Statistic::Average) {
            let (min, max) = (hourly(Statistic::Minimum).unwrap(), hourly(Statistic::Maximum).unwrap());
            let (sum, count) = (hourly(Statistic::Sum).unwrap(), hourly(Statistic::SampleCount).unwrap());
            prop_assert!(min <= mean && mean <= max, "{metric:?}: {min} {mean} {max}");
            prop_assert!(min >= 0.0);
            if metric.namespace != "AWS/S3" {
                prop_assert!((sum - mean * count).abs() <= 1e-6 * sum.abs().max(1.0));
                let fine: f64 = ask(Statistic::Sum, 300).iter().map(|(_, value)| value).sum();
                prop_assert!((fine - sum).abs() <= 1e-6 * sum.abs().max(1.0), "{metric:?}: {fine} {sum}");
            }
            if metric.name.ends_with("Percentage") || metric.name == "CPUUtilization" {
                prop_assert!(max <= 100.0);
            }
        } else {
            prop_assert!(ask(Statistic::SampleCount, 3_600).is_empty());
        }
    }

    #[test]
    fn what_is_seen_of_a_day_only_grows_until_it_is_restated(
        back in 3i64..30,
        hours in prop::collection::vec(0i64..72, 2..6),
    ) {
        let estate = estate();
        let day = day_of(now() - SignedDuration::from_hours(24 * back));
        let mut hours = hours;
        hours.sort_unstable();
        let seen: Vec<BTreeMap<String, Usd>> = hours
            .iter()
            .map(|hour| {
                let as_of = start_of(day) + SignedDuration::from_hours(*hour);
                let mut totals: BTreeMap<String, Usd> = BTreeMap::new();
                for line in estate.charges(day, as_of).lines {
                    if line.record_type == "Usage" {
                        *totals.entry(line.service.to_owned()).or_default() += line.unblended;
                    }
                }
                totals
            })
            .collect();
        for pair in seen.windows(2) {
            for (service, before) in &pair[0] {
                let after = pair[1].get(service).copied().unwrap_or_default();
                prop_assert!(after >= *before, "{service}: {before} then {after}");
            }
        }
    }
}
