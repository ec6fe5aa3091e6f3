//! The functions of rules, as DataFusion calls them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, StringArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Float64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::decimal::{DECIMAL, Operation, SCALE, to_decimal};
use super::language::BUILTINS;
use crate::insights::commitments::Commitments;
use crate::insights::prices::{Price, PriceBook};
use crate::model::{Kind, Usd};
use crate::services::facts::{Fact, FactType, FactValue, facts};

/// The prices that formulas asked for since they were last taken, and how much of them counts.
#[derive(Debug, Clone, Default)]
pub struct PricesUsed(Arc<Mutex<Asked>>);

#[derive(Debug, Default)]
struct Asked {
    used: Vec<Price>,
    /// Parts of prices that count, by item; all of those that are not in it.
    parts: HashMap<String, Decimal>,
}

impl PricesUsed {
    /// What was asked for, each once, in the order of the formula; then forgotten.
    pub fn take(&self) -> Vec<Price> {
        let mut used =
            std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).used);
        let mut seen = Vec::new();
        used.retain(|price| {
            let new = !seen.contains(&price.item);
            if new {
                seen.push(price.item.clone());
            }
            new
        });
        used
    }

    /// Has only so much of some prices count from now on.
    pub fn count(&self, parts: HashMap<String, Decimal>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).parts = parts;
    }

    /// Notes that a price was asked for, and tells the part of it that counts where that is not all.
    fn note(&self, price: &Price) -> Option<Decimal> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.used.push(price.clone());
        asked.parts.get(&price.item).copied()
    }
}

/// All functions that a rule on `kind` can call, bound to a price book and an instant.
pub fn functions(
    kind: &Kind,
    book: &Arc<PriceBook>,
    used: &PricesUsed,
    now: Timestamp,
) -> Vec<ScalarUDF> {
    let own = [
        Does::Price(Arc::clone(book), used.clone()),
        Does::PriceOf(Arc::clone(book), used.clone()),
        Does::PriceSum(Arc::clone(book), used.clone()),
        Does::CoveredRatio(book.commitments()),
        Does::HasTag,
        Does::Tag,
        Does::DaysSince(now),
    ];
    let exact = [
        Operation::Exact,
        Operation::Add,
        Operation::Subtract,
        Operation::Multiply,
        Operation::Divide,
        Operation::Ceil,
        Operation::Floor,
        Operation::Greatest,
        Operation::Least,
    ];
    own.into_iter()
        .chain(exact.into_iter().map(Does::Exact))
        .chain(facts(kind.service).map(|fact| Does::Fact(*fact)))
        .map(|does| ScalarUDF::new_from_impl(RuleFunction::new(does)))
        .collect()
}

/// The function that does exactly `operation`.
pub fn exact(operation: Operation) -> ScalarUDF {
    ScalarUDF::new_from_impl(RuleFunction::new(Does::Exact(operation)))
}

#[derive(Clone)]
enum Does {
    Price(Arc<PriceBook>, PricesUsed),
    PriceOf(Arc<PriceBook>, PricesUsed),
    PriceSum(Arc<PriceBook>, PricesUsed),
    CoveredRatio(Option<Arc<Commitments>>),
    HasTag,
    Tag,
    DaysSince(Timestamp),
    Exact(Operation),
    Fact(Fact),
}

impl Does {
    fn name(&self) -> &'static str {
        match self {
            Self::Price(..) => "price",
            Self::PriceOf(..) => "price_of",
            Self::PriceSum(..) => "price_sum",
            Self::CoveredRatio(_) => "covered_ratio",
            Self::HasTag => "has_tag",
            Self::Tag => "tag",
            Self::DaysSince(_) => "days_since",
            Self::Exact(operation) => operation.name(),
            Self::Fact(fact) => fact.name,
        }
    }
}

struct RuleFunction {
    does: Does,
    signature: Signature,
}

impl RuleFunction {
    fn new(does: Does) -> Self {
        Self { does, signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl fmt::Debug for RuleFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.does.name())
    }
}

// Two functions of one name are the same: a session holds one book and one instant.
impl PartialEq for RuleFunction {
    fn eq(&self, other: &Self) -> bool {
        self.does.name() == other.does.name()
    }
}

impl Eq for RuleFunction {}

impl Hash for RuleFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.does.name().hash(state);
    }
}

impl ScalarUDFImpl for RuleFunction {
    fn name(&self) -> &str {
        self.does.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        if let Some(builtin) = BUILTINS.iter().find(|builtin| builtin.name == self.name())
            && builtin.arguments != ["…"]
        {
            let expected = builtin.arguments.len() + usize::from(builtin.implied.is_some());
            if arguments.len() != expected {
                return Err(DataFusionError::Plan(format!(
                    "{} has {expected} arguments",
                    self.name()
                )));
            }
        }
        Ok(match &self.does {
            Does::Price(..) | Does::PriceOf(..) | Does::PriceSum(..) | Does::Exact(_) => DECIMAL,
            Does::HasTag => DataType::Boolean,
            Does::Tag => DataType::Utf8,
            Does::CoveredRatio(_) | Does::DaysSince(_) => DataType::Float64,
            Does::Fact(fact) => match fact.returns {
                FactType::Text => DataType::Utf8,
                FactType::Number => DataType::Float64,
                FactType::Bool => DataType::Boolean,
            },
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        if let Does::Fact(fact) = &self.does
            && let Some(told) = tell_once(fact, &arguments.args)?
        {
            return Ok(ColumnarValue::Array(told));
        }
        let arrays = arguments
            .args
            .iter()
            .map(|argument| argument.to_array(rows))
            .collect::<Result<Vec<_>>>()?;
        let array: ArrayRef = match (&self.does, arrays.as_slice()) {
            (Does::Price(book, used), [regions, items]) => {
                priced(book, used, [regions, items], rows, |_, price| Some(price.usd))?
            }
            (Does::PriceOf(book, used), [regions, items, quantities]) => {
                let quantities = Operation::Exact.apply(std::slice::from_ref(quantities), rows)?;
                let quantities = quantities.as_primitive::<Decimal128Type>();
                priced(book, used, [regions, items], rows, |row, price| {
                    let quantity = quantities.is_valid(row).then(|| quantities.value(row))?;
                    price.of(to_decimal(quantity)?)
                })?
            }
            (Does::PriceSum(book, used), [regions, prefixes, lists]) => {
                let (regions, prefixes, lists) = (texts(regions)?, texts(prefixes)?, texts(lists)?);
                let prefixes = prefixes.as_string::<i32>();
                let (regions, lists) = (regions.as_string::<i32>(), lists.as_string::<i32>());
                let sums = (0..rows).map(|row| {
                    if regions.is_null(row) || prefixes.is_null(row) || lists.is_null(row) {
                        return None;
                    }
                    let items = lists.value(row).split(',').filter(|item| !item.is_empty());
                    items
                        .map(|item| {
                            let item = format!("{}{item}", prefixes.value(row));
                            look_up(book, used, &item, regions.value(row))
                        })
                        .sum::<Option<i128>>()
                });
                let sums: Decimal128Array = sums.collect();
                Arc::new(sums.with_precision_and_scale(38, SCALE)?)
            }
            (Does::CoveredRatio(commitments), [regions, items]) => {
                let (regions, items) = (texts(regions)?, texts(items)?);
                let pairs = regions.as_string::<i32>().iter().zip(items.as_string::<i32>().iter());
                let ratios = pairs
                    .map(|(region, item)| commitments.as_ref()?.covered(item?, region?)?.to_f64());
                Arc::new(ratios.collect::<Float64Array>())
            }
            (Does::HasTag, [tags, words]) => {
                let (tags, words) = (texts(tags)?, texts(words)?);
                let pairs = tags.as_string::<i32>().iter().zip(words.as_string::<i32>().iter());
                let found = pairs.map(|(tags, word)| Some(has_tag(tags?, word?)));
                Arc::new(found.collect::<BooleanArray>())
            }
            (Does::Tag, [tags, keys]) => {
                let (tags, keys) = (texts(tags)?, texts(keys)?);
                let pairs = tags.as_string::<i32>().iter().zip(keys.as_string::<i32>().iter());
                let found = pairs.map(|(tags, key)| tag(tags?, key?));
                Arc::new(found.collect::<StringArray>())
            }
            (Does::DaysSince(now), [instants]) => {
                let kind = DataType::Timestamp(TimeUnit::Microsecond, None);
                let instants = cast(instants, &kind)?;
                let days: Float64Array = instants
                    .as_primitive::<TimestampMicrosecondType>()
                    .iter()
                    .map(|instant| instant.map(|at| (now.as_microsecond() - at) as f64 / 86_400e6))
                    .collect();
                Arc::new(days)
            }
            (Does::Exact(operation), operands) => operation.apply(operands, rows)?,
            (Does::Fact(fact), arrays) => tell(fact, arrays, rows)?,
            _ => {
                return Err(DataFusionError::Execution(format!(
                    "{} was called with {} arguments",
                    self.name(),
                    arrays.len()
                )));
            }
        };
        Ok(ColumnarValue::Array(array))
    }
}

/// What `asks` says of the price of each row's item in its region; null where it is not known.
fn priced(
    book: &PriceBook,
    used: &PricesUsed,
    [regions, items]: [&ArrayRef; 2],
    rows: usize,
    asks: impl Fn(usize, &Price) -> Option<Usd>,
) -> Result<ArrayRef> {
    let (regions, items) = (texts(regions)?, texts(items)?);
    let (regions, items) = (regions.as_string::<i32>(), items.as_string::<i32>());
    let prices = (0..rows).map(|row| {
        if regions.is_null(row) || items.is_null(row) {
            return None;
        }
        let price = book.price(items.value(row), regions.value(row))?;
        let part = used.note(price);
        let usd = asks(row, price)?;
        cell(match part {
            Some(part) => Usd(usd.0.checked_mul(part)?),
            None => usd,
        })
    });
    let prices: Decimal128Array = prices.collect();
    Ok(Arc::new(prices.with_precision_and_scale(38, SCALE)?))
}

/// An amount as a cell of exact decimals; `None` when it is too large for one.
fn cell(usd: Usd) -> Option<i128> {
    let scale = u32::from(SCALE.unsigned_abs());
    let amount = usd.0.round_dp(scale);
    amount.mantissa().checked_mul(10_i128.checked_pow(scale.checked_sub(amount.scale())?)?)
}

/// A price as such a cell, noted as used.
fn look_up(book: &PriceBook, used: &PricesUsed, item: &str, region: &str) -> Option<i128> {
    let price = book.price(item, region)?;
    used.note(price);
    cell(price.usd)
}

/// An array of text of any kind, as plain strings.
fn texts(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(cast(array, &DataType::Utf8)?)
}

fn tags_of(json: &str) -> BTreeMap<String, String> {
    serde_json::from_str(json).unwrap_or_default()
}

/// Whether a word is a key or a value of the tags; a key that is denied does not count.
pub fn has_tag(json: &str, word: &str) -> bool {
    // Most resources do not have it: looking for the word is cheaper than reading the tags.
    let (text, wanted) = (json.as_bytes(), word.as_bytes());
    let Some(first) = wanted.first() else { return false };
    let may_have_it = text
        .windows(wanted.len())
        .any(|part| part[0].eq_ignore_ascii_case(first) && part.eq_ignore_ascii_case(wanted));
    if !may_have_it {
        return false;
    }
    tags_of(json).iter().any(|(key, value)| {
        let value = value.trim();
        let denied = ["false", "no", "0"].iter().any(|no| value.eq_ignore_ascii_case(no));
        value.eq_ignore_ascii_case(word) || (key.eq_ignore_ascii_case(word) && !denied)
    })
}

fn tag(json: &str, key: &str) -> Option<String> {
    tags_of(json)
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(key))
        .map(|(_, value)| value)
}

/// A fact about each row.
fn tell(fact: &Fact, arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let columns = arrays.iter().map(values).collect::<Result<Vec<_>>>()?;
    let told = (0..rows).map(|row| {
        let arguments: Vec<FactValue> =
            columns.iter().map(|column| column[row].clone()).collect::<Option<_>>()?;
        (fact.says)(&arguments)
    });
    Ok(told_array(fact, told))
}

/// The same, asked once for each text, where one argument is a column of texts and the others are
/// constants: a million resources have a hundred instance types.
fn tell_once(fact: &Fact, arguments: &[ColumnarValue]) -> Result<Option<ArrayRef>> {
    let mut column = None;
    let mut constants = Vec::with_capacity(arguments.len());
    for (at, argument) in arguments.iter().enumerate() {
        match argument {
            ColumnarValue::Array(array) if column.is_none() && !array.data_type().is_numeric() => {
                column = Some((at, texts(array)?));
                constants.push(None);
            }
            ColumnarValue::Array(_) => return Ok(None),
            ColumnarValue::Scalar(value) => match values(&value.to_array()?)?.pop().flatten() {
                Some(value) => constants.push(Some(value)),
                None => return Ok(None),
            },
        }
    }
    let Some((at, texts)) = column else { return Ok(None) };
    let mut known: HashMap<&str, Option<FactValue>> = HashMap::new();
    let told = texts.as_string::<i32>().iter().map(|text| {
        let text = text?;
        let ask = || {
            let mut arguments = constants.clone();
            arguments[at] = Some(FactValue::Text(text.to_owned()));
            let arguments: Vec<FactValue> = arguments.into_iter().collect::<Option<_>>()?;
            (fact.says)(&arguments)
        };
        known.entry(text).or_insert_with(ask).clone()
    });
    Ok(Some(told_array(fact, told)))
}

fn told_array(fact: &Fact, told: impl Iterator<Item = Option<FactValue>>) -> ArrayRef {
    match fact.returns {
        FactType::Text => {
            let texts = told.map(|value| match value {
                Some(FactValue::Text(text)) => Some(text),
                _ => None,
            });
            Arc::new(texts.collect::<StringArray>())
        }
        FactType::Number => Arc::new(told.map(|value| value?.number()).collect::<Float64Array>()),
        FactType::Bool => {
            let answers = told.map(|value| match value {
                Some(FactValue::Bool(answer)) => Some(answer),
                _ => None,
            });
            Arc::new(answers.collect::<BooleanArray>())
        }
    }
}

fn values(array: &ArrayRef) -> Result<Vec<Option<FactValue>>> {
    Ok(match array.data_type() {
        DataType::Null => vec![None; array.len()],
        DataType::Boolean => {
            array.as_boolean().iter().map(|value| value.map(FactValue::Bool)).collect()
        }
        kind if kind.is_numeric() => {
            let numbers = cast(array, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            numbers.iter().map(|value| value.map(FactValue::Number)).collect()
        }
        _ => {
            let texts = texts(array)?;
            let texts = texts.as_string::<i32>();
            texts.iter().map(|value| value.map(|text| FactValue::Text(text.to_owned()))).collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_by_key_or_value_in_any_case() {
        for (tags, found) in [
            (r#"{"DR":"true"}"#, true),
            (r#"{"role":"dr"}"#, true),
            (r#"{"dr":""}"#, true),
            (r#"{"dr":"false"}"#, false),
            (r#"{"dr":"No"}"#, false),
            (r#"{"team":"drivers"}"#, false),
            ("{}", false),
            ("not json dr", false),
        ] {
            assert_eq!(has_tag(tags, "dr"), found, "{tags}");
        }
    }

    #[test]
    fn a_tags_value_is_found_whatever_its_keys_case() {
        assert_eq!(tag(r#"{"CostCentre":"42"}"#, "costcentre").as_deref(), Some("42"));
        assert_eq!(tag("{}", "costcentre"), None);
    }
}
