//! The running cores: exact folds that forget by subtraction.

use super::super::layout::{Layout, StoredColumn, time_of};
use crate::exact::{Lane, Moments, Wide};

/// Values outside the lanes, per cell: its derived word, how many, their sums.
pub(super) type WideCells = Vec<(usize, u64, Wide)>;

/// What one value adds to cells.
enum Addend {
    Counted,
    /// With its square, where the column has squares: once for all windows.
    Lane(Lane, [u128; 2]),
    /// The bits of a double outside the lanes.
    Wide(u64),
}

impl Addend {
    #[inline(always)]
    fn of(column: &StoredColumn, slice: &[u64]) -> Addend {
        let (Some(scale), Some(word)) = (column.scale, column.word) else { return Addend::Counted };
        match Lane::of(slice[word], scale) {
            Some(lane) => Addend::Lane(lane, if column.squares { lane.square() } else { [0; 2] }),
            None => Addend::Wide(slice[word]),
        }
    }

    #[inline(always)]
    fn apply(&self, column: &StoredColumn, derived: &mut [u64], at: usize, wide: &mut WideCells, add: bool) {
        let cell = &mut derived[at..];
        cell[0] = if add { cell[0] + 1 } else { cell[0] - 1 };
        match self {
            Addend::Counted => {}
            Addend::Lane(lane, square) => {
                let mut moments = load(&cell[1..], column.squares);
                if add {
                    moments.add_square(*lane, *square);
                } else {
                    moments.sub_square(*lane, *square);
                }
                store(&mut cell[1..], &moments, column.squares);
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

/// Words of a sum, and of a sum with squares.
const SUM: usize = 3;
const SQUARES: usize = 7;

#[inline(always)]
pub(super) fn load(words: &[u64], squares: bool) -> Moments {
    fn pair(low: u64, high: u64) -> u128 {
        u128::from(low) | u128::from(high) << 64
    }
    if squares {
        // Cut to its length first: one check for all words.
        let words = &words[..SQUARES];
        let squares = [pair(words[3], words[4]), pair(words[5], words[6])];
        return Moments { fraction: words[0], whole: pair(words[1], words[2]) as i128, squares };
    }
    let words = &words[..SUM];
    Moments { fraction: words[0], whole: pair(words[1], words[2]) as i128, squares: [0; 2] }
}

#[inline(always)]
fn store(words: &mut [u64], moments: &Moments, squares: bool) {
    let words = &mut words[..if squares { SQUARES } else { SUM }];
    words[0] = moments.fraction;
    words[1] = moments.whole as u64;
    words[2] = (moments.whole >> 64) as u64;
    if squares {
        let [low, high] = moments.squares;
        words[3..].copy_from_slice(&[low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64]);
    }
}
