//! CloudWatch's side of the platform: which series there are, and what they answer.

use jiff::Timestamp;

use super::Estate;
use super::load::{FunctionLoad, Level, Load, Series};
use super::model::{LambdaFunction, Meta, MetricName, Statistic};
use super::signal::{DAY, HOUR, Samples};

/// What is asked of CloudWatch: one statistic of one metric.
#[derive(Debug, Clone, Copy)]
pub struct MetricQuery<'a> {
    pub account: &'a str,
    pub region: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    /// Exactly the dimensions of the series, in any order.
    pub dimensions: &'a [(&'a str, &'a str)],
    pub statistic: Statistic,
    /// A multiple of 60, one day at most.
    pub period_seconds: i64,
    /// Included; rounded down to the period.
    pub start: Timestamp,
    /// Excluded.
    pub end: Timestamp,
}

/// Seconds from a measurement to its being readable.
fn delay(namespace: &str) -> i64 {
    match namespace {
        "AWS/ElasticMapReduce" => 300,
        "AWS/Lambda" => 180,
        _ => 120,
    }
}

/// How a series is found and computed.
enum Target<'e> {
    Regular { load: &'e Load, series: &'e Series, part: u64 },
    Function { load: &'e FunctionLoad, alias: Option<usize> },
    Bucket { load: &'e super::load::BucketLoad, class: &'e str },
}

impl Estate {
    /// A series of CloudWatch as it could be read at `as_of`: periods without data are left out,
    /// oldest first. `None` when there is no such metric; CloudWatch answers both with an empty
    /// series.
    pub fn metric(
        &self,
        query: &MetricQuery<'_>,
        as_of: Timestamp,
    ) -> Option<Vec<(Timestamp, f64)>> {
        let target = self.target(query)?;
        let period = query.period_seconds.clamp(60, DAY) / 60 * 60;
        let now = as_of.as_second() - delay(query.namespace);
        let end = query.end.as_second();
        let mut points = Vec::new();
        let mut at = query.start.as_second().div_euclid(period) * period;
        if let Target::Bucket { load, class } = target {
            return bucket(load, class, query, as_of);
        }
        let (since, until) = match &target {
            Target::Regular { load, .. } => {
                (load.since, load.until.map_or(now, |until| until.min(now)))
            }
            Target::Function { load, .. } => (load.since, now),
            Target::Bucket { .. } => (0, 0),
        };
        // What lies before its first measurement is skipped at once.
        at = at.max(since.div_euclid(period) * period);
        while at < end && at < until {
            let (from, to) = (at.max(since), (at + period).min(until));
            let value = match &target {
                Target::Regular { series, part, .. } => match query.statistic {
                    Statistic::Percentile(percent) => {
                        series.source.percentile(*part, series.step, from, to, percent)
                    }
                    statistic => {
                        series.source.collect(*part, series.step, from, to).statistic(statistic)
                    }
                },
                Target::Function { load, alias } => {
                    function(load, *alias, query.name, query.statistic, from, to)
                }
                Target::Bucket { .. } => None,
            };
            if let (Some(value), Ok(time)) = (value, Timestamp::from_second(at)) {
                points.push((time, value));
            }
            at += period;
        }
        Some(points)
    }

    fn target(&self, query: &MetricQuery<'_>) -> Option<Target<'_>> {
        let dimension = |name: &str| {
            query.dimensions.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
        };
        let count = query.dimensions.len();
        let regular = |load, level, part| regular(load, query.name, level, part);
        let (account, region) = (query.account, query.region);
        if let Some(other) = self.others.find(account, region, query.namespace, query.dimensions)
            && let Some(target) = regular(&other.load, Level::Whole, 0)
        {
            return Some(target);
        }
        match query.namespace {
            "AWS/Kafka" => {
                let cluster = dimension("Cluster Name")?;
                let at = find(&self.msk, |cluster| &cluster.meta, query, cluster)?;
                let (cluster, load) = (self.msk.get(at)?, self.msk_loads.get(at)?);
                match (count, dimension("Broker ID"), dimension("Topic")) {
                    (1, ..) => regular(load, Level::Whole, 0),
                    (2, Some(broker), _) => {
                        let id: u32 = broker.parse().ok()?;
                        let nodes = &cluster.provisioned()?.nodes;
                        nodes.iter().find(|node| node.broker_id == id)?;
                        regular(load, Level::Broker, u64::from(id))
                    }
                    (2, None, Some(topic)) => {
                        let n = cluster.topics.iter().position(|known| known.name == topic)?;
                        regular(load, Level::Topic, n as u64 + 1)
                    }
                    _ => None,
                }
            }
            "AWS/ElasticMapReduce" => {
                let id = dimension("JobFlowId").filter(|_| count == 1)?;
                let at = *self.emr_ids.get(id)?;
                here(&self.emr.get(at)?.meta, query)?;
                regular(self.emr_loads.get(at)?, Level::Whole, 0)
            }
            "AWS/EMRServerless" => {
                let at = *self.emr_ids.get(dimension("ApplicationId")?)?;
                let application = self.emr_serverless.get(at)?;
                here(&application.meta, query)?;
                // From 7.10 on the name is part of the series, before it is not.
                let name = dimension("ApplicationName");
                let wanted =
                    has_name(application.release).then_some(application.meta.name.as_str());
                if name != wanted || count != 1 + usize::from(name.is_some()) {
                    return None;
                }
                regular(self.emr_serverless_loads.get(at)?, Level::Whole, 0)
            }
            "AWS/Lambda" => {
                let name = dimension("FunctionName")?;
                let at = find(&self.functions, |function| &function.meta, query, name)?;
                let (function, load) = (self.functions.get(at)?, self.function_loads.get(at)?);
                let alias = match dimension("Resource") {
                    None if count == 1 => None,
                    Some(resource) if count == 2 => Some(alias(function, resource)?),
                    _ => return None,
                };
                measured(query.name, alias).then_some(Target::Function { load, alias })
            }
            "AWS/RDS" => match (count, dimension("DBInstanceIdentifier")) {
                (1, Some(name)) => {
                    let at = find(&self.rds_instances, |instance| &instance.meta, query, name)?;
                    regular(self.rds_instance_loads.get(at)?, Level::Whole, 0)
                }
                (1, None) => {
                    let name = dimension("DBClusterIdentifier")?;
                    let at = find(&self.rds_clusters, |cluster| &cluster.meta, query, name)?;
                    regular(self.rds_cluster_loads.get(at)?, Level::Whole, 0)
                }
                _ => None,
            },
            "AWS/S3" => {
                let (name, class) = (dimension("BucketName")?, dimension("StorageType")?);
                let at = find(&self.buckets, |bucket| &bucket.meta, query, name)?;
                let load = self.bucket_loads.get(at).filter(|load| !load.silent && count == 2)?;
                match query.name {
                    "NumberOfObjects" if class == "AllStorageTypes" => {
                        Some(Target::Bucket { load, class: "AllStorageTypes" })
                    }
                    "BucketSizeBytes" => {
                        let (class, _) = load.classes.iter().find(|(known, _)| *known == class)?;
                        Some(Target::Bucket { load, class })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Metrics that had data in the two weeks before `as_of`, in a stable order. A dimension filter
    /// without a value asks for its presence.
    pub fn list_metrics(
        &self,
        account: &str,
        region: &str,
        namespace: Option<&str>,
        name: Option<&str>,
        dimensions: &[(&str, Option<&str>)],
        as_of: Timestamp,
    ) -> Vec<MetricName> {
        let mut metrics = Vec::new();
        self.all_metrics(account, region, as_of, &mut |metric: MetricName| {
            let wanted = namespace.is_none_or(|wanted| metric.namespace == wanted)
                && name.is_none_or(|wanted| metric.name == wanted)
                && dimensions.iter().all(|(key, value)| {
                    metric.dimensions.iter().any(|(has_key, has_value)| {
                        has_key == key && value.is_none_or(|value| has_value == value)
                    })
                });
            if wanted {
                metrics.push(metric);
            }
        });
        metrics.sort();
        metrics
    }

    fn all_metrics(
        &self,
        account: &str,
        region: &str,
        as_of: Timestamp,
        each: &mut dyn FnMut(MetricName),
    ) {
        let here = |meta: &Meta| meta.account == account && meta.region == region;
        let now = as_of.as_second();
        let recent = |load: &Load| {
            load.since < now - delay("") && load.until.is_none_or(|until| until > now - 14 * DAY)
        };
        for (cluster, load) in self.msk.iter().zip(&self.msk_loads) {
            if !here(&cluster.meta) || !recent(load) {
                continue;
            }
            let whole = vec![("Cluster Name".to_owned(), cluster.meta.name.clone())];
            for series in &load.series {
                let with = |key: &str, value: String| {
                    let mut dimensions = whole.clone();
                    dimensions.push((key.to_owned(), value));
                    MetricName { namespace: "AWS/Kafka", name: series.name, dimensions }
                };
                match series.level {
                    Level::Whole => each(MetricName {
                        namespace: "AWS/Kafka",
                        name: series.name,
                        dimensions: whole.clone(),
                    }),
                    Level::Broker => {
                        for node in cluster.provisioned().into_iter().flat_map(|p| &p.nodes) {
                            each(with("Broker ID", node.broker_id.to_string()));
                        }
                    }
                    Level::Topic => {
                        for topic in &cluster.topics {
                            each(with("Topic", topic.name.clone()));
                        }
                    }
                }
            }
        }
        let mut regular = |namespace, load: &Load, dimensions: Vec<(&str, &str)>| {
            if recent(load) {
                for series in &load.series {
                    each(metric_name(namespace, series.name, &dimensions));
                }
            }
        };
        for (cluster, load) in self.emr.iter().zip(&self.emr_loads) {
            if here(&cluster.meta) {
                regular("AWS/ElasticMapReduce", load, vec![("JobFlowId", &cluster.id)]);
            }
        }
        for (application, load) in self.emr_serverless.iter().zip(&self.emr_serverless_loads) {
            if here(&application.meta) {
                let mut dimensions = vec![("ApplicationId", application.id.as_str())];
                if has_name(application.release) {
                    dimensions.push(("ApplicationName", &application.meta.name));
                }
                regular("AWS/EMRServerless", load, dimensions);
            }
        }
        for (instance, load) in self.rds_instances.iter().zip(&self.rds_instance_loads) {
            if here(&instance.meta) {
                regular("AWS/RDS", load, vec![("DBInstanceIdentifier", &instance.meta.name)]);
            }
        }
        for (cluster, load) in self.rds_clusters.iter().zip(&self.rds_cluster_loads) {
            if here(&cluster.meta) {
                regular("AWS/RDS", load, vec![("DBClusterIdentifier", &cluster.meta.name)]);
            }
        }
        for other in self.others.iter() {
            if (other.account, other.region) == (account, region) {
                let dimensions: Vec<_> =
                    other.dimensions.iter().map(|(name, value)| (*name, value.as_str())).collect();
                regular(other.namespace, &other.load, dimensions);
            }
        }
        for (function, load) in self.functions.iter().zip(&self.function_loads) {
            let name = function.meta.name.as_str();
            if !here(&function.meta) || load.invocations_between(now - 14 * DAY, now) == 0 {
                continue;
            }
            for metric in FUNCTION_METRICS {
                each(metric_name("AWS/Lambda", metric, &[("FunctionName", name)]));
            }
            for (config, alias) in function.provisioned.iter().zip(&load.aliases) {
                let resource = format!("{name}:{}", config.alias);
                let published = |metric: &&&str| {
                    alias.share > 0.0 && (alias.spilled > 0.0 || **metric != SPILLOVER)
                };
                for metric in ALIAS_METRICS.iter().filter(published) {
                    let dimensions = [("FunctionName", name), ("Resource", resource.as_str())];
                    each(metric_name("AWS/Lambda", metric, &dimensions));
                }
            }
        }
        for (bucket, load) in self.buckets.iter().zip(&self.bucket_loads) {
            let published = load.published(load.since.div_euclid(DAY) * DAY + DAY) <= now;
            if !here(&bucket.meta) || load.silent || !published {
                continue;
            }
            let name = bucket.meta.name.as_str();
            for (class, _) in &load.classes {
                let dimensions = [("BucketName", name), ("StorageType", class)];
                each(metric_name("AWS/S3", "BucketSizeBytes", &dimensions));
            }
            let dimensions = [("BucketName", name), ("StorageType", "AllStorageTypes")];
            each(metric_name("AWS/S3", "NumberOfObjects", &dimensions));
        }
    }
}

/// Dead letters and failed deliveries are published only where they happen; here they do not.
const FUNCTION_METRICS: &[&str] =
    &["ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles"];
const SPILLOVER: &str = "ProvisionedConcurrencySpilloverInvocations";
const ALIAS_METRICS: &[&str] = &[
    "ProvisionedConcurrencyInvocations",
    SPILLOVER,
    "ProvisionedConcurrencyUtilization",
    "ProvisionedConcurrentExecutions",
];

fn metric_name(
    namespace: &'static str,
    name: &'static str,
    dimensions: &[(&str, &str)],
) -> MetricName {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    MetricName { namespace, name, dimensions: dimensions.iter().map(owned).collect() }
}

fn regular<'e>(load: &'e Load, name: &str, level: Level, part: u64) -> Option<Target<'e>> {
    load.find(name, level).map(|series| Target::Regular { load, series, part })
}

/// The resource of that name in the query's account and region; lists are sorted by those three.
fn find<T>(
    items: &[T],
    meta: impl Fn(&T) -> &Meta,
    query: &MetricQuery<'_>,
    name: &str,
) -> Option<usize> {
    let key = (query.account, query.region, name);
    items
        .binary_search_by(|item| {
            let meta = meta(item);
            (meta.account, meta.region, meta.name.as_str()).cmp(&key)
        })
        .ok()
}

fn here(meta: &Meta, query: &MetricQuery<'_>) -> Option<()> {
    (meta.account == query.account && meta.region == query.region).then_some(())
}

/// Whether an EMR Serverless release puts the application's name into its dimensions.
fn has_name(release: &str) -> bool {
    let mut numbers = release.trim_start_matches("emr-").split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (7, 10),
        _ => false,
    }
}

/// Which of its provisioned concurrency configurations a dimension `name:alias` means.
fn alias(function: &LambdaFunction, resource: &str) -> Option<usize> {
    let (name, alias) = resource.split_once(':')?;
    let known = function.provisioned.iter().position(|config| config.alias == alias);
    known.filter(|_| name == function.meta.name)
}

fn measured(name: &str, alias: Option<usize>) -> bool {
    FUNCTION_METRICS.contains(&name) || (alias.is_some() && ALIAS_METRICS.contains(&name))
}

/// A statistic of a function in `from..to`; none when it did not run.
fn function(
    load: &FunctionLoad,
    alias: Option<usize>,
    name: &str,
    statistic: Statistic,
    from: i64,
    to: i64,
) -> Option<f64> {
    let alias = match alias {
        Some(at) => Some(load.aliases.get(at)?),
        None => None,
    };
    let mut samples = Samples::NONE;
    let mut at = from;
    while at < to {
        let hour = at.div_euclid(HOUR);
        let end = ((hour + 1) * HOUR).min(to);
        let runs = match alias {
            Some(alias) if name == SPILLOVER => load.share_between(at, end, alias.spilled),
            Some(alias) => load.share_between(at, end, alias.share),
            None => load.invocations_between(at, end),
        };
        if runs > 0 {
            match (name, alias) {
                ("Invocations" | "ProvisionedConcurrencyInvocations" | SPILLOVER, _) => {
                    samples.add_many(runs, 1.0, 1.0, 1.0);
                }
                ("Errors", _) => {
                    let failed = load.share_between(at, end, load.errors).min(runs);
                    let min = f64::from(u8::from(failed == runs));
                    let max = f64::from(u8::from(failed > 0));
                    samples.add_many(runs, failed as f64 / runs as f64, min, max);
                }
                ("Duration", _) => {
                    let (mean, min, max) = load.durations(hour, runs);
                    samples.add_many(runs, mean, min, max);
                }
                ("ConcurrentExecutions", _) => {
                    let in_hour = load.invocations(hour) as f64;
                    let concurrent = (in_hour * load.mean_ms / 3.6e6).ceil().max(1.0);
                    samples.add_many(runs, concurrent, 1.0, concurrent);
                }
                ("ProvisionedConcurrencyUtilization", Some(alias)) => {
                    alias.utilization.collect(60, at, end, &mut samples);
                }
                ("ProvisionedConcurrentExecutions", Some(alias)) => {
                    let mut used = Samples::NONE;
                    alias.utilization.collect(60, at, end, &mut used);
                    let used = used.affine(0.0, f64::from(alias.allocated));
                    samples.add_many(
                        used.count as i64,
                        used.sum / used.count.max(1.0),
                        used.min.floor(),
                        used.max.ceil(),
                    );
                }
                // Throttles: there are none.
                _ => samples.add_many(runs, 0.0, 0.0, 0.0),
            }
        }
        at = end;
    }
    match statistic {
        // Percentiles of durations lie between mean and maximum.
        Statistic::Percentile(percent) => {
            let mean = samples.statistic(Statistic::Average)?;
            let max = samples.statistic(Statistic::Maximum)?;
            Some(mean + (max - mean) * ((percent - 50.0) / 50.0).clamp(0.0, 1.0))
        }
        statistic => samples.statistic(statistic),
    }
}

/// The daily points of a bucket that were published until `as_of`.
fn bucket(
    load: &super::load::BucketLoad,
    class: &str,
    query: &MetricQuery<'_>,
    as_of: Timestamp,
) -> Option<Vec<(Timestamp, f64)>> {
    let now = as_of.as_second();
    let size = match class {
        "AllStorageTypes" => load.objects,
        class => load.classes.iter().find(|(known, _)| *known == class).map(|(_, size)| *size)?,
    };
    let mut points = Vec::new();
    // The first whole day of its life is the first that is measured.
    let first = query.start.as_second().max(load.since + DAY - 1);
    let mut day = first.div_euclid(DAY) * DAY;
    if day < query.start.as_second().div_euclid(query.period_seconds.max(60)) * query.period_seconds
    {
        day += DAY;
    }
    while day < query.end.as_second() {
        if load.published(day) <= now {
            let value = (size * load.share(day)).round();
            let value = if query.statistic == Statistic::SampleCount { 1.0 } else { value };
            if let Ok(time) = Timestamp::from_second(day) {
                points.push((time, value));
            }
        }
        day += DAY;
    }
    Some(points)
}
