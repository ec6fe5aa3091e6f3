//! Terraform's words: whose a resource is, and what to change there. centime changes nothing itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A resource as a state knows it, with the few attributes of it that were read.
#[derive(Debug, Clone, PartialEq)]
pub struct StateResource {
    /// The state: a file's path, or the URL of an object.
    pub state: String,
    /// `module.orders["eu"].aws_db_instance.this[0]`.
    pub address: String,
    /// `module.orders["eu"]`; `None` in the root module.
    pub module: Option<String>,
    /// `aws_db_instance`.
    pub of: &'static str,
    /// Texts, numbers, yes or no, and lists of those, by the attribute's path.
    pub values: BTreeMap<&'static str, serde_json::Value>,
}

impl StateResource {
    /// A text attribute.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.values.get(path)?.as_str()
    }
}

/// Where a finding's resource is written in Terraform, and what to write there instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terraform {
    pub address: String,
    /// `None` in the root module.
    pub module: Option<String>,
    pub state: String,
    /// Empty where no single attribute is what to change.
    pub changes: Vec<AttributeChange>,
}

/// An attribute and its values as Terraform's language writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeChange {
    /// With dots for nested blocks: `broker_node_group_info.instance_type`.
    pub attribute: String,
    /// As the state has it; `None` where it has no value.
    pub before: Option<String>,
    pub after: String,
}

impl std::fmt::Display for Terraform {
    /// The address, then the changes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)?;
        for (at, change) in self.changes.iter().enumerate() {
            write!(f, "{}{change}", if at == 0 { ": " } else { ", " })?;
        }
        Ok(())
    }
}

impl std::fmt::Display for AttributeChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.before {
            Some(before) => write!(f, "{} = {before} → {}", self.attribute, self.after),
            None => write!(f, "{} = {}", self.attribute, self.after),
        }
    }
}

/// A value as Terraform's language writes it; `None` for what is no value.
///
/// Texts are quoted as in JSON; the beginnings of templates are doubled, so that they stay text.
pub fn literal(value: &serde_json::Value) -> Option<String> {
    use serde_json::Value;
    match value {
        Value::Null | Value::Object(_) => None,
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::String(_) => Some(value.to_string().replace("${", "$${").replace("%{", "%%{")),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().filter_map(literal).collect();
            Some(format!("[{}]", items.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_terraform_writes_them() {
        let written = |text: &str| literal(&serde_json::from_str(text).unwrap());
        for (json, hcl) in [
            (r#""db.r6g.large""#, Some(r#""db.r6g.large""#)),
            ("3000", Some("3000")),
            ("false", Some("false")),
            (r#"["arm64"]"#, Some(r#"["arm64"]"#)),
            (r#""a\"${b}%{c}""#, Some(r#""a\"$${b}%%{c}""#)),
            ("null", None),
            ("{}", None),
        ] {
            assert_eq!(written(json).as_deref(), hcl, "{json}");
        }
    }
}
