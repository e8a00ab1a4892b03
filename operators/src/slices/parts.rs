//! Which summaries a dense key keeps, once per edge or once per window, and which of them a window's core is written with.

use freshet_config::function::SummaryKind;

use super::layout::StoredWindow;
use crate::view::ViewPlan;

/// A summary that is kept for an edge or for a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub summary: usize,
    /// The edge, or the window.
    pub of: usize,
}

/// Where a core's summary is found: an index into the parts, or nowhere but in the slices.
#[derive(Clone, Copy, Debug)]
pub(super) enum Written {
    Edge { summary: usize, part: usize },
    Window { summary: usize, part: usize },
    Newest { summary: usize },
}

/// Which parts a plan's summaries have.
#[derive(Default)]
pub(super) struct Parts {
    pub edges: Vec<Part>,
    pub windows: Vec<Part>,
    pub written: Vec<Vec<Written>>,
}

impl Parts {
    pub fn of(plan: &ViewPlan, windows: &[StoredWindow], edges: usize) -> Parts {
        let mut parts = Parts { written: vec![Vec::new(); windows.len()], ..Parts::default() };
        for (summary, needed) in plan.summaries.iter().enumerate() {
            let used = |w: &usize| needed.windows >> w & 1 == 1;
            let of_windows = || (0..windows.len()).filter(used);
            match needed.kind {
                SummaryKind::Latest => {
                    of_windows().for_each(|w| parts.written[w].push(Written::Newest { summary }));
                }
                // The newest so many, or the best since: one list serves all windows that end together.
                SummaryKind::List { newest: true, .. } | SummaryKind::By { .. } => {
                    for edge in 0..edges {
                        let part = parts.edges.len();
                        let mut members = of_windows().filter(|w| windows[*w].edge == edge).peekable();
                        if members.peek().is_some() {
                            parts.edges.push(Part { summary, of: edge });
                        }
                        members.for_each(|w| parts.written[w].push(Written::Edge { summary, part }));
                    }
                }
                _ => {
                    for w in of_windows() {
                        parts.written[w].push(Written::Window { summary, part: parts.windows.len() });
                        parts.windows.push(Part { summary, of: w });
                    }
                }
            }
        }
        parts
    }
}
