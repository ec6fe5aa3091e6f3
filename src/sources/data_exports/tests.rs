//! Exports are read whole: real samples, worked examples, and what can be wrong with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Decimal128Type;

use super::place::Place;
use super::*;
use crate::model::time::Month;
use crate::model::{Selection, Usd};
use crate::sources::cost_explorer;

/// Keeps what it is given.
#[derive(Default)]
struct Kept {
    charges: Vec<(String, Month, RecordBatch)>,
    begun: u32,
    /// Called when a reading begins: what happens to the export meanwhile.
    meanwhile: Option<Box<dyn FnMut(u32) + Send>>,
}

#[async_trait]
impl ChargeSink for Kept {
    async fn begin(&mut self) -> Result<(), SinkError> {
        self.charges.clear();
        self.begun += 1;
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile(self.begun);
        }
        Ok(())
    }

    async fn take(
        &mut self,
        payer: &str,
        month: Month,
        charges: RecordBatch,
    ) -> Result<(), SinkError> {
        self.charges.push((payer.to_owned(), month, charges));
        Ok(())
    }

    fn progress(&self, _: usize, _: usize) {}
}

impl Kept {
    fn sum(&self, column: &str) -> Usd {
        let sums = self.charges.iter().map(|(_, _, batch)| {
            let cells = batch.column_by_name(column).unwrap().as_primitive::<Decimal128Type>();
            amount::usd(cells.iter().flatten().sum())
        });
        sums.sum()
    }

    fn texts(&self, column: &str) -> Vec<Option<String>> {
        let of_batch = |batch: &RecordBatch| -> Vec<Option<String>> {
            let cells = batch.column_by_name(column).unwrap().as_string::<i32>();
            cells.iter().map(|text| text.map(ToOwned::to_owned)).collect()
        };
        self.charges.iter().flat_map(|(_, _, batch)| of_batch(batch)).collect()
    }
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/exports").join(name)
}

fn opened(folder: &Path) -> Opened {
    Opened::of("an export", Place::Folder(folder.to_owned()))
}

/// Reads every delivery of a folder.
async fn read_with(
    folder: &Path,
    config: &cost_explorer::Config,
    kept: &mut Kept,
) -> Result<Vec<Reading>, String> {
    let scratch = tempfile::tempdir().unwrap();
    let accounts = ["111111111111".to_owned(), "123412340534".to_owned()];
    let opened = opened(folder);
    let mut readings = Vec::new();
    for delivery in opened.deliveries().await.map_err(|error| error.to_string())? {
        let delivery = delivery.map_err(|error| error.to_string())?;
        let terms = Terms { cost: config, accounts: &accounts, scratch: scratch.path() };
        let reading = opened.read(&delivery, terms, kept).await;
        readings.push(reading.map_err(|error| error.to_string())?);
    }
    Ok(readings)
}

async fn read(folder: &Path) -> (Kept, Vec<Reading>) {
    let mut kept = Kept::default();
    let readings = read_with(folder, &cost_explorer::Config::default(), &mut kept).await.unwrap();
    (kept, readings)
}

async fn error_of(folder: &Path) -> String {
    let mut kept = Kept::default();
    read_with(folder, &cost_explorer::Config::default(), &mut kept).await.unwrap_err()
}

/// Billed and list cost of each view.
fn views(readings: &[Reading]) -> BTreeMap<String, (Usd, Option<Usd>)> {
    let mut views: BTreeMap<String, (Usd, Option<Usd>)> = BTreeMap::new();
    for bill in readings.iter().flat_map(|reading| &reading.bills) {
        let view = views.entry(bill.view.clone()).or_insert((Usd::ZERO, Some(Usd::ZERO)));
        view.0 += bill.charges.iter().map(|charge| charge.billed_cost).sum::<Usd>();
        for charge in &bill.charges {
            view.1 = view.1.zip(charge.list_cost).map(|(a, b)| a + b);
        }
    }
    views
}

#[tokio::test]
async fn the_real_cost_and_usage_report_adds_up_in_every_view_and_in_both_layouts() {
    let total = usd("1.6823086974");
    for name in ["cur-legacy", "cur-2.0"] {
        let (kept, readings) = read(&fixture(name)).await;
        assert_eq!(kept.sum("billed_cost"), total, "{name}");
        assert_eq!(kept.sum("effective_cost"), total, "{name}");
        assert_eq!(readings[0].totals[0].rows, 1_281);
        assert_eq!(readings[0].totals[0].billed, total);
        assert_eq!(readings[0].totals[0].month.to_string(), "2023-11");
        let views = views(&readings);
        assert_eq!(views.len(), 6);
        for (view, (billed, _)) in views {
            // It has no credit, refund or support; run-rate leaves out its tax.
            let is_invoice = ["account_service", "record_type"].contains(&view.as_str());
            let tax = if is_invoice { Usd::ZERO } else { usd("0.08") };
            assert_eq!(billed + tax, total, "{name} {view}");
        }
        assert_eq!(readings[0].refused, BTreeMap::new());
        let services = kept.texts("service_name");
        assert!(services.contains(&Some("Amazon Simple Storage Service".to_owned())));
    }
}

#[tokio::test]
async fn both_layouts_of_the_real_report_are_the_same_charges() {
    let (legacy, _) = read(&fixture("cur-legacy")).await;
    let (cur_2, _) = read(&fixture("cur-2.0")).await;
    for column in ["service_name", "sku_meter", "x_operation", "x_record_type", "pricing_unit"] {
        assert!(legacy.texts(column) == cur_2.texts(column), "{column}");
    }
    assert_eq!(legacy.sum("list_cost"), cur_2.sum("list_cost"));
    assert_eq!(legacy.sum("consumed_quantity"), cur_2.sum("consumed_quantity"));
}

#[tokio::test]
async fn the_real_focus_sample_adds_up_billed_and_at_list_price() {
    let (kept, readings) = read(&fixture("focus-1.0")).await;
    assert_eq!(kept.sum("billed_cost"), usd("18.0066386184"));
    assert_eq!(kept.sum("list_cost"), usd("18.1493176406"));
    assert_eq!(kept.sum("effective_cost"), usd("13"));
    let views = views(&readings);
    for invoice in ["account_service", "record_type"] {
        assert_eq!(views[invoice], (usd("18.0066386184"), Some(usd("18.1493176406"))), "{invoice}");
    }
    // Run-rate leaves out the one credit, and what is no usage.
    let left_out: (Usd, Usd) = readings
        .iter()
        .flat_map(|reading| &reading.bills)
        .filter(|bill| bill.view == "record_type")
        .flat_map(|bill| &bill.charges)
        .filter(|charge| {
            let kind = charge.record_type.as_deref().unwrap();
            crate::model::cost::RUN_RATE_EXCLUDES.contains(&kind)
        })
        .fold((Usd::ZERO, Usd::ZERO), |sum, charge| {
            (sum.0 + charge.billed_cost, sum.1 + charge.list_cost.unwrap())
        });
    for run_rate in ["usage_type", "team", "environment"] {
        let (billed, list) = views[run_rate];
        assert_eq!(billed + left_out.0, usd("18.0066386184"), "{run_rate}");
        assert_eq!(list.unwrap() + left_out.1, usd("18.1493176406"), "{run_rate}");
    }
    // Times have no zone, and 58 rows of other providers are not in the file.
    assert_eq!(readings.iter().map(|reading| reading.zoneless).sum::<u64>(), 942);
    let rows: u64 = readings.iter().flat_map(|it| &it.totals).map(|total| total.rows).sum();
    assert_eq!(rows, 942);
}

/// A report of the shortest lines that can be.
const HEAD: &str = "bill_payer_account_id,bill_billing_period_start_date,line_item_usage_account_id,\
                    line_item_line_item_type,line_item_usage_start_date,line_item_product_code,\
                    line_item_usage_type,line_item_currency_code,line_item_unblended_cost";

/// One line of February 2026.
fn line(kind: &str, day: &str, code: &str, cost: &str) -> String {
    format!(
        "999999999999,2026-02-01T00:00:00Z,111111111111,{kind},2026-02-{day}T00:00:00Z,{code},\
         BoxUsage:m5.large,USD,{cost}"
    )
}

/// A folder of February 2026 with one file.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "data/BILLING_PERIOD=2026-02/a-00001.csv", text);
    manifest(folder.path(), &["data/BILLING_PERIOD=2026-02/a-00001.csv"]);
    folder
}

fn put(root: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn manifest(root: &Path, files: &[&str]) {
    let text = serde_json::json!({ "dataFiles": files }).to_string();
    put(root, "metadata/BILLING_PERIOD=2026-02/a-Manifest.json", text);
}

/// Columns of commitments, after those of [`HEAD`].
const COMMITMENTS: &str = "savings_plan_savings_plan_effective_cost,\
                           savings_plan_total_commitment_to_date,savings_plan_used_commitment,\
                           reservation_effective_cost,\
                           reservation_unused_amortized_upfront_fee_for_billing_period,\
                           reservation_unused_recurring_fee";

async fn costs_of(lines: &[String]) -> (Usd, Usd) {
    let text = format!("{HEAD},{COMMITMENTS}\n{}\n", lines.join("\n"));
    let (kept, _) = read(folder(&text).path()).await;
    (kept.sum("billed_cost"), kept.sum("effective_cost"))
}

/// The worked examples of commitments: what they cost unblended and amortized.
#[tokio::test]
async fn commitments_cost_what_they_are_worked_out_to_cost() {
    let covered = |day: &str| {
        format!("{},216,,,,,", line("SavingsPlanCoveredUsage", day, "AmazonEC2", "300"))
    };
    let negation =
        |day: &str| format!("{},,,,,,", line("SavingsPlanNegation", day, "AmazonEC2", "-300"));
    let fee = |day: &str, cost: &str| {
        format!("{},,240,216,,,", line("SavingsPlanRecurringFee", day, "ComputeSavingsPlans", cost))
    };
    let upfront =
        || format!("{},,,,,,", line("SavingsPlanUpfrontFee", "01", "ComputeSavingsPlans", "8760"));
    // A plan without upfront, 10 USD an hour; what it covers would be 300 and is 216.
    assert_eq!(
        costs_of(&[covered("01"), negation("01"), fee("01", "240")]).await,
        (usd("240"), usd("240"))
    );
    // Partly upfront: 8,760 at once, 9 USD an hour. The first day, the second, and 28 days.
    assert_eq!(
        costs_of(&[covered("01"), negation("01"), fee("01", "216"), upfront()]).await,
        (usd("8976"), usd("240"))
    );
    assert_eq!(
        costs_of(&[covered("02"), negation("02"), fee("02", "216")]).await,
        (usd("216"), usd("240"))
    );
    let month: Vec<String> = (1..=28)
        .map(|day| format!("{day:02}"))
        .flat_map(|day| [covered(&day), negation(&day), fee(&day, "216")])
        .chain([upfront()])
        .collect();
    assert_eq!(costs_of(&month).await, (usd("14808"), usd("6720")));
    // A reservation without upfront, 0.20 USD an hour, used 600 of 720 hours.
    let reserved = [
        format!("{},,,,,0,24", line("RIFee", "01", "AmazonEC2", "144")),
        format!("{},,,,120,,", line("DiscountedUsage", "02", "AmazonEC2", "0")),
    ];
    assert_eq!(costs_of(&reserved).await, (usd("144"), usd("144")));
}

#[tokio::test]
async fn private_discounts_are_taken_off_where_cost_is_net() {
    let text = format!(
        "{HEAD},line_item_net_unblended_cost,savings_plan_total_commitment_to_date,\
         savings_plan_used_commitment,\
         savings_plan_amortized_upfront_commitment_for_billing_period,\
         savings_plan_recurring_commitment_for_billing_period,\
         savings_plan_net_amortized_upfront_commitment_for_billing_period,\
         savings_plan_net_recurring_commitment_for_billing_period\n{},90,,,,,,\n{},216,240,216,24,216,20,208\n",
        line("Usage", "01", "AmazonEC2", "100"),
        line("SavingsPlanRecurringFee", "01", "ComputeSavingsPlans", "240"),
    );
    let folder = folder(&text);
    let mut kept = Kept::default();
    let net = cost_explorer::Config { net: true, ..cost_explorer::Config::default() };
    read_with(folder.path(), &net, &mut kept).await.unwrap();
    // The unused 24 of 240, in the proportion of 228 to 240.
    assert_eq!(kept.sum("billed_cost"), usd("306"));
    assert_eq!(kept.sum("effective_cost"), usd("112.8"));
    assert_eq!(kept.sum("x_unblended_cost"), usd("340"));
    assert_eq!(kept.sum("x_amortized_cost"), usd("124"));
    let (plain, _) = read(folder.path()).await;
    assert_eq!(plain.sum("billed_cost"), usd("340"));
    assert_eq!(plain.sum("x_net_amortized_cost"), usd("112.8"));
}

#[tokio::test]
async fn views_are_cut_as_cost_explorer_cuts_them() {
    let text = format!(
        "{HEAD},resource_tags,product_region_code,line_item_usage_amount,pricing_unit\n\
         {},\"{{\"\"user_team\"\": \"\"risk\"\"}}\",eu-west-1,2,Hrs\n\
         {},\"{{\"\"user:Team\"\": \"\"risk\"\"}}\",eu-west-1,3,Hrs\n{},,,,\n{},,,,\n{},,,,\n",
        line("Usage", "01", "AmazonEC2", "10"),
        line("Usage", "01", "AmazonEC2", "1"),
        line("Tax", "01", "AmazonEC2", "2"),
        line("Credit", "01", "AmazonEC2", "-4e-7"),
        line("Fee", "01", "AWSSupportBusiness", "100"),
    );
    let config = cost_explorer::Config {
        selections: vec![Selection {
            accounts: vec!["111111111111".to_owned()],
            tags: vec![("team".to_owned(), vec!["risk".to_owned()])],
            ..Selection::default()
        }],
        ..cost_explorer::Config::default()
    };
    let mut kept = Kept::default();
    let readings = read_with(folder(&text).path(), &config, &mut kept).await.unwrap();
    let view = |name: &str| {
        readings[0].bills.iter().find(|bill| bill.view == name).unwrap().charges.clone()
    };
    let invoice: Usd = view("account_service").iter().map(|charge| charge.billed_cost).sum();
    assert_eq!(invoice, usd("112.9999996"));
    let usage = view("usage_type");
    assert_eq!(usage.len(), 1);
    assert_eq!(usage[0].billed_cost, usd("11"));
    assert_eq!(
        (usage[0].consumed_quantity, usage[0].consumed_unit.as_deref()),
        (Some(5.0), Some("Hrs"))
    );
    let team = view("team");
    assert_eq!(team[0].tag_value.as_deref(), Some("risk"));
    assert_eq!(team[0].billed_cost, usd("11"));
    assert_eq!(view("region")[0].region_id.as_deref(), Some("eu-west-1"));
    assert_eq!(view(&config.selections[0].view())[0].billed_cost, usd("11"));
    let kinds: Vec<_> = view("record_type").into_iter().map(|it| it.record_type.unwrap()).collect();
    assert_eq!(kinds, ["Credit", "Support", "Tax", "Usage"]);
}

#[tokio::test]
async fn hours_of_a_day_are_added_up_and_whatever_else_differs_stays_apart() {
    let hour = |hour: &str, resource: &str, cost: &str| {
        let line = line("Usage", "01", "AmazonEC2", cost);
        format!(
            "{},{resource}",
            line.replace("02-01T00:00:00Z,AmazonEC2", &format!("02-01T{hour}:00:00Z,AmazonEC2"))
        )
    };
    let text = format!(
        "{HEAD},line_item_resource_id\n{}\n{}\n{}\n",
        hour("00", "i-1", "0.1"),
        hour("23", "i-1", "0.2"),
        hour("23", "i-2", "0.4"),
    );
    let (kept, readings) = read(folder(&text).path()).await;
    assert_eq!(kept.texts("resource_id"), [Some("i-1".to_owned()), Some("i-2".to_owned())]);
    assert_eq!(kept.sum("billed_cost"), usd("0.7"));
    assert_eq!(readings[0].totals[0].rows, 3);
}

#[tokio::test]
async fn leftovers_of_earlier_deliveries_are_not_read() {
    let text = format!("{HEAD}\n{}\n", line("Usage", "01", "AmazonEC2", "10"));
    let folder = folder(&text);
    put(folder.path(), "data/BILLING_PERIOD=2026-02/a-00002.csv", &text);
    put(folder.path(), "data/BILLING_PERIOD=2026-02/2026-02-02T10-x/a-00001.csv", &text);
    put(folder.path(), "metadata/BILLING_PERIOD=2026-02/2026-02-02T10-x/a-Manifest.json", "{");
    let (kept, readings) = read(folder.path()).await;
    assert_eq!((kept.sum("billed_cost"), readings.len()), (usd("10"), 1));
}

#[tokio::test]
async fn an_export_that_is_rewritten_in_mid_read_is_read_again() {
    let text = |cost: &str| format!("{HEAD}\n{}\n", line("Usage", "01", "AmazonEC2", cost));
    let folder = folder(&text("10"));
    let root = folder.path().to_owned();
    let newer = text("10.5");
    let mut kept = Kept {
        meanwhile: Some(Box::new(move |begun| {
            if begun == 1 {
                put(&root, "data/BILLING_PERIOD=2026-02/a-00001.csv", &newer);
            }
        })),
        ..Kept::default()
    };
    let config = cost_explorer::Config::default();
    read_with(folder.path(), &config, &mut kept).await.unwrap();
    assert_eq!((kept.sum("billed_cost"), kept.begun), (usd("10.5"), 2));
    // One that never comes to rest is passed over.
    let root = folder.path().to_owned();
    let mut kept = Kept {
        meanwhile: Some(Box::new(move |begun| {
            put(&root, "data/BILLING_PERIOD=2026-02/a-00001.csv", text(&format!("11.{begun}11")));
        })),
        ..Kept::default()
    };
    let error = read_with(folder.path(), &config, &mut kept).await.unwrap_err();
    assert!(error.contains("is being rewritten"), "{error}");
}

#[tokio::test]
async fn what_counts_in_another_currency_or_twice_is_refused_and_counted() {
    let eur = line("Usage", "01", "AmazonEC2", "7").replace("USD", "EUR");
    let text = format!(
        "{HEAD},line_item_operation\n{},RunInstances\n{eur},RunInstances\n{},EKSPod-EC2\n{},\n",
        line("Usage", "01", "AmazonEC2", "10"),
        line("Usage", "01", "AmazonEC2", "3"),
        // A quantity or an amount below zero is AWS's to give.
        line("Usage", "02", "AmazonEC2", "-2"),
    );
    let (kept, readings) = read(folder(&text).path()).await;
    assert_eq!(kept.sum("billed_cost"), usd("8"));
    assert_eq!(readings[0].totals[0].rows, 2);
    let refused = &readings[0].refused;
    assert_eq!(refused[&Refusal::Currency].rows, 1);
    assert!(refused[&Refusal::Currency].example.contains("row 2: it is in EUR"));
    assert_eq!(refused[&Refusal::Split].rows, 1);
}

#[tokio::test]
async fn a_broken_export_is_told_and_nothing_of_it_is_taken() {
    let good = format!("{HEAD}\n{}\n", line("Usage", "01", "AmazonEC2", "10"));
    for (text, said) in [
        (
            good.replace(
                "AmazonEC2,BoxUsage:m5.large,USD,10",
                "AmazonEC2,BoxUsage:m5.large,USD,ten",
            ),
            "row 1: `ten` is no amount",
        ),
        (
            good.replace("2026-02-01T00:00:00Z,111", "2026-03-01T00:00:00Z,111"),
            "has rows of 2026-03",
        ),
        (
            good.replace("2026-02-01T00:00:00Z,AmazonEC2", "someday,AmazonEC2"),
            "line_item_usage_start_date is missing",
        ),
        (
            good.replace("line_item_usage_account_id", "line_item_usage_acount_id"),
            "lacks line_item_usage_account_id; it has `line_item_usage_acount_id`",
        ),
        ("a,b\n1,2\n".to_owned(), "is no export that centime knows"),
        (
            good.replace(",Usage,", ",RIFee,"),
            "needs the column reservation_unused_amortized_upfront_fee_for_billing_period",
        ),
        (format!("{good}1,2\n"), "is damaged"),
    ] {
        let error = error_of(folder(&text).path()).await;
        assert!(error.contains(said), "{said}: {error}");
    }
    let folder = folder(&good);
    manifest(
        folder.path(),
        &["data/BILLING_PERIOD=2026-02/a-00001.csv", "data/BILLING_PERIOD=2026-02/a-00002.csv"],
    );
    let error = error_of(folder.path()).await;
    assert!(error.contains("names data/BILLING_PERIOD=2026-02/a-00002.csv, which is not there"));
}

#[tokio::test]
async fn a_truncated_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let whole =
        std::fs::read(fixture("cur-2.0/data/BILLING_PERIOD=2023-11/cur-00001.snappy.parquet"))
            .unwrap();
    put(folder.path(), "data/BILLING_PERIOD=2023-11/a.snappy.parquet", &whole[..whole.len() / 2]);
    let error = error_of(folder.path()).await;
    assert!(error.contains("a.snappy.parquet is damaged"), "{error}");
    let legacy = "cur-legacy/20231101-20231201/20231115T081120Z/legacy-00001.csv.gz";
    let whole = std::fs::read(fixture(legacy)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "a.csv.gz", &whole[..whole.len() / 2]);
    let error = error_of(folder.path()).await;
    assert!(error.contains("a.csv.gz is damaged"), "{error}");
}

#[tokio::test]
async fn columns_may_be_added_and_chunks_may_be_empty() {
    let text = format!("{HEAD},brand_new_column\n{},x\n", line("Usage", "01", "AmazonEC2", "10"));
    let folder = folder(&text);
    put(folder.path(), "data/BILLING_PERIOD=2026-02/a-00002.csv", "");
    put(folder.path(), "data/BILLING_PERIOD=2026-02/a-00003.csv", format!("{HEAD}\n"));
    manifest(
        folder.path(),
        &[
            "data/BILLING_PERIOD=2026-02/a-00001.csv",
            "data/BILLING_PERIOD=2026-02/a-00002.csv",
            "data/BILLING_PERIOD=2026-02/a-00003.csv",
        ],
    );
    let (kept, _) = read(folder.path()).await;
    assert_eq!(kept.sum("billed_cost"), usd("10"));
}
