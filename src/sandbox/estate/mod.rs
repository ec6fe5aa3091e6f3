//! What the simulated platform is: pure, and a function of its [`Options`].
//!
//! A bank's data platform in three environments: every unit of scale brings the same cast of
//! clusters, functions, databases and buckets, most of them healthy, some planted for a rule, some
//! placed just outside one. Load and bill are computed when asked for, from hashes of the seed: any
//! hour of any series costs the same, and nothing has to be generated beforehand.

mod bill;
mod build;
mod dice;
mod load;
mod metrics;
mod others;
mod overspend;
pub(crate) mod prices;
mod signal;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

pub mod model;

pub use bill::ResourceLine;
pub use metrics::MetricQuery;
pub use model::*;
pub use overspend::Overspend;

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;

use self::bill::Ledger;
use self::build::Build;
use self::load::{BucketLoad, FunctionLoad, Load};
use self::others::Others;
use crate::model::Usd;
use crate::model::time::Month;

/// The simulated platform. Lists are sorted by account, region and name (EMR clusters: newest
/// first); beside each stands the load of its resources, in the same order.
#[derive(Debug)]
pub struct Estate {
    options: Options,
    msk: Vec<MskCluster>,
    msk_loads: Vec<Load>,
    emr: Vec<EmrCluster>,
    emr_loads: Vec<Load>,
    emr_serverless: Vec<EmrServerlessApplication>,
    emr_serverless_loads: Vec<Load>,
    /// Places of clusters and applications by id.
    emr_ids: HashMap<String, usize>,
    functions: Vec<LambdaFunction>,
    function_loads: Vec<FunctionLoad>,
    log_groups: Vec<LogGroup>,
    rds_instances: Vec<RdsInstance>,
    rds_instance_loads: Vec<Load>,
    rds_clusters: Vec<RdsCluster>,
    rds_cluster_loads: Vec<Load>,
    rds_snapshots: Vec<RdsSnapshot>,
    rds_backups: Vec<RdsBackup>,
    rds_reservations: Vec<RdsReservation>,
    buckets: Vec<S3Bucket>,
    bucket_loads: Vec<BucketLoad>,
    /// By account and region.
    scaling_targets: Vec<ScalingTarget>,
    others: Others,
    ledger: Ledger,
    overspends: Vec<Overspend>,
    planted: Vec<Planted>,
    near_misses: Vec<Planted>,
    unknowns: Vec<Planted>,
}

impl Estate {
    pub fn new(options: Options) -> Self {
        let mut build = Build::new(options);
        build.everything();
        let (msk, msk_loads) = sorted(build.msk, |cluster| &cluster.meta);
        let (mut emr, mut emr_loads) = (build.emr, Vec::new());
        emr.sort_by(|(one, _), (other, _)| {
            let key = |cluster: &EmrCluster| (cluster.meta.account, cluster.meta.region);
            let newest = other.meta.created.cmp(&one.meta.created);
            key(one).cmp(&key(other)).then(newest).then_with(|| one.id.cmp(&other.id))
        });
        let emr: Vec<EmrCluster> = emr
            .into_iter()
            .map(|(cluster, load)| {
                emr_loads.push(load);
                cluster
            })
            .collect();
        let (emr_serverless, emr_serverless_loads) =
            sorted(build.emr_serverless, |application| &application.meta);
        let clusters = emr.iter().enumerate().map(|(at, cluster)| (cluster.id.clone(), at));
        let applications = emr_serverless.iter().enumerate().map(|(at, app)| (app.id.clone(), at));
        let emr_ids = clusters.chain(applications).collect();
        let (functions, function_loads) = sorted(build.functions, |function| &function.meta);
        let (rds_instances, rds_instance_loads) =
            sorted(build.rds_instances, |instance| &instance.meta);
        let (rds_clusters, rds_cluster_loads) = sorted(build.rds_clusters, |cluster| &cluster.meta);
        let (buckets, bucket_loads) = sorted(build.buckets, |bucket| &bucket.meta);
        build.log_groups.sort_by(|one, other| {
            let key = |group: &LogGroup| (group.account, group.region);
            key(one).cmp(&key(other)).then_with(|| one.name.cmp(&other.name))
        });
        build.rds_backups.sort_by(|one, other| by_name(&one.meta, &other.meta));
        build.rds_snapshots.sort_by(|one, other| by_name(&one.meta, &other.meta));
        build.rds_reservations.sort_by(|one, other| by_name(&one.meta, &other.meta));
        build.scaling_targets.sort_by(|one, other| {
            let key = |target: &ScalingTarget| (target.account, target.region);
            key(one).cmp(&key(other)).then_with(|| one.resource_id.cmp(&other.resource_id))
        });
        for list in [&mut build.planted, &mut build.near_misses, &mut build.unknowns] {
            list.sort();
        }
        let overspends = overspend::cast(options.now);
        let ledger = Ledger::new(
            build.dice.of("bill"),
            build.accruals,
            build.reservation_fees,
            overspends.iter().map(Overspend::planted).collect(),
            options.now,
            options.days,
        );
        Self {
            options,
            msk,
            msk_loads,
            emr,
            emr_loads,
            emr_serverless,
            emr_serverless_loads,
            emr_ids,
            functions,
            function_loads,
            log_groups: build.log_groups,
            rds_instances,
            rds_instance_loads,
            rds_clusters,
            rds_cluster_loads,
            rds_snapshots: build.rds_snapshots,
            rds_backups: build.rds_backups,
            rds_reservations: build.rds_reservations,
            buckets,
            bucket_loads,
            scaling_targets: build.scaling_targets,
            others: Others::new(build.others),
            ledger,
            overspends,
            planted: build.planted,
            near_misses: build.near_misses,
            unknowns: build.unknowns,
        }
    }

    pub fn options(&self) -> Options {
        self.options
    }

    /// MSK clusters of an account and region, by name.
    pub fn msk_clusters(&self, account: &str, region: &str) -> &[MskCluster] {
        slice(&self.msk, |cluster| &cluster.meta, account, region)
    }

    /// EMR clusters of an account and region, ended ones included, newest first.
    pub fn emr_clusters(&self, account: &str, region: &str) -> &[EmrCluster] {
        slice(&self.emr, |cluster| &cluster.meta, account, region)
    }

    /// EMR Serverless applications of an account and region, by name.
    pub fn emr_serverless_applications(
        &self,
        account: &str,
        region: &str,
    ) -> &[EmrServerlessApplication] {
        slice(&self.emr_serverless, |application| &application.meta, account, region)
    }

    /// Functions of an account and region, by name.
    pub fn lambda_functions(&self, account: &str, region: &str) -> &[LambdaFunction] {
        slice(&self.functions, |function| &function.meta, account, region)
    }

    /// The function of that name, found without a scan.
    pub fn lambda_function(
        &self,
        account: &str,
        region: &str,
        name: &str,
    ) -> Option<&LambdaFunction> {
        let functions = self.lambda_functions(account, region);
        let at = functions.binary_search_by(|function| function.meta.name.as_str().cmp(name));
        at.ok().and_then(|at| functions.get(at))
    }

    /// The bill of a day by resource, as an export of the bill tells it at `as_of`: its lines add up to
    /// [`charges`](Self::charges).
    pub fn charges_by_resource(&self, day: Date, as_of: Timestamp) -> Vec<ResourceLine> {
        self.ledger.charges_by_resource(day, as_of)
    }

    /// Log groups of an account and region, by name.
    pub fn log_groups(&self, account: &str, region: &str) -> &[LogGroup] {
        let key = (account, region);
        let from = self.log_groups.partition_point(|group| (group.account, group.region) < key);
        let to = self.log_groups.partition_point(|group| (group.account, group.region) <= key);
        &self.log_groups[from..to]
    }

    /// Instances of an account and region, Aurora members included, by name.
    pub fn rds_instances(&self, account: &str, region: &str) -> &[RdsInstance] {
        slice(&self.rds_instances, |instance| &instance.meta, account, region)
    }

    /// Aurora and Multi-AZ DB clusters of an account and region, by name.
    pub fn rds_clusters(&self, account: &str, region: &str) -> &[RdsCluster] {
        slice(&self.rds_clusters, |cluster| &cluster.meta, account, region)
    }

    /// Snapshots of instances and clusters of an account and region, by name.
    pub fn rds_snapshots(&self, account: &str, region: &str) -> &[RdsSnapshot] {
        slice(&self.rds_snapshots, |snapshot| &snapshot.meta, account, region)
    }

    /// Automated backups of an account and region, those of deleted databases too, by name.
    pub fn rds_backups(&self, account: &str, region: &str) -> &[RdsBackup] {
        slice(&self.rds_backups, |backup| &backup.meta, account, region)
    }

    /// Reserved instances of an account and region, by name.
    pub fn rds_reservations(&self, account: &str, region: &str) -> &[RdsReservation] {
        slice(&self.rds_reservations, |reservation| &reservation.meta, account, region)
    }

    /// What Application Auto Scaling may change in an account and region, by resource.
    pub fn scaling_targets(
        &self,
        account: &str,
        region: &str,
    ) -> impl Iterator<Item = &ScalingTarget> {
        let targets = self.scaling_targets.iter();
        targets.filter(move |target| (target.account, target.region) == (account, region))
    }

    /// Buckets of an account, of all regions, by region and name.
    pub fn s3_buckets(&self, account: &str) -> &[S3Bucket] {
        let from = self.buckets.partition_point(|bucket| bucket.meta.account < account);
        let to = self.buckets.partition_point(|bucket| bucket.meta.account <= account);
        &self.buckets[from..to]
    }

    /// The bill of a UTC day as Cost Explorer shows it at `as_of`; without lines before the history
    /// begins and in the future. It changes at whole hours only. Lines are unique by everything
    /// but their amounts.
    pub fn charges(&self, day: Date, as_of: Timestamp) -> BillDay {
        self.ledger.charges(day, as_of)
    }

    /// What the payer's Compute Savings Plan commits to for an hour.
    pub fn hourly_commitment(&self) -> Usd {
        Usd((self.ledger.commitment() / Decimal::from(24)).round_dp(5))
    }

    /// First day of the bill.
    pub fn first_day(&self) -> Date {
        self.ledger.first_day()
    }

    /// The unblended cost of a month as Cost Explorer shows it at `as_of`: of one account, one
    /// service, or all.
    pub fn total(
        &self,
        month: Month,
        account: Option<&str>,
        service: Option<&str>,
        as_of: Timestamp,
    ) -> Usd {
        month
            .days()
            .flat_map(|day| self.charges(day, as_of).lines)
            .filter(|line| account.is_none_or(|account| line.account == account))
            .filter(|line| service.is_none_or(|service| line.service == service))
            .map(|line| line.unblended)
            .sum()
    }

    /// Exactly the (rule, resource) for which the shipped rules are true, sorted.
    pub fn planted(&self) -> &[Planted] {
        &self.planted
    }

    /// What was planted into the bill, for budgets to tell, in the order of its beginning.
    pub fn overspends(&self) -> &[Overspend] {
        &self.overspends
    }

    /// Resources placed just outside a rule's condition, or in one of its exclusions, sorted.
    pub fn near_misses(&self) -> &[Planted] {
        &self.near_misses
    }

    /// Exactly the (rule, resource) that cannot be decided since data is missing, sorted.
    pub fn expected_unknowns(&self) -> &[Planted] {
        &self.unknowns
    }
}

fn by_name(one: &Meta, other: &Meta) -> std::cmp::Ordering {
    let key = |meta: &Meta| (meta.account, meta.region);
    key(one).cmp(&key(other)).then_with(|| one.name.cmp(&other.name))
}

/// Resources by account, region and name, and their loads in the same order.
fn sorted<T, L>(mut items: Vec<(T, L)>, meta: impl Fn(&T) -> &Meta) -> (Vec<T>, Vec<L>) {
    items.sort_by(|(one, _), (other, _)| by_name(meta(one), meta(other)));
    items.into_iter().unzip()
}

/// The part of a list, sorted by account and region, that belongs to one of each.
fn slice<'a, T>(
    items: &'a [T],
    meta: impl Fn(&T) -> &Meta,
    account: &str,
    region: &str,
) -> &'a [T] {
    let key = (account, region);
    let from = items.partition_point(|item| (meta(item).account, meta(item).region) < key);
    let to = items.partition_point(|item| (meta(item).account, meta(item).region) <= key);
    &items[from..to]
}
