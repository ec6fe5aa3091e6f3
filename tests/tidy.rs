//! The project's own rules, as tests: what a reviewer would have to say twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test says what must hold; a panic there is the message"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// All files under `folder` with one of these endings, in a stable order.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    fn walk(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, endings, found);
            } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), endings, &mut found);
    found.sort();
    found
}

/// The code of a file without its tests and comments, and its path from `src/`.
fn code() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    files("src", &[".rs"])
        .into_iter()
        .filter(|path| {
            !path.ends_with("tests.rs")
                && !path.components().any(|part| part.as_os_str() == "tests")
        })
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>();
            (path.strip_prefix(&root).unwrap().display().to_string(), code.join("\n"))
        })
        .collect()
}

/// The stage of a file: its folder or file name under `src/`.
fn stage(path: &str) -> &str {
    path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// What each stage may read, besides itself.
const MAY_READ: &[(&str, &[&str])] = &[
    ("yaml", &["model"]),
    ("model", &["yaml"]),
    ("aws", &["model", "yaml"]),
    ("services", &["model", "yaml", "aws"]),
    ("sources", &["model", "yaml", "aws", "services"]),
    ("store", &["model", "yaml"]),
    ("insights", &["model", "yaml", "services"]),
    ("publishers", &["model", "yaml", "insights"]),
    (
        "config",
        &[
            "model",
            "yaml",
            "aws",
            "services",
            "sources",
            "store",
            "insights",
            "publishers",
            "daemon",
        ],
    ),
    (
        "daemon",
        &[
            "model",
            "yaml",
            "aws",
            "services",
            "sources",
            "store",
            "insights",
            "publishers",
            "config",
        ],
    ),
    ("sandbox", &["model"]),
];

#[test]
fn a_stage_reads_only_what_stands_before_it() {
    let mut wrong = Vec::new();
    for (path, code) in code() {
        let Some((stage, allowed)) = MAY_READ.iter().find(|(name, _)| *name == stage(&path)) else {
            continue;
        };
        for (at, _) in code.match_indices("crate::") {
            let other: String =
                code[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            // Macros of the crate, and grouped imports, which rustfmt keeps on one level.
            let known = MAY_READ.iter().any(|(name, _)| *name == other) || other == "cli";
            if known && other != *stage && !allowed.contains(&other.as_str()) {
                wrong.push(format!("src/{path} reads crate::{other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these go against the direction of the data:\n{}", wrong.join("\n"));
}

#[test]
fn sdk_types_stay_where_aws_is_read() {
    let wrong: Vec<_> = code()
        .into_iter()
        .filter(|(path, _)| !["aws", "services", "sources"].contains(&stage(path)))
        .filter(|(_, code)| {
            code.contains("aws_sdk_") || code.contains("aws_smithy") || code.contains("aws_config")
        })
        .map(|(path, _)| format!("src/{path}"))
        .collect();
    assert!(
        wrong.is_empty(),
        "AWS SDK types are used outside aws, services and sources: {wrong:?}"
    );
}

#[test]
fn only_the_daemon_the_sandbox_and_the_commands_read_the_clock() {
    let wrong: Vec<_> = code()
        .into_iter()
        .filter(|(path, _)| !["daemon", "sandbox", "cli"].contains(&stage(path)))
        .filter(|(_, code)| {
            ["Timestamp::now", "Zoned::now", "SystemTime::now", "Utc::now", "Local::now"]
                .iter()
                .any(|clock| code.contains(clock))
        })
        .map(|(path, _)| format!("src/{path}"))
        .collect();
    assert!(wrong.is_empty(), "these read the clock instead of taking `now`: {wrong:?}");
}

#[test]
fn money_is_never_a_float() {
    let wrong: Vec<_> = code()
        .into_iter()
        .flat_map(|(path, code)| {
            code.lines()
                .filter(|line| {
                    let line = line.to_lowercase();
                    (line.contains("usd: f64")
                        || line.contains("cost: f64")
                        || line.contains("saving: f64"))
                        && !line.contains("_usd: f64, // for prometheus")
                })
                .map(|line| format!("src/{path}: {}", line.trim()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(wrong.is_empty(), "money as a float:\n{}", wrong.join("\n"));
}

#[test]
fn there_is_no_drawer_and_nothing_left_to_do() {
    let mut wrong = Vec::new();
    for (path, code) in code() {
        if ["utils", "util", "helpers", "common", "misc"]
            .iter()
            .any(|name| path.split('/').any(|part| part.trim_end_matches(".rs") == *name))
        {
            wrong.push(format!("src/{path}: a drawer; a helper lives beside its subject"));
        }
        for word in ["todo!(", "unimplemented!(", "FIXME", "XXX"] {
            if code.contains(word) {
                wrong.push(format!("src/{path}: {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_a_giant() {
    /// Lines of code and tests after which a file certainly holds parts that can be understood alone.
    const MOST: usize = 1_100;
    let giants: Vec<_> = files("src", &[".rs"])
        .into_iter()
        .map(|path| (fs::read_to_string(&path).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > MOST)
        .collect();
    assert!(giants.is_empty(), "split these by subject: {giants:?}");
}

#[test]
fn every_rule_is_named_for_its_folder_and_file() {
    let mut ids = BTreeSet::new();
    for path in files("rules", &[".yaml"]) {
        let folder = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        if folder == "prices" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let id = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap_or_default().trim();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        // EMR Serverless stands with EMR, and is `emrs` in ids; Aurora with RDS, and is `aur`.
        let expected = match name.split_once('-') {
            Some(("serverless", rest)) if folder == "emr" => format!("emrs-{rest}"),
            Some(("aurora", rest)) if folder == "rds" => format!("aur-{rest}"),
            _ => format!("{folder}-{name}"),
        };
        assert_eq!(id, expected, "{}", path.display());
        assert!(ids.insert(id.to_owned()), "{id} stands twice");
    }
    assert!(!ids.is_empty());
}

#[test]
fn the_documents_speak_of_the_project_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = files("docs", &[".md"]);
    paths.extend(["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| root.join(name)));
    for path in paths {
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Links inside the project lead somewhere.
        for (at, _) in text.match_indices("](") {
            let target: String = text[at + 2..].chars().take_while(|c| *c != ')').collect();
            if target.contains("://") || target.starts_with('#') || target.starts_with("mailto:") {
                continue;
            }
            let file = target.split('#').next().unwrap_or_default();
            let there = path.parent().unwrap().join(file);
            assert!(there.exists(), "{} links to {target}, which is not there", path.display());
        }
    }
}
