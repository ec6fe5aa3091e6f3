//! Whose a resource is: the one of Terraform's states that stands for it.

use std::collections::HashMap;

use crate::model::terraform::StateResource;
use crate::services::terraform::{TerraformType, terraform_type, types};

/// All that the states know of the watched kinds.
#[derive(Debug, Default)]
pub struct Owners {
    resources: Vec<StateResource>,
    /// By ARN, the first of several.
    by_arn: HashMap<String, usize>,
    /// By type and identifying attribute.
    by_identity: HashMap<(&'static str, String), Vec<usize>>,
}

/// A resource whose owner is asked for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Table of its kind.
    pub kind: &'a str,
    pub account: &'a str,
    pub region: &'a str,
    pub arn: Option<&'a str>,
    /// Its cell in a text column.
    pub column: &'a dyn Fn(&str) -> Option<String>,
}

impl std::fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, account, region, arn, .. } = self;
        f.debug_struct("Asked")
            .field("kind", kind)
            .field("account", account)
            .field("region", region)
            .field("arn", arn)
            .finish_non_exhaustive()
    }
}

impl Owners {
    /// The resources of all states; where several stand for one, the first does.
    pub fn new(resources: Vec<StateResource>) -> Self {
        let mut owners = Self::default();
        for (at, resource) in resources.iter().enumerate() {
            let Some(of) = terraform_type(resource.of) else { continue };
            if let Some(arn) = arn(of, resource) {
                owners.by_arn.entry(arn.to_owned()).or_insert(at);
            }
            if let Some(identity) = resource.text(of.identity.0) {
                let mut names = vec![identity];
                // A name may be written as the ARN that ends with it.
                names.extend(identity.starts_with("arn:").then(|| last_part(identity)));
                for name in names {
                    owners.by_identity.entry((of.name, name.to_owned())).or_default().push(at);
                }
            }
        }
        owners.resources = resources;
        owners
    }

    pub fn len(&self) -> usize {
        self.resources.len()
    }

    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// The resource in Terraform: by its ARN, else by what identifies it. `None` when none is, or when
    /// several could be: an address that may be wrong is worse than none.
    pub fn of(&self, asked: &Asked<'_>) -> Option<&StateResource> {
        let own = || types(asked.kind).filter(|of| !of.beside);
        let by_arn = asked.arn.and_then(|arn| self.by_arn.get(arn)).map(|at| &self.resources[*at]);
        by_arn
            .filter(|resource| own().any(|of| of.name == resource.of))
            .or_else(|| self.only(own(), asked))
    }

    /// What Terraform keeps of that type beside the resource.
    pub fn beside(&self, of: &str, asked: &Asked<'_>) -> Option<&StateResource> {
        self.only(types(asked.kind).filter(|it| it.beside && it.name == of), asked)
    }

    /// The only one of these types with the identity of the resource.
    fn only(
        &self,
        types: impl Iterator<Item = &'static TerraformType>,
        asked: &Asked<'_>,
    ) -> Option<&StateResource> {
        let mut found = Vec::new();
        for of in types {
            let Some(identity) = (asked.column)(of.identity.1) else { continue };
            let with = self.by_identity.get(&(of.name, identity)).into_iter().flatten();
            let fitting = with.map(|at| &self.resources[*at]).filter(|resource| {
                let own = arn(of, resource).or_else(|| {
                    resource.text(of.identity.0).filter(|identity| identity.starts_with("arn:"))
                });
                own.is_none_or(|own| is_at(own, asked.account, asked.region))
            });
            found.extend(fitting);
        }
        match found.as_slice() {
            [one] => Some(one),
            // The same resource in several states.
            [first, rest @ ..] => {
                let arn_of = |it: &StateResource| {
                    terraform_type(it.of).and_then(|of| arn(of, it)).map(str::to_owned)
                };
                let same = arn_of(first).is_some_and(|own| {
                    rest.iter().all(|other| arn_of(other).as_deref() == Some(&own))
                });
                same.then_some(*first)
            }
            [] => None,
        }
    }
}

fn arn<'r>(of: &TerraformType, resource: &'r StateResource) -> Option<&'r str> {
    resource.text(of.arn?).filter(|arn| arn.starts_with("arn:"))
}

/// `orders` of `arn:aws:lambda:eu-west-1:111111111111:function:orders`.
fn last_part(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// Whether an ARN is of that account and region, as far as it tells them: those of buckets do not.
fn is_at(arn: &str, account: &str, region: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let fits = |at: usize, wanted: &str| {
        parts.get(at).is_none_or(|part| part.is_empty() || *part == wanted)
    };
    fits(3, region) && fits(4, account)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resource(
        address: &str,
        of: &'static str,
        values: &[(&'static str, Value)],
    ) -> StateResource {
        StateResource {
            state: "a.tfstate".to_owned(),
            address: address.to_owned(),
            module: None,
            of,
            values: values.iter().cloned().collect(),
        }
    }

    /// The address of a resource's owner.
    fn owner(owners: &Owners, kind: &str, id: &str, arn: Option<&str>) -> Option<String> {
        let column = |name: &str| (name != "log_group").then(|| id.to_owned());
        let (account, region) = ("111111111111", "eu-west-1");
        let asked = Asked { kind, account, region, arn, column: &column };
        owners.of(&asked).map(|it| it.address.clone())
    }

    fn database(address: &str, account: &str, region: &str) -> StateResource {
        let arn = json!(format!("arn:aws:rds:{region}:{account}:db:orders"));
        let values = [("arn", arn), ("identifier", json!("orders"))];
        resource(address, "aws_db_instance", &values)
    }

    #[test]
    fn the_arn_decides_before_the_name() {
        let owners = Owners::new(vec![
            database("aws_db_instance.other", "222222222222", "eu-west-1"),
            database("aws_db_instance.this", "111111111111", "eu-west-1"),
        ]);
        let arn = "arn:aws:rds:eu-west-1:111111111111:db:orders";
        let own = Some("aws_db_instance.this".to_owned());
        assert_eq!(owner(&owners, "rds_instances", "orders", Some(arn)), own);
        // Without an ARN of its own, those of the states tell account and region.
        assert_eq!(owner(&owners, "rds_instances", "orders", None), own);
        assert_eq!(owner(&owners, "rds_instances", "order", None), None);
        assert_eq!(owner(&owners, "rds_clusters", "orders", Some(arn)), None, "another kind");
    }

    #[test]
    fn an_instance_in_another_region_is_not_it() {
        let owners = Owners::new(vec![database("a.b", "111111111111", "us-east-1")]);
        assert_eq!(owner(&owners, "rds_instances", "orders", None), None);
    }

    #[test]
    fn of_two_that_could_be_it_none_is() {
        let bare = |address: &str| {
            resource(address, "aws_db_instance", &[("identifier", json!("orders"))])
        };
        let owners = Owners::new(vec![bare("a.one"), bare("a.two")]);
        assert_eq!(owner(&owners, "rds_instances", "orders", None), None);
        // The same resource in two states is no doubt: the first state is asked first.
        let twice = ["a.one", "a.two"].map(|it| database(it, "111111111111", "eu-west-1"));
        let owners = Owners::new(twice.to_vec());
        assert_eq!(owner(&owners, "rds_instances", "orders", None).as_deref(), Some("a.one"));
    }

    #[test]
    fn what_is_beside_a_function_is_found_by_its_own_identity() {
        let group = resource(
            "aws_cloudwatch_log_group.etl",
            "aws_cloudwatch_log_group",
            &[("name", json!("/aws/lambda/etl"))],
        );
        let config = resource(
            "aws_lambda_provisioned_concurrency_config.etl",
            "aws_lambda_provisioned_concurrency_config",
            &[("function_name", json!("arn:aws:lambda:eu-west-1:111111111111:function:etl"))],
        );
        let owners = Owners::new(vec![group, config]);
        let column = |name: &str| {
            Some(if name == "log_group" { "/aws/lambda/etl" } else { "etl" }.to_owned())
        };
        let asked = Asked {
            kind: "lambda_functions",
            account: "111111111111",
            region: "eu-west-1",
            arn: None,
            column: &column,
        };
        let beside = |of| owners.beside(of, &asked).map(|it| it.address.as_str());
        assert_eq!(beside("aws_cloudwatch_log_group"), Some("aws_cloudwatch_log_group.etl"));
        assert_eq!(
            beside("aws_lambda_provisioned_concurrency_config"),
            Some("aws_lambda_provisioned_concurrency_config.etl")
        );
        assert!(owners.of(&asked).is_none(), "the function itself is in no state");
        let elsewhere = Asked { account: "222222222222", ..asked };
        assert!(owners.beside("aws_lambda_provisioned_concurrency_config", &elsewhere).is_none());
    }
}
