//! How the Terraform AWS provider knows the resources that centime knows: which attribute identifies
//! one, and which ones a rule may name as the change to make.
//!
//! Only attributes that Terraform changes in place are among them: one that replaces the resource is
//! no change of size, but a migration.
//!
//! Source: documentation of the provider, `website/docs/r/` of hashicorp/terraform-provider-aws (of
//! each type its "Argument Reference" and "Attribute Reference"), read 2026-11-25.

/// A resource type of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerraformType {
    /// `aws_db_instance`.
    pub name: &'static str,
    /// Table of the kind whose findings it may own.
    pub kind: &'static str,
    /// Not the resource itself but a setting that the provider keeps beside it.
    pub beside: bool,
    /// Attribute that holds its ARN; none where the provider exports none.
    pub arn: Option<&'static str>,
    /// Attribute that identifies it, and the column of the kind that holds the same.
    pub identity: (&'static str, &'static str),
    /// What a rule may change.
    pub attributes: &'static [Attribute],
}

/// An attribute, with dots for nested blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    pub path: &'static str,
    /// Its value is a list of one.
    pub is_list: bool,
}

const fn one(path: &'static str) -> Attribute {
    Attribute { path, is_list: false }
}

const fn list(path: &'static str) -> Attribute {
    Attribute { path, is_list: true }
}

impl TerraformType {
    /// A resource of its own; its ARN is `arn`, unless told otherwise.
    const fn of(
        kind: &'static str,
        name: &'static str,
        identity: (&'static str, &'static str),
        attributes: &'static [Attribute],
    ) -> Self {
        Self { name, kind, beside: false, arn: Some("arn"), identity, attributes }
    }

    const fn with_arn(self, arn: &'static str) -> Self {
        Self { arn: Some(arn), ..self }
    }

    const fn without_arn(self) -> Self {
        Self { arn: None, ..self }
    }

    const fn beside(self) -> Self {
        Self { beside: true, ..self }
    }

    /// Everything of it that is read from a state.
    pub fn paths(&self) -> impl Iterator<Item = &'static str> {
        let own = self.attributes.iter().map(|attribute| attribute.path);
        self.arn.into_iter().chain([self.identity.0]).chain(own)
    }
}

/// All of them.
pub const TYPES: &[TerraformType] = &[
    TerraformType::of(
        "msk_clusters",
        "aws_msk_cluster",
        ("cluster_name", "resource_id"),
        &[
            one("broker_node_group_info.instance_type"),
            one(
                "broker_node_group_info.storage_info.ebs_storage_info.provisioned_throughput.enabled",
            ),
            one("broker_node_group_info.storage_info.ebs_storage_info.volume_size"),
            one("enhanced_monitoring"),
            one("kafka_version"),
            one("number_of_broker_nodes"),
            one("storage_mode"),
        ],
    ),
    TerraformType::of(
        "msk_clusters",
        "aws_msk_serverless_cluster",
        ("cluster_name", "resource_id"),
        &[],
    ),
    // Clusters of one name are many; the id is the job flow's.
    TerraformType::of(
        "emr_clusters",
        "aws_emr_cluster",
        ("id", "resource_id"),
        &[
            one("auto_termination_policy.idle_timeout"),
            one("core_instance_group.instance_count"),
            one("step_concurrency_level"),
        ],
    ),
    TerraformType::of(
        "emr_clusters",
        "aws_emr_managed_scaling_policy",
        ("cluster_id", "resource_id"),
        &[
            one("compute_limits.maximum_capacity_units"),
            one("compute_limits.minimum_capacity_units"),
        ],
    )
    .without_arn()
    .beside(),
    TerraformType::of(
        "emr_serverless_applications",
        "aws_emrserverless_application",
        ("id", "resource_id"),
        &[
            one("auto_stop_configuration.enabled"),
            one("auto_stop_configuration.idle_timeout_minutes"),
        ],
    ),
    TerraformType::of(
        "lambda_functions",
        "aws_lambda_function",
        ("function_name", "resource_id"),
        &[
            list("architectures"),
            one("ephemeral_storage.size"),
            one("memory_size"),
            one("reserved_concurrent_executions"),
            one("runtime"),
            one("timeout"),
        ],
    ),
    TerraformType::of(
        "lambda_functions",
        "aws_cloudwatch_log_group",
        ("name", "log_group"),
        &[one("retention_in_days")],
    )
    .beside(),
    // Its `function_name` may be an ARN.
    TerraformType::of(
        "lambda_functions",
        "aws_lambda_provisioned_concurrency_config",
        ("function_name", "resource_id"),
        &[one("provisioned_concurrent_executions")],
    )
    .without_arn()
    .beside(),
    // Its `id` is the DbiResourceId since version 5 of the provider.
    TerraformType::of(
        "rds_instances",
        "aws_db_instance",
        ("identifier", "resource_id"),
        &[
            one("allocated_storage"),
            one("backup_retention_period"),
            one("engine_lifecycle_support"),
            one("engine_version"),
            one("instance_class"),
            one("iops"),
            one("max_allocated_storage"),
            one("multi_az"),
            one("performance_insights_enabled"),
            one("performance_insights_retention_period"),
            one("publicly_accessible"),
            one("storage_throughput"),
            one("storage_type"),
        ],
    ),
    TerraformType::of(
        "rds_instances",
        "aws_rds_cluster_instance",
        ("identifier", "resource_id"),
        &[
            one("instance_class"),
            one("performance_insights_enabled"),
            one("performance_insights_retention_period"),
            one("publicly_accessible"),
        ],
    ),
    TerraformType::of(
        "rds_clusters",
        "aws_rds_cluster",
        ("cluster_identifier", "resource_id"),
        &[
            one("backtrack_window"),
            one("backup_retention_period"),
            one("engine_version"),
            one("serverlessv2_scaling_configuration.max_capacity"),
            one("serverlessv2_scaling_configuration.min_capacity"),
            one("storage_type"),
        ],
    ),
    TerraformType::of(
        "rds_snapshots",
        "aws_db_snapshot",
        ("db_snapshot_identifier", "resource_id"),
        &[],
    )
    .with_arn("db_snapshot_arn"),
    TerraformType::of(
        "rds_snapshots",
        "aws_db_cluster_snapshot",
        ("db_cluster_snapshot_identifier", "resource_id"),
        &[],
    )
    .with_arn("db_cluster_snapshot_arn"),
    TerraformType::of("s3_buckets", "aws_s3_bucket", ("bucket", "resource_id"), &[]),
];

/// The type of that name.
pub fn terraform_type(name: &str) -> Option<&'static TerraformType> {
    TYPES.iter().find(|it| it.name == name)
}

/// The types that may own findings on a kind.
pub fn types(kind: &str) -> impl Iterator<Item = &'static TerraformType> {
    TYPES.iter().filter(move |it| it.kind == kind)
}

/// An attribute as a rule names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The type beside the resource that has it; `None`: the resource has it itself.
    pub beside: Option<&'static str>,
    pub attribute: Attribute,
}

/// The attribute of that name of a kind: `instance_class`, or with the type that is beside the resource,
/// `aws_cloudwatch_log_group.retention_in_days`.
pub fn attribute(kind: &str, name: &str) -> Option<Named> {
    types(kind).find_map(|of| {
        let path = if of.beside { name.strip_prefix(of.name)?.strip_prefix('.')? } else { name };
        let attribute = of.attributes.iter().find(|attribute| attribute.path == path)?;
        Some(Named { beside: of.beside.then_some(of.name), attribute: *attribute })
    })
}

/// Everything that a rule on a kind may name.
pub fn attribute_names(kind: &str) -> Vec<String> {
    let mut names: Vec<String> = types(kind)
        .flat_map(|of| of.attributes.iter().map(move |attribute| (of, attribute)))
        .map(|(of, attribute)| {
            if of.beside {
                format!("{}.{}", of.name, attribute.path)
            } else {
                attribute.path.to_owned()
            }
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::resource::RESOURCE_COLUMNS;
    use crate::services;

    #[test]
    fn every_type_is_of_a_kind_and_identified_by_one_of_its_columns() {
        for of in TYPES {
            let kind =
                services::kind(of.kind).unwrap_or_else(|| panic!("{}: {}", of.name, of.kind));
            let (_, column) = of.identity;
            let mut columns = RESOURCE_COLUMNS.iter().chain(kind.details);
            assert!(columns.any(|known| known.name == column), "{}: {column}", of.name);
            assert_eq!(terraform_type(of.name), Some(of), "a type stands twice");
        }
    }

    #[test]
    fn an_attribute_beside_the_resource_is_named_with_its_type() {
        let named = attribute("lambda_functions", "aws_cloudwatch_log_group.retention_in_days");
        assert_eq!(named.unwrap().beside, Some("aws_cloudwatch_log_group"));
        assert_eq!(attribute("lambda_functions", "retention_in_days"), None);
        let own = attribute("lambda_functions", "architectures").unwrap();
        assert!(own.beside.is_none() && own.attribute.is_list);
        assert_eq!(attribute("rds_instances", "memory_size"), None);
        let names = attribute_names("lambda_functions");
        assert!(
            names.iter().all(|name| attribute("lambda_functions", name).is_some()),
            "{names:?}"
        );
    }
}
