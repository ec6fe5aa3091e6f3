//! Invariants of the exposition.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::date;
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::snapshot::*;
use super::*;
use crate::insights::kpis::Unit;
use crate::model::Usd;
use crate::model::time::Span;

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn cell(account: &str, aws_service: &'static str, region: &str, amount: &str) -> CostCell {
    CostCell {
        account: account.to_owned(),
        aws_service,
        aws_region: region.to_owned(),
        usd: usd(amount),
    }
}

fn unit(cost_env: &str, amount: &str, volume: f64) -> UnitCost {
    UnitCost {
        aws_service: "msk",
        unit: "msk_gb_in",
        cost_env: cost_env.to_owned(),
        usd: usd(amount),
        volume,
    }
}

/// A snapshot with a value in every family.
pub(super) fn full() -> Snapshot {
    let mut duration = Histogram::default();
    duration.observe(Duration::from_millis(125));
    duration.observe(Duration::from_secs(400));
    let counts = |pairs: &[(&str, u64)]| -> BTreeMap<String, u64> {
        pairs.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect()
    };
    Snapshot {
        cost: Cost {
            settled_day: Some(date(2026, 2, 16)),
            settled_day_cost: vec![
                cell("prod", "msk", "eu-west-1", "412.5"),
                cell("prod", "ec2", "eu-west-1", "0.1"),
                cell("prod", "ec2", "eu-west-1", "0.2"),
                cell("dev", "s3", "", "-0.000001"),
            ],
            provisional_day_cost: vec![ServiceCost { aws_service: "msk", usd: usd("12") }],
            month_to_date: vec![cell("prod", "msk", "eu-west-1", "6600")],
            previous_month: vec![cell("prod", "msk", "eu-west-1", "12787.5")],
            previous_month_same_day: vec![ServiceCost { aws_service: "msk", usd: usd("6590.25") }],
            billed: vec![
                BilledCost {
                    account: "prod".into(),
                    record_type: "usage".into(),
                    usd: usd("7000"),
                },
                BilledCost {
                    account: "prod".into(),
                    record_type: "credit".into(),
                    usd: usd("-50"),
                },
            ],
            month_elapsed: Some((16, 28)),
            previous_month_final: Some(true),
            restated: Some(Restated { up: usd("1.25"), down: Usd::ZERO }),
            unreconciled: Some(Usd::ZERO),
        },
        allocation: Some(Allocated {
            teams: [("risk".to_owned(), usd("120.5"))].into(),
            unallocated: [("untagged", usd("9.5"))].into(),
            coverage: Some(0.93),
        }),
        units: vec![unit("prod", "16.2", 1_296.0), unit("dev", "5", 100.0)],
        kpis: [
            ("allocation_coverage", Unit::Ratio, 0.93),
            ("unused_commitment", Unit::Usd, 80.0),
            ("data_lag", Unit::Seconds, 118_800.0),
        ]
        .map(|(id, unit, value)| Kpi { id, unit, value })
        .into(),
        budgets: vec![Budget {
            name: "msk-prod".into(),
            cost_team: "data".into(),
            cost_env: String::new(),
            period: "monthly",
            limit: usd("12000"),
            spent: Some(usd("7680")),
            used: Some(0.64),
            forecast: Some(Expected {
                median: usd("14160"),
                low: usd("11700"),
                high: usd("16600"),
            }),
            burn: vec![(1, 1.3), (7, 1.26)],
            exhausted_on: Some(date(2026, 2, 24)),
            thresholds: vec![
                Threshold { basis: "actual", percent: 80, crossed: false },
                Threshold { basis: "forecast", percent: 100, crossed: true },
            ],
        }],
        forecast: MonthForecast {
            services: vec![ServiceCost { aws_service: "msk", usd: usd("12000") }],
            interval: Some((usd("11000"), usd("13000.5"))),
            errors: vec![(5, -0.02), (20, 0.004)],
        },
        inventory: Inventory {
            counts: vec![ResourceCount {
                account: "prod".into(),
                aws_service: "msk",
                aws_region: "eu-west-1".into(),
                resources: 3,
            }],
            watched: vec![Watched {
                account: "prod".into(),
                aws_service: "msk",
                aws_region: "eu-west-1".into(),
                resource: "events \"blue\"\\\n".into(),
                resource_class: "kafka.m5.large".into(),
                cost_env: "prod".into(),
                cost_team: String::new(),
                weight: usd("400"),
                utilization: vec![Utilization {
                    metric: ResourceMetric::Cpu,
                    statistic: Aggregate::P95,
                    ratio: 0.09,
                }],
            }],
        },
        findings: Findings {
            last_evaluation: Some(at("2026-02-18T06:00:00Z")),
            counts: vec![FindingCount {
                rule: "msk-idle-cluster".into(),
                account: "prod".into(),
                status: "open",
                findings: 0,
            }],
            savings: vec![Saving {
                rule: "msk-idle-cluster".into(),
                account: "prod".into(),
                list: Some(usd("919.8")),
                effective: Some(usd("700")),
            }],
            realized: vec![Realized {
                rule: "msk-idle-cluster".into(),
                month_to_date: usd("212.5"),
                ratio: Some(0.92),
            }],
            oldest_open: vec![("msk-idle-cluster".into(), at("2026-02-01T06:00:00Z"))],
            transitions: vec![Transition {
                rule: "msk-idle-cluster".into(),
                to: "resolved",
                findings: 1,
            }],
            results: vec![RuleResources {
                rule: "msk-idle-cluster".into(),
                finding: 1,
                fine: 5,
                unknown: 1,
                excluded: 2,
                error: 0,
            }],
        },
        sources: vec![Source {
            name: "cost_explorer".into(),
            up: Some(false),
            last_success: Some(at("2026-02-18T05:00:00Z")),
            last_attempt: Some(at("2026-02-18T06:00:00Z")),
            newest_day: Some(date(2026, 2, 17)),
            runs: 4,
            failures: counts(&[("throttled", 1)]),
            rows: 1200,
            rows_rejected: counts(&[("unknown_currency", 2)]),
            run_duration: duration,
        }],
        aws: AwsRequests {
            operations: vec![Operation {
                api: "ce".into(),
                operation: "GetCostAndUsage".into(),
                requests: 7,
                failures: counts(&[("throttled", 1)]),
            }],
            apis: vec![
                Api { api: "ce".into(), retries: 1, duration, spent: Some(usd("0.07")) },
                Api { api: "kafka".into(), ..Api::default() },
            ],
            day_limit: Some(usd("0.5")),
            day_spent: Some(usd("0.07")),
        },
        reports: Reports { last_success: Some(at("2026-02-17T08:00:00Z")), failures: 1 },
        notifications: Notifications {
            channels: vec![Channel {
                channel: "slack".into(),
                queue: Some(0),
                last_success: Some(at("2026-02-18T06:00:05Z")),
                sent: counts(&[("findings", 2)]),
                failures: counts(&[("timeout", 1)]),
            }],
            suppressed: BTreeMap::from([(("findings".into(), "below_minimum".into()), 3)]),
        },
        store: Store {
            size_bytes: Some(1_048_576),
            rows: counts(&[("cost", 1200)]),
            oldest_day: Some(date(2025, 1, 1)),
            write_duration: duration,
        },
        program: Program {
            build: Some(Build {
                version: "0.1.0".into(),
                revision: "abc".into(),
                rustc: "1.95.0".into(),
            }),
            config: Some(ConfigFacts { cost_basis: "amortized".into(), settle_lag: Span::days(2) }),
            reload_successful: Some(true),
            config_loaded: Some(at("2026-02-18T05:59:00Z")),
        },
    }
}

fn process() -> Process {
    Process {
        cpu_seconds: Some(1.5),
        max_fds: Some(1024.0),
        open_fds: Some(12.0),
        resident_bytes: Some(52_428_800.0),
        start_seconds: Some(1_771_200_000.25),
        threads: Some(4.0),
        virtual_bytes: Some(1_073_741_824.0),
    }
}

fn scrape(snapshot: &Snapshot, accept: &str, accept_encoding: &str) -> String {
    let exposition = Exposition::new(Config::default());
    exposition.publish(snapshot);
    let scrape = exposition.scrape(accept, accept_encoding, &process());
    let body = scrape.parts.concat();
    if scrape.encoding == Some("gzip") {
        let mut text = String::new();
        flate2::bufread::GzDecoder::new(body.as_slice()).read_to_string(&mut text).unwrap();
        return text;
    }
    String::from_utf8(body).unwrap()
}

const OPENMETRICS: &str = "application/openmetrics-text";

#[test]
fn the_text_format() {
    let text = scrape(&full(), "", "");
    if let Some(path) = std::env::var_os("CENTIME_EXPOSITION") {
        std::fs::write(path, &text).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_openmetrics_format() {
    insta::assert_snapshot!(scrape(&full(), OPENMETRICS, ""));
}

#[test]
fn compressed_bodies_are_the_same() {
    for accept in ["", OPENMETRICS] {
        assert_eq!(scrape(&full(), accept, "gzip"), scrape(&full(), accept, ""));
    }
}

#[test]
fn every_family_can_be_filled_and_stands_in_the_order_of_the_catalogue() {
    let snapshot = full();
    let families = families(&snapshot, Config::default());
    let process = process();
    let process = process.families();
    let sql = crate::publishers::sql::Counts::default().families();
    let all_families = families.iter().chain(&sql).chain(&process);
    let filled: Vec<_> = all_families.map(|it| it.metric.name).collect();
    assert_eq!(filled, all().map(|metric| metric.name).collect::<Vec<_>>());
}

#[test]
fn nothing_known_makes_no_series_but_what_is_counted_from_zero() {
    let snapshot = Snapshot::default();
    let names: Vec<_> =
        families(&snapshot, Config::default()).iter().map(|it| it.metric.name).collect();
    assert_eq!(
        names,
        [
            "centime_label_values_folded",
            "centime_report_failures_total",
            "centime_store_write_duration_seconds"
        ]
    );
}

#[test]
fn before_the_first_snapshot_only_the_process_is_there() {
    let exposition = Exposition::new(Config::default());
    let scrape = exposition.scrape(OPENMETRICS, "gzip", &process());
    let text = String::from_utf8(scrape.parts.concat()).unwrap();
    assert!(!exposition.is_published());
    assert!(!text.contains("centime_") && text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn a_vanished_resource_takes_its_series_with_it() {
    let exposition = Exposition::new(Config::default());
    let mut snapshot = full();
    exposition.publish(&snapshot);
    snapshot.inventory.watched.clear();
    exposition.publish(&snapshot);
    let body = exposition.scrape("", "", &process()).parts.concat();
    assert!(!String::from_utf8(body).unwrap().contains("resource_utilization"));
}

/// The encoders of the two formats have different authors.
#[test]
fn both_formats_hold_the_same_samples() {
    let snapshot = full();
    let families = families(&snapshot, Config::default());
    let [text, openmetrics] = [Format::Text, Format::OpenMetrics].map(|format| {
        let mut samples = samples(&encode(&families, format));
        for (_, labels, _) in &mut samples {
            if let Some(bound) = labels.get_mut("le") {
                // Whole bounds are `1` in one and `1.0` in the other.
                *bound = bound.parse::<f64>().unwrap().to_string();
            }
        }
        samples
    });
    assert!(text.len() > 100);
    assert_eq!(text, openmetrics);
}

#[test]
fn a_metric_that_the_encoder_refuses_leaves_the_others_whole() {
    let snapshot = full();
    let mut families = families(&snapshot, Config::default());
    let whole = encode(&families, Format::Text);
    families.insert(1, Family { metric: families[0].metric, series: Vec::new() });
    assert_eq!(encode(&families, Format::Text), whole);
}

#[test]
fn what_is_no_number_has_no_series_and_zero_has_no_sign() {
    let mut snapshot = full();
    let watched = &mut snapshot.inventory.watched[0];
    let used = |statistic, ratio| Utilization { metric: ResourceMetric::Cpu, statistic, ratio };
    watched.utilization = vec![
        used(Aggregate::Mean, f64::NAN),
        used(Aggregate::P95, f64::INFINITY),
        used(Aggregate::Max, -0.0),
    ];
    for accept in ["", OPENMETRICS] {
        let text = scrape(&snapshot, accept, "");
        let used: Vec<_> =
            text.lines().filter(|it| it.starts_with("centime_resource_utilization")).collect();
        assert_eq!(used.len(), 1, "{used:#?}");
        assert!(used[0].ends_with("statistic=\"max\"} 0"), "{used:#?}");
        assert!(!text.to_lowercase().contains("nan\n"), "{text}");
    }
}

#[test]
fn resources_of_one_name_have_one_series_of_facts() {
    let mut snapshot = full();
    let mut lighter = snapshot.inventory.watched[0].clone();
    lighter.weight = usd("1");
    lighter.resource_class = "kafka.m7g.large".into();
    lighter.utilization[0].ratio = 0.5;
    snapshot.inventory.watched.insert(0, lighter);
    let text = scrape(&snapshot, "", "");
    let facts: Vec<_> =
        text.lines().filter(|it| it.starts_with("centime_resource_info{")).collect();
    assert_eq!(facts.len(), 1, "{facts:#?}");
    assert!(facts[0].contains("kafka.m5.large"), "{facts:#?}");
    assert_eq!(text.matches("\ncentime_resource_utilization_ratio{").count(), 1);
}

#[test]
fn a_scrape_copies_nothing_of_what_was_published() {
    let exposition = Exposition::new(Config::default());
    exposition.publish(&full());
    for encoding in ["", "gzip"] {
        let [first, second] =
            [(); 2].map(|()| exposition.scrape("", encoding, &process()).parts[0].as_ptr());
        assert_eq!(first, second);
    }
}

/// Name, labels and value of every sample.
fn samples(text: &str) -> Vec<(String, BTreeMap<String, String>, String)> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let Some((name, labels)) = series.split_once('{') else {
                return (series.to_owned(), BTreeMap::new(), value.to_owned());
            };
            let mut rest = labels;
            let mut read = BTreeMap::new();
            while let Some((label, after)) = rest.split_once("=\"") {
                let mut value = String::new();
                let mut chars = after.char_indices();
                let end = loop {
                    match chars.next().unwrap() {
                        (at, '"') => break at,
                        (_, '\\') => value.push(match chars.next().unwrap().1 {
                            'n' => '\n',
                            escaped => escaped,
                        }),
                        (_, plain) => value.push(plain),
                    }
                };
                read.insert(label.trim_start_matches(',').to_owned(), value);
                rest = &after[end + 1..];
            }
            assert_eq!(rest, "}");
            (name.to_owned(), read, value.to_owned())
        })
        .collect()
}

fn total(text: &str, name: &str) -> Decimal {
    samples(text)
        .iter()
        .filter(|(sample, _, _)| sample == name)
        .map(|(_, _, value)| value.parse::<Decimal>().unwrap())
        .sum()
}

#[test]
fn folding_keeps_totals_and_is_counted() {
    let mut snapshot = Snapshot::default();
    for account in 0..30u32 {
        for region in ["eu-west-1", "us-east-1", ""] {
            let amount = format!("{}.37", 1000 - account);
            snapshot.cost.settled_day_cost.push(cell(
                &format!("a{account}"),
                "s3",
                region,
                &amount,
            ));
        }
        snapshot.findings.counts.push(FindingCount {
            rule: "msk-idle-cluster".into(),
            account: format!("a{account}"),
            status: "open",
            findings: 2,
        });
    }
    let expected: Usd = snapshot.cost.settled_day_cost.iter().map(|cell| cell.usd).sum();
    let config = Config { label_values: 10, resources: 1 };
    let text = encode(&families(&snapshot, config), Format::Text);
    assert_eq!(total(&text, "centime_settled_day_cost_usd"), expected.0);
    assert_eq!(total(&text, "centime_findings"), Decimal::from(60));
    assert!(text.contains(r#"centime_label_values_folded{label="account"} 20"#), "{text}");
    assert!(text.contains(r#"centime_label_values_folded{label="aws_region"} 0"#));
    // The heaviest stay, and the same ones in every family.
    for family in ["centime_settled_day_cost_usd", "centime_findings"] {
        let accounts: BTreeSet<_> = samples(&text)
            .into_iter()
            .filter(|(name, _, _)| name == family)
            .map(|(_, mut labels, _)| labels.remove("account").unwrap())
            .collect();
        let kept = (0..10).map(|account| format!("a{account}"));
        assert_eq!(accounts, kept.chain([OTHER.to_owned()]).collect(), "{family}");
    }
}

#[test]
fn unit_costs_of_folded_environments_are_ratios_of_sums() {
    let units = vec![unit("prod", "30", 10.0), unit("dev", "4", 1.0), unit("uat", "2", 2.0)];
    let snapshot = Snapshot { units, ..Snapshot::default() };
    let text = encode(&families(&snapshot, Config { label_values: 1, resources: 1 }), Format::Text);
    let costs: Vec<_> = samples(&text)
        .into_iter()
        .filter(|(name, _, _)| name == "centime_unit_cost_usd")
        .map(|(_, mut labels, value)| (labels.remove("cost_env").unwrap(), value))
        .collect();
    // 30 ÷ 10, and (4 + 2) ÷ (1 + 2): not the mean of 4 and 1.
    assert_eq!(
        costs,
        [OTHER, "prod"]
            .map(str::to_owned)
            .into_iter()
            .zip(["2", "3"].map(str::to_owned))
            .collect::<Vec<_>>()
    );
    let nothing = vec![unit("prod", "30", 0.0)];
    let snapshot = Snapshot { units: nothing, ..Snapshot::default() };
    assert!(!encode(&families(&snapshot, Config::default()), Format::Text).contains("unit_cost"));
}

#[test]
fn what_belongs_to_no_region_is_not_another_region() {
    let mut snapshot = Snapshot::default();
    for (region, amount) in [("eu-west-1", "9"), ("us-east-1", "5"), ("", "1")] {
        snapshot.cost.settled_day_cost.push(cell("prod", "s3", region, amount));
    }
    let text = encode(&families(&snapshot, Config { label_values: 1, resources: 1 }), Format::Text);
    let regions: Vec<_> = samples(&text)
        .into_iter()
        .filter(|(name, _, _)| name == "centime_settled_day_cost_usd")
        .map(|(_, mut labels, value)| (labels.remove("aws_region").unwrap(), value))
        .collect();
    let expected = [("", "1"), (OTHER, "5"), ("eu-west-1", "9")];
    assert_eq!(regions, expected.map(|(region, usd)| (region.to_owned(), usd.to_owned())));
    assert!(text.contains(r#"centime_label_values_folded{label="aws_region"} 1"#), "{text}");
}

#[test]
fn too_many_resources_are_left_out_and_counted() {
    let mut snapshot = Snapshot::default();
    for number in 0..5u32 {
        snapshot.inventory.watched.push(Watched {
            account: "prod".into(),
            aws_service: "rds",
            resource: format!("db-{number}"),
            weight: Usd(Decimal::from(number)),
            ..Watched::default()
        });
    }
    let text =
        encode(&families(&snapshot, Config { label_values: 10, resources: 2 }), Format::Text);
    assert!(text.contains(r#"resource="db-4""#) && text.contains(r#"resource="db-3""#), "{text}");
    assert!(!text.contains(r#"resource="db-2""#), "{text}");
    assert!(text.contains(r#"centime_label_values_folded{label="resource"} 3"#), "{text}");
}

#[test]
fn a_tally_knows_zero_from_nothing() {
    let accounts = BTreeMap::from([("111111111111".to_owned(), "prod".to_owned())]);
    let mut findings = Findings::default();
    findings.tally(&[], &BTreeMap::new(), &["msk-idle-cluster".to_owned()], &accounts);
    assert_eq!(findings.counts.len(), 1);
    assert_eq!((findings.counts[0].findings, findings.counts[0].account.as_str()), (0, "prod"));
    assert_eq!(findings.savings[0].list, Some(Usd::ZERO));
    assert_eq!(findings.savings[0].effective, None);
    assert!(findings.oldest_open.is_empty());
}

#[test]
fn an_effective_saving_is_told_only_where_it_is_known() {
    use crate::model::Finding;
    use crate::model::finding::{FindingRecord, FindingStatus};
    let at = jiff::Timestamp::UNIX_EPOCH;
    let record = |rule: &str, effective: Option<&str>| FindingRecord {
        finding: Finding {
            monthly_saving: "100".parse().ok(),
            effective_saving: effective.map(|usd| usd.parse().unwrap()),
            ..Finding::of_database(rule, rule)
        },
        status: FindingStatus::Open,
        opened_at: at,
        updated_at: at,
        resolved_at: None,
        resolution: None,
    };
    let accounts = BTreeMap::from([("111111111111".to_owned(), "prod".to_owned())]);
    let rules = ["a", "b", "c"].map(str::to_owned);
    let mut findings = Findings::default();
    let answers = BTreeMap::new();
    findings.tally(&[record("a", Some("40")), record("b", None)], &answers, &rules, &accounts);
    let told = |findings: &Findings| -> Vec<Option<Usd>> {
        findings.savings.iter().map(|saving| saving.effective).collect()
    };
    assert_eq!(told(&findings), ["40".parse().ok(), None, Some(Usd::ZERO)]);
    findings.tally(&[record("a", None)], &answers, &rules, &accounts);
    assert_eq!(told(&findings), [None, None, None], "nothing is known of commitments");
}

/// Times are printed, not judged: the machine may be busy.
#[test]
fn a_hundred_thousand_series_are_encoded_and_scraped() {
    let mut snapshot = Snapshot::default();
    for number in 0..100_000u32 {
        snapshot.inventory.watched.push(Watched {
            account: format!("account-{}", number % 8),
            aws_service: "lambda",
            aws_region: "eu-west-1".into(),
            resource: format!("payments-settlement-function-{number}"),
            weight: Usd(Decimal::from(number)),
            utilization: vec![Utilization {
                metric: ResourceMetric::Memory,
                statistic: Aggregate::Mean,
                ratio: f64::from(number) / 100_003.0,
            }],
            ..Watched::default()
        });
    }
    let exposition = Exposition::new(Config { label_values: 50, resources: 50_000 });
    let started = std::time::Instant::now();
    let published = exposition.publish(&snapshot);
    println!("{published:?} in {:?}", started.elapsed());
    assert!(published.series > 100_000);
    for encoding in ["", "gzip"] {
        let started = std::time::Instant::now();
        let scrape = exposition.scrape(OPENMETRICS, encoding, &Process::read());
        println!(
            "{} bytes in {:?}",
            scrape.parts.iter().map(Bytes::len).sum::<usize>(),
            started.elapsed()
        );
    }
}

proptest! {
    #[test]
    fn any_label_value_reads_back(values in prop::collection::vec(".*", 3)) {
        let mut snapshot = Snapshot::default();
        let [account, region, kind] = values.try_into().unwrap();
        snapshot.cost.settled_day_cost.push(cell(&account, "s3", &region, "1"));
        snapshot.cost.billed.push(BilledCost {
            account: account.clone(),
            record_type: kind.clone(),
            usd: usd("2"),
        });
        for format in [Format::Text, Format::OpenMetrics] {
            let text = encode(&families(&snapshot, Config::default()), format);
            let samples = samples_of_lines(&text);
            let labels = &samples.iter().find(|it| it.0 == "centime_settled_day_cost_usd").unwrap().1;
            prop_assert_eq!(&labels["account"], &account);
            prop_assert_eq!(&labels["aws_region"], &region);
            let labels = &samples.iter().find(|it| it.0.ends_with("billed_usd")).unwrap().1;
            prop_assert_eq!(&labels["record_type"], &kind);
        }
    }

    #[test]
    fn sums_over_labels_are_the_total_and_no_series_stands_twice(
        cells in prop::collection::vec((0..6u8, 0..3u8, 0..4u8, -1_000_000i64..1_000_000), 0..60),
        limit in 1usize..5,
    ) {
        let mut snapshot = Snapshot::default();
        for (account, service, region, cents) in cells {
            snapshot.cost.settled_day_cost.push(CostCell {
                account: format!("a{account}"),
                aws_service: ["msk", "s3", "ec2"][usize::from(service)],
                aws_region: format!("r{region}"),
                usd: Usd(Decimal::new(cents, 2)),
            });
        }
        let expected: Usd = snapshot.cost.settled_day_cost.iter().map(|cell| cell.usd).sum();
        let config = Config { label_values: limit, resources: 1 };
        let text = encode(&families(&snapshot, config), Format::Text);
        prop_assert_eq!(total(&text, "centime_settled_day_cost_usd"), expected.0);
        let all = samples(&text);
        let distinct: BTreeSet<_> = all.iter().map(|(name, labels, _)| (name, labels)).collect();
        prop_assert_eq!(distinct.len(), all.len());
    }
}

/// As [`samples`], for values that hold characters which `str::lines` splits at: only a line feed
/// ends a line.
fn samples_of_lines(text: &str) -> Vec<(String, BTreeMap<String, String>, String)> {
    text.split_terminator('\n')
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| {
            // `samples` takes one line; a carriage return at its end would be cut, so none may be there.
            assert!(!line.ends_with('\r'));
            samples(line)
        })
        .collect()
}
