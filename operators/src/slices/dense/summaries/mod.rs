//! What a dense key keeps for summaries, beside its slices and cores.
//!
//! Law: like the cores, all of it follows from the slices, the closed ones (per edge) and those of the core (per window),
//! and is rebuilt from them after events were taken back. Per edge: lists of what is newest or best, which serve every
//! window that ends there. Per window: multisets that a slice is added to once and taken out of once, and the oldest
//! values, which are looked up again when they leave.

mod best;
mod decays;
mod early;
mod listed;
mod oldest;
mod ranked;
mod recent;
mod registers;
mod tally;
mod top;

use std::ops::Range;

use best::Best;
use decays::Decays;
use early::Early;
use freshet_config::function::SummaryKind;
use freshet_config::value::DataType;
use listed::{Ascending, Listed};
use oldest::Oldest;
use ranked::Ranked;
use recent::Recent;
use registers::Registers;

use super::super::layout::{Layout, time_of};
use super::super::limits::ValueLimit;
use super::super::parts::Written;
use super::super::slab::prefetch;
use super::super::strings::Strings;
use super::write::put_value;
use crate::row::codec::RowBuffer;
use crate::summary::{Addend, SummaryPlan, addend};

/// A value and when it occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Occurrence {
    pub time: i64,
    pub position: u64,
    pub word: u64,
}

impl Occurrence {
    fn of(layout: &Layout, slice: &[u64], word: u64) -> Occurrence {
        Occurrence { time: time_of(slice), position: if layout.has_position { slice[1] } else { 0 }, word }
    }

    fn at(&self) -> (i64, u64) {
        (self.time, self.position)
    }
}

enum OfEdge {
    Recent(Recent),
    Best(Best),
}

enum OfWindow {
    Listed(Listed),
    Registers(Registers),
    Ranked(Ranked),
    Decays(Decays),
    Oldest(Oldest),
    Early(Early),
}

/// Parts in the order of the layout's.
pub(super) struct Summaries {
    edges: Box<[OfEdge]>,
    windows: Box<[OfWindow]>,
}

/// Slices as summaries read them: in canonical order, from the first live one on.
#[derive(Clone, Copy)]
pub(super) struct Slices<'a> {
    pub layout: &'a Layout,
    pub words: &'a [u64],
}

impl<'a> Slices<'a> {
    fn get(&self, i: usize) -> &'a [u64] {
        &self.words[i * self.layout.stride..][..self.layout.stride]
    }

    /// What a slice adds to a summary of one column.
    fn occurrence(&self, i: usize, column: usize) -> Option<Occurrence> {
        let slice = self.get(i);
        let word = self.layout.columns[column].word?;
        (self.layout.nulls(slice) >> column & 1 == 0).then(|| Occurrence::of(self.layout, slice, slice[word]))
    }
}

/// The slices that count in a window before the lease ends, by number: those that leave, the core, those that enter.
#[derive(Clone, Copy)]
pub(super) struct CoreSlices {
    pub oldest: usize,
    pub from: usize,
    pub to: usize,
    pub end: usize,
}

impl CoreSlices {
    /// Those that are not of the core.
    pub fn others(&self) -> impl Iterator<Item = usize> {
        (self.oldest..self.from).chain(self.to..self.end)
    }
}

fn addend_of(layout: &Layout, summary: &SummaryPlan, slice: &[u64]) -> Option<Addend> {
    // Columns of summaries are stored.
    let word = |c: usize| layout.columns[c].word.map_or(0, |word| slice[word]);
    addend(&layout.plan.columns, summary, time_of(slice), layout.nulls(slice), word)
}

impl Summaries {
    /// `None` when the plan has nothing to keep.
    pub fn new(layout: &Layout) -> Option<Box<Summaries>> {
        if layout.plan.summaries.is_empty() {
            return None;
        }
        let of_edge = |summary: usize| match layout.plan.summaries[summary].kind {
            SummaryKind::List { n, distinct, .. } => OfEdge::Recent(Recent::new(n, distinct)),
            _ => OfEdge::Best(Best::default()),
        };
        let of_window = |summary: usize| match layout.plan.summaries[summary].kind {
            SummaryKind::List { n, distinct: false, .. } => OfWindow::Oldest(Oldest::new(n)),
            SummaryKind::List { n, distinct: true, .. } => OfWindow::Early(Early::new(n)),
            SummaryKind::Registers { precision } => OfWindow::Registers(Registers::new(precision)),
            SummaryKind::Ranks { .. } => OfWindow::Ranked(Ranked::default()),
            SummaryKind::Decay { .. } => OfWindow::Decays(Decays::default()),
            _ => OfWindow::Listed(Listed::new(&layout.plan.summaries[summary])),
        };
        Some(Box::new(Summaries {
            edges: layout.edge_parts.iter().map(|part| of_edge(part.summary)).collect(),
            windows: layout.window_parts.iter().map(|part| of_window(part.summary)).collect(),
        }))
    }

    /// Adds a slice that closes at an edge, or, with `late`, one that should have closed before. `then` is the reference
    /// instant of the lease's end.
    pub fn add(&mut self, layout: &Layout, slice: &[u64], edge: usize, then: i64, late: bool, strings: &Strings) {
        for (part, kept) in layout.edge_parts.iter().zip(&mut self.edges) {
            if part.of != edge {
                continue;
            }
            let summary = &layout.plan.summaries[part.summary];
            let Some(addend) = addend_of(layout, summary, slice) else { continue };
            let occurrence = Occurrence::of(layout, slice, addend.word);
            match kept {
                OfEdge::Recent(recent) if late => recent.insert(occurrence),
                OfEdge::Recent(recent) => recent.push(occurrence),
                OfEdge::Best(best) => best.add(layout, summary, occurrence, addend.other, late, strings),
            }
        }
        let mut of_summary: Option<(usize, Option<Addend>)> = None;
        for (part, kept) in layout.window_parts.iter().zip(&mut self.windows) {
            if layout.windows[part.of].edge != edge || time_of(slice) < layout.lower(part.of, then) {
                continue;
            }
            // Parts of one summary follow each other.
            let addend = match of_summary {
                Some((summary, addend)) if summary == part.summary => addend,
                _ => addend_of(layout, &layout.plan.summaries[part.summary], slice),
            };
            of_summary = Some((part.summary, addend));
            let Some(addend) = addend else { continue };
            let summary = &layout.plan.summaries[part.summary];
            let occurrence = || Occurrence::of(layout, slice, addend.word);
            match kept {
                OfWindow::Listed(listed) => {
                    let data_type = layout.columns[summary.column].data_type;
                    listed.add(summary, addend.word, Ascending { data_type, strings });
                }
                OfWindow::Registers(registers) => registers.add(addend.word),
                OfWindow::Ranked(ranked) => ranked.insert(addend.word),
                OfWindow::Decays(decays) => decays.add(addend.other as i64, addend.word),
                OfWindow::Oldest(oldest) => oldest.add(occurrence()),
                OfWindow::Early(early) => early.add(occurrence()),
            }
        }
    }

    /// Takes a slice out of the core of a window.
    pub fn subtract(&mut self, layout: &Layout, slice: &[u64], w: usize, strings: &Strings) {
        for (part, kept) in layout.window_parts.iter().zip(&mut self.windows) {
            if part.of != w {
                continue;
            }
            let summary = &layout.plan.summaries[part.summary];
            let Some(addend) = addend_of(layout, summary, slice) else { continue };
            match kept {
                OfWindow::Listed(listed) => {
                    let data_type = layout.columns[summary.column].data_type;
                    listed.sub(addend.word, Ascending { data_type, strings });
                }
                OfWindow::Registers(registers) => registers.sub(addend.word),
                OfWindow::Ranked(ranked) => ranked.remove(addend.word),
                OfWindow::Decays(decays) => decays.sub(addend.other as i64, addend.word),
                // Forgets by time.
                OfWindow::Oldest(_) => {}
                OfWindow::Early(early) => early.sub(addend.word),
            }
        }
    }

    /// The core of a window begins at `lower` from now on.
    pub fn leave(&mut self, layout: &Layout, w: usize, lower: i64) {
        for (part, kept) in layout.window_parts.iter().zip(&mut self.windows) {
            match kept {
                OfWindow::Oldest(oldest) if part.of == w => oldest.leave(lower),
                OfWindow::Early(early) if part.of == w => early.leave(lower),
                _ => {}
            }
        }
    }

    /// Forgets what no window reaches any more.
    pub fn forget(&mut self, reach: i64) {
        for kept in &mut self.edges {
            match kept {
                OfEdge::Recent(recent) => recent.forget(reach),
                OfEdge::Best(best) => best.forget(reach),
            }
        }
    }

    /// Builds what late slices left undecided again, from the slices `head..pending(edge)`.
    pub fn rebuild(&mut self, slices: Slices, head: usize, pending: impl Fn(usize) -> usize, strings: &Strings) {
        let layout = slices.layout;
        for (part, kept) in layout.edge_parts.iter().zip(&mut self.edges) {
            let summary = &layout.plan.summaries[part.summary];
            match kept {
                OfEdge::Recent(recent) if recent.undecided() => {
                    let newest_first = (head..pending(part.of)).rev();
                    recent.rebuild(newest_first.filter_map(|i| slices.occurrence(i, summary.column)));
                }
                OfEdge::Best(best) if best.undecided() => {
                    best.clear();
                    for slice in (head..pending(part.of)).map(|i| slices.get(i)) {
                        if let Some(addend) = addend_of(layout, summary, slice) {
                            let occurrence = Occurrence::of(layout, slice, addend.word);
                            best.add(layout, summary, occurrence, addend.other, false, strings);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Writes the summaries of the core of window `w`, which is not empty and begins at `lower`.
    pub fn write(
        &mut self,
        slices: Slices,
        w: usize,
        core: CoreSlices,
        lower: i64,
        strings: &Strings,
        row: &mut RowBuffer,
    ) {
        let layout = slices.layout;
        for written in &layout.written[w] {
            let (Written::Edge { summary, .. } | Written::Window { summary, .. } | Written::Newest { summary }) =
                *written;
            let summary = &layout.plan.summaries[summary];
            let data_type = layout.columns[summary.column].data_type;
            let others = || core.others().filter_map(|i| addend_of(layout, summary, slices.get(i))).map(|a| a.word);
            match *written {
                Written::Edge { part, .. } => match &self.edges[part] {
                    OfEdge::Recent(recent) => put_list(data_type, recent.since(lower), strings, row),
                    OfEdge::Best(best) => best.write(layout, summary, lower, strings, row),
                },
                Written::Window { part, .. } => match &mut self.windows[part] {
                    OfWindow::Listed(listed) => listed.write(summary, Ascending { data_type, strings }, others(), row),
                    OfWindow::Registers(registers) => registers.write(others(), row),
                    OfWindow::Ranked(ranked) => ranked.write(summary, core.others().count() as u64, row),
                    OfWindow::Decays(decays) => decays.write(row),
                    OfWindow::Oldest(oldest) => {
                        oldest.fill(slices, summary.column, core);
                        put_list(data_type, oldest.words(), strings, row);
                    }
                    OfWindow::Early(early) => {
                        early.fill(slices, summary.column, core);
                        put_list(data_type, early.words(), strings, row);
                    }
                },
                Written::Newest { .. } => {
                    let slice = slices.get(core.to - 1);
                    let is_null = layout.nulls(slice) >> summary.column & 1 == 1;
                    row.byte(u8::from(is_null));
                    if let Some(word) = layout.columns[summary.column].word.filter(|_| !is_null) {
                        put_value(data_type, slice[word], strings, row);
                    }
                }
            }
        }
    }

    /// Whether the core of a window and the slices `others` have more distinct values than a limit.
    pub fn exceeds(&self, slices: Slices, limit: &ValueLimit, others: Range<usize>) -> bool {
        let Some(OfWindow::Listed(listed)) = self.windows.get(limit.part) else { return false };
        let tally = listed.tally();
        let words = || others.clone().filter_map(|i| slices.occurrence(i, limit.column)).map(|found| found.word);
        tally.len() > limit.most || tally.len() + others.len() > limit.most && tally.len_with(words()) > limit.most
    }

    /// Asks for the parts.
    pub fn prefetch(&self) {
        fn lines<T>(parts: &[T]) {
            for line in 0..size_of_val(parts).div_ceil(64) {
                prefetch(parts.as_ptr().cast::<u8>().wrapping_add(64 * line));
            }
        }
        lines(&self.edges);
        lines(&self.windows);
    }

    /// Asks for what a value is looked up in; after [`Summaries::prefetch`].
    pub fn prefetch_values(&self) {
        for kept in &self.windows {
            match kept {
                OfWindow::Listed(listed) => listed.tally().prefetch(),
                OfWindow::Registers(registers) => registers.prefetch(),
                OfWindow::Early(early) => early.prefetch(),
                OfWindow::Ranked(ranked) => ranked.prefetch(),
                OfWindow::Decays(_) | OfWindow::Oldest(_) => {}
            }
        }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        let edges = self.edges.iter().map(|kept| match kept {
            OfEdge::Recent(recent) => recent.bytes(),
            OfEdge::Best(best) => best.bytes(),
        });
        let windows = self.windows.iter().map(|kept| match kept {
            OfWindow::Listed(listed) => listed.bytes(),
            OfWindow::Registers(registers) => registers.bytes(),
            OfWindow::Ranked(ranked) => ranked.bytes(),
            OfWindow::Decays(decays) => decays.bytes(),
            OfWindow::Oldest(oldest) => oldest.bytes(),
            OfWindow::Early(early) => early.bytes(),
        });
        let parts = self.edges.len() * size_of::<OfEdge>() + self.windows.len() * size_of::<OfWindow>();
        size_of::<Summaries>() + parts + edges.sum::<usize>() + windows.sum::<usize>()
    }
}

fn put_list(data_type: DataType, words: impl ExactSizeIterator<Item = u64>, strings: &Strings, row: &mut RowBuffer) {
    row.varint(words.len() as u64);
    for word in words {
        put_value(data_type, word, strings, row);
    }
}
