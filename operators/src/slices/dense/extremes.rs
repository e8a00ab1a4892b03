//! Suffix lists: the minimum or maximum of any window that ends now, from a handful of entries.
//!
//! Law: a list holds closed slices in the order of time, each strictly better than all after it. So the best value since
//! some instant is the first entry at or after it.

use std::cmp::Ordering;

use freshet_config::value::DataType;

use super::super::layout::{Extreme, Layout, order_word, time_of, value_word};
use super::super::strings::Strings;

/// (time, value as a word that [`best_since`] gives back).
pub(super) type SuffixList = Vec<(i64, u64)>;

/// Remembers the values of a slice that closes now, newer than all before it.
#[inline(always)]
pub(super) fn push(layout: &Layout, lists: &mut [SuffixList], slice: &[u64], edge: usize, strings: &Strings) {
    for (extreme, list) in layout.extremes.iter().zip(lists) {
        if extreme.edge == edge
            && let Some(value) = kept_word(layout, extreme, slice)
        {
            while list.last().is_some_and(|(_, v)| !beats(layout, extreme, *v, value, strings)) {
                list.pop();
            }
            list.push((time_of(slice), value));
        }
    }
}

/// Inserts the values of a late slice: each removes the older values that it beats, and is not needed itself when a
/// newer one is at least as good.
#[cold]
pub(super) fn insert(layout: &Layout, lists: &mut [SuffixList], slice: &[u64], edge: usize, strings: &Strings) {
    let time = time_of(slice);
    for (extreme, list) in layout.extremes.iter().zip(lists) {
        if extreme.edge != edge {
            continue;
        }
        let Some(value) = kept_word(layout, extreme, slice) else { continue };
        let i = list.iter().position(|(t, _)| *t >= time).unwrap_or(list.len());
        if list.get(i).is_some_and(|(_, newer)| !beats(layout, extreme, value, *newer, strings)) {
            continue;
        }
        let mut from = i;
        while from > 0 && !beats(layout, extreme, list[from - 1].1, value, strings) {
            from -= 1;
        }
        let mut to = i;
        while list.get(to).is_some_and(|(t, _)| *t == time) {
            to += 1;
        }
        list.splice(from..to, [(time, value)]);
    }
}

/// Forgets entries before an instant that no window reaches any more.
#[inline(always)]
pub(super) fn forget(lists: &mut [SuffixList], reach: i64) {
    for list in lists {
        let gone = list.iter().take_while(|(time, _)| *time < reach).count();
        if gone > 0 {
            list.drain(..gone);
        }
    }
}

/// The stored word of the best value at or after `since`.
#[inline(always)]
pub(super) fn best_since(extreme: &Extreme, data_type: DataType, list: &SuffixList, since: i64) -> Option<u64> {
    let (_, word) = list.iter().find(|(time, _)| *time >= since)?;
    Some(match data_type {
        DataType::String => *word,
        _ => value_word(if extreme.is_max { *word } else { !*word }, data_type),
    })
}

/// What a list keeps of a slice: for numbers a word that grows with how good the value is, for strings the value's.
#[inline(always)]
fn kept_word(layout: &Layout, extreme: &Extreme, slice: &[u64]) -> Option<u64> {
    if layout.nulls(slice) >> extreme.column & 1 == 1 {
        return None;
    }
    let column = &layout.columns[extreme.column];
    let word = slice[column.word?];
    Some(match (column.data_type, extreme.is_max) {
        (DataType::String, _) => word,
        (data_type, true) => order_word(word, data_type),
        (data_type, false) => !order_word(word, data_type),
    })
}

/// Whether `a` is strictly better than `b`.
#[inline(always)]
fn beats(layout: &Layout, extreme: &Extreme, a: u64, b: u64, strings: &Strings) -> bool {
    if layout.columns[extreme.column].is_string {
        let order = strings.compare(a, b);
        return if extreme.is_max { order == Ordering::Greater } else { order == Ordering::Less };
    }
    a > b
}
