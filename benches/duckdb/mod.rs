//! DuckDB as a counterpart: the SQL that centime runs, asked of another engine in a process of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::available_parallelism;

use centime::insights::prices::{Price, PriceBook};
use centime::insights::rules::{self, Evaluation, Pack, Rule, Scene};
use centime::model::usage::Cadence;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{RUNS, now};

/// DuckDB with the tables that a setup makes.
pub struct DuckDb {
    python: String,
    setup: Vec<String>,
}

#[derive(Deserialize)]
struct Understood {
    version: String,
    /// Ids of rules.
    understood: Vec<String>,
}

/// What DuckDB said.
#[derive(Deserialize)]
pub struct Answer {
    pub seconds: Vec<f64>,
    /// Where what is unknown is not asked.
    pub found_seconds: Vec<f64>,
    pub peak_mb: f64,
    /// By rule: resources found, resources unknown, USD a month.
    answers: BTreeMap<String, (u64, u64, f64)>,
}

impl DuckDb {
    /// `None` where the counterparts are not installed.
    pub fn of(setup: &[String]) -> Option<Self> {
        let python = format!("{}/python/bin/python", std::env::var("COUNTERPARTS").ok()?);
        let is_there = Command::new(&python).args(["-c", "import duckdb"]).status();
        if !is_there.is_ok_and(|status| status.success()) {
            return None;
        }
        Some(Self { python, setup: setup.to_vec() })
    }

    /// The rules of a pack whose functions DuckDB has.
    pub async fn understood(
        &mut self,
        pack: Pack,
        scene: &Scene<'_>,
        book: &PriceBook,
    ) -> Vec<Arc<Rule>> {
        let mut asked = self.asked(&pack, book, scene).await;
        asked["translate"] = true.into();
        let Understood { version, understood } = serde_json::from_str(&self.ask(&asked)).unwrap();
        println!("DuckDB {version}; {} rules that centime carries", understood.len());
        let rules = pack.rules().iter().filter(|rule| understood.contains(&rule.id));
        rules.cloned().collect()
    }

    /// Asks for what all rules of a pack find.
    pub async fn judge(&self, pack: &Pack, book: &PriceBook, scene: &Scene<'_>) -> Answer {
        let asked = self.asked(pack, book, scene).await;
        serde_json::from_str(&self.ask(&asked)).unwrap()
    }

    async fn asked(&self, pack: &Pack, book: &PriceBook, scene: &Scene<'_>) -> Value {
        let union = union(pack, book);
        let wide = rules::explain(&union, scene).await.unwrap().unwrap().sql;
        let mut silence: Vec<&str> = union
            .when
            .inputs
            .keys()
            .chain(union.evidence.iter().flat_map(|it| it.value.inputs.keys()))
            .map(String::as_str)
            .filter(|name| name.starts_with("covered@"))
            .collect();
        silence.sort_unstable();
        silence.dedup();
        // Of the estate that is measured every day was read, but for what is read seldom.
        let silence = silence.iter().fold(String::new(), |mut text, name| {
            let read = name.ends_with(Cadence::Regular.as_str());
            let _ = write!(text, ", {read} as \"{name}\"");
            text
        });
        let savings: String = pack
            .rules()
            .iter()
            .filter_map(|rule| Some(rule.saving.as_ref()?.sql.to_string()))
            .collect();
        // Only those that are asked: a formula with all of the book's takes DuckDB seconds to plan.
        let asked = |price: &&Price| savings.contains(&format!("'{}'", price.item));
        let prices = book.all().into_iter().filter(asked).filter_map(|price| {
            let Price { item, region, usd, .. } = book.price(&price.item, &price.region)?;
            Some(format!(" when '{region}/{item}' then {}", usd.0))
        });
        let prices: String = prices.collect();
        let prices = format!(
            "create macro price(place, item) as case place || '/' || item{prices} \
             when '' then 0.0 end"
        );
        let mut setup = self.setup.clone();
        setup.push(prices);
        let asked = pack.rules().iter().map(|rule| {
            json!({
                "id": rule.id,
                "condition": rule.when.sql.to_string(),
                "saving": rule.saving.as_ref().map(|saving| saving.sql.to_string()),
            })
        });
        json!({
            "threads": available_parallelism().map_or(1, usize::from),
            "runs": RUNS,
            "now": now().to_string(),
            "setup": setup,
            "wide": format!("select *{silence} from ({wide}) r"),
            "rules": asked.collect::<Vec<_>>(),
        })
    }

    fn ask(&self, asked: &Value) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/duckdb/rules.py");
        let mut child = Command::new(&self.python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "DuckDB did not answer");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// One rule that reads all that the rules of a pack read: its query is theirs together.
fn union(pack: &Pack, book: &PriceBook) -> Rule {
    let conditions: Vec<String> =
        pack.rules().iter().map(|rule| format!("({})", rule.when.text)).collect();
    let savings = pack.rules().iter().enumerate().filter_map(|(number, rule)| {
        Some(json!({ format!("saving_{number}"): rule.saving.as_ref()?.text }))
    });
    let kind = pack.rules()[0].kind.table;
    let file = json!({
        "id": "union", "title": "All", "why": "To measure.", "action": "None.", "sources": ["none"],
        "on": kind, "window": "14d", "when": conditions.join(" or "), "saving": null,
        "evidence": savings.collect::<Vec<_>>(), "risk": "low", "effort": "low",
    });
    let files = [("union.yaml".to_owned(), file.to_string())];
    let pack = Pack::of(&files, book).map_err(|problems| problems.to_string()).unwrap();
    pack.rules()[0].as_ref().clone()
}

impl Answer {
    /// Holds what DuckDB found against what centime found.
    pub fn agrees_with(&self, evaluation: &Evaluation) {
        for result in &evaluation.results {
            let saved = evaluation
                .findings
                .iter()
                .filter(|finding| finding.rule == result.rule)
                .filter_map(|finding| finding.monthly_saving)
                .map(centime::model::Usd::to_f64)
                .sum::<f64>();
            let (found, unknown, saving) = self.answers[&result.rule];
            assert_eq!((found, unknown), (result.finding, result.unknown), "{}", result.rule);
            let off = (saving - saved).abs();
            assert!(off <= 1e-6 * saved.abs().max(1.0), "{}: {saving}, {saved}", result.rule);
        }
    }
}
