//! A plan as stable text: what `freshet dataflow` shows and golden tests compare.

use std::fmt;

use freshet_config::definitions::{CHANGED_AT, FileFormat, Files, Mode, Stream};
use freshet_config::function::SummaryKind;
use freshet_operators::changes::ChangesPlan;
use freshet_operators::view::{ColumnPlan, ColumnSource, ViewPlan};

use super::{Group, Node, Pipeline, Plan};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "plan {}", self.plan_id)?;
        for pipeline in &self.pipelines {
            self.pipeline(f, pipeline)?;
        }
        for service in &self.services {
            let keys: Vec<String> = service.join_keys.iter().map(|k| format!("{} {}", k.name, k.data_type)).collect();
            writeln!(f, "\nservice {} by {}", service.name, keys.join(", "))?;
            if !service.request.is_empty() {
                let fields: Vec<String> =
                    service.request.iter().map(|f| format!("{} {}", f.name, f.data_type)).collect();
                writeln!(f, "  request  {}", fields.join(", "))?;
            }
            for step in &service.derived {
                writeln!(f, "  derive   {} {} = {}", step.name, step.data_type, step.sql)?;
            }
            for feature in &service.features {
                writeln!(f, "  {} {}", feature.name, feature.data_type)?;
            }
        }
        Ok(())
    }
}

impl Plan {
    fn pipeline(&self, f: &mut fmt::Formatter<'_>, pipeline: &Pipeline) -> fmt::Result {
        let source = &self.definitions.sources[pipeline.source];
        writeln!(f, "\nsource {}", source.name)?;
        for node in &pipeline.nodes {
            match node {
                Node::Read => self.read(f, pipeline)?,
                Node::Changes { input, .. } => self.changes(f, pipeline, &input.plan)?,
                Node::Enrich { enrich } => {
                    let enrich = &source.enrich[*enrich];
                    let dimension = &self.definitions.dimensions[enrich.dimension];
                    let on: Vec<&str> = enrich.on.iter().map(|c| source.schema[*c].name.as_str()).collect();
                    let taken: Vec<&str> = enrich.columns.iter().map(|(_, name)| name.as_str()).collect();
                    writeln!(f, "  enrich   {} on {} -> {}", dimension.name, on.join(", "), taken.join(", "))?;
                }
                Node::Compute { columns } => {
                    for ((name, expression), column) in columns.iter().zip(&source.select) {
                        writeln!(f, "  compute  {name} {} = {}", type_name(expression.data_type()), column.sql.text)?;
                    }
                }
                Node::Project => {
                    for group in &pipeline.groups {
                        self.project(f, group)?;
                    }
                }
                Node::Windows { group } => self.windows(f, &pipeline.groups[*group])?,
                Node::Commit { group } => self.commit(f, &pipeline.groups[*group])?,
            }
        }
        Ok(())
    }

    fn read(&self, f: &mut fmt::Formatter<'_>, pipeline: &Pipeline) -> fmt::Result {
        let source = &self.definitions.sources[pipeline.source];
        if let Some(files) = &source.history {
            writeln!(f, "  read     history {}", describe_files(files))?;
        }
        match &source.stream {
            Some(Stream::Log) => writeln!(f, "  read     stream log")?,
            Some(Stream::Kafka { topic, .. }) => writeln!(f, "  read     stream kafka {topic} json")?,
            None => {}
        }
        let columns: Vec<String> = source.schema.iter().map(|c| format!("{} {}", c.name, c.data_type)).collect();
        writeln!(f, "           columns {}", columns.join(", "))?;
        let named = |index: usize| source.schema[index].name.as_str();
        let time = named(source.event_time);
        write!(f, "           event time {time}, reach {}{}", pipeline.reach, memory(pipeline))?;
        if let Some(key) = source.dedup_key {
            write!(f, ", dedup by {}", named(key))?;
        }
        if let Some(tie) = source.tie_breaker {
            write!(f, ", ties by {}", named(tie))?;
        }
        if let Some(explode) = &source.explode {
            write!(f, ", an event per element of {} as {}", named(explode.column), explode.name)?;
        }
        writeln!(f)
    }

    fn changes(&self, f: &mut fmt::Formatter<'_>, pipeline: &Pipeline, plan: &ChangesPlan) -> fmt::Result {
        writeln!(f, "  changes  of view {}", plan.view.name)?;
        let columns = plan.schema.fields().iter().map(|c| format!("{} {}", c.name(), type_name(c.data_type())));
        writeln!(f, "           columns {}", columns.collect::<Vec<_>>().join(", "))?;
        writeln!(f, "           event time {CHANGED_AT}, reach {}{}", pipeline.reach, memory(pipeline))
    }

    fn project(&self, f: &mut fmt::Formatter<'_>, group: &Group) -> fmt::Result {
        let entity = &self.definitions.entities[group.entity];
        let keys: Vec<String> = entity.keys.iter().map(|k| format!("{} {}", k.name, k.data_type)).collect();
        let order = if group.projection.keep_positions { ", keeps positions" } else { "" };
        let category = group.category.as_ref().map(|text| format!(", category {text}")).unwrap_or_default();
        writeln!(f, "  project  by {} ({}{category}){order}", entity.name, keys.join(", "))?;
        for (source, column) in group.sources.iter().zip(&group.projection.columns) {
            writeln!(f, "           {} {}", describe_column(source), column.data_type)?;
        }
        Ok(())
    }

    fn windows(&self, f: &mut fmt::Formatter<'_>, group: &Group) -> fmt::Result {
        writeln!(f, "  windows  by {}", self.definitions.entities[group.entity].name)?;
        for member in &group.views {
            let plan = &self.views[member.view];
            write!(f, "    view {} {}", plan.name, describe_mode(plan.mode))?;
            if let Some(filter) = &self.definitions.views[member.view].filter {
                write!(f, " where {}", filter.text)?;
            }
            match &group.category {
                Some(category) => writeln!(f, " by {category}")?,
                None => writeln!(f)?,
            }
            let text = |c: usize| describe_column(&group.sources[member.columns[c]]);
            for (c, column) in plan.columns.iter().enumerate().filter(|(_, column)| column.windows != 0) {
                let windows = windows_of(plan, column.windows);
                writeln!(f, "      keep {}: {} over {windows}", text(c), kept(column).join(" "))?;
            }
            for summary in &plan.summaries {
                let kept = match summary.kind {
                    SummaryKind::By { order, .. } => format!("{} {}", summary.kind, text(order)),
                    _ => summary.kind.to_string(),
                };
                let windows = windows_of(plan, summary.windows);
                writeln!(f, "      keep {}: {kept} over {windows}", text(summary.column))?;
            }
            for feature in &plan.features {
                writeln!(f, "      feature {} {}", feature.name, feature.data_type)?;
            }
        }
        Ok(())
    }

    fn commit(&self, f: &mut fmt::Formatter<'_>, group: &Group) -> fmt::Result {
        for member in &group.views {
            let view = &self.definitions.views[member.view];
            let targets: Vec<&str> = [(view.online, "online"), (view.offline, "offline")]
                .iter()
                .filter_map(|(on, name)| on.then_some(*name))
                .collect();
            let targets = if targets.is_empty() { "nowhere".to_string() } else { targets.join(", ") };
            writeln!(f, "  commit   {} -> {targets}", view.name)?;
        }
        Ok(())
    }
}

/// How long events are kept, where that is longer than they are awaited.
fn memory(pipeline: &Pipeline) -> String {
    match pipeline.memory > pipeline.reach {
        true => format!(", kept {} for changes", pipeline.memory),
        false => String::new(),
    }
}

fn describe_files(files: &Files) -> String {
    let format = match files.format {
        FileFormat::Parquet => "parquet",
        FileFormat::Csv => "csv",
        FileFormat::Ndjson => "ndjson",
    };
    format!("{format} {}", files.path)
}

fn describe_column(source: &ColumnSource) -> String {
    match (&source.of, &source.filter) {
        (Some(of), Some(filter)) => format!("({}) where ({})", of.text, filter.text),
        (Some(of), None) => of.text.clone(),
        (None, Some(filter)) => format!("rows where ({})", filter.text),
        (None, None) => "rows".to_string(),
    }
}

fn describe_mode(mode: Mode) -> String {
    match mode {
        Mode::Continuous => "continuous".to_string(),
        Mode::Interval(tile) => format!("interval {tile}"),
        Mode::Batch { schedule, delay } => format!("batch {schedule} delay {delay}"),
        Mode::Sawtooth(step) => format!("sawtooth {step}"),
    }
}

fn kept(column: &ColumnPlan) -> Vec<&'static str> {
    let parts = [
        (true, "count"),
        (column.sum, "sum"),
        (column.squares, "squares"),
        (column.min, "min"),
        (column.max, "max"),
        (column.last, "last"),
    ];
    parts.iter().filter_map(|(kept, name)| kept.then_some(*name)).collect()
}

/// The windows of these bits.
fn windows_of(plan: &ViewPlan, windows: u64) -> String {
    let spans = plan.windows.iter().enumerate().filter(|(w, _)| windows >> w & 1 == 1).map(|(_, window)| {
        if window.offset.micros() == 0 {
            window.size.to_string()
        } else {
            format!("{} offset {}", window.size, window.offset)
        }
    });
    spans.collect::<Vec<_>>().join(", ")
}

fn type_name(arrow: &arrow::datatypes::DataType) -> String {
    freshet_config::definitions::column_type(arrow).map_or_else(|| arrow.to_string(), |t| t.to_string())
}
