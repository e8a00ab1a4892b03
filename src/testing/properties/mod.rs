//! What holds for every view whatever its definitions say: values do not depend on the order of arrival, nor on records
//! that come again, and they are those of the naive reference, on the edges of windows above all.
//!
//! Random records and rows of dimensions are put through the code that makes datasets; the questions stand at events and
//! around the instants at which they enter and leave windows.

mod generate;
mod oracle;
mod questions;

use std::collections::BTreeSet;
use std::fs;

use fastrand::Rng;
use freshet_config::definitions::{Definitions, GroupShape, Service, ServiceFeature, View};
use freshet_config::diagnostic::Place;
use freshet_engine::plan::Plan;

use super::{Bench, events_file, rows_file};
use crate::exit::Failure;
use generate::{Records, Rows, may_repeat, root};
use oracle::Oracle;
use questions::{Answers, Questions};

/// Records of one source, at most: each question costs the reference a look at all events of its key.
const MOST_RECORDS: usize = 2_000;
/// The same of a source whose views' changes are events: there are several per event and window, and each costs a look at
/// all events of its key.
const MOST_RECORDS_OF_CHANGES: usize = 60;

/// What was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// As their authors count them, whatever parts one is compiled into.
    pub views: usize,
    /// Questions over all views.
    pub cases: usize,
    /// One line per value that breaks a property.
    pub lines: Vec<String>,
    /// One line per thing of the definitions that no case is about.
    pub left_out: Vec<String>,
}

/// The definitions with one service per view: all of its features.
fn view_services(definitions: &Definitions) -> Definitions {
    let mut definitions = definitions.clone();
    let service = |(index, view): (usize, &View)| Service {
        name: view.name.clone(),
        features: (0..view.features.len()).map(|feature| ServiceFeature::View { view: index, feature }).collect(),
        request: Vec::new(),
        derived: Vec::new(),
        description: None,
        place: Place::default(),
    };
    definitions.services = definitions.views.iter().enumerate().map(service).collect();
    definitions
}

/// Checks `cases` questions per view of `plan`.
pub fn check(plan: &Plan, cases: usize, seed: u64) -> Result<Checked, Failure> {
    let bench = Bench::over(view_services(&plan.definitions))?;
    let definitions = &bench.plan.definitions;
    let mut rng = Rng::with_seed(seed);
    let rows: Vec<Rows> =
        (0..definitions.dimensions.len()).map(|index| Rows::generate(definitions, index, &mut rng)).collect();
    let records: Vec<Records> = (0..definitions.sources.len())
        .map(|source| Records::generate(definitions, source, count(definitions, source, cases), &mut rng))
        .collect();
    let oracle = Oracle::new(&bench.plan, &records, &rows)?;
    let views = 0..definitions.views.len();
    let questions: Vec<Questions> =
        views.map(|view| Questions::draw(&bench.plan, view, &oracle, cases, &mut rng)).collect();
    let asked: Vec<&Questions> = questions.iter().filter(|questions| !questions.asked.is_empty()).collect();

    let views: BTreeSet<&str> =
        asked.iter().map(|questions| definitions.views[questions.view].served_as.as_str()).collect();
    let left_out = left_out(&plan.definitions, &questions);
    let mut checked = Checked { left_out, views: views.len(), ..Checked::default() };
    write(&bench, &records, &rows, |records| records.in_order(), Rows::in_order)?;
    let plain = asked.iter().map(|questions| questions.answers(&bench.plan)).collect::<Result<Vec<_>, _>>()?;
    for (questions, answers) in asked.iter().zip(&plain) {
        checked.lines.extend(questions.against_reference(&bench.plan, answers));
        checked.cases += questions.asked.len();
    }
    let mut compare = |questions: &Questions, before: &Answers, when: &str| -> Result<(), Failure> {
        let after = questions.answers(&bench.plan)?;
        checked.lines.extend(questions.differences(&bench.plan, before, &after, when));
        Ok(())
    };
    let mut orders = rng.fork();
    let mut rows_orders = rng.fork();
    let another = |records: &Records| records.another_order(&mut orders);
    write(&bench, &records, &rows, another, |rows| rows.another_order(&mut rows_orders))?;
    for (questions, before) in asked.iter().zip(&plain) {
        compare(questions, before, "when events arrive in another order")?;
    }
    write(&bench, &records, &rows, |records| records.twice(), Rows::in_order)?;
    for (questions, before) in asked.iter().zip(&plain) {
        let source = root(definitions, definitions.views[questions.view].source);
        // Others have no way to tell that a record came before.
        if may_repeat(&definitions.sources[source]) {
            compare(questions, before, "when every event comes twice")?;
        }
    }
    Ok(checked)
}

/// How many records of a source are drawn.
fn count(definitions: &Definitions, source: usize, cases: usize) -> usize {
    let changes = |of: &freshet_config::definitions::Source| {
        let view = of.changes_of.as_ref().map(|changes| &definitions.views[changes.view]);
        view.is_some_and(|view| root(definitions, view.source) == source)
    };
    let most = if definitions.sources.iter().any(changes) { MOST_RECORDS_OF_CHANGES } else { MOST_RECORDS };
    (20 + cases).min(most)
}

/// Writes the files of all sources and dimensions.
fn write(
    bench: &Bench,
    records: &[Records],
    rows: &[Rows],
    mut order: impl FnMut(&Records) -> Vec<usize>,
    mut rows_order: impl FnMut(&Rows) -> Vec<usize>,
) -> Result<(), Failure> {
    let definitions = &bench.plan.definitions;
    let of_sources = definitions.sources.iter().zip(records);
    let of_sources = of_sources.map(|(source, records)| (events_file(&source.name), records.lines(&order(records))));
    let of_dimensions = definitions.dimensions.iter().zip(rows);
    let of_dimensions =
        of_dimensions.map(|(dimension, rows)| (rows_file(&dimension.name), rows.lines(&rows_order(rows))));
    for (name, text) in of_sources.chain(of_dimensions) {
        let path = bench.directory.path().join(name);
        fs::write(&path, text)
            .map_err(|error| Failure::cannot_write(format!("cannot write {}: {error}", path.display())))?;
    }
    Ok(())
}

/// What no generated case is about, by name.
fn left_out(definitions: &Definitions, questions: &[Questions]) -> Vec<String> {
    let unasked = questions.iter().filter(|questions| questions.asked.is_empty()).map(|questions| questions.view);
    let mut lines: Vec<String> = unasked
        .map(|view| {
            let View { served_as: name, group, place, .. } = &definitions.views[view];
            let part = group.as_ref().filter(|group| group.shape == GroupShape::Map);
            let part = part.map(|group| format!("what is by `{}` in ", group.name)).unwrap_or_default();
            format!("no generated case of {part}view `{name}` ({place}), for no generated event passes its conditions: test it with tables")
        })
        .collect();
    let realtime = definitions.realtime.iter().map(|realtime| format!("realtime view `{}`", realtime.name));
    let derived = definitions.services.iter().filter(|service| !service.derived.is_empty());
    let derived = derived.map(|service| format!("derived features of service `{}`", service.name));
    let at_requests = realtime
        .chain(derived)
        .map(|what| format!("no generated case of {what}: test with tables what requests derive"));
    lines.extend(at_requests);
    lines
}
