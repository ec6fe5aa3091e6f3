//! Functions that name what a bill tells in its own words: a service, an environment, a team, a
//! resource.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::SessionContext;

use crate::model::Ownership;
use crate::model::cost::aws_service;
use crate::model::resource::name_in_arn;

/// What a function tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Tells {
    /// `aws_service(service_name)`
    Service,
    /// `cost_environment(account, tags)`
    Environment,
    /// `cost_team(tags)`
    Team,
    /// `resource_name(resource_id)`
    Resource,
}

impl Tells {
    const ALL: [Self; 4] = [Self::Service, Self::Environment, Self::Team, Self::Resource];

    fn name(self) -> &'static str {
        match self {
            Self::Service => "aws_service",
            Self::Environment => "cost_environment",
            Self::Team => "cost_team",
            Self::Resource => "resource_name",
        }
    }

    fn arguments(self) -> usize {
        if self == Self::Environment { 2 } else { 1 }
    }
}

#[derive(Debug)]
struct Function {
    tells: Tells,
    ownership: Arc<Ownership>,
    signature: Signature,
}

// Two functions of one session that tell the same are the same.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.tells == other.tells && self.ownership == other.ownership
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tells.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.tells.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let texts = arguments
            .args
            .iter()
            .map(|it| it.to_array(rows).and_then(|it| Ok(cast(&it, &DataType::Utf8)?)))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let (Some(first), Some(last)) = (texts.first(), texts.last()) else {
            return Err(DataFusionError::Execution(format!("{} needs a text", self.name())));
        };
        let (first, last) = (first.as_string::<i32>(), last.as_string::<i32>());
        // The same few words come again and again.
        let mut known: HashMap<(Option<&str>, Option<&str>), Option<String>> = HashMap::new();
        let told: StringArray = (0..rows)
            .map(|row| {
                let cell = |texts: &'_ StringArray| texts.is_valid(row);
                let key =
                    (cell(first).then(|| first.value(row)), cell(last).then(|| last.value(row)));
                known.entry(key).or_insert_with(|| self.tell(key.0, key.1)).clone()
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(told)))
    }
}

impl Function {
    /// What it says of a first and a last argument, which are the same where there is one.
    fn tell(&self, first: Option<&str>, last: Option<&str>) -> Option<String> {
        // A charge without tags has none: the bill knows all that are activated.
        let tags = || Some(last.and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default());
        match self.tells {
            Tells::Service => first.map(|it| aws_service(it).to_owned()),
            Tells::Environment => self.ownership.environment(first.unwrap_or_default(), &tags()),
            Tells::Team => self.ownership.team(&tags()),
            Tells::Resource => first.map(|it| name_in_arn(it).to_owned()),
        }
    }
}

/// Their names.
pub(super) fn names() -> [&'static str; 4] {
    Tells::ALL.map(Tells::name)
}

/// Lets a session call them.
pub(in crate::store) fn register(context: &SessionContext, ownership: &Arc<Ownership>) {
    for tells in Tells::ALL {
        context.register_udf(ScalarUDF::from(Function {
            tells,
            ownership: Arc::clone(ownership),
            signature: Signature::string(tells.arguments(), Volatility::Immutable),
        }));
    }
}
