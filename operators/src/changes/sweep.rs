//! Windows that move over the events of a key, from one instant to the next: events enter and leave, nothing is folded twice.
//!
//! Law: after any sequence of moves the accumulators are those of a fold of what is inside. Sums are integers, so what was
//! added can be taken out again; of extremes each window keeps the events that no newer one outdoes; the last value is
//! that of the newest event that has one. This holds for the functions of one column ([`sweeps`]), not for summaries.

use std::collections::VecDeque;
use std::ops::Range;

use freshet_config::definitions::Function;
use freshet_config::function::Keeps;
use freshet_config::value::DataType;

use super::KeyEvents;
use crate::batch::heap_bytes;
use crate::exact::{Lane, Scale};
use crate::row::Fold;
use crate::slices::order_word;
use crate::view::ViewPlan;

/// Whether a function can be swept.
pub(super) fn sweeps(function: Function) -> bool {
    matches!(function.keeps(), Keeps::Column(_))
}

/// One window on its way.
pub(super) struct Sweep {
    window: usize,
    /// Numbers of the events inside.
    inside: Range<usize>,
    /// Per column of the view: candidates for the least and for the greatest value, the best in front.
    least: Vec<VecDeque<usize>>,
    greatest: Vec<VecDeque<usize>>,
}

impl Sweep {
    /// A window with nothing inside, at the event number `start`.
    pub fn new(view: &ViewPlan, window: usize, start: usize) -> Sweep {
        let none = vec![VecDeque::new(); view.columns.len()];
        Sweep { window, inside: start..start, least: none.clone(), greatest: none }
    }

    /// Moves on to hold the events of `inside`, neither of whose ends lies before the present one.
    pub fn move_to(&mut self, view: &ViewPlan, events: &KeyEvents, inside: Range<usize>, fold: &mut Fold) {
        while self.inside.end < inside.end {
            self.enter(view, events, self.inside.end, fold);
            self.inside.end += 1;
        }
        while self.inside.start < inside.start {
            self.leave(view, events, self.inside.start, fold);
            self.inside.start += 1;
        }
        fold.set_rows(self.window, self.inside.len() as u64);
    }

    pub fn is_empty(&self) -> bool {
        self.inside.is_empty()
    }

    fn enter(&mut self, view: &ViewPlan, events: &KeyEvents, event: usize, fold: &mut Fold) {
        events.fold(event, view, 1 << self.window, fold);
        for (c, column) in view.columns.iter().enumerate() {
            if !column.in_window(self.window) || !(column.min || column.max) {
                continue;
            }
            let Some(word) = events.word(event, c) else { continue };
            let compare = |other: usize| {
                let other = events.word(other, c).unwrap_or_default();
                match column.data_type {
                    DataType::String => heap_bytes(events.heap(), word).cmp(heap_bytes(events.heap(), other)),
                    data_type => order_word(word, data_type).cmp(&order_word(other, data_type)),
                }
            };
            if column.min {
                let waiting = &mut self.least[c];
                while waiting.pop_back_if(|other| compare(*other).is_le()).is_some() {}
                waiting.push_back(event);
            }
            if column.max {
                let waiting = &mut self.greatest[c];
                while waiting.pop_back_if(|other| compare(*other).is_ge()).is_some() {}
                waiting.push_back(event);
            }
        }
    }

    fn leave(&mut self, view: &ViewPlan, events: &KeyEvents, event: usize, fold: &mut Fold) {
        for (c, column) in view.columns.iter().enumerate() {
            if !column.in_window(self.window) {
                continue;
            }
            let Some(word) = events.word(event, c) else { continue };
            let cell = fold.cell_mut(self.window, c);
            cell.count = cell.count.wrapping_sub(1);
            if column.sum {
                match Scale::of(column.data_type).and_then(|scale| Lane::of(word, scale)) {
                    Some(lane) => cell.moments.sub_lane(lane, column.squares),
                    None => cell.wide.get_or_insert_default().sub(word),
                }
            }
            let best = |waiting: &mut VecDeque<usize>| {
                waiting.pop_front_if(|first| *first == event);
                waiting.front().and_then(|first| events.word(*first, c)).unwrap_or_default()
            };
            if column.min {
                cell.min = best(&mut self.least[c]);
            }
            if column.max {
                cell.max = best(&mut self.greatest[c]);
            }
        }
    }
}
