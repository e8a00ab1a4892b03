//! HyperLogLog registers that forget: a multiset of (register, rank), of which the greatest rank per register counts.

use super::tally::Tally;
use crate::row::codec::RowBuffer;
use crate::summary::hyperloglog::parts;

pub(super) struct Registers {
    precision: u8,
    tally: Tally,
    /// Per register the ranks that occur, a bit each; kept when the tally is large.
    ranks: Vec<u64>,
}

impl Registers {
    pub fn new(precision: u8) -> Registers {
        Registers { precision, tally: Tally::default(), ranks: Vec::new() }
    }

    pub fn add(&mut self, word: u64) {
        if self.tally.add(word) > 0 {
            return;
        }
        if !self.ranks.is_empty() {
            self.mark(word);
        } else if self.tally.len() > (1 << self.precision) / 4 {
            self.ranks = vec![0; 1 << self.precision];
            for (word, _) in self.tally.entries() {
                self.mark(word);
            }
        }
    }

    fn mark(&mut self, word: u64) {
        let (register, rank) = parts(word);
        self.ranks[register] |= 1 << rank;
    }

    pub fn sub(&mut self, word: u64) {
        if self.tally.take(word) > 0 || self.ranks.is_empty() {
            return;
        }
        let (register, rank) = parts(word);
        self.ranks[register] &= !(1 << rank);
        if self.tally.len() < (1 << self.precision) / 16 {
            self.ranks = Vec::new();
        }
    }

    /// Registers that are not empty, ascending, with their values.
    fn filled(&self) -> Vec<(usize, u8)> {
        if !self.ranks.is_empty() {
            let filled = self.ranks.iter().enumerate().filter(|(_, ranks)| **ranks != 0);
            return filled.map(|(register, ranks)| (register, ranks.ilog2() as u8)).collect();
        }
        let mut filled: Vec<(usize, u8)> = self.tally.entries().into_iter().map(|(word, _)| parts(word)).collect();
        filled.sort_unstable();
        // The last of a register is its greatest.
        filled.reverse();
        filled.dedup_by_key(|(register, _)| *register);
        filled.reverse();
        filled
    }

    pub fn write(&self, row: &mut RowBuffer) {
        let filled = self.filled();
        let all = 1usize << self.precision;
        if 2 * filled.len() >= all {
            row.varint(1);
            let mut registers = vec![0; all];
            filled.into_iter().for_each(|(register, rank)| registers[register] = rank);
            return row.vector(|out| out.extend_from_slice(&registers));
        }
        row.varint(2 * filled.len() as u64);
        let mut next = 0;
        for (register, rank) in filled {
            row.varint((register - next) as u64);
            row.byte(rank);
            next = register + 1;
        }
    }

    pub fn bytes(&self) -> usize {
        self.tally.bytes() + self.ranks.capacity() * 8
    }
}
