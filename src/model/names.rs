//! How AWS writes names: of regions, of buckets and of what lies in them.

use crate::yaml::{Fields, Reader};

/// A region such as `eu-west-1` or `us-gov-east-1`: letters, hyphens, a digit at the end.
pub fn is_region(text: &str) -> bool {
    text.split('-').count() >= 3
        && text.ends_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Tells when the field `region` of `path` holds no region.
pub fn check_region(region: Option<&str>, fields: &Fields<'_>, path: &str, reader: &mut Reader) {
    if let Some(region) = region.filter(|region| !is_region(region)) {
        let message = format!("`{path}.region` must look like eu-west-1, not `{region}`");
        reader.problem(fields.place_of("region"), message);
    }
}

/// The bucket of `s3://bucket/what/follows`, and what follows its slash; `None` where that is no place
/// in S3. Names of general purpose buckets are 3 to 63 lower case letters, digits, dots and hyphens (S3
/// User Guide, bucket naming rules).
pub fn bucket_and_rest(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("s3://")?;
    let (bucket, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
    ((3..=63).contains(&bucket.len()) && bucket.chars().all(is_name)).then_some((bucket, rest))
}

/// Whether two spellings mean the same key of a tag: case, and the signs that Athena writes as `_`, are
/// folded, because one tag is spelled in several ways by the exports of a bill.
pub fn is_same_tag_key(a: &str, b: &str) -> bool {
    fn folded(key: &str) -> impl Iterator<Item = char> + '_ {
        key.chars().map(|c| match c {
            ':' | '-' | ' ' | '.' | '/' => '_',
            _ => c.to_ascii_lowercase(),
        })
    }
    folded(a).eq(folded(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_same_in_every_spelling() {
        assert!(is_same_tag_key("Cost-Center", "cost_center"));
        assert!(is_same_tag_key("app/team", "App.Team"));
        assert!(!is_same_tag_key("team", "teams"));
    }

    #[test]
    fn regions_end_with_a_digit() {
        assert!(is_region("eu-west-1") && is_region("us-gov-east-1"));
        for wrong in ["Ireland", "eu-west", "EU-WEST-1", "eu_west_1", ""] {
            assert!(!is_region(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_place_in_s3_begins_with_a_buckets_name() {
        assert_eq!(bucket_and_rest("s3://acme.lake/a/b c"), Some(("acme.lake", "a/b c")));
        assert_eq!(bucket_and_rest("s3://acme"), Some(("acme", "")));
        for wrong in ["acme/a", "s3://Acme/a", "s3://ab", "s3:///a", "s3://acme_lake/a"] {
            assert_eq!(bucket_and_rest(wrong), None, "{wrong}");
        }
    }
}
