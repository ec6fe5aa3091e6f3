//! What a cluster's configuration (`server.properties`) says of what it keeps.

/// The settings that cost depends on. What the configuration leaves to Kafka's defaults is not known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Configuration {
    /// -1 is for ever.
    pub(super) retention_hours: Option<f64>,
    pub(super) cleanup_policy: Option<String>,
    pub(super) replication_factor: Option<i64>,
    pub(super) min_insync_replicas: Option<i64>,
}

impl Configuration {
    /// Reads `server.properties`. Of the three settings of retention, Kafka takes the finest (Apache
    /// Kafka documentation, broker configurations).
    pub(super) fn of(properties: &str) -> Self {
        let value = |name: &str| {
            let lines = properties.lines().map(str::trim).filter(|line| !line.starts_with('#'));
            let pairs = lines.filter_map(|line| line.split_once('='));
            let mut values =
                pairs.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
            values.next_back().map(str::to_owned)
        };
        let number = |name: &str| value(name)?.parse::<i64>().ok();
        let retention = [
            ("log.retention.ms", 3_600_000.0),
            ("log.retention.minutes", 60.0),
            ("log.retention.hours", 1.0),
        ];
        Self {
            retention_hours: retention.into_iter().find_map(|(name, an_hour)| {
                let kept = number(name)?;
                Some(if kept < 0 { -1.0 } else { kept as f64 / an_hour })
            }),
            cleanup_policy: value("log.cleanup.policy"),
            replication_factor: number("default.replication.factor"),
            min_insync_replicas: number("min.insync.replicas"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finest_setting_of_retention_holds() {
        let hours = |text: &str| Configuration::of(text).retention_hours;
        assert_eq!(hours("log.retention.hours = 72\n"), Some(72.0));
        assert_eq!(hours("log.retention.hours=72\nlog.retention.minutes=90"), Some(1.5));
        assert_eq!(hours("log.retention.ms=7200000\nlog.retention.hours=72"), Some(2.0));
        assert_eq!(hours("log.retention.ms=-1"), Some(-1.0));
        assert_eq!(hours("# log.retention.hours=72\nauto.create.topics.enable=true"), None);
    }

    #[test]
    fn the_last_line_of_a_setting_holds() {
        let text = "log.cleanup.policy=delete\nlog.cleanup.policy = compact\n\
                    default.replication.factor=3\nmin.insync.replicas=two";
        let configuration = Configuration::of(text);
        assert_eq!(configuration.cleanup_policy.as_deref(), Some("compact"));
        assert_eq!(configuration.replication_factor, Some(3));
        assert_eq!(configuration.min_insync_replicas, None);
    }
}
