//! The functions expressions may call, and the planner's view of them.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, TableReference, plan_err};
use datafusion_expr::planner::ExprPlanner;
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, Volatility, WindowUDF};
use datafusion_functions::core::planner::CoreFunctionPlanner;
use datafusion_functions::datetime::planner::DatetimeFunctionPlanner;
use datafusion_functions::unicode::planner::UnicodeFunctionPlanner;
use datafusion_functions_nested::all_default_nested_functions;
use datafusion_functions_nested::planner::{FieldAccessPlanner, NestedFunctionPlanner};
use datafusion_sql::planner::ContextProvider;

/// Functions over many rows, known only to be refused by name.
const AGGREGATES: [&str; 36] = [
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "max",
    "mean",
    "median",
    "min",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
];

/// Functions taken away: `version` changes with a library, and one event could make the others ask for gigabytes.
const WITHHELD: [&str; 8] =
    ["version", "repeat", "array_repeat", "list_repeat", "array_resize", "list_resize", "generate_series", "range"];

/// What a function's name means here.
pub(super) enum Meaning {
    /// The same arguments always give the same value.
    Scalar,
    /// The value depends on when, where or how often it is called.
    Volatile,
    Aggregate,
    Withheld,
    Unknown,
}

/// Finds what a name means, in any case.
pub(super) fn meaning(name: &str) -> Meaning {
    let name = name.to_ascii_lowercase();
    if WITHHELD.contains(&name.as_str()) {
        return Meaning::Withheld;
    }
    match SCALARS.find(&name) {
        Some(function) if function.signature().volatility == Volatility::Immutable => Meaning::Scalar,
        Some(_) => Meaning::Volatile,
        None if AGGREGATES.contains(&name.as_str()) => Meaning::Aggregate,
        None => Meaning::Unknown,
    }
}

/// Whether a written name, in any case, means the function that is called `name`.
pub(super) fn same(written: &str, name: &str) -> bool {
    known_as(written) == Some(name)
}

/// What the planner calls the function that a written name, in any case, means.
pub(super) fn known_as(written: &str) -> Option<&'static str> {
    SCALARS.find(&written.to_ascii_lowercase()).map(|function| function.name())
}

/// Names an expression may call, for suggestions.
pub(super) fn names() -> Vec<&'static str> {
    let usable = SCALARS.functions.iter().filter(|f| f.signature().volatility == Volatility::Immutable);
    usable
        .flat_map(|f| std::iter::once(f.name()).chain(f.aliases().iter().map(String::as_str)))
        .filter(|name| !WITHHELD.contains(name))
        .collect()
}

/// Built once per process: the list is the same for every expression.
pub(super) static SCALARS: LazyLock<Scalars> = LazyLock::new(|| Scalars {
    options: ConfigOptions::new(),
    planners: vec![
        Arc::new(CoreFunctionPlanner::default()),
        Arc::new(NestedFunctionPlanner),
        Arc::new(FieldAccessPlanner),
        Arc::new(DatetimeFunctionPlanner),
        Arc::new(UnicodeFunctionPlanner),
    ],
    functions: {
        let mut functions = datafusion_functions::all_default_functions();
        functions.extend(all_default_nested_functions());
        functions
    },
});

/// A world of scalar functions: no tables, no aggregates, no variables.
pub(super) struct Scalars {
    options: ConfigOptions,
    planners: Vec<Arc<dyn ExprPlanner>>,
    functions: Vec<Arc<ScalarUDF>>,
}

impl Scalars {
    fn find(&self, name: &str) -> Option<&Arc<ScalarUDF>> {
        self.functions.iter().find(|f| f.name() == name || f.aliases().iter().any(|alias| alias == name))
    }
}

impl ContextProvider for Scalars {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        plan_err!("there is no table {name} in an expression")
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.find(&name.to_ascii_lowercase()).cloned()
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.functions.iter().map(|f| f.name().to_string()).collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }
}
