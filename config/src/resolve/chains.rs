//! The order in which sources and views are resolved: a view after its source, changes after the view they are of.
//!
//! Law: every source and every view follows from at most one other thing, so what leads to one is a line, or runs into a
//! circle. A circle is one error, which names all of it; what is in it or follows from it is checked with nothing known
//! of what it follows from.

use crate::decode::shorten;
use crate::definitions::{Source, View};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::raw::{RawEvents, RawView};
use crate::resolve::expressions::{Expressions, Written};
use crate::resolve::names::Section;
use crate::resolve::sources::SourceShape;
use crate::resolve::tables::{Columns, DimensionShape};
use crate::resolve::views::ViewShape;
use crate::resolve::{changes, expressions, sources, views};

/// Sources and views, resolved.
pub struct Chains {
    pub view_shapes: Section<ViewShape>,
    pub sources: Vec<Source>,
    pub views: Vec<View>,
    /// The SQL of sources and views.
    pub expressions: Vec<Expressions>,
}

/// Resolves sources and views. The results are whole, index by index, when no error was found.
pub fn resolve(
    sources: Section<RawEvents>,
    views: Section<RawView>,
    dimensions: &Section<DimensionShape>,
    entities: &Section<Columns>,
    errors: &mut Diagnostics,
) -> Chains {
    let (mut source_shapes, raw_sources) = sources.open(|raw| SourceShape::unknown(&raw.name().value));
    let (mut view_shapes, raw_views) = views.open(|raw| ViewShape::unknown(&raw.name.value));
    let links = Links {
        view_of_source: raw_sources.iter().map(|raw| view_shapes.position(&raw.changes_of()?.value)).collect(),
        source_of_view: raw_views.iter().map(|raw| source_shapes.position(&raw.source.value)).collect(),
    };
    links.refuse_circles(&raw_sources, &raw_views, errors);

    let source_levels: Vec<usize> = (0..raw_sources.len()).map(|source| links.level(source)).collect();
    let view_level = |view: usize| links.source_of_view[view].map_or(0, |source| source_levels[source]);
    let levels = source_levels.iter().max().map_or(1, |level| level + 1);
    let written: Vec<Vec<Written>> = raw_views.iter().map(expressions::of_view).collect();
    let mut raw_sources: Vec<Option<RawEvents>> = raw_sources.into_iter().map(Some).collect();
    let mut raw_views: Vec<Option<RawView>> = raw_views.into_iter().map(Some).collect();
    let mut resolved_sources: Vec<Option<Source>> = vec![None; raw_sources.len()];
    let mut resolved_views: Vec<Option<Vec<View>>> = vec![None; raw_views.len()];
    for level in 0..levels {
        for index in (0..raw_sources.len()).filter(|source| source_levels[*source] == level) {
            let (shape, source) = match raw_sources[index].take() {
                Some(RawEvents::Read(raw)) => sources::source(*raw, dimensions, errors),
                Some(RawEvents::Changes(raw)) => changes::source(*raw, &view_shapes, errors),
                None => continue,
            };
            source_shapes.set(index, shape);
            resolved_sources[index] = source;
        }
        for index in (0..raw_views.len()).filter(|view| view_level(*view) == level) {
            let Some(raw) = raw_views[index].take() else { continue };
            let (shape, parts) = views::view(raw, &source_shapes, entities, errors);
            view_shapes.set(index, shape);
            resolved_views[index] = parts;
        }
    }
    let expressions = links.expressions(source_shapes.items_mut(), written);
    // A view of the user's may become several: those of the next one follow.
    let mut first = 0;
    let mut firsts = Vec::with_capacity(resolved_views.len());
    for (shape, parts) in view_shapes.items_mut().iter_mut().zip(&resolved_views) {
        shape.features.iter_mut().for_each(|feature| feature.view += first);
        firsts.push(first);
        first += parts.as_ref().map_or(0, Vec::len);
    }
    for (source, view) in resolved_sources.iter_mut().zip(&links.view_of_source) {
        if let (Some(Source { changes_of: Some(changes), .. }), Some(view)) = (source, view) {
            changes.view += firsts[*view];
        }
    }
    Chains {
        view_shapes,
        sources: resolved_sources.into_iter().flatten().collect(),
        views: resolved_views.into_iter().flatten().flatten().collect(),
        expressions,
    }
}

/// What follows from what, by index.
struct Links {
    /// Of a source of changes its view; `None` also where that is unknown.
    view_of_source: Vec<Option<usize>>,
    source_of_view: Vec<Option<usize>>,
}

impl Links {
    /// The view and the source that a source follows from.
    fn before(&self, source: usize) -> Option<(usize, usize)> {
        let view = self.view_of_source[source]?;
        Some((view, self.source_of_view[view]?))
    }

    /// The views and sources that lead to a source, the nearest first, as far as a second look at one.
    fn line(&self, source: usize) -> Vec<(usize, usize)> {
        let mut line: Vec<(usize, usize)> = Vec::new();
        let mut at = source;
        while let Some((view, next)) = self.before(at) {
            let seen = line.iter().any(|(_, known)| *known == next);
            line.push((view, next));
            if next == source || seen {
                break;
            }
            at = next;
        }
        line
    }

    /// The SQL of views stands with their source's.
    fn expressions(&self, sources: &[SourceShape], mut written: Vec<Vec<Written>>) -> Vec<Expressions> {
        let mut over = |source: Option<usize>| -> Vec<Written> {
            let views = (0..written.len()).filter(|view| self.source_of_view[*view] == source).collect::<Vec<_>>();
            views.into_iter().flat_map(|view| std::mem::take(&mut written[view])).collect()
        };
        let mut all = vec![expressions::over_nothing(over(None))];
        all.extend(sources.iter().enumerate().map(|(i, shape)| expressions::of_source(shape, over(Some(i)))));
        all
    }

    fn level(&self, source: usize) -> usize {
        let line = self.line(source);
        // What runs into a circle has no order: any will do.
        line.last().map_or(0, |(_, last)| if self.before(*last).is_some() { 0 } else { line.len() })
    }

    /// Every circle once, at the first of its sources.
    fn refuse_circles(&self, sources: &[RawEvents], views: &[RawView], errors: &mut Diagnostics) {
        for source in 0..sources.len() {
            let line = self.line(source);
            let closed = line.last().is_some_and(|(_, last)| *last == source);
            if !closed || line.iter().any(|(_, other)| *other < source) {
                continue;
            }
            let Some(written) = sources[source].changes_of() else { continue };
            let name = |index: usize| shorten(&sources[index].name().value);
            let steps = line.iter().map(|(view, next)| {
                format!("the changes of view `{}` over source `{}`", shorten(&views[*view].name.value), name(*next))
            });
            let path = steps.collect::<Vec<_>>().join(", ");
            let message = format!("source `{}` follows from itself: it is {path}", name(source));
            let hint = "let one of the sources be read from a stream or a history";
            errors.push(Diagnostic::new(&written.place, "DEF-CYCLE", message).hint(hint));
        }
    }
}
