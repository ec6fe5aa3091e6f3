//! `terraform:` of a rule: what to change where the resource is written in Terraform.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use serde_json::{Number, Value};

use super::compile::Compiled;
use super::evaluate::text;
use super::expression::Expression;
use super::rule::Rule;
use super::words::Cell;
use crate::insights::ownership::{Asked, Owners};
use crate::model::Kind;
use crate::model::terraform::{AttributeChange, Terraform, literal};
use crate::services::terraform::{Named, attribute, attribute_names, terraform_type};
use crate::yaml::{Key, Reader, nearest};

/// An attribute and its new value.
#[derive(Debug, Clone)]
pub struct Change {
    /// As the rule writes it.
    pub name: String,
    pub named: Named,
    pub value: Expression,
}

/// The attribute of that key; a problem where the kind has none.
pub fn named(kind: &Kind, key: &Key, reader: &mut Reader) -> Option<Named> {
    attribute(kind.table, &key.name).or_else(|| {
        let known = attribute_names(kind.table);
        let help = match nearest(&key.name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "none is known".to_owned(),
            None => format!("known: {}", known.join(", ")),
        };
        let message = format!(
            "`terraform`: `{}` is no attribute of {} that Terraform changes in place; {help}",
            key.name, kind.table
        );
        reader.problem(key.place, message);
        None
    })
}

/// Where the resource of a batch of one row is written, and what the rule would change there.
pub fn owned(
    rule: &Rule,
    compiled: &Compiled,
    row: &RecordBatch,
    owners: &Owners,
) -> Result<Option<Terraform>> {
    let required = |name| text(row, name).map(Option::unwrap_or_default);
    let (account, region, arn) = (required("account")?, required("region")?, text(row, "arn")?);
    let column = |name: &str| text(row, name).ok().flatten();
    let asked = Asked {
        kind: rule.kind.table,
        account: &account,
        region: &region,
        arn: arn.as_deref(),
        column: &column,
    };
    // What is kept beside the resource is what is to be changed, where the rule says so.
    let beside = rule.terraform.iter().find_map(|change| change.named.beside);
    let owner = beside.and_then(|of| owners.beside(of, &asked)).or_else(|| owners.of(&asked));
    let Some(owner) = owner else { return Ok(None) };
    let mut changes = Vec::new();
    for (change, value) in rule.terraform.iter().zip(&compiled.terraform) {
        let Named { beside, attribute } = change.named;
        let its = terraform_type(owner.of)
            .is_some_and(|of| of.beside == beside.is_some() && of.attributes.contains(&attribute));
        if !its || beside.is_some_and(|of| of != owner.of) {
            continue;
        }
        let Some(after) = cell(value, row)? else { continue };
        let after = if attribute.is_list { Value::Array(vec![after]) } else { after };
        let before = owner.values.get(attribute.path).and_then(literal);
        if let Some(after) = literal(&after)
            && before.as_ref() != Some(&after)
        {
            changes.push(AttributeChange { attribute: attribute.path.to_owned(), before, after });
        }
    }
    Ok(Some(Terraform {
        address: owner.address.clone(),
        module: owner.module.clone(),
        state: owner.state.clone(),
        changes,
    }))
}

/// The value of an expression; `None` where it is unknown.
fn cell(value: &Arc<dyn PhysicalExpr>, row: &RecordBatch) -> Result<Option<Value>> {
    Ok(match Cell::first(&value.evaluate(row)?.into_array(1)?)? {
        Cell::Text(text) => Some(Value::from(text)),
        Cell::Bool(answer) => Some(Value::from(answer)),
        Cell::Number(number) => {
            let text = number.normalize().to_string();
            // Terraform has one kind of number; whole ones are written without a fraction.
            text.parse::<Number>().ok().map(Value::Number)
        }
        Cell::Unknown | Cell::Time(_) => None,
    })
}
