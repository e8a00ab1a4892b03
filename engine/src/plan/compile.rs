//! From resolved definitions to a plan: SQL is compiled and typed here, all errors at once.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use freshet_config::definitions::{
    ChangesOf, Computed, Definitions, Function, Sql, View, arrow_schema, arrow_type, column_type,
};
use freshet_config::diagnostic::{Diagnostic, Diagnostics, suggestion};
use freshet_config::time::Span;
use freshet_config::value::DataType;
use freshet_operators::derived::compile_services;
use freshet_operators::project::{ProjectedCategory, ProjectedColumn, Projection};
use freshet_operators::sql::{self, Expression, Predicate, SqlError, SqlErrorKind};
use freshet_operators::view::{self, ColumnSource, MAX_COLUMNS, MAX_WINDOWS, ViewPlan};

use super::{Group, GroupView, Node, Pipeline, Plan, changes};

impl Plan {
    /// Compiles definitions; relative paths in them count from `directory`.
    pub fn compile(definitions: Definitions, directory: &Path) -> Result<Plan, Diagnostics> {
        let mut compiler = Compiler::new(&definitions);
        let mut plans = vec![None; definitions.views.len()];
        let mut pipelines = Vec::new();
        for source in definitions.sources_in_order() {
            let pipeline = compiler.pipeline(source, &mut plans, &pipelines);
            pipelines.extend(pipeline);
        }
        changes::remember(&definitions, &mut pipelines);
        let mut errors = compiler.errors;
        let services = compile_services(&definitions, &plans, &mut errors);
        let views: Vec<Arc<ViewPlan>> = plans.into_iter().flatten().collect();
        errors.into_result(())?;
        let services = services.into_iter().map(Arc::new).collect();
        let plan_id = definitions.plan_id();
        let definitions = Arc::new(definitions);
        Ok(Plan { definitions, directory: directory.to_path_buf(), plan_id, views, services, pipelines })
    }
}

pub(super) struct Compiler<'a> {
    definitions: &'a Definitions,
    pub(super) errors: Diagnostics,
    /// While a pipeline of changes is compiled: what its columns lack.
    left_out: Option<&'a ChangesOf>,
    /// Columns of the source without a type, because they do not compile or are refused: not to be called unknown.
    pub(super) unsound: Vec<String>,
    /// Whether the source may have columns that nobody knows.
    pub(super) incomplete: bool,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(definitions: &'a Definitions) -> Compiler<'a> {
        Compiler { definitions, errors: Diagnostics::default(), left_out: None, unsound: Vec::new(), incomplete: false }
    }

    /// `None` when no view reads the source.
    fn pipeline(
        &mut self,
        source: usize,
        plans: &mut [Option<Arc<ViewPlan>>],
        earlier: &[Pipeline],
    ) -> Option<Pipeline> {
        let definition = &self.definitions.sources[source];
        self.left_out = definition.changes_of.as_ref();
        let views: Vec<usize> =
            (0..self.definitions.views.len()).filter(|v| self.definitions.views[*v].source == source).collect();
        let (first, mut fields) = match &definition.changes_of {
            Some(changes) => changes::node(self.definitions, changes, plans, earlier)?,
            None => {
                let columns = arrow_schema(&definition.event_columns());
                (Node::Read, columns.fields().iter().map(|f| (**f).clone()).collect())
            }
        };
        let mut nodes = vec![first];
        for (e, enrich) in definition.enrich.iter().enumerate() {
            let dimension = &self.definitions.dimensions[enrich.dimension];
            for (column, name) in &enrich.columns {
                fields.push(Field::new(name, arrow_type(dimension.schema[*column].data_type), true));
            }
            nodes.push(Node::Enrich { enrich: e });
        }
        self.unsound.clear();
        let computed = self.computed(&definition.select, &mut fields);
        if !computed.is_empty() {
            nodes.push(Node::Compute { columns: computed });
        }
        nodes.push(Node::Project);
        let schema = Arc::new(Schema::new(fields));
        let mut groups: Vec<Group> = Vec::new();
        for view in &views {
            plans[*view] = self.view(*view, &schema, &mut groups);
        }
        for group in 0..groups.len() {
            nodes.push(Node::Windows { group });
            nodes.push(Node::Commit { group });
        }
        let longest = views.iter().map(|v| {
            let view = &self.definitions.views[*v];
            // Of what is read, an interval is never longer than the lateness.
            if definition.changes_of.is_some() { changes::depth(view) } else { view.longest_window() }
        });
        let reach = Span::from_micros(longest.max()?.micros().saturating_add(definition.lateness.micros()));
        Some(Pipeline { source, reach, memory: reach, schema, nodes, groups })
    }

    /// Compiles the computed columns of a source, and adds them to its fields.
    pub(super) fn computed(&mut self, select: &[Computed], fields: &mut Vec<Field>) -> Vec<(String, Expression)> {
        let mut columns = Vec::new();
        for column in select {
            let schema = Schema::new(fields.clone());
            let compiled = match column.data_type {
                Some(data_type) => Expression::compile_typed(&column.sql.text, &schema, data_type),
                None => Expression::compile(&column.sql.text, &schema),
            };
            let what = format!("computed column `{}`", column.name);
            let compiled = self.keep(compiled, &column.sql, &what);
            if fields.iter().any(|field| *field.name() == column.name) {
                // Refused, for its name is another's: that one is meant by it.
                continue;
            }
            if let Some(expression) = compiled {
                fields.push(expression.field(&column.name));
                columns.push((column.name.clone(), expression));
            } else if let Some(data_type) = column.data_type {
                // Later expressions may use it; their own errors still show.
                fields.push(Field::new(&column.name, arrow_type(data_type), true));
            } else {
                self.unsound.push(column.name.clone());
            }
        }
        columns
    }

    /// Compiles a view and adds it to the group of its entity that has room.
    fn view(&mut self, index: usize, schema: &Arc<Schema>, groups: &mut Vec<Group>) -> Option<Arc<ViewPlan>> {
        let view = &self.definitions.views[index];
        // Compiled now and looked at later: its error does not hide those of the aggregates.
        let what = format!("the filter of view `{}`", view.served_as);
        let filter = view.filter.as_ref().map(|sql| self.predicate(sql, schema, &what));
        let sources = view::column_sources(view);
        let compiled: Vec<Option<ProjectedColumn>> =
            sources.iter().map(|source| self.column(view, source, schema)).collect();
        let types: Vec<Option<DataType>> = compiled.iter().map(|c| Some(c.as_ref()?.data_type)).collect();
        self.check_functions(view, &sources, &types);
        let category = view.group.as_ref().map(|g| (g.column.text.clone(), self.category(view, &g.column, schema)));
        let columns: Vec<ProjectedColumn> = compiled.into_iter().collect::<Option<_>>()?;
        let types: Vec<DataType> = columns.iter().map(|c| c.data_type).collect();
        let filter = match filter {
            Some(filter) => Some(filter?),
            None => None,
        };
        let category = match category {
            Some((text, category)) => Some((text, category?)),
            None => None,
        };
        let plan_id = self.definitions.plan_id();
        let mut plan = match &category {
            Some((_, category)) => ViewPlan::by_category(view, &types, category.data_type, plan_id),
            None => ViewPlan::new(view, &types, plan_id),
        };
        let source = &self.definitions.sources[view.source];
        plan.retracts = source.changelog.is_some() || source.changes_of.is_some();
        plan.answers_back = source.changes_of.as_ref().map(|_| source.lateness);
        let plan = Arc::new(plan);
        if plan.windows.len() > MAX_WINDOWS || columns.len() > MAX_COLUMNS {
            let message = format!(
                "view `{}` has {} distinct windows and {} distinct columns, more than {MAX_WINDOWS} and {MAX_COLUMNS}",
                view.served_as,
                plan.windows.len(),
                columns.len()
            );
            self.errors.push(Diagnostic::new(&view.place, "DEF-SIZE", message).hint("split the view in two"));
            return None;
        }
        let keys = self.keys(view, schema)?;
        let time = self.definitions.sources[view.source].event_time;
        let (text, category) = category.unzip();
        let fits = |g: &Group| g.entity == view.entity && g.category == text && g.has_room(&sources, &keys);
        let group = match groups.iter_mut().find(|group| fits(group)) {
            Some(group) => group,
            None => {
                let (columns, filters) = (Vec::new(), Vec::new());
                let projection = Projection { time, keys, category, columns, filters, keep_positions: false };
                let (views, sources) = (Vec::new(), Vec::new());
                groups.push(Group { entity: view.entity, projection, category: text, views, sources });
                groups.last_mut()?
            }
        };
        group.add(index, filter, sources, columns, plan.keeps_positions());
        Some(plan)
    }

    fn column(&mut self, view: &View, source: &ColumnSource, schema: &Schema) -> Option<ProjectedColumn> {
        let of = source.of.as_ref().map(|sql| {
            let compiled = Expression::compile(&sql.text, schema);
            self.keep(compiled, sql, &part_of_aggregate(view, sql))
        });
        let filter = source.filter.as_ref().map(|sql| self.predicate(sql, schema, &part_of_aggregate(view, sql)));
        let (of, filter) = (of.map_or(Some(None), |of| of.map(Some))?, filter.map_or(Some(None), |f| f.map(Some))?);
        let data_type = match &of {
            Some(of) => column_type(of.data_type())?,
            None => DataType::Bool,
        };
        Some(ProjectedColumn { of, filter, data_type })
    }

    fn category(&mut self, view: &View, sql: &Sql, schema: &Schema) -> Option<ProjectedCategory> {
        let what = format!("the category of view `{}`", view.served_as);
        let of = self.keep(Expression::compile(&sql.text, schema), sql, &what)?;
        let data_type = column_type(of.data_type())?;
        if !data_type.is_key() {
            let message = format!("{what}: `{}` is {data_type}, which has no exact values to group by", sql.text);
            let hint = "group by a string, an integer, a bool or a timestamp";
            self.errors.push(Diagnostic::new(&sql.place, "DEF-TYPE", message).hint(hint));
            return None;
        }
        Some(ProjectedCategory { of, data_type })
    }

    fn predicate(&mut self, sql: &Sql, schema: &Schema, what: &str) -> Option<Predicate> {
        let compiled = sql::predicate(&sql.text, schema);
        self.keep(compiled, sql, what)
    }

    /// What compiled, or `None` and its errors.
    pub(super) fn keep<T>(&mut self, compiled: Result<T, SqlError>, sql: &Sql, what: &str) -> Option<T> {
        match compiled {
            Ok(compiled) => return Some(compiled),
            Err(error) => error.each().for_each(|error| self.refuse(&error, sql, what)),
        }
        None
    }

    fn refuse(&mut self, error: &SqlError, sql: &Sql, what: &str) {
        let unknown = error.kind == SqlErrorKind::UnknownColumn;
        if unknown && self.incomplete || self.unsound.iter().any(|name| error.is_unknown(name)) {
            return;
        }
        let mut found = error.diagnostic(sql, what);
        let names = self.left_out.iter().flat_map(|changes| &changes.left_out);
        if let Some(name) = names.clone().find(|name| error.is_unknown(name)) {
            found.hint = Some(format!("changes carry single values, and no decayed sums: `{name}` is not one of them"));
        }
        self.errors.push(found);
    }

    fn check_functions(&mut self, view: &View, sources: &[ColumnSource], types: &[Option<DataType>]) {
        for aggregate in &view.aggregates {
            let Some(of) = &aggregate.of else { continue };
            let column = sources.iter().position(|s| s.feeds(aggregate));
            if let Some(data_type) = column.and_then(|column| types[column]) {
                let user = format!("aggregate `{}` of view `{}`", aggregate.name, view.served_as);
                self.check_input(&user, aggregate.function, of, data_type);
            }
        }
    }

    /// Whether the function of an aggregate takes the type of what it is given.
    pub(super) fn check_input(&mut self, user: &str, function: Function, of: &Sql, data_type: DataType) {
        if function.takes(data_type) {
            return;
        }
        let (name, wanted) = (function.name(), function.wanted_input());
        let message = format!("{user}: {name} needs {wanted}, `{}` is {data_type}", of.text);
        let hint = "aggregate another column, cast this one, or use count, min, max or last";
        self.errors.push(Diagnostic::new(&of.place, "DEF-TYPE", message).hint(hint));
    }

    /// The key columns of a view in the source's schema, with the entity's types.
    fn keys(&mut self, view: &View, schema: &Schema) -> Option<Vec<(usize, DataType)>> {
        let entity = &self.definitions.entities[view.entity];
        let mut keys = Vec::new();
        for (key, name) in entity.keys.iter().zip(&view.key_columns) {
            let found = schema.index_of(name).ok();
            let data_type = found.and_then(|i| column_type(schema.field(i).data_type()));
            match (found, data_type) {
                (Some(index), Some(data_type)) if data_type == key.data_type => keys.push((index, data_type)),
                (Some(_), Some(data_type)) => {
                    let message = format!(
                        "view `{}` takes key `{}` of entity `{}` from `{name}`, which is {data_type}, not {}",
                        view.served_as, key.name, entity.name, key.data_type
                    );
                    self.errors.push(
                        Diagnostic::new(&view.place, "DEF-TYPE", message)
                            .hint("cast the column in the source's `select`"),
                    );
                }
                _ => {
                    let names = schema.fields().iter().map(|f| f.name().as_str());
                    let message = format!("view `{}` has no column `{name}` for key `{}`", view.served_as, key.name);
                    let hint = suggestion(name, names);
                    self.errors.push(Diagnostic::new(&view.place, "DEF-COL", message).hint(hint));
                }
            }
        }
        (keys.len() == entity.keys.len()).then_some(keys)
    }
}

impl Group {
    /// A batch names views and columns by the bits of one word.
    fn has_room(&self, sources: &[ColumnSource], keys: &[(usize, DataType)]) -> bool {
        let fresh = sources.iter().filter(|s| !self.sources.iter().any(|known| known.same_values(s))).count();
        self.projection.keys == keys && self.views.len() < 64 && self.sources.len() + fresh <= 64
    }

    fn add(
        &mut self,
        view: usize,
        filter: Option<Predicate>,
        sources: Vec<ColumnSource>,
        columns: Vec<ProjectedColumn>,
        keep_positions: bool,
    ) {
        let mut places = Vec::new();
        for (source, column) in sources.into_iter().zip(columns) {
            let known = self.sources.iter().position(|s| s.same_values(&source));
            places.push(known.unwrap_or(self.sources.len()));
            if known.is_none() {
                self.sources.push(source);
                self.projection.columns.push(column);
            }
        }
        self.projection.filters.push(filter);
        self.projection.keep_positions |= keep_positions;
        self.views.push(GroupView { view, columns: places });
    }
}

/// What messages call the SQL of an aggregate: aggregates that share it are called as the first.
fn part_of_aggregate(view: &View, sql: &Sql) -> String {
    let is_it = |part: &Option<Sql>| part.as_ref().is_some_and(|part| part.place == sql.place);
    let named = view.aggregates.iter().find_map(|aggregate| {
        let parts = [("argument", &aggregate.of), ("order", &aggregate.order), ("filter", &aggregate.filter)];
        parts.into_iter().find(|(_, part)| is_it(part)).map(|(part, _)| (part, &aggregate.name))
    });
    match named {
        Some((part, name)) => format!("the {part} of aggregate `{name}` of view `{}`", view.served_as),
        None => format!("an aggregate of view `{}`", view.served_as),
    }
}
