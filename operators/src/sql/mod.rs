//! Scalar SQL over Arrow batches: computed columns, filters and the arguments of aggregates.
//!
//! An expression sees the columns of one event and nothing else: no clock, no randomness, no other row. So its value
//! is a function of the event alone, the same live, in a backfill and for a training row, and in any cut of batches.
//! Columns are found by exact name, functions in any case. Integer arithmetic never wraps: a row that overflows,
//! divides by zero or cannot be cast gets null and is counted.

mod alike;
mod bytes;
mod check;
mod constants;
mod costs;
mod error;
mod evaluate;
mod fault;
mod functions;
mod growth;
mod innermost;
mod limits;
mod manner;
mod maps;
mod names;
mod one_nan;
mod parse;
mod patterns;
mod place;
mod plan;
mod signature;
mod spans;
mod types;
mod walk;
mod words;

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::utils::collect_columns;
use freshet_config::definitions::arrow_type;
use freshet_config::value::DataType;

pub(crate) use error::place_within;
pub use error::{SqlError, SqlErrorKind};
pub use evaluate::Evaluated;
pub use fault::SqlFault;
pub use growth::{MOST_FIXED_BYTES, MOST_FOLD};
pub use limits::{MAX_DEPTH, MAX_TEXT_BYTES};
use names::Naming;
pub use names::{Reference, references};

/// A compiled expression; cheap to clone and to share between threads.
#[derive(Clone, Debug)]
pub struct Expression {
    physical: Arc<dyn PhysicalExpr>,
    /// The Arrow form of one of our seven types.
    data_type: ArrowType,
    nullable: bool,
    /// Ascending.
    columns: Vec<usize>,
    /// Name and type of each of `columns`, to refuse a batch of another shape.
    inputs: Vec<(String, ArrowType)>,
    text_bound: growth::Bound,
}

impl Expression {
    /// Compiles `text` over the columns of `schema`, with the type SQL gives it.
    pub fn compile(text: &str, schema: &Schema) -> Result<Expression, SqlError> {
        let Planned { physical, sql_type, text_bound } = plan_text(text, schema, Naming::Columns)?;
        match types::canonical(&sql_type) {
            Some(target) => Expression::assemble(physical, target, text_bound, schema),
            None if sql_type == ArrowType::Null => {
                Err(SqlError::new(SqlErrorKind::Type, "the expression is always null and has no type")
                    .hint("write `cast(null as double)` or another type"))
            }
            None => Err(SqlError::new(
                SqlErrorKind::Type,
                format!("the expression gives {}, which no column can hold", plan::type_name(&sql_type)),
            )
            .hint(match bytes::is_bytes(&sql_type) {
                true => bytes::ADVICE.to_string(),
                false => format!("cast it to one of {}", type_list()),
            })),
        }
    }

    /// Compiles `text` as a column of type `target`. SQL's type must fit it without loss: a narrower number into a
    /// wider one, a written number into any type that holds it exactly.
    pub fn compile_typed(text: &str, schema: &Schema, target: DataType) -> Result<Expression, SqlError> {
        Expression::typed(text, schema, target, Naming::Columns)
    }

    /// As [`Expression::compile_typed`], where columns are named `qualifier.name`: fields of the schema are called so.
    /// [`references`] lists the names a text uses.
    pub fn compile_qualified(text: &str, schema: &Schema, target: DataType) -> Result<Expression, SqlError> {
        Expression::typed(text, schema, target, Naming::Qualified)
    }

    fn typed(text: &str, schema: &Schema, target: DataType, naming: Naming) -> Result<Expression, SqlError> {
        let Planned { physical, sql_type, text_bound } = plan_text(text, schema, naming)?;
        if types::fits(&physical, &sql_type, target) {
            return Expression::assemble(physical, target, text_bound, schema);
        }
        let message = format!("the expression gives {}, not {target}", plan::type_name(&sql_type));
        let error = SqlError::new(SqlErrorKind::Type, message);
        Err(match types::canonical(&sql_type) {
            Some(_) => error.hint(format!("write `cast(... as {})`, or change the declared type", sql_name(target))),
            None if bytes::is_bytes(&sql_type) => error.hint(bytes::ADVICE),
            None => error,
        })
    }

    fn assemble(
        physical: Arc<dyn PhysicalExpr>,
        target: DataType,
        text_bound: growth::Bound,
        schema: &Schema,
    ) -> Result<Expression, SqlError> {
        let nullable = physical.nullable(schema)?;
        let mut columns: Vec<usize> = collect_columns(&physical).iter().map(|column| column.index()).collect();
        columns.sort_unstable();
        let inputs = columns.iter().map(|&index| {
            let field = schema.field(index);
            (field.name().clone(), field.data_type().clone())
        });
        let inputs = inputs.collect();
        Ok(Expression { physical, data_type: arrow_type(target), nullable, columns, inputs, text_bound })
    }

    /// The column it computes, as later expressions see it: nullable, with a bound on the length of its texts.
    pub fn field(&self, name: &str) -> Field {
        Field::new(name, self.data_type.clone(), true).with_metadata(self.text_bound.metadata())
    }

    #[cfg(test)]
    fn text_bound(&self) -> growth::Bound {
        self.text_bound
    }

    /// The type of every evaluated array: the Arrow form of one of our seven types.
    pub fn data_type(&self) -> &ArrowType {
        &self.data_type
    }

    /// Whether a row that evaluates can be null. A row that fails is null in any case.
    pub fn nullable(&self) -> bool {
        self.nullable
    }

    /// Indices of the input columns it reads, ascending.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// One value per row of `batch`. An error means that the batch does not have the columns compiled for; a row that
    /// fails is null and counted.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<Evaluated, SqlError> {
        self.check_batch(batch)?;
        evaluate::evaluate(&self.physical, &self.data_type, batch)
            .map_err(|error| SqlError::new(SqlErrorKind::Type, format!("the batch cannot be put together: {error}")))
    }

    fn check_batch(&self, batch: &RecordBatch) -> Result<(), SqlError> {
        for (&index, (name, data_type)) in self.columns.iter().zip(&self.inputs) {
            let found = batch.columns().get(index).map(|column| column.data_type());
            if found != Some(data_type) {
                let found = found.map_or("missing".to_string(), plan::type_name);
                let message = format!("column `{name}` of the batch is {found}, not {}", plan::type_name(data_type));
                return Err(SqlError::new(SqlErrorKind::Type, message));
            }
        }
        Ok(())
    }
}

/// A compiled condition on events.
#[derive(Clone, Debug)]
pub struct Predicate {
    expression: Expression,
}

/// Which events of a batch pass.
#[derive(Clone, Debug)]
pub struct Selection {
    /// One bit per row, never null.
    pub passes: BooleanArray,
    /// Rows for which the condition could not be computed; they do not pass.
    pub failed_rows: usize,
    /// The first of them, and why it failed.
    pub first_failure: Option<(usize, String)>,
}

/// Compiles a condition over the columns of `schema`; it must be boolean.
pub fn predicate(text: &str, schema: &Schema) -> Result<Predicate, SqlError> {
    let Planned { physical, sql_type, text_bound } = plan_text(text, schema, Naming::Columns)?;
    if sql_type != ArrowType::Boolean {
        let message = format!("a filter must be true or false, this gives {}", plan::type_name(&sql_type));
        return Err(SqlError::new(SqlErrorKind::Type, message).hint("compare it, such as `... > 0`"));
    }
    Ok(Predicate { expression: Expression::assemble(physical, DataType::Bool, text_bound, schema)? })
}

impl Predicate {
    /// Indices of the input columns it reads, ascending.
    pub fn columns(&self) -> &[usize] {
        self.expression.columns()
    }

    /// Null counts as false: the event does not pass.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<Selection, SqlError> {
        let evaluated = self.expression.evaluate(batch)?;
        let answers = evaluated.array.as_boolean();
        let passes = if answers.null_count() > 0 { prep_null_mask_filter(answers) } else { answers.clone() };
        Ok(Selection { passes, failed_rows: evaluated.failed_rows, first_failure: evaluated.first() })
    }
}

/// An executable expression, the type SQL gives it, and how long its texts can get.
struct Planned {
    physical: Arc<dyn PhysicalExpr>,
    sql_type: ArrowType,
    text_bound: growth::Bound,
}

/// Text to an executable expression.
fn plan_text(text: &str, schema: &Schema, naming: Naming) -> Result<Planned, SqlError> {
    on_planner(|| {
        let parsed = match names::column(text, schema) {
            Some(column) => column,
            None => names::rewritten(parse::parse(text)?, naming),
        };
        check::check(&parsed, schema)?;
        let planned = plan::plan(parsed.clone(), schema);
        let (physical, text_bound) =
            planned.map_err(|error| innermost::blame(&parsed, error, |part| plan::plan(part, schema)))?;
        let sql_type = physical.data_type(schema)?;
        Ok(Planned { physical, sql_type, text_bound })
    })
}

/// Works on a thread of its own: parser and planner spend tens of kilobytes of stack on each level of an expression,
/// more than the caller's thread may have left for [`MAX_DEPTH`] of them.
fn on_planner<T: Send>(work: impl FnOnce() -> Result<T, SqlError> + Send) -> Result<T, SqlError> {
    let internal = |what: &str| SqlError::new(SqlErrorKind::Unsupported, format!("the expression {what}"));
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("sql-planner".to_string())
            .stack_size(PLANNER_STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|error| internal(&format!("got no thread to be planned on: {error}")))?
            .join()
            .unwrap_or_else(|_| Err(internal("is beyond the planner, which gave up on it")))
    })
}

/// Address space, not memory: only what a deep expression touches is ever backed.
const PLANNER_STACK_BYTES: usize = 64 << 20;

/// What SQL calls our type in a cast.
fn sql_name(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Int32 => "int",
        DataType::Int64 => "bigint",
        DataType::Float32 => "real",
        DataType::Float64 => "double",
        DataType::String => "varchar",
        DataType::Bool => "boolean",
        DataType::Timestamp => "timestamp",
    }
}

fn type_list() -> String {
    DataType::ALL.map(sql_name).join(", ")
}
