//! The running cores: exact folds that forget by subtraction.

use super::super::layout::{Layout, StoredColumn, time_of};
use crate::exact::{Lane, Moments, Wide};

/// Values outside the lanes, per cell: its derived word, how many, their sums.
pub(super) type WideCells = Vec<(usize, u64, Wide)>;

/// What one value adds to cells.
enum Addend {
    Counted,
    Lane(Lane),
    /// The bits of a double outside the lanes.
    Wide(u64),
}

impl Addend {
    #[inline(always)]
    fn of(column: &StoredColumn, slice: &[u64]) -> Addend {
        let (Some(scale), Some(word)) = (column.scale, column.word) else { return Addend::Counted };
        Lane::of(slice[word], scale).map_or(Addend::Wide(slice[word]), Addend::Lane)
    }

    #[inline(always)]
    fn apply(&self, column: &StoredColumn, derived: &mut [u64], at: usize, wide: &mut WideCells, add: bool) {
        let count = &mut derived[at];
        *count = if add { *count + 1 } else { *count - 1 };
        match self {
            Addend::Counted => {}
            Addend::Lane(lane) => {
                let cell = &mut derived[at + 1..];
                let mut moments = load(cell, column.squares);
                if add {
                    moments.add_lane(*lane, column.squares);
                } else {
                    moments.sub_lane(*lane, column.squares);
                }
                store(cell, &moments, column.squares);
            }
            Addend::Wide(bits) => apply_wide(wide, at, *bits, add),
        }
    }
}

/// Adds a closed slice to the cores of the windows of an edge that still count it at the reference instant `then`, when
/// the lease ends.
#[inline(always)]
pub(super) fn add(layout: &Layout, derived: &mut [u64], wide: &mut WideCells, slice: &[u64], edge: usize, then: i64) {
    let time = time_of(slice);
    let mut members = 0u64;
    for w in layout.edge_windows[edge].clone() {
        if time >= layout.lower(w, then) {
            members |= 1 << w;
            derived[layout.windows[w].rows] += 1;
        }
    }
    if members == 0 {
        return;
    }
    let nulls = layout.nulls(slice);
    for (c, column) in layout.columns.iter().enumerate() {
        let mut rest = members & column.windows;
        if rest == 0 || nulls >> c & 1 == 1 {
            continue;
        }
        let addend = Addend::of(column, slice);
        while rest != 0 {
            let w = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let at = layout.cells[w * layout.columns.len() + c] as usize;
            addend.apply(column, derived, at, wide, true);
        }
    }
}

/// Takes a slice out of the core of one window.
#[inline(always)]
pub(super) fn subtract(layout: &Layout, derived: &mut [u64], wide: &mut WideCells, slice: &[u64], w: usize) {
    let nulls = layout.nulls(slice);
    let window = &layout.windows[w];
    derived[window.rows] -= 1;
    for cell in &window.cells {
        if nulls >> cell.column & 1 == 0 {
            let column = &layout.columns[cell.column];
            Addend::of(column, slice).apply(column, derived, cell.at, wide, false);
        }
    }
}

#[cold]
fn apply_wide(wide: &mut WideCells, at: usize, bits: u64, add: bool) {
    let i = match wide.iter().position(|(cell, ..)| *cell == at) {
        Some(i) => i,
        None => {
            wide.push((at, 0, Wide::default()));
            wide.len() - 1
        }
    };
    let (_, count, sums) = &mut wide[i];
    if add {
        *count += 1;
        sums.add(bits);
    } else {
        *count -= 1;
        sums.sub(bits);
        if *count == 0 {
            wide.swap_remove(i);
        }
    }
}

#[inline(always)]
pub(super) fn load(words: &[u64], squares: bool) -> Moments {
    let pair = |i: usize| u128::from(words[i]) | u128::from(words[i + 1]) << 64;
    let sum = Moments { fraction: words[0], whole: pair(1) as i128, squares: [0; 2] };
    if squares { Moments { squares: [pair(3), pair(5)], ..sum } } else { sum }
}

#[inline(always)]
fn store(words: &mut [u64], moments: &Moments, squares: bool) {
    words[0] = moments.fraction;
    let mut put = |i: usize, value: u128| {
        words[i] = value as u64;
        words[i + 1] = (value >> 64) as u64;
    };
    put(1, moments.whole as u128);
    if squares {
        put(3, moments.squares[0]);
        put(5, moments.squares[1]);
    }
}
