//! Resources: what an account holds that costs money, as seen on a day.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::names::is_same_tag_key;
use super::table::{Column, Table, Type, Value};

/// A kind of resource and the table that its resources fill. Declared with [`kind!`](crate::kind)
/// in the service's own file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Table in the lake, plural: `msk_clusters`.
    pub table: &'static str,
    /// `msk`, `emr`, `lambda`, `rds` or `s3`.
    pub service: &'static str,
    pub doc: &'static str,
    /// Columns beside [`RESOURCE_COLUMNS`].
    pub details: &'static [Column],
}

/// The columns that every kind shares; the table `resources` has just these.
pub const RESOURCE_COLUMNS: &[Column] = &[
    Column::required("account", Type::Text, "Account that holds the resource, 12 digits."),
    Column::required("region", Type::Text, "Region that holds the resource."),
    Column::required("kind", Type::Text, "Table of the resource's kind, such as `msk_clusters`."),
    Column::required("day", Type::Day, "UTC day on which the resource was seen."),
    Column::required("service", Type::Text, "`msk`, `emr`, `lambda`, `rds` or `s3`."),
    Column::required(
        "resource_id",
        Type::Text,
        "What CloudWatch knows the resource by: cluster name, job flow id, function name, database \
         identifier, bucket. Unique in account, region and kind.",
    ),
    Column::required("name", Type::Text, "What people call it."),
    Column::optional("arn", Type::Text, "Amazon Resource Name, where AWS gives one."),
    Column::optional("state", Type::Text, "AWS's own word for its state."),
    Column::optional("created_at", Type::Time, "When it was created."),
    Column::optional(
        "tags",
        Type::Text,
        "Its tags, unaltered, as a JSON object; null when AWS did not tell them.",
    ),
    Column::optional("environment", Type::Text, "From its tags, else from its account: `prod`."),
    Column::optional("team", Type::Text, "From its tags."),
    Column::optional("owner", Type::Text, "From its tags."),
];

/// Partition columns of `resources` and of every kind's table.
pub const RESOURCE_PARTITION: &[&str] = &["account", "region", "kind", "day"];

/// The table `resources`: every resource of every kind.
pub fn resources_table() -> Table {
    Table {
        name: "resources",
        doc: "A resource of any kind as it was seen on a UTC day. What only its kind has stands in \
              the table of that kind.",
        columns: RESOURCE_COLUMNS.to_vec(),
        partition_by: RESOURCE_PARTITION.to_vec(),
    }
}

impl Kind {
    /// The table of this kind: the shared columns, then its own.
    pub fn table(&self) -> Table {
        Table {
            name: self.table,
            doc: self.doc,
            columns: RESOURCE_COLUMNS.iter().chain(self.details).copied().collect(),
            partition_by: RESOURCE_PARTITION.to_vec(),
        }
    }
}

/// A resource's tags: empty when it has none, `None` when AWS did not tell them.
pub type Tags = Option<BTreeMap<String, String>>;

/// One resource as its service lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    pub account: String,
    pub region: String,
    pub kind: &'static Kind,
    pub id: String,
    pub name: String,
    pub arn: Option<String>,
    pub state: Option<String>,
    pub created_at: Option<Timestamp>,
    pub tags: Tags,
    /// The cells of `kind.details`, in order.
    pub details: Vec<Value>,
}

impl Resource {
    /// A detail by its column's name; `Value::Null` for a name that the kind does not have.
    pub fn detail(&self, name: &str) -> &Value {
        self.kind
            .details
            .iter()
            .position(|column| column.name == name)
            .and_then(|index| self.details.get(index))
            .unwrap_or(&Value::Null)
    }

    /// A text detail.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.detail(name) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether a yes-or-no detail is known to be yes.
    pub fn is(&self, name: &str) -> bool {
        self.detail(name) == &Value::Bool(true)
    }

    /// A whole-number detail.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.detail(name) {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }
}

/// What CloudWatch knows a resource by, from its ARN; any other id is that already.
///
/// A Kafka cluster's ARN ends with an identity that its name is without.
pub fn name_in_arn(id: &str) -> &str {
    let parts: Vec<&str> = id.splitn(6, ':').collect();
    let ["arn", _, service, _, _, rest] = parts.as_slice() else { return id };
    let (service, rest) = (*service, *rest);
    if service == "kafka" {
        return rest.split('/').nth(1).unwrap_or(rest);
    }
    // A function may be told with its version or alias.
    let rest = match rest.strip_prefix("function:") {
        Some(function) => function.split(':').next().unwrap_or(function),
        None => rest,
    };
    rest.rsplit([':', '/']).next().unwrap_or(rest)
}

/// Which tags mean environment, team and owner, and how their values are written.
///
/// Keys are tried in order and compared as [`is_same_tag_key`] does; values are trimmed, lowered and mapped
/// through `aliases` (`prd` → `prod`), environments only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    pub environment_tags: Vec<String>,
    pub team_tags: Vec<String>,
    pub owner_tags: Vec<String>,
    /// Which component of the platform it is a part of, in every environment the same.
    pub component_tags: Vec<String>,
    pub environment_aliases: BTreeMap<String, String>,
    /// Environment of what has no such tag, by account.
    pub account_environments: BTreeMap<String, String>,
}

impl Default for Ownership {
    fn default() -> Self {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Self {
            environment_tags: texts(&["environment", "env"]),
            team_tags: texts(&["team"]),
            owner_tags: texts(&["owner"]),
            component_tags: texts(&["component", "app", "application"]),
            environment_aliases: [("prd", "prod"), ("production", "prod"), ("development", "dev")]
                .map(|(from, to)| (from.to_owned(), to.to_owned()))
                .into(),
            account_environments: BTreeMap::new(),
        }
    }
}

impl Ownership {
    /// `None` without tags to tell it: the account's environment stands for what has no such tag,
    /// not for what may have one.
    pub fn environment(&self, account: &str, tags: &Tags) -> Option<String> {
        let tags = tags.as_ref()?;
        let tagged = first_tag(&self.environment_tags, tags).map(|value| {
            let value = value.to_lowercase();
            self.environment_aliases.get(&value).cloned().unwrap_or(value)
        });
        tagged.or_else(|| self.account_environments.get(account).cloned())
    }

    pub fn team(&self, tags: &Tags) -> Option<String> {
        first_tag(&self.team_tags, tags.as_ref()?).map(str::to_lowercase)
    }

    /// The component by its tag, in lower case; `None` where no tag tells it.
    pub fn component(&self, tags: &Tags) -> Option<String> {
        first_tag(&self.component_tags, tags.as_ref()?).map(str::to_lowercase)
    }

    /// Every word that means an environment: its own, and those that are written for it.
    pub fn environment_words<'a>(&'a self, environment: Option<&'a str>) -> Vec<&'a str> {
        let Some(environment) = environment else { return Vec::new() };
        let aliases = self.environment_aliases.iter();
        let others = aliases.filter(|(_, to)| *to == environment).map(|(from, _)| from.as_str());
        std::iter::once(environment).chain(others).collect()
    }

    pub fn owner(&self, tags: &Tags) -> Option<String> {
        first_tag(&self.owner_tags, tags.as_ref()?).map(ToOwned::to_owned)
    }
}

/// The value of the first of `keys` that is there and not empty.
fn first_tag<'a>(keys: &[String], tags: &'a BTreeMap<String, String>) -> Option<&'a str> {
    keys.iter().find_map(|key| {
        tags.iter()
            .find(|(name, value)| is_same_tag_key(name, key) && !value.trim().is_empty())
            .map(|(_, value)| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn an_arn_holds_the_name_that_cloudwatch_knows() {
        for (arn, name) in [
            ("arn:aws:kafka:eu-west-1:111111111111:cluster/orders/1f-2", "orders"),
            ("arn:aws:elasticmapreduce:eu-west-1:111111111111:cluster/j-1ABC", "j-1ABC"),
            ("arn:aws:lambda:eu-west-1:111111111111:function:resize:PROD", "resize"),
            ("arn:aws:rds:eu-west-1:111111111111:db:ledger", "ledger"),
            ("arn:aws:s3:::raw-events", "raw-events"),
            ("raw-events", "raw-events"),
            ("arn:aws", "arn:aws"),
        ] {
            assert_eq!(name_in_arn(arn), name);
        }
    }

    #[test]
    fn tags_are_read_whatever_their_case_and_spelling() {
        let ownership = Ownership::default();
        assert_eq!(ownership.environment("1", &tags(&[("Env", " PRD ")])).as_deref(), Some("prod"));
        assert_eq!(ownership.team(&tags(&[("Team", "Risk")])).as_deref(), Some("risk"));
        assert_eq!(ownership.owner(&tags(&[("owner", "")])), None);
    }

    #[test]
    fn an_account_says_the_environment_of_what_has_no_tag() {
        let mut ownership = Ownership::default();
        ownership.account_environments.insert("1".to_owned(), "dev".to_owned());
        assert_eq!(ownership.environment("1", &tags(&[])).as_deref(), Some("dev"));
        assert_eq!(ownership.environment("2", &tags(&[])), None);
        assert_eq!(ownership.environment("1", &tags(&[("env", "uat")])).as_deref(), Some("uat"));
        assert_eq!(ownership.environment("1", &None), None);
    }
}
