//! HyperLogLog registers that forget: a multiset of (register, rank), of which the greatest rank per register counts.
//!
//! Law: an estimate depends on how many registers have which value, and on no more. So a row holds that, and the registers
//! that the single events of its reader may raise.

use super::super::super::slab::prefetch;
use super::tally::Tally;
use crate::row::codec::RowBuffer;
use crate::summary::hyperloglog::{Filled, parts};

pub(super) struct Registers {
    precision: u8,
    tally: Tally,
    by_register: Option<Box<ByRegister>>,
}

struct ByRegister {
    /// Per register the ranks that occur, a bit each.
    ranks: Vec<u64>,
    filled: Filled,
}

impl Registers {
    pub fn new(precision: u8) -> Registers {
        Registers { precision, tally: Tally::default(), by_register: None }
    }

    /// A tally of more words than this is kept by register too.
    fn most_words(&self) -> usize {
        ((1 << self.precision) / 16).max(64)
    }

    pub fn add(&mut self, word: u64) {
        if self.tally.add(word) > 0 {
            return;
        }
        if let Some(by_register) = &mut self.by_register {
            by_register.flip(word);
        } else if self.tally.len() > self.most_words() {
            let mut by_register =
                Box::new(ByRegister { ranks: vec![0; 1 << self.precision], filled: Filled::default() });
            self.tally.entries().for_each(|(word, _)| by_register.flip(word));
            self.by_register = Some(by_register);
        }
    }

    pub fn sub(&mut self, word: u64) {
        if self.tally.take(word) > 0 {
            return;
        }
        if let Some(by_register) = &mut self.by_register {
            by_register.flip(word);
            if self.tally.len() < self.most_words() / 4 {
                self.by_register = None;
            }
        }
    }

    /// Asks for where a word is looked up.
    pub fn prefetch(&self) {
        self.tally.prefetch();
        if let Some(by_register) = &self.by_register {
            prefetch(&raw const **by_register);
        }
    }

    /// Writes how many registers have which value, and the values of those that `others`, words too, may raise.
    pub fn write(&self, others: impl Iterator<Item = u64>, row: &mut RowBuffer) {
        let mut raised: Vec<(usize, u8)> = others.map(|word| (parts(word).0, 0)).collect();
        raised.sort_unstable();
        raised.dedup();
        match &self.by_register {
            Some(by_register) => {
                write_filled(&by_register.filled, row);
                raised.iter_mut().for_each(|(register, rank)| *rank = greatest(by_register.ranks[*register]));
            }
            None => {
                let mut counted = Filled::default();
                match self.tally.ascending() {
                    Some(words) => {
                        filled_of(words).for_each(|(_, rank)| counted.change(0, rank));
                        raised.iter_mut().for_each(|(register, rank)| *rank = rank_of(words, *register));
                    }
                    None => {
                        let filled = self.filled();
                        filled.iter().for_each(|(_, rank)| counted.change(0, *rank));
                        for (register, rank) in &mut raised {
                            if let Ok(at) = filled.binary_search_by_key(register, |(known, _)| *known) {
                                *rank = filled[at].1;
                            }
                        }
                    }
                }
                write_filled(&counted, row);
            }
        }
        raised.retain(|(_, rank)| *rank > 0);
        row.varint(raised.len() as u64);
        let mut next = 0;
        for (register, rank) in raised {
            row.varint((register - next) as u64);
            row.byte(rank);
            next = register + 1;
        }
    }

    /// Registers that are not empty, ascending, with their values.
    fn filled(&self) -> Vec<(usize, u8)> {
        let mut words: Vec<(u64, u32)> = self.tally.entries().collect();
        words.sort_unstable();
        filled_of(&words).collect()
    }

    pub fn bytes(&self) -> usize {
        let by_register = |kept: &ByRegister| size_of::<ByRegister>() + kept.ranks.capacity() * 8;
        self.tally.bytes() + self.by_register.as_deref().map_or(0, by_register)
    }
}

impl ByRegister {
    /// A rank occurs in a register now, or no more.
    fn flip(&mut self, word: u64) {
        let (register, rank) = parts(word);
        let before = greatest(self.ranks[register]);
        self.ranks[register] ^= 1 << rank;
        let after = greatest(self.ranks[register]);
        self.filled.change(before, after);
    }
}

/// Registers and their values, of ascending words: those of a register follow each other, its ranks ascending.
fn filled_of(words: &[(u64, u32)]) -> impl Iterator<Item = (usize, u8)> {
    let ends = words.iter().zip(words.iter().skip(1).map(Some).chain([None]));
    let is_last = |word: u64, next: Option<&(u64, u32)>| next.is_none_or(|(next, _)| parts(*next).0 != parts(word).0);
    ends.filter(move |((word, _), next)| is_last(*word, *next)).map(|((word, _), _)| parts(*word))
}

/// The value of a register, of ascending words; 0 of an empty one.
fn rank_of(words: &[(u64, u32)], register: usize) -> u8 {
    let end = words.partition_point(|(word, _)| parts(*word).0 <= register);
    let last = end.checked_sub(1).map(|last| parts(words[last].0));
    last.filter(|(known, _)| *known == register).map_or(0, |(_, rank)| rank)
}

fn write_filled(filled: &Filled, row: &mut RowBuffer) {
    row.varint(u64::from(filled.values()));
    for (rank, registers) in filled.ranks() {
        row.byte(rank);
        row.varint(u64::from(registers));
    }
}

/// The greatest of some ranks, 0 of none.
fn greatest(ranks: u64) -> u8 {
    ranks.checked_ilog2().unwrap_or(0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_register_are_those_of_the_tally() {
        let word = |i: u64| (i * 7919 % 256) << 6 | (1 + i * 31 % 7);
        let mut registers = Registers::new(8);
        let mut by_register_was = [false; 2];
        for i in 0..6000u64 {
            match i {
                0..3000 => registers.add(word(i)),
                _ => registers.sub(word(i - 3000)),
            }
            by_register_was[usize::from(registers.by_register.is_some())] = true;
            let Some(by_register) = registers.by_register.as_ref().filter(|_| i % 50 == 0) else { continue };
            let filled = registers.filled();
            let mut counted = Filled::default();
            filled.iter().for_each(|(_, rank)| counted.change(0, *rank));
            assert!(by_register.filled.ranks().eq(counted.ranks()), "after {i}");
            assert!(filled.iter().all(|(register, rank)| greatest(by_register.ranks[*register]) == *rank), "after {i}");
        }
        assert_eq!((by_register_was, registers.tally.len()), ([true, true], 0));
    }
}
