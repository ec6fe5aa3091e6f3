//! Instance groups and instance fleets as one thing: nodes of one role, what they are and hold.
//!
//! A group counts its nodes itself. A fleet tells units of capacity, so its nodes are counted from
//! the cluster's list of instances, and are unknown without it.

use std::collections::BTreeMap;

use aws_sdk_emr::types::{
    AutoScalingPolicyState, EbsBlockDevice, Instance, InstanceFleet, InstanceFleetState,
    InstanceFleetType, InstanceGroup, InstanceGroupState, InstanceGroupType, MarketType,
};
use jiff::Timestamp;

use crate::services::listing::{instant, only, text};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Master,
    Core,
    Task,
}

impl Role {
    /// EMR's API's word; its console says "primary".
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Core => "CORE",
            Self::Task => "TASK",
        }
    }
}

/// A group or fleet.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) collection: &'static str,
    /// `None` for a fleet with both, or with none.
    pub(super) market: Option<String>,
    pub(super) requested: Option<i64>,
    pub(super) state: Option<String>,
    pub(super) created_at: Option<Timestamp>,
    /// It has an automatic scaling policy of its own.
    pub(super) autoscaling: bool,
    gone: bool,
    /// Nodes running, by instance type and market; `None` when they are not known.
    nodes: Option<BTreeMap<(String, bool), i64>>,
    /// Volumes of a node of each instance type that it may start.
    volumes: BTreeMap<String, Volumes>,
}

/// The EBS volumes of one node, its root volume left out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Volumes {
    gib: i64,
    largest_gib: i64,
    types: Vec<String>,
}

impl Volumes {
    fn of(devices: &[EbsBlockDevice]) -> Self {
        let specifications = || devices.iter().filter_map(|device| device.volume_specification());
        Self {
            gib: specifications().filter_map(|volume| volume.size_in_gb()).map(i64::from).sum(),
            largest_gib: specifications()
                .filter_map(|volume| volume.size_in_gb())
                .map(i64::from)
                .max()
                .unwrap_or(0),
            types: specifications().filter_map(|volume| text(volume.volume_type()?)).collect(),
        }
    }
}

impl Group {
    pub(super) fn of_group(group: &InstanceGroup) -> Self {
        let id = group.id().unwrap_or_default().to_owned();
        let instance_type = group.instance_type().unwrap_or_default().to_owned();
        let spot = group.market() == Some(&MarketType::Spot);
        let policy = group.auto_scaling_policy();
        let policy_state =
            policy.and_then(|policy| policy.status()).and_then(|status| status.state());
        Self {
            name: group.name().and_then(text).unwrap_or_else(|| id.clone()),
            role: match group.instance_group_type() {
                Some(InstanceGroupType::Master) => Role::Master,
                Some(InstanceGroupType::Core) => Role::Core,
                _ => Role::Task,
            },
            collection: "INSTANCE_GROUP",
            market: group.market().map(|market| market.as_str().to_owned()),
            requested: group.requested_instance_count().map(i64::from),
            state: group.status().and_then(|status| Some(status.state()?.as_str().to_owned())),
            created_at: group
                .status()
                .and_then(|status| instant(status.timeline()?.creation_date_time()?)),
            autoscaling: policy.is_some()
                && !matches!(
                    policy_state,
                    Some(
                        AutoScalingPolicyState::Detached
                            | AutoScalingPolicyState::Detaching
                            | AutoScalingPolicyState::Failed
                    )
                ),
            gone: matches!(
                group.status().and_then(|status| status.state()),
                Some(InstanceGroupState::Terminated | InstanceGroupState::Ended)
            ),
            nodes: group.running_instance_count().map(|running| {
                [((instance_type.clone(), spot), i64::from(running))].into_iter().collect()
            }),
            volumes: [(instance_type, Volumes::of(group.ebs_block_devices()))].into(),
            id,
        }
    }

    /// A fleet; `instances` are the cluster's running ones, of all fleets.
    pub(super) fn of_fleet(fleet: &InstanceFleet, instances: Option<&[Instance]>) -> Self {
        let id = fleet.id().unwrap_or_default().to_owned();
        let nodes = instances.map(|instances| {
            let mut nodes = BTreeMap::new();
            for instance in instances {
                if instance.instance_fleet_id() == Some(&id) {
                    let instance_type = instance.instance_type().unwrap_or_default().to_owned();
                    let spot = instance.market() == Some(&MarketType::Spot);
                    *nodes.entry((instance_type, spot)).or_insert(0) += 1;
                }
            }
            nodes
        });
        let on_demand = fleet.target_on_demand_capacity().unwrap_or(0);
        let spot = fleet.target_spot_capacity().unwrap_or(0);
        Self {
            name: fleet.name().and_then(text).unwrap_or_else(|| id.clone()),
            role: match fleet.instance_fleet_type() {
                Some(InstanceFleetType::Master) => Role::Master,
                Some(InstanceFleetType::Core) => Role::Core,
                _ => Role::Task,
            },
            collection: "INSTANCE_FLEET",
            market: match (on_demand > 0, spot > 0) {
                (true, false) => Some("ON_DEMAND".to_owned()),
                (false, true) => Some("SPOT".to_owned()),
                _ => None,
            },
            requested: Some(i64::from(on_demand) + i64::from(spot)),
            state: fleet.status().and_then(|status| Some(status.state()?.as_str().to_owned())),
            created_at: fleet
                .status()
                .and_then(|status| instant(status.timeline()?.creation_date_time()?)),
            autoscaling: false,
            gone: fleet.status().and_then(|status| status.state())
                == Some(&InstanceFleetState::Terminated),
            nodes,
            volumes: fleet
                .instance_type_specifications()
                .iter()
                .map(|specification| {
                    (
                        specification.instance_type().unwrap_or_default().to_owned(),
                        Volumes::of(specification.ebs_block_devices()),
                    )
                })
                .collect(),
            id,
        }
    }

    /// A cluster also lists groups that it no longer has.
    pub(super) fn exists(&self) -> bool {
        !self.gone
    }

    pub(super) fn running_nodes(&self) -> Option<i64> {
        Some(self.nodes.as_ref()?.values().sum())
    }

    pub(super) fn spot_nodes(&self) -> Option<i64> {
        Some(self.nodes.as_ref()?.iter().filter(|((_, spot), _)| *spot).map(|(_, n)| n).sum())
    }

    /// Types of its running nodes, each at least once. When none run, the type that would, if there
    /// is only one.
    pub(super) fn instance_types(&self) -> Option<Vec<&str>> {
        let running: Vec<_> = self
            .nodes
            .as_ref()?
            .iter()
            .filter(|(_, nodes)| **nodes > 0)
            .map(|((instance_type, _), _)| instance_type.as_str())
            .collect();
        let possible = || self.volumes.keys().map(String::as_str).collect();
        Some(if running.is_empty() { possible() } else { running })
    }

    /// Volumes of all its running nodes; `None` when a node is of a type that it does not specify.
    pub(super) fn ebs_gib(&self) -> Option<i64> {
        self.nodes
            .as_ref()?
            .iter()
            .map(|((instance_type, _), nodes)| Some(nodes * self.volumes.get(instance_type)?.gib))
            .sum()
    }

    /// Volumes of each node; `None` when they differ between its nodes' types.
    pub(super) fn ebs_gib_per_node(&self) -> Option<i64> {
        self.of_each_node(|volumes| volumes.gib)
    }

    /// The largest volume of each node; `None` when it differs between its nodes' types.
    pub(super) fn largest_volume_gib(&self) -> Option<i64> {
        self.of_each_node(|volumes| volumes.largest_gib)
    }

    fn of_each_node(&self, size: fn(&Volumes) -> i64) -> Option<i64> {
        let types = self.instance_types()?;
        let mut sizes = types.iter().map(|name| self.volumes.get(*name).map(size));
        let first = sizes.next()??;
        sizes.all(|size| size == Some(first)).then_some(first)
    }

    /// Types of the volumes of its nodes, each at least once; none without volumes.
    pub(super) fn volume_types(&self) -> Option<Vec<&str>> {
        let types: Option<Vec<_>> =
            self.instance_types()?.into_iter().map(|name| self.volumes.get(name)).collect();
        Some(types?.into_iter().flat_map(|each| &each.types).map(String::as_str).collect())
    }

    pub(super) fn ebs_type(&self) -> Option<String> {
        only(self.volume_types()?)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_emr::types::{InstanceTypeSpecification, VolumeSpecification};

    use super::*;

    fn volumes(gib: i32, volume_type: &str) -> EbsBlockDevice {
        let volume = VolumeSpecification::builder().size_in_gb(gib).volume_type(volume_type);
        EbsBlockDevice::builder().volume_specification(volume.build()).build()
    }

    fn fleet() -> InstanceFleet {
        let specification = |instance_type: &str, gib, volume_type: &str| {
            InstanceTypeSpecification::builder()
                .instance_type(instance_type)
                .ebs_block_devices(volumes(gib, volume_type))
                .ebs_block_devices(volumes(gib, volume_type))
                .build()
        };
        InstanceFleet::builder()
            .id("if-1")
            .instance_fleet_type(InstanceFleetType::Task)
            .target_on_demand_capacity(4)
            .target_spot_capacity(12)
            .instance_type_specifications(specification("m5.xlarge", 32, "gp2"))
            .instance_type_specifications(specification("r5.xlarge", 64, "gp3"))
            .build()
    }

    fn instances(nodes: &[(&str, &str, MarketType)]) -> Vec<Instance> {
        let instance = |(fleet, instance_type, market): &(&str, &str, MarketType)| {
            Instance::builder()
                .instance_fleet_id(*fleet)
                .instance_type(*instance_type)
                .market(market.clone())
                .build()
        };
        nodes.iter().map(instance).collect()
    }

    #[test]
    fn a_fleet_s_nodes_are_counted_one_by_one_and_only_its_own() {
        let instances = instances(&[
            ("if-1", "m5.xlarge", MarketType::OnDemand),
            ("if-1", "r5.xlarge", MarketType::Spot),
            ("if-1", "r5.xlarge", MarketType::Spot),
            ("if-2", "m5.xlarge", MarketType::OnDemand),
        ]);
        let group = Group::of_fleet(&fleet(), Some(&instances));
        assert_eq!((group.running_nodes(), group.spot_nodes()), (Some(3), Some(2)));
        assert_eq!(group.instance_types(), Some(vec!["m5.xlarge", "r5.xlarge"]));
        assert_eq!(group.ebs_gib(), Some(2 * 32 + 2 * 128));
        assert_eq!((group.ebs_gib_per_node(), group.ebs_type()), (None, None));
        assert_eq!((group.market, group.requested), (None, Some(16)));
    }

    #[test]
    fn a_fleet_of_one_running_type_has_that_type_s_volumes() {
        let instances = instances(&[("if-1", "r5.xlarge", MarketType::Spot)]);
        let group = Group::of_fleet(&fleet(), Some(&instances));
        assert_eq!((group.ebs_gib_per_node(), group.largest_volume_gib()), (Some(128), Some(64)));
        assert_eq!(group.ebs_type().as_deref(), Some("gp3"));
    }

    #[test]
    fn without_its_instances_a_fleet_s_nodes_are_unknown_not_none() {
        let group = Group::of_fleet(&fleet(), None);
        assert_eq!(
            (group.running_nodes(), group.spot_nodes(), group.ebs_gib()),
            (None, None, None)
        );
    }

    #[test]
    fn a_node_of_a_type_that_is_not_specified_leaves_the_volumes_unknown() {
        let instances = instances(&[("if-1", "c5.xlarge", MarketType::Spot)]);
        let group = Group::of_fleet(&fleet(), Some(&instances));
        assert_eq!((group.running_nodes(), group.ebs_gib()), (Some(1), None));
    }

    #[test]
    fn a_group_that_scaled_to_none_keeps_its_type() {
        let group = InstanceGroup::builder()
            .id("ig-1")
            .instance_group_type(InstanceGroupType::Task)
            .market(MarketType::Spot)
            .instance_type("m5.xlarge")
            .running_instance_count(0)
            .ebs_block_devices(volumes(64, "gp2"))
            .build();
        let group = Group::of_group(&group);
        assert_eq!(group.instance_types(), Some(vec!["m5.xlarge"]));
        assert_eq!((group.running_nodes(), group.ebs_gib()), (Some(0), Some(0)));
        assert_eq!(group.ebs_gib_per_node(), Some(64));
    }
}
