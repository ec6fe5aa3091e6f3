//! Functions and operators with a bound: those that can make much of little.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::concat_elements::concat_elements_utf8;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::publishers::sql::error::{self, Error, raise};

/// Most that one call of a function may make of a batch, in bytes.
const MOST_BYTES: usize = 64 * 1024 * 1024;

fn too_large(function: &str) -> DataFusionError {
    raise(Error::new(error::MEMORY, format!("the result of {function} would be too large")))
}

/// Puts a bound on the functions that can make much of little.
pub(super) fn bound(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for name in [
        "concat",
        "concat_ws",
        "repeat",
        "lpad",
        "rpad",
        "replace",
        "array_repeat",
        "array_resize",
        "range",
        "generate_series",
    ] {
        if let Ok(inner) = registry.udf(name) {
            registry.register_udf(Arc::new(ScalarUDF::new_from_impl(Bounded { inner })))?;
        }
    }
    Ok(())
}

/// A function whose result is estimated before it is made.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
}

impl Bounded {
    /// At least so many bytes will be made, as far as the arguments tell.
    fn estimate(&self, args: &ScalarFunctionArgs) -> usize {
        let rows = args.number_rows.max(1);
        let number = |at: usize| -> usize {
            let array = args.args.get(at).and_then(|arg| arg.to_array(rows).ok());
            let array = array.and_then(|array| cast(&array, &DataType::Int64).ok());
            let most = array.and_then(|array| {
                let values = array.as_primitive::<datafusion::arrow::datatypes::Int64Type>();
                values.iter().flatten().max()
            });
            usize::try_from(most.unwrap_or(0)).unwrap_or(0)
        };
        // The longest text of an argument.
        let length = |at: usize| -> usize {
            let array = args.args.get(at).and_then(|arg| arg.to_array(rows).ok());
            let array = array.and_then(|array| cast(&array, &DataType::LargeUtf8).ok());
            array
                .map(|array| array.as_string::<i64>().iter().flatten().map(str::len).max())
                .and_then(|most| most)
                .unwrap_or(0)
        };
        let each = match self.inner.name() {
            "concat" | "concat_ws" => {
                let lengths = (0..args.args.len()).map(length);
                // A separator stands before each but the first.
                let separators = length(0).saturating_mul(args.args.len());
                let is_separated = self.inner.name() == "concat_ws";
                lengths.sum::<usize>() + if is_separated { separators } else { 0 }
            }
            "repeat" => length(0).saturating_mul(number(1)),
            "lpad" | "rpad" => number(1),
            "replace" => {
                let times = length(0) / length(1).max(1);
                times.saturating_mul(length(2))
            }
            "array_repeat" => number(1).saturating_mul(16),
            "array_resize" => number(1).saturating_mul(8),
            _ => {
                let step = if args.args.len() > 2 { number(2).max(1) } else { 1 };
                let (from, to) =
                    if args.args.len() > 1 { (number(0), number(1)) } else { (0, number(0)) };
                (to.saturating_sub(from) / step).saturating_mul(8)
            }
        };
        each.saturating_mul(rows)
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = self.inner.return_field_from_args(args)?;
        Ok(Arc::new(Field::new(self.name(), field.data_type().clone(), true)))
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.estimate(&args) > MOST_BYTES {
            return Err(too_large(self.name()));
        }
        self.inner.invoke_with_args(args)
    }
}

/// `||` of texts, under PostgreSQL's name of its function.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TextCat {
    signature: Signature,
}

impl ScalarUDFImpl for TextCat {
    fn name(&self) -> &'static str {
        "textcat"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![DataType::Utf8; kinds.len()])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return Err(DataFusionError::Execution("textcat takes two arguments".to_owned()));
        };
        // Before a single value becomes as many as there are rows.
        let bytes = |side: &ColumnarValue| match side {
            ColumnarValue::Array(array) => {
                array.as_string_opt::<i32>().map_or(0, |it| it.value_data().len())
            }
            ColumnarValue::Scalar(value) => {
                let text = value.try_as_str().flatten().unwrap_or_default();
                text.len().saturating_mul(args.number_rows)
            }
        };
        if bytes(left).saturating_add(bytes(right)) > MOST_BYTES {
            return Err(too_large("||"));
        }
        let text = |side: &ColumnarValue| {
            side.to_array(args.number_rows).and_then(|it| Ok(cast(&it, &DataType::Utf8)?))
        };
        let (left, right) = (text(left)?, text(right)?);
        let both = concat_elements_utf8(left.as_string::<i32>(), right.as_string::<i32>())?;
        Ok(ColumnarValue::Array(Arc::new(both)))
    }
}

/// Makes `||` of texts a function with a bound; lists stay the engine's.
#[derive(Debug)]
pub(in crate::publishers::sql) struct Concatenation {
    textcat: Arc<ScalarUDF>,
}

impl Default for Concatenation {
    fn default() -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { textcat: Arc::new(ScalarUDF::new_from_impl(TextCat { signature })) }
    }
}

impl ExprPlanner for Concatenation {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let is_list = |side: &datafusion::logical_expr::Expr| {
            side.get_type(schema).is_ok_and(|kind| kind.is_list())
        };
        if expr.op != BinaryOperator::StringConcat || is_list(&expr.left) || is_list(&expr.right) {
            return Ok(PlannerResult::Original(expr));
        }
        Ok(PlannerResult::Planned(self.textcat.call(vec![expr.left, expr.right])))
    }
}
