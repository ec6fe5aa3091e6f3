//! `docs/metrics.md`, made from the catalogue so that it cannot be wrong.

use std::fmt::Write;

use super::catalogue::GROUPS;
use super::fold::{Config, OTHER};

/// The document.
pub fn document() -> String {
    let Config { label_values, resources } = Config::default();
    let mut text = format!(
        "# Metrics\n\n\
         What `GET /metrics` answers. This page is made from the code: `CENTIME_UPDATE=1 cargo test \
         document` writes it.\n\n\
         - A value that is not known has no series; a known zero is 0.\n\
         - Values change when a stage of the daemon ends, never at a scrape; a scrape asks AWS \
         nothing. Series about the process are read at the scrape.\n\
         - Money is US dollars. Cost is a gauge, because AWS restates it.\n\
         - `account` is the account's configured name, else its id. `aws_service` is one of `msk`, \
         `emr`, `lambda`, `rds`, `s3`, `ec2`, `ebs`, `transfer`, `cloudwatch`, `other`; `EC2 - Other` \
         (EBS, NAT, transfer) stands with `ec2`, because Cost Explorer does not take it apart.\n\
         - The {label_values} heaviest values of a label and the {resources} heaviest resources are \
         shown (`prometheus.label_values`, `prometheus.resources`); the other values are added up as \
         `{OTHER}`, except ratios and facts of resources, which do not add up and are left out. \
         `centime_label_values_folded` counts both.\n\
         - `centime_monthly_potential_savings_usd` is absent where it is not known what commitments (Savings \
         Plans, reservations) cover; `centime_monthly_potential_savings_list_usd` is always there.\n"
    );
    for (title, metrics) in GROUPS {
        // Writing to a `String` cannot fail.
        _ = write!(text, "\n## {title}\n\n| Name | Type | Labels | Help |\n|---|---|---|---|\n");
        for metric in *metrics {
            let labels =
                if metric.labels.is_empty() { "–".to_owned() } else { metric.labels.join(", ") };
            _ = writeln!(
                text,
                "| `{}` | {} | {labels} | {} |",
                metric.name,
                metric.kind.as_str(),
                metric.help
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_document_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        let wanted = super::document();
        if std::env::var_os("CENTIME_UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == wanted, "docs/metrics.md is old; CENTIME_UPDATE=1 writes it");
    }
}
