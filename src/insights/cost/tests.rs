use proptest::prelude::*;

use super::*;

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn question() -> Question {
    Question {
        metric: Metric::Amortized,
        window: Window { first: day("2026-02-01"), last: day("2026-02-07") },
        against: Window { first: day("2026-01-25"), last: day("2026-01-31") },
        by: vec![Dimension::Service],
        filters: Vec::new(),
        bucket: Bucket::Day,
    }
}

/// Both windows are read, and final or settled.
fn states(question: &Question) -> BTreeMap<Day, DayState> {
    let later = question.window.days().map(|day| (day, DayState::Settled));
    question.against.days().map(|day| (day, DayState::Final)).chain(later).collect()
}

/// `service`, and what it costs on each day of the earlier and of the later window.
fn facts(question: &Question, costs: &[(&str, &str, &str)]) -> Facts {
    let daily = costs.iter().flat_map(|(service, before, after)| {
        let of = |window: Window, cost: Usd| {
            let key = vec![(*service).to_owned()];
            window.days().map(move |day| DayCost { key: key.clone(), day, cost })
        };
        of(question.against, usd(before)).chain(of(question.window, usd(after))).collect::<Vec<_>>()
    });
    Facts { daily: daily.collect(), states: states(question), ..Facts::default() }
}

fn leaf(service: &str, usage_type: &str, is_later: bool, hours: &str, cost: &str) -> LeafCost {
    LeafCost {
        leaf: Leaf { service: service.into(), usage_type: usage_type.into(), ..Leaf::default() },
        is_later,
        quantity: Some(Quantity { amount: hours.parse().unwrap(), unit: "Hrs".to_owned() }),
        cost: usd(cost),
    }
}

#[test]
fn a_comparison_as_people_read_it() {
    let question = question();
    let mut facts = facts(
        &question,
        &[
            ("msk", "100.001", "120.333333"),
            ("emr", "40", "10.5"),
            ("lambda", "0", "3.333333"),
            ("kms", "0", "0.0001"),
            ("=cmd()", "1", "0"),
        ],
    );
    facts.daily.retain(|it| it.key[0] != "emr" || it.day != day("2026-02-03"));
    facts.leaves = vec![
        leaf("msk", "EU-Kafka.m5.large", false, "504", "700.007"),
        leaf("msk", "EU-Kafka.m5.large", true, "560", "842.333331"),
        leaf("emr", "EU-BoxUsage:m5.xlarge", false, "1000", "280"),
        leaf("emr", "EU-BoxUsage:m5.xlarge", true, "225", "63"),
        leaf("lambda", "EU-Request", true, "9", "23.333331"),
    ];
    facts.states.insert(day("2026-02-07"), DayState::Provisional);
    facts.restated.insert(day("2026-02-02"), usd("-1.5"));
    let answer = compare(&question, &facts);
    insta::assert_snapshot!(text::table(&answer, 3));
    insta::assert_snapshot!(text::csv(&answer, false));
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(
        (&json["from"], &json["against"]["to"]),
        (&"2026-02-01".into(), &"2026-01-31".into())
    );
    assert_eq!(json["rows"][0]["change_usd"], "142.326331");
}

#[test]
fn days_that_were_not_read_are_unknown_and_not_zero() {
    let question = Question { bucket: Bucket::Week, ..question() };
    let mut facts = facts(&question, &[("msk", "1", "2")]);
    facts.states.remove(&day("2026-01-25"));
    facts.states.remove(&day("2026-02-01"));
    facts.daily.retain(|it| facts.states.contains_key(&it.day));
    let answer = compare(&question, &facts);
    let row = &answer.rows[0];
    assert_eq!((row.before_usd, row.change_usd, row.change_ratio), (None, None, None));
    // The first week has one day only, which was not read.
    assert_eq!(answer.buckets, [day("2026-01-26"), day("2026-02-02")]);
    assert_eq!(row.series_usd, [None, Some(usd("12"))]);
    insta::assert_snapshot!(text::table(&answer, 3));
}

proptest! {
    #[test]
    fn rows_and_effects_add_up(
        cells in prop::collection::vec((0usize..6, 0i8..14, -10_000_000i64..1_000_000_000), 0..80),
    ) {
        let question = question();
        let daily = cells.iter().map(|(service, at, units)| DayCost {
            key: vec![format!("service {service}")],
            day: question.against.first.saturating_add(jiff::Span::new().days(i64::from(*at))),
            cost: Usd(Decimal::new(*units, 7)),
        });
        let facts = Facts { daily: daily.collect(), states: states(&question), ..Facts::default() };
        let answer = compare(&question, &facts);
        let rows = || answer.rows.iter();
        prop_assert_eq!(rows().map(|row| row.cost_usd).sum::<Usd>(), answer.total.cost_usd);
        prop_assert_eq!(rows().map(|row| row.before_usd).sum::<Option<Usd>>(), answer.total.before_usd);
        prop_assert_eq!(rows().map(|row| row.change_usd).sum::<Option<Usd>>(), answer.total.change_usd);
        let all: Usd = facts.daily.iter().map(|it| it.cost).sum();
        prop_assert_eq!(
            answer.total.cost_usd + answer.total.before_usd.unwrap_or_default(),
            all
        );
        for row in rows() {
            let series: Usd = row.series_usd.iter().flatten().sum();
            prop_assert_eq!(series, row.cost_usd);
        }
        // What is shown adds up too, whatever was rounded.
        if !answer.rows.is_empty() {
            let table = text::table(&answer, 2);
            let shown: Vec<Vec<&str>> = table
                .lines()
                .filter(|line| line.starts_with("service ") || line.contains("others") || line.starts_with("total"))
                .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
                .collect();
            let cents = |cell: &str| match cell {
                "< 0.01" | "> -0.01" => Decimal::ZERO,
                cell => cell.replace(',', "").parse::<Decimal>().unwrap(),
            };
            let sum = |at: usize| -> Decimal {
                shown[..shown.len() - 1].iter().filter(|row| row[0] != "service").map(|row| cents(row[at])).sum()
            };
            for at in [1, 2, 3] {
                prop_assert_eq!(sum(at), cents(shown[shown.len() - 1][at]), "{}", table);
            }
        }
    }
}
