//! Sources: streams, files, and the columns their events have after joins and computed columns.

use crate::decode::{At, Parts, called, shorten};
use crate::definitions::{Computed, Enrich, FileFormat, Files, Source, Stream, StreamFormat};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::raw::{RawChangelog, RawComputed, RawEnrich, RawFiles, RawSource, RawStream};
use crate::resolve::changelogs::changelog;
use crate::resolve::explode;
use crate::resolve::limits::{DEFAULT_LATENESS, MAX_COLUMNS};
use crate::resolve::names::{Once, Section, check_column};
use crate::resolve::spans::{bounded_span, of, read_sql};
use crate::resolve::tables::{Columns, DimensionShape, KnownColumn, columns, list, read_type};
use crate::time::Span;
use crate::value::DataType;

/// A source as views see it.
pub struct SourceShape {
    pub name: String,
    /// Columns of the schema, joined and computed ones.
    pub columns: Columns,
    /// How many of them are not computed.
    pub read: usize,
    pub select: Vec<Computed>,
    /// How late an event may come. `None`: unsound, or no event is ever late.
    pub lateness: Option<Span>,
}

impl SourceShape {
    /// A source that is not resolved: nothing is known of its columns.
    pub fn unknown(name: &str) -> SourceShape {
        SourceShape { name: name.to_string(), columns: Columns::default(), read: 0, select: Vec::new(), lateness: None }
    }
}

/// Resolves a source.
pub fn source(
    mut raw: RawSource,
    dimensions: &Section<DimensionShape>,
    errors: &mut Diagnostics,
) -> (SourceShape, Option<Source>) {
    let owner = called("source", &raw.name);
    explode::unwrap_type(&owner, &mut raw, errors);
    let mut event = columns(&owner, &raw.schema, errors);
    let schema = event.clone();
    let exploded =
        raw.explode.as_ref().map(|written| explode::explode(&owner, written, &raw, &schema, &mut event, errors));
    if raw.stream.is_none() && raw.history.is_none() && !raw.strange {
        let message = format!("{owner} has neither `stream` nor `history`, so no event could come");
        errors.push(Diagnostic::new(&raw.name.place, "DEF-ARG", message).hint("add at least one of the two"));
    }
    let read_stream = raw.stream.as_ref().map(|written| stream(&format!("the stream of {owner}"), written, errors));
    let history = raw.history.as_ref().map(|written| files(&format!("the history of {owner}"), written, errors));
    let event_time = event_time(&owner, &raw.event_time, &schema, errors);
    let dedup_key = raw.dedup_key.as_ref().map(|name| dedup_key(&owner, name, &schema, errors));
    let tie_breaker = raw.tie_breaker.as_ref().map(|name| tie_breaker(&owner, name, &schema, errors));
    let lateness = match &raw.lateness {
        Some(written) => bounded_span(("the lateness", &of(&owner)), "DEF-LATE", written, errors),
        None => Some(DEFAULT_LATENESS),
    };

    let changelog = raw.changelog.as_ref().map(|written| {
        no_dedup_key(&owner, &raw, written, errors);
        changelog(&owner, written, &schema, errors)
    });

    let mut once = Once::of("column", &owner);
    if let (Some(written), Some(files)) = (&raw.explode, &history) {
        explode::check_files(&owner, written, files.as_ref(), errors);
    }
    for (index, (name, _)) in raw.schema.entries.iter().enumerate() {
        let called = event.columns.get(index).map_or(&name.value, |column| &column.name);
        let alias = raw.explode.as_ref().and_then(|explode| explode.value.alias.as_ref());
        let place = alias.filter(|_| *called != name.value).map_or(&name.place, |alias| &alias.place);
        once.insert(called, place, errors);
    }
    let known = event.clone();
    let enrich = joins(&owner, &raw, &known, dimensions, &mut event, &mut once, errors);
    let read = event.columns.len();
    let select = computed(&owner, raw.select.as_ref(), &mut event, &mut once, errors);
    if schema.columns.len() <= MAX_COLUMNS && event.columns.len() > MAX_COLUMNS {
        let message = format!(
            "{owner} has {} columns with joined and computed ones, more than the {MAX_COLUMNS} allowed",
            event.columns.len()
        );
        let hint = "leave out columns that no view names";
        errors.push(Diagnostic::new(&raw.name.place, "DEF-SIZE", message).hint(hint));
    }

    let source = || {
        Some(Source {
            name: raw.name.value.clone(),
            stream: read_stream.flatten(),
            history: history.flatten(),
            changes_of: None,
            schema: schema.typed()?,
            event_time: event_time?,
            dedup_key: dedup_key.flatten(),
            tie_breaker: tie_breaker.flatten(),
            lateness: lateness?,
            changelog: match changelog {
                Some(sound) => Some(sound?),
                None => None,
            },
            explode: match exploded {
                Some(sound) => Some(sound?),
                None => None,
            },
            enrich,
            select: select.clone(),
            place: raw.name.place.clone(),
        })
    };
    let source = source();
    (SourceShape { name: raw.name.value, columns: event, read, select, lateness }, source)
}

fn event_time(owner: &str, name: &At<String>, schema: &Columns, errors: &mut Diagnostics) -> Option<usize> {
    let (index, column) = schema.find(name, &format!("the event time of {owner}"), errors)?;
    if let Some(data_type) = column.data_type.filter(|t| *t != DataType::Timestamp) {
        let message = format!("the event time `{}` of {owner} is {data_type}, not a timestamp", column.name);
        let mut timestamps = schema.columns.iter().filter(|c| c.data_type == Some(DataType::Timestamp)).peekable();
        let hint = match timestamps.peek() {
            Some(_) => format!("name a timestamp column: {}", list(timestamps.map(|c| c.name.as_str()))),
            None => format!("declare it as `{}: timestamp` in the schema", column.name),
        };
        errors.push(Diagnostic::new(&name.place, "DEF-TIME", message).hint(hint));
    }
    Some(index)
}

fn dedup_key(owner: &str, name: &At<String>, schema: &Columns, errors: &mut Diagnostics) -> Option<usize> {
    let (index, column) = schema.find(name, &format!("the dedup key of {owner}"), errors)?;
    if let Some(data_type) = column.data_type.filter(|t| !t.is_key()) {
        let message = format!("the dedup key `{}` of {owner} is {data_type}, and a float cannot be a key", column.name);
        errors
            .push(Diagnostic::new(&name.place, "DEF-TYPE", message).hint("use an integer, string, bool or timestamp"));
    }
    Some(index)
}

fn tie_breaker(owner: &str, name: &At<String>, schema: &Columns, errors: &mut Diagnostics) -> Option<usize> {
    let (index, column) = schema.find(name, &format!("the tie breaker of {owner}"), errors)?;
    if let Some(data_type) = column.data_type.filter(|t| !t.is_integer()) {
        let message = format!("the tie breaker `{}` of {owner} is {data_type}, not an integer", column.name);
        errors.push(Diagnostic::new(&name.place, "DEF-TYPE", message).hint("use an int32 or int64 column"));
    }
    Some(index)
}

/// A changelog has a key of its own, and of its records the last counts, not the first.
fn no_dedup_key(owner: &str, raw: &RawSource, written: &At<RawChangelog>, errors: &mut Diagnostics) {
    let Some(key) = &raw.dedup_key else { return };
    let message = format!("{owner} has a `changelog`, of whose records the last counts, and a `dedup_key`");
    let hint = format!("remove it; what names a row is the changelog's key, in line {}", written.place.line);
    errors.push(Diagnostic::new(&key.place, "DEF-ARG", message).hint(hint));
}

/// Resolves a stream.
pub fn stream(what: &str, written: &At<RawStream>, errors: &mut Diagnostics) -> Option<Stream> {
    let kafka = match (&written.value.kafka, &written.value.log) {
        (Some(kafka), None) => kafka,
        (None, Some(_)) => return Some(Stream::Log),
        (None, None) if written.value.strange => return None,
        _ => {
            let message = format!("{what} needs exactly one of `kafka` and `log`");
            let hint = "write `{kafka: {topic: NAME}}` or `{log: {}}`";
            errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint(hint));
            return None;
        }
    };
    let (topic, before) = (&kafka.topic.value, errors.iter().len());
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if topic.is_empty() || topic.len() > 249 || !topic.chars().all(letters) || topic == "." || topic == ".." {
        let message = format!("`{}` cannot be the topic of {what}", shorten(topic));
        let hint = "use letters, digits, `.`, `_` and `-`, 249 characters at most";
        errors.push(Diagnostic::new(&kafka.topic.place, "DEF-ARG", message).hint(hint));
    }
    if let Some(format) = kafka.format.as_ref().filter(|format| format.value != "json") {
        let planned = matches!(format.value.as_str(), "avro" | "protobuf");
        let verdict = if planned { "is not supported yet" } else { "is unknown" };
        let message = format!("the format `{}` of {what} {verdict}", shorten(&format.value));
        errors.push(Diagnostic::new(&format.place, "DEF-ARG", message).hint("write `json`"));
    }
    let sound = errors.iter().len() == before;
    sound.then(|| Stream::Kafka { topic: topic.clone(), format: StreamFormat::Json })
}

/// Resolves a set of files.
pub fn files(what: &str, written: &At<RawFiles>, errors: &mut Diagnostics) -> Option<Files> {
    let RawFiles { parquet, csv, ndjson, strange } = &written.value;
    let (format, path) = match (parquet, csv, ndjson) {
        (Some(path), None, None) => (FileFormat::Parquet, path),
        (None, Some(path), None) => (FileFormat::Csv, path),
        (None, None, Some(path)) => (FileFormat::Ndjson, path),
        (None, None, None) if *strange => return None,
        _ => {
            let message = format!("{what} needs exactly one of `parquet`, `csv` and `ndjson`");
            errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint("write `{parquet: {path: PATH}}`"));
            return None;
        }
    };
    let path = &path.path;
    if path.value.trim().is_empty() || path.value.contains('\0') || path.value.len() > 4096 {
        let message = format!("`{}` cannot be the path of {what}", shorten(&path.value));
        errors.push(Diagnostic::new(&path.place, "DEF-ARG", message).hint("name a file or a directory"));
        return None;
    }
    Some(Files { format, path: path.value.clone() })
}

fn joins(
    owner: &str,
    raw: &RawSource,
    schema: &Columns,
    dimensions: &Section<DimensionShape>,
    event: &mut Columns,
    once: &mut Once<'_>,
    errors: &mut Diagnostics,
) -> Vec<Enrich> {
    let Some(written) = &raw.enrich else { return Vec::new() };
    event.complete &= !written.broken;
    let mut joins = Vec::new();
    for join in &written.items {
        let user = format!("a join of {owner}");
        let Some((index, dimension)) = dimensions.find(&join.dimension.value, &join.dimension.place, &user, errors)
        else {
            unknown_columns(join, event, once, errors);
            continue;
        };
        let on = join_columns(owner, join, schema, dimension, errors);
        let columns = taken_columns(owner, join, dimension, event, once, errors);
        joins.extend(on.map(|on| Enrich { dimension: index, on, columns }));
    }
    joins
}

/// The columns of a join with an unknown dimension: they have names all the same.
fn unknown_columns(join: &RawEnrich, event: &mut Columns, once: &mut Once<'_>, errors: &mut Diagnostics) {
    event.complete &= !join.columns.broken;
    for column in &join.columns.items {
        let name = column.alias.as_ref().unwrap_or(&column.name);
        if once.insert(&name.value, &name.place, errors) {
            event.columns.push(KnownColumn { name: name.value.clone(), data_type: None });
        }
    }
}

/// Per key column of the dimension, in its order, the event's column.
fn join_columns(
    owner: &str,
    join: &RawEnrich,
    schema: &Columns,
    dimension: &DimensionShape,
    errors: &mut Diagnostics,
) -> Option<Vec<usize>> {
    let key = dimension.key.as_ref()?;
    let name = &dimension.name;
    let keys: Vec<&KnownColumn> = key.iter().filter_map(|index| dimension.columns.columns.get(*index)).collect();
    for (written, _) in &join.on.entries {
        if !keys.iter().any(|column| column.name == written.value) {
            let message = format!("`{}` is not a key column of dimension `{name}`", shorten(&written.value));
            let hint = format!(
                "write `{{dimension key: event column}}`; the key is {}",
                list(keys.iter().map(|c| c.name.as_str()))
            );
            errors.push(Diagnostic::new(&written.place, "DEF-COL", message).hint(hint));
        }
    }
    let mut on = Vec::new();
    for column in &keys {
        let Some((_, written)) = join.on.entries.iter().find(|(k, _)| k.value == column.name) else {
            let message =
                format!("the join of {owner} with dimension `{name}` leaves out its key column `{}`", column.name);
            errors.push(
                Diagnostic::new(&join.on.place, "DEF-COL", message).hint("name an event column for every key column"),
            );
            continue;
        };
        let user = format!("the join of {owner} with dimension `{name}`");
        let Some((index, event)) = schema.find(written, &user, errors) else { continue };
        if let (Some(theirs), Some(ours)) = (column.data_type, event.data_type)
            && theirs != ours
        {
            let message = format!(
                "column `{}` is {ours}, but the key `{}` of dimension `{name}` is {theirs}",
                event.name, column.name
            );
            errors.push(Diagnostic::new(&written.place, "DEF-TYPE", message).hint("declare both with one type"));
        }
        on.push(index);
    }
    (on.len() == keys.len()).then_some(on)
}

fn taken_columns(
    owner: &str,
    join: &RawEnrich,
    dimension: &DimensionShape,
    event: &mut Columns,
    once: &mut Once<'_>,
    errors: &mut Diagnostics,
) -> Vec<(usize, String)> {
    event.complete &= !join.columns.broken;
    if join.columns.items.is_empty() && !join.columns.broken {
        let message = format!("the join of {owner} with dimension `{}` takes no columns", dimension.name);
        errors.push(Diagnostic::new(&join.columns.place, "DEF-ARG", message).hint("list the columns to take"));
    }
    let mut taken = Vec::new();
    for column in &join.columns.items {
        let name = column.alias.as_ref().unwrap_or(&column.name);
        if name.place.lost {
            event.complete = false;
            continue;
        }
        if column.alias.is_some() {
            check_column(&format!("a joined column of {owner}"), name, errors);
        }
        let user = format!("a join with dimension `{}`", dimension.name);
        let found = dimension.columns.find(&column.name, &user, errors);
        if once.insert(&name.value, &name.place, errors) {
            // An unknown column still takes its name: what uses it is not a second error.
            let data_type = found.and_then(|(_, found)| found.data_type);
            event.columns.push(KnownColumn { name: name.value.clone(), data_type });
        }
        taken.extend(found.map(|(index, _)| (index, name.value.clone())));
    }
    taken
}

/// Resolves computed columns, and adds them to those the event has.
pub fn computed(
    owner: &str,
    written: Option<&Parts<RawComputed>>,
    event: &mut Columns,
    once: &mut Once<'_>,
    errors: &mut Diagnostics,
) -> Vec<Computed> {
    let Some(written) = written else { return Vec::new() };
    event.complete &= !written.broken;
    let mut columns = Vec::new();
    for RawComputed { name, data_type, sql, .. } in &written.items {
        check_column(&format!("a computed column of {owner}"), name, errors);
        let user = format!("{} of {owner}", called("column", name));
        let data_type = data_type.as_ref().and_then(|written| read_type(&user, written, errors));
        let sql = read_sql(&format!("the expression of {user}"), sql, errors);
        if name.place.lost {
            event.complete = false;
        } else if once.insert(&name.value, &name.place, errors) {
            event.columns.push(KnownColumn { name: name.value.clone(), data_type });
        }
        columns.extend(sql.map(|sql| Computed { name: name.value.clone(), data_type, sql }));
    }
    columns
}
