//! Section `report`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rust_decimal::Decimal;

use super::{Format, Language};
use crate::insights::report::{Currency, CurrencyCode, Rate};
use crate::model::names::{bucket_and_rest, check_region};
use crate::model::time::Month;
use crate::yaml::{self, Content, Fields, Node, Read, Reader};

/// Rates that no month of the euro has come near: 0.82 in October 2000 and 1.58 in July 2008 are the
/// extremes. What is outside is a typing mistake, or euros for one dollar.
const RATES: [Decimal; 2] = [Decimal::from_parts(5, 0, 0, false, 1), Decimal::TWO];

/// `report:`, how the daemon publishes the monthly report, and what `centime report` writes unless
/// told otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the daemon writes reports; it makes none without this or `s3`.
    pub directory: Option<PathBuf>,
    /// Where it puts them in S3.
    pub s3: Option<S3Prefix>,
    pub formats: Vec<Format>,
    pub languages: Vec<Language>,
    pub currency: CurrencyCode,
    /// US dollars for one euro, by month.
    pub eur_rates: BTreeMap<Month, Decimal>,
    /// Post the files to Slack's channel.
    pub slack: bool,
}

/// `report.s3`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Prefix {
    pub bucket: String,
    /// With the slash at its end; empty for the whole bucket.
    pub prefix: String,
    /// A role that may put objects under the prefix. Those that watch only read.
    pub role_arn: String,
    /// External id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// Region of the bucket.
    pub region: String,
}

impl S3Prefix {
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    /// The account that the role belongs to.
    pub fn account(&self) -> &str {
        self.role_arn.split(':').nth(4).unwrap_or_default()
    }
}

/// Bucket and prefix of `s3://bucket/prefix/`.
fn bucket_and_prefix(url: &str) -> Option<(String, String)> {
    let (bucket, prefix) = bucket_and_rest(url)?;
    let prefix = prefix.trim_matches('/');
    let is_key = |c: char| c.is_ascii_alphanumeric() || "!-_.'()/".contains(c);
    // Characters that are safe in keys; a wildcard would widen the policy that names them.
    if !prefix.chars().all(is_key) {
        return None;
    }
    let slash = if prefix.is_empty() { "" } else { "/" };
    Some((bucket.to_owned(), format!("{prefix}{slash}")))
}

impl Read for S3Prefix {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let url = fields.take("url", reader);
        if url.is_none() {
            reader
                .problem(node.place, format!("`{path}.url` is missing, such as s3://reports/aws/"));
        }
        let place = url.and_then(|node| {
            let what = "a bucket and prefix, such as s3://acme-finance/centime/";
            yaml::scalar(node, &format!("{path}.url"), reader, what, bucket_and_prefix)
        });
        let role_arn: Option<String> = fields.required("role_arn", reader);
        let is_role = |arn: &str| {
            let rest = arn.strip_prefix("arn:aws").and_then(|rest| rest.split_once(":iam::"));
            rest.and_then(|(_, rest)| rest.split_once(":role/")).is_some_and(|(account, name)| {
                account.len() == 12
                    && account.bytes().all(|digit| digit.is_ascii_digit())
                    && !name.is_empty()
            })
        };
        if let Some(arn) = role_arn.as_ref().filter(|arn| !is_role(arn)) {
            let message = format!(
                "`{path}.role_arn` must look like arn:aws:iam::123456789012:role/centime-reports, not \
                 `{arn}`"
            );
            reader.problem(fields.place_of("role_arn"), message);
        }
        let external_id = fields.optional("external_id", reader);
        let region: Option<String> = fields.required("region", reader);
        check_region(region.as_deref(), &fields, path, reader);
        fields.finish(reader);
        let (bucket, prefix) = place?;
        Some(Self { bucket, prefix, role_arn: role_arn?, external_id, region: region? })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: None,
            s3: None,
            formats: vec![Format::Html, Format::Pdf, Format::Xlsx],
            languages: vec![Language::En],
            currency: CurrencyCode::Usd,
            eur_rates: BTreeMap::new(),
            slack: true,
        }
    }
}

impl Config {
    /// What amounts are shown in, with all rates that are known.
    pub fn currency(&self, code: CurrencyCode) -> Currency {
        let rates = match code {
            CurrencyCode::Usd => Vec::new(),
            CurrencyCode::Eur => self
                .eur_rates
                .iter()
                .map(|(month, usd_per_eur)| Rate { month: *month, usd_per_eur: *usd_per_eur })
                .collect(),
        };
        Currency { code, rates }
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let default = Self::default();
        let mut fields = Fields::of(node, path, reader)?;
        let formats = names(&mut fields, "formats", path, Format::NAMES, reader);
        let languages = names(&mut fields, "languages", path, Language::NAMES, reader);
        let currency = fields.take("currency", reader).and_then(|node| {
            yaml::one_of(node, &format!("{path}.currency"), reader, &["USD", "EUR"])
        });
        let config = Self {
            directory: fields.optional("directory", reader),
            s3: fields.optional("s3", reader),
            formats: formats.map_or(default.formats, |names| {
                names.into_iter().filter_map(Format::parse).collect()
            }),
            languages: languages.map_or(default.languages, |names| {
                names.into_iter().filter_map(Language::parse).collect()
            }),
            currency: match currency {
                Some("EUR") => CurrencyCode::Eur,
                _ => CurrencyCode::Usd,
            },
            eur_rates: rates(&mut fields, path, reader),
            slack: fields.or("slack", default.slack, reader),
        };
        fields.finish(reader);
        Some(config)
    }
}

/// A list of known names, at least one; `None` when it is left out.
fn names(
    fields: &mut Fields<'_>,
    name: &'static str,
    path: &str,
    known: &'static [&'static str],
    reader: &mut Reader,
) -> Option<Vec<&'static str>> {
    let node = fields.take(name, reader)?;
    let path = format!("{path}.{name}");
    let Content::List(items) = &node.content else {
        return reader.expected(node, &path, "a list of names");
    };
    if items.is_empty() {
        reader.problem(node.place, format!("`{path}` is empty; leave it out for the usual ones"));
        return None;
    }
    let item = format!("{path}[]");
    items.iter().map(|it| yaml::one_of(it, &item, reader, known)).collect()
}

/// `eur_rates: { "2026-02": 1.1823 }`
fn rates(fields: &mut Fields<'_>, path: &str, reader: &mut Reader) -> BTreeMap<Month, Decimal> {
    let Some(node) = fields.take("eur_rates", reader) else { return BTreeMap::new() };
    let path = format!("{path}.eur_rates");
    let Content::Map(entries) = &node.content else {
        if !matches!(node.content, Content::Null) {
            let _: Option<()> = reader.expected(node, &path, "months with their rates");
        }
        return BTreeMap::new();
    };
    let mut rates = BTreeMap::new();
    for (key, node) in entries {
        let path = format!("{path}.{}", key.name);
        let month = key.name.parse::<Month>();
        if month.is_err() {
            let problem = format!("`{path}`: the rate's month must be written such as \"2026-02\"");
            reader.problem(node.place, problem);
        }
        let rate =
            yaml::scalar(node, &path, reader, "US dollars for one euro, such as 1.0837", |text| {
                text.parse::<Decimal>().ok().filter(|it| (RATES[0]..=RATES[1]).contains(it))
            });
        if let (Ok(month), Some(rate)) = (month, rate) {
            rates.insert(month, rate);
        }
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        yaml::read("c.yaml", text, |root, reader| Config::read(root, "report", reader))
            .map_err(|problems| problems.to_string())
    }

    #[test]
    fn rates_are_dollars_for_a_euro() {
        let config = read("currency: EUR\neur_rates: { \"2026-02\": 1.1823 }\n").unwrap();
        let currency = config.currency(config.currency);
        assert_eq!(currency.rates[0].usd_per_eur.to_string(), "1.1823");
        assert!(config.currency(CurrencyCode::Usd).rates.is_empty());
        let wrong = read("eur_rates: { 2026-2: 1.1, \"2026-03\": 108.37 }").unwrap_err();
        assert!(wrong.contains("such as \"2026-02\""), "{wrong}");
        assert!(wrong.contains("US dollars for one euro"), "{wrong}");
    }

    #[test]
    fn a_place_in_s3_has_a_role_of_its_own() {
        let text = |url: &str, role: &str| {
            format!("s3: {{ url: '{url}', role_arn: '{role}', region: eu-west-1 }}\n")
        };
        let role = "arn:aws:iam::123456789012:role/centime-reports";
        let s3 = |url: &str| read(&text(url, role)).map(|config| config.s3.unwrap().url());
        assert_eq!(s3("s3://acme-finance/aws/centime").unwrap(), "s3://acme-finance/aws/centime/");
        assert_eq!(s3("s3://acme-finance").unwrap(), "s3://acme-finance/");
        for wrong in ["acme-finance/centime", "s3://Acme/x", "s3://ab", "s3://acme/*", "s3:///x"] {
            let told = s3(wrong).unwrap_err();
            assert!(told.contains("s3://acme-finance/centime/"), "{wrong}: {told}");
        }
        let told = read(&text("s3://acme-finance", "centime")).unwrap_err();
        assert!(told.contains("role/centime-reports, not `centime`"), "{told}");
        let there = text("s3://acme-finance", role).replace("eu-west-1", "Ireland");
        let told = read(&there).unwrap_err();
        assert!(told.contains("`report.s3.region` must look like eu-west-1"), "{told}");
        let told = read("s3: { url: 's3://acme-finance' }\n").unwrap_err();
        assert!(told.contains("role_arn") && told.contains("region"), "{told}");
    }

    #[test]
    fn formats_and_languages_are_known_ones() {
        let config = read("formats: [csv, html]\nlanguages: [fr, en]").unwrap();
        assert_eq!(config.formats, [Format::Csv, Format::Html]);
        assert_eq!(config.languages, [Language::Fr, Language::En]);
        let wrong = read("formats: [docx]\nlanguages: []").unwrap_err();
        assert!(wrong.contains("report.formats[]") && wrong.contains("is empty"), "{wrong}");
    }
}
