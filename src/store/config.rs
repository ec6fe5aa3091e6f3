//! The section `store:` of the configuration.

use std::path::PathBuf;

use crate::model::time::Span;
use crate::yaml::{Fields, Node, Read, Reader};

/// Shortest time that versions are kept: a reader that began before must be able to finish.
const SHORTEST_VERSIONS: Span = Span::days(1);

/// Shortest time that rows are kept: rules look back two weeks, some a month, and on buckets 90 days.
const SHORTEST_ROWS: Span = Span::days(95);

/// `store`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Folder of the lake and the state. `centime-data` unless set.
    pub directory: PathBuf,
    pub retention: Retention,
    pub versions: Versions,
}

/// `store.retention`: how long rows are kept, counted from their day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// 400 days unless set: a year, and a month to compare it with.
    pub usage: Span,
    /// Of `resources` and of the table of every kind. 400 days unless set.
    pub resources: Span,
    /// Counted from the bill's month. Ten years unless set, as ledgers are kept.
    pub cost: Span,
    /// Of runs, requests, delivered messages and resolved findings. 400 days unless set.
    pub state: Span,
}

/// `store.versions`: how far back `--as-of` reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// 400 days unless set: what restated a bill can be shown for 13 months.
    pub cost: Span,
    /// Of all other tables. 14 days unless set.
    pub others: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("centime-data"),
            retention: Retention {
                usage: Span::days(400),
                resources: Span::days(400),
                cost: Span::days(3_653),
                state: Span::days(400),
            },
            versions: Versions { cost: Span::days(400), others: Span::days(14) },
        }
    }
}

impl Config {
    /// How long versions of a table are kept.
    pub fn versions_of(&self, table: &str) -> Span {
        if table == "cost" { self.versions.cost } else { self.versions.others }
    }

    /// How long rows of a table are kept.
    pub fn retention_of(&self, table: &str) -> Span {
        match table {
            "cost" => self.retention.cost,
            "usage" => self.retention.usage,
            _ => self.retention.resources,
        }
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let default = Self::default();
        let mut fields = Fields::of(node, path, reader)?;
        let directory = fields.or("directory", default.directory, reader);
        let retention = fields.section("retention", reader).map(|mut fields| {
            let was = default.retention;
            let retention = Retention {
                usage: at_least(&mut fields, "usage", was.usage, SHORTEST_ROWS, reader),
                resources: at_least(&mut fields, "resources", was.resources, SHORTEST_ROWS, reader),
                cost: at_least(&mut fields, "cost", was.cost, SHORTEST_ROWS, reader),
                state: at_least(&mut fields, "state", was.state, SHORTEST_ROWS, reader),
            };
            fields.finish(reader);
            retention
        });
        let versions = fields.section("versions", reader).map(|mut fields| {
            let was = default.versions;
            let versions = Versions {
                cost: at_least(&mut fields, "cost", was.cost, SHORTEST_VERSIONS, reader),
                others: at_least(&mut fields, "others", was.others, SHORTEST_VERSIONS, reader),
            };
            fields.finish(reader);
            versions
        });
        fields.finish(reader);
        Some(Self { directory, retention: retention?, versions: versions? })
    }
}

/// A length of time that may not be shorter than `shortest`.
fn at_least(
    fields: &mut Fields<'_>,
    name: &'static str,
    default: Span,
    shortest: Span,
    reader: &mut Reader,
) -> Span {
    let span = fields.or(name, default, reader);
    if span < shortest {
        let path = fields.path().to_owned();
        reader.problem(
            fields.place_of(name),
            format!("`{path}.{name}` must be at least {shortest}, not {span}"),
        );
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn read(text: &str) -> Result<Config, yaml::Problems> {
        yaml::read("centime.yaml", text, |root, reader| Config::read(root, "store", reader))
    }

    #[test]
    fn every_setting_has_a_default() {
        assert_eq!(read("").unwrap(), Config::default());
    }

    #[test]
    fn reads_what_is_set_and_tells_what_is_too_short() {
        let config = read("directory: /srv\nversions: { others: 3d }\n").unwrap();
        assert_eq!(config.directory, PathBuf::from("/srv"));
        assert_eq!(config.versions_of("usage"), Span::days(3));
        assert_eq!(config.versions_of("cost"), Span::days(400));
        let problems = read("retention: { usage: 2d, costs: 3d }\n").unwrap_err();
        let text = problems.to_string();
        assert!(text.contains("`store.retention.usage` must be at least 95d, not 2d"), "{text}");
        assert!(text.contains("unknown setting `store.retention.costs`"), "{text}");
    }
}
