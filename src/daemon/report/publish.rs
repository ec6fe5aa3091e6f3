//! Publishing by itself: provisional, final, corrected, each once.

use std::collections::BTreeSet;

use jiff::civil::Weekday;
use jiff::{Timestamp, ToSpan};
use rust_decimal::Decimal;

use super::{ReportError, keep, make, parse};
use crate::aws::config::AccountConfig;
use crate::aws::{self, objects};
use crate::daemon::{Daemon, Watch};
use crate::insights::report::{
    Change, CurrencyCode, Edition, RawRecord, Report, SectionId, Tone, changes,
};
use crate::model::Usd;
use crate::model::time::{Day, Month, day_of};
use crate::publishers::report::{Format, Language, ReportFile, S3Prefix, Writer, render, write};
use crate::publishers::slack::files::{SlackFile, post_files};
use crate::publishers::slack::text::escape;
use crate::store::state::PublishedReport;

/// A final month whose bill changed by more than this is reopened: a correction is published.
const REOPENED: Usd = Usd(Decimal::ONE_HUNDRED);
/// Or by this share of it: 0.5 %.
const REOPENED_SHARE: Decimal = Decimal::from_parts(5, 0, 0, false, 3);

/// A report that could not be posted for so long is old news.
const NEWS: i32 = 7;

/// Fact that holds when a report was last published.
const LAST_SUCCESS: &str = "report.last_success";

/// When a report was last published.
pub(in crate::daemon) fn last_success(
    store: &crate::store::Store,
) -> Result<Option<Timestamp>, crate::store::StoreError> {
    Ok(store.state.fact(LAST_SUCCESS)?.and_then(|text| text.parse().ok()))
}

/// The day on which a month's provisional edition is due: the third of the next month, or the
/// Monday after it.
fn provisional_day(month: Month) -> Day {
    let third = month.next().first() + 2.days();
    match third.weekday() {
        Weekday::Saturday => third + 2.days(),
        Weekday::Sunday => third + 1.day(),
        _ => third,
    }
}

/// Whether a correction is worth a reader's time.
fn reopens(changes: &[Change], published: &[RawRecord]) -> bool {
    let moved: Usd = changes.iter().map(|it| (it.after - it.before).abs()).sum();
    let bill: Usd = published.iter().map(|it| it.billed).sum();
    moved > REOPENED || moved.0 > bill.abs().0 * REOPENED_SHARE
}

/// Whether an edition is to be published now, after those that were.
fn is_due(report: &Report, published: &[Report], today: Day) -> bool {
    let there: BTreeSet<Edition> = published.iter().map(|it| it.edition).collect();
    match report.edition {
        Edition::MonthToDate => false,
        Edition::Provisional => there.is_empty() && today >= provisional_day(report.month),
        Edition::Final => !there.contains(&Edition::Final),
        Edition::Corrected => published.last().is_some_and(|last| {
            reopens(&changes(&last.raw.records, &report.raw.records), &last.raw.records)
        }),
    }
}

impl Daemon {
    /// Publishes what is due, and posts what was not posted yet. What fails is counted, told in the
    /// log, and tried again at the next time.
    pub async fn publish_reports(&self) {
        let watch = self.watch();
        if watch.config.report.directory.is_none() && watch.config.report.s3.is_none() {
            return;
        }
        let last = Month::of(day_of(self.now())).previous();
        // AWS corrects the month before last too: by refunds and credits.
        for (month, is_new) in [(last.previous(), false), (last, true)] {
            let outcome = self.publish_month(&watch, month, is_new).await;
            let outcome = match outcome {
                Ok(()) => self.post_month(&watch, month).await,
                failed => failed,
            };
            if let Err(error) = outcome {
                tracing::error!(%month, %error, "the monthly report; it is tried again");
                self.snapshot().reports.failures += 1;
            }
        }
        self.publish().await;
    }

    /// Publishes a month's next edition, when it is due. Of a month that is not `is_new`, only what
    /// corrects an earlier edition.
    async fn publish_month(
        &self,
        watch: &Watch,
        month: Month,
        is_new: bool,
    ) -> Result<(), Failure> {
        let config = &watch.config;
        let now = self.now();
        let mut code = config.report.currency;
        let made = make(&self.store, config, month, code, now).await;
        let made = match made {
            Err(ReportError::NoRate { month: missing }) => {
                tracing::warn!(%missing, "there is no euro rate: the report is in US dollars");
                code = CurrencyCode::Usd;
                make(&self.store, config, month, code, now).await
            }
            made => made,
        };
        let report = match made {
            Ok(report) => report,
            // The bill is not there yet, or was never read so far back.
            Err(error) if error.is_misuse() => {
                tracing::debug!(%month, %error, "no report");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let published = self.store.state.reports(month).map_err(ReportError::from)?;
        let published: Vec<Report> = published
            .iter()
            .filter(|it| it.currency == code.as_str())
            .map(parse)
            .collect::<Result<_, _>>()?;
        if published.is_empty() && !is_new {
            return Ok(());
        }
        if !is_due(&report, &published, day_of(now)) {
            return Ok(());
        }
        if !report.reconciles {
            return Err(Failure::DoesNotReconcile);
        }
        let _running = self.health.begin("report", crate::model::time::Span::minutes(30));
        let (formats, languages) = (config.report.formats.clone(), config.report.languages.clone());
        let folder = config.report.directory.clone();
        let (report, files) = tokio::task::spawn_blocking(move || {
            let files = render(&report, &formats, &languages).map_err(ReportError::from)?;
            if let Some(folder) = folder {
                write(&folder, &files).map_err(ReportError::from)?;
            }
            Ok::<_, ReportError>((report, files))
        })
        .await
        .map_err(|_| Failure::Interrupted)??;
        if let Some(s3) = &config.report.s3 {
            put(watch, s3, &files).await?;
        }
        // Last, so that what failed on the way is done again as a whole: the same bytes.
        keep(&self.store, &self.store.state, &report, &files).await?;
        let edition = report.edition.as_str();
        let folder = config.report.directory.as_ref().map(|it| it.display().to_string());
        let s3 = config.report.s3.as_ref().map(S3Prefix::url);
        tracing::info!(%month, edition, folder, s3, "the report is published");
        self.store.state.set_fact(LAST_SUCCESS, &now.to_string()).map_err(ReportError::from)?;
        self.snapshot().reports.last_success = Some(now);
        Ok(())
    }

    /// Posts the newest edition with its files, unless it was. Between Slack's answer and its record
    /// a crash may repeat one message.
    async fn post_month(&self, watch: &Watch, month: Month) -> Result<(), Failure> {
        let Some(slack) = watch.config.slack.as_ref().filter(|_| watch.config.report.slack) else {
            return Ok(());
        };
        let now = self.now();
        let all = self.store.state.reports(month).map_err(ReportError::from)?;
        let Some(newest) = all.last() else { return Ok(()) };
        let is_news = (day_of(now) - day_of(newest.as_of)).get_days() <= NEWS;
        if newest.told_at.is_some() || !is_news {
            return Ok(());
        }
        let (comment, files) = post(newest, watch).await?;
        let shown: Vec<SlackFile<'_>> =
            files.iter().map(|it| SlackFile { name: &it.name, bytes: &it.bytes }).collect();
        post_files(slack, &comment, &shown).await?;
        self.store.state.report_told(&newest.hash, now).map_err(ReportError::from)?;
        Ok(())
    }
}

/// Puts the files where `report.s3` says, by the role that may.
async fn put(watch: &Watch, s3: &S3Prefix, files: &[ReportFile]) -> Result<(), Failure> {
    let role = AccountConfig {
        id: s3.account().to_owned(),
        name: s3.account().to_owned(),
        role_arn: Some(s3.role_arn.clone()),
        external_id: s3.external_id.clone(),
        ..AccountConfig::default()
    };
    let scope = watch.access.by_role(&role, &s3.region);
    for file in files {
        let key = format!("{}{}", s3.prefix, file.name);
        let content_type = file.format.content_type();
        let put = objects::put(&scope, &s3.bucket, &key, content_type, file.bytes.clone()).await;
        put.map_err(|source| Failure::S3 { url: format!("{}{}", s3.url(), file.name), source })?;
    }
    Ok(())
}

/// The words and files of a published report, as they were published.
async fn post(
    published: &PublishedReport,
    watch: &Watch,
) -> Result<(String, Vec<ReportFile>), Failure> {
    let report = parse(published)?;
    let config = watch.config.report.clone();
    let language = config.languages.first().copied().unwrap_or(Language::En);
    let comment = comment(&report, language);
    let files = tokio::task::spawn_blocking(move || {
        render(&report, &for_people(&config.formats), &config.languages).map_err(ReportError::from)
    })
    .await
    .map_err(|_| Failure::Interrupted)??;
    Ok((comment, files))
}

/// What people open in a chat; the others are for machines, which read the folder.
fn for_people(formats: &[Format]) -> Vec<Format> {
    let people = [Format::Html, Format::Pdf, Format::Xlsx];
    let chosen: Vec<Format> = formats.iter().copied().filter(|it| people.contains(it)).collect();
    if chosen.is_empty() { formats.to_vec() } else { chosen }
}

/// The first line suffices: what it is, and the sentence that leads the report.
fn comment(report: &Report, language: Language) -> String {
    let writer = Writer { language, currency: report.currency.code };
    let mut text = format!(
        "*{}: {}* ({})",
        writer.word("title"),
        language.month(report.month),
        writer.word(&format!("edition_{}", report.edition.as_str()))
    );
    let sentences = report
        .sections
        .iter()
        .filter(|section| section.id == SectionId::Summary)
        .flat_map(|section| &section.sentences)
        .filter(|sentence| sentence.tone == Tone::Lead);
    for sentence in sentences {
        text.push('\n');
        text.push_str(&escape(&writer.sentence(sentence)));
    }
    text
}

/// Why a report is not published, or not posted.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it does not add up to the bill; the next reading of the bill should mend it")]
    DoesNotReconcile,
    #[error("it was interrupted")]
    Interrupted,
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("{url} cannot be put: {source}")]
    S3 { url: String, source: aws::Error },
    #[error(transparent)]
    Slack(#[from] crate::publishers::slack::files::FilesError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insights::report::tests::{bank, usd};
    use crate::insights::report::{build, tests::dollars};

    fn report(edition: Edition) -> Report {
        let mut facts = bank();
        facts.edition = edition;
        build(&facts, dollars())
    }

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn a_provisional_edition_comes_on_the_third_or_the_monday_after() {
        let due = |month: &str| provisional_day(month.parse().unwrap()).to_string();
        assert_eq!(due("2026-02"), "2026-03-03");
        // 3 October 2026 is a Saturday, 3 May 2026 a Sunday.
        assert_eq!(due("2026-09"), "2026-10-05");
        assert_eq!(due("2026-04"), "2026-05-04");
    }

    #[test]
    fn each_edition_comes_once() {
        let (draft, last) = (report(Edition::Provisional), report(Edition::Final));
        assert!(!is_due(&draft, &[], day("2026-04-02")));
        assert!(is_due(&draft, &[], day("2026-04-03")));
        assert!(!is_due(&draft, std::slice::from_ref(&draft), day("2026-04-04")));
        assert!(is_due(&last, std::slice::from_ref(&draft), day("2026-04-07")));
        assert!(is_due(&last, &[], day("2026-04-16")));
        assert!(!is_due(&last, &[draft, last.clone()], day("2026-04-08")));
        assert!(!is_due(&report(Edition::MonthToDate), &[], day("2026-04-08")));
    }

    #[test]
    fn a_correction_comes_when_the_bill_changed_by_more_than_crumbs() {
        let published = report(Edition::Final);
        let mut facts = bank();
        facts.edition = Edition::Corrected;
        let mut corrected = |amount: &str| {
            let record = facts.records.iter_mut().find(|it| it.month == facts.month).unwrap();
            record.billed += usd(amount);
            build(&facts, dollars())
        };
        let crumbs = corrected("0.04");
        assert!(!is_due(&crumbs, std::slice::from_ref(&published), day("2026-04-20")));
        let much = corrected("150");
        assert!(is_due(&much, &[published], day("2026-04-20")));
    }

    #[test]
    fn the_message_says_the_figure_first() {
        let said = comment(&report(Edition::Final), Language::En);
        let mut lines = said.lines();
        assert_eq!(lines.next(), Some("*Monthly cost report: March 2026* (Final)"));
        assert!(lines.next().unwrap().starts_with("March 2026 cost US$"), "{said}");
    }
}
