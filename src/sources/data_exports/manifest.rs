//! Deliveries of an export: which files make up a month.
//!
//! Source: AWS Data Exports user guide, "Understanding export delivery": the manifest comes after the
//! data and names the files of the newest refresh; files that it does not name are leftovers of earlier
//! ones. Its form is not published: what public readers accept is accepted here, and the month is taken
//! from the folder, never from its content.

use serde_json::Value;

use super::error::Error;
use crate::model::time::Month;

/// Names of a manifest end so.
const MANIFEST: &str = "Manifest.json";

/// The month of a partition's folder: `BILLING_PERIOD=2026-02` (in any case) of Data Exports,
/// `20260201-20260301` of a legacy report.
pub(super) fn month_of(folder: &str) -> Option<Month> {
    if let Some((key, value)) = folder.split_once('=') {
        return key.eq_ignore_ascii_case("billing_period").then(|| value.parse().ok()).flatten();
    }
    let (first, end) = folder.split_once('-')?;
    let is_date = |text: &str| text.len() == 8 && text.bytes().all(|it| it.is_ascii_digit());
    if !is_date(first) || !is_date(end) {
        return None;
    }
    format!("{}-{}", first.get(..4)?, first.get(4..6)?).parse().ok()
}

/// The month of a manifest's key below the export's folder; `None` for other files, and for the copies
/// of earlier executions, which lie deeper.
pub(super) fn manifest_month(key: &str) -> Option<Month> {
    let mut parts = key.split('/').peekable();
    parts.next_if(|part| part.eq_ignore_ascii_case("metadata"));
    let month = month_of(parts.next()?)?;
    let name = parts.next()?;
    (parts.next().is_none() && name.ends_with(MANIFEST)).then_some(month)
}

/// The month of a data file's key below the export's folder, by one of its folders.
pub(super) fn file_month(key: &str) -> Option<Month> {
    key.split('/').rev().skip(1).find_map(month_of)
}

/// Whether a key is one of rows that can be read.
pub(super) fn is_data(key: &str) -> bool {
    [".parquet", ".csv", ".csv.gz"].iter().any(|end| key.ends_with(end))
}

/// The files that a manifest names, below the export's folder: from the folder of the month on, since
/// what stands before it is the bucket's own.
pub(super) fn files(manifest: &str, text: &[u8]) -> Result<Vec<String>, Error> {
    let wrong = |reason: String| Error::Manifest { file: manifest.to_owned(), reason };
    let json: Value = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
    let list = ["dataFiles", "reportKeys"].iter().find_map(|name| json.get(name)?.as_array());
    let list =
        list.ok_or_else(|| wrong("it has neither `dataFiles` nor `reportKeys`".to_owned()))?;
    let files = list.iter().map(|entry| {
        let path = match entry {
            Value::String(path) => Some(path.as_str()),
            entry => ["s3Uri", "key"].iter().find_map(|name| entry.get(name)?.as_str()),
        };
        let path = path.ok_or_else(|| wrong(format!("{entry} names no file")))?;
        below(path).ok_or_else(|| wrong(format!("`{path}` lies in no folder of a month")))
    });
    let files: Vec<String> = files.collect::<Result<_, _>>()?;
    if files.is_empty() {
        return Err(wrong("it names no file".to_owned()));
    }
    Ok(files)
}

/// `s3://bucket/prefix/name/data/BILLING_PERIOD=2026-02/x.parquet` from `data/` on. The last folder of
/// that form counts: a prefix may look like one. A name that leads out of the folder is none.
fn below(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().rposition(|part| month_of(part).is_some())?;
    let at = if at > 0 && parts[at - 1].eq_ignore_ascii_case("data") { at - 1 } else { at };
    let rest = &parts[at..];
    (!rest.contains(&"..")).then(|| rest.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(text: &str) -> Option<Month> {
        text.parse().ok()
    }

    #[test]
    fn manifests_lie_directly_in_the_folder_of_their_month() {
        for (key, found) in [
            ("metadata/BILLING_PERIOD=2026-02/cur-Manifest.json", month("2026-02")),
            ("metadata/billing_period=2026-02/Manifest.json", month("2026-02")),
            ("20231101-20231201/cur-Manifest.json", month("2023-11")),
            ("metadata/BILLING_PERIOD=2026-02/2026-02-03T10:00:00Z-abc/cur-Manifest.json", None),
            ("20231101-20231201/20231103T081120Z/cur-Manifest.json", None),
            ("data/BILLING_PERIOD=2026-02/cur-00001.snappy.parquet", None),
            ("cur-Manifest.json", None),
        ] {
            assert_eq!(manifest_month(key), found, "{key}");
        }
    }

    #[test]
    fn files_are_named_in_every_form_that_is_known() {
        let text = br#"{"dataFiles": [
            "s3://b/p/cur/data/BILLING_PERIOD=2026-02/cur-00001.snappy.parquet",
            "p/cur/data/BILLING_PERIOD=2026-02/2026-02-03T10-x/cur-00002.csv.gz",
            {"s3Uri": "s3://b/p/cur/data/BILLING_PERIOD=2026-02/cur-00003.csv.gz"},
            {"key": "p/cur/data/BILLING_PERIOD=2026-02/cur-00004.csv.gz"}]}"#;
        assert_eq!(
            files("m", text).unwrap(),
            [
                "data/BILLING_PERIOD=2026-02/cur-00001.snappy.parquet",
                "data/BILLING_PERIOD=2026-02/2026-02-03T10-x/cur-00002.csv.gz",
                "data/BILLING_PERIOD=2026-02/cur-00003.csv.gz",
                "data/BILLING_PERIOD=2026-02/cur-00004.csv.gz",
            ]
        );
        let legacy =
            br#"{"reportKeys": ["p/cur/20231101-20231201/20231103T081120Z/cur-1.csv.gz"]}"#;
        assert_eq!(
            files("m", legacy).unwrap(),
            ["20231101-20231201/20231103T081120Z/cur-1.csv.gz"]
        );
    }

    #[test]
    fn a_manifest_that_says_nothing_is_told() {
        for (text, said) in [
            ("{", "cannot be understood"),
            ("{}", "neither `dataFiles` nor `reportKeys`"),
            (r#"{"dataFiles": []}"#, "names no file"),
            (r#"{"dataFiles": [7]}"#, "7 names no file"),
            (r#"{"dataFiles": ["s3://b/x.csv"]}"#, "no folder of a month"),
            (r#"{"dataFiles": ["p/BILLING_PERIOD=2026-02/../../x.csv"]}"#, "no folder of a month"),
        ] {
            let error = files("m", text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn data_files_are_of_the_month_of_their_folder() {
        assert_eq!(file_month("data/BILLING_PERIOD=2023-11/a.parquet"), month("2023-11"));
        assert_eq!(file_month("a.parquet"), None);
        assert!(is_data("a.csv.gz") && is_data("a.snappy.parquet") && !is_data("a.json"));
    }
}
