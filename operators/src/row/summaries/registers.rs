//! HyperLogLog registers: how many have which value, and the values of those that single events may raise.

use super::super::codec::Bytes;
use crate::summary::hyperloglog::{self, Filled};

#[derive(Clone, Debug)]
pub(in super::super) struct RegistersFold {
    filled: Filled,
    /// Per register its value, as far as a single event may raise it.
    known: Vec<u8>,
    /// Registers whose value is known.
    touched: Vec<u32>,
}

impl RegistersFold {
    pub fn new(precision: u8) -> RegistersFold {
        RegistersFold { filled: Filled::default(), known: vec![0; 1 << precision], touched: Vec::new() }
    }

    pub fn reset(&mut self) {
        self.filled = Filled::default();
        for register in self.touched.drain(..) {
            self.known[register as usize] = 0;
        }
    }

    /// The number of values that occur, each with how many registers have it; then the number of registers known, and for
    /// each its distance from the one before and its value.
    pub fn read(&mut self, bytes: &mut Bytes) -> Option<()> {
        for _ in 0..bytes.varint()? {
            let rank = bytes.byte()?;
            self.filled.add(rank, bytes.varint()?).then_some(())?;
        }
        let mut next = 0usize;
        for _ in 0..bytes.varint()? {
            let at = next.checked_add(usize::try_from(bytes.varint()?).ok()?)?;
            *self.known.get_mut(at)? = bytes.byte().filter(|rank| *rank <= hyperloglog::MOST_RANK)?;
            self.touched.push(at as u32);
            next = at + 1;
        }
        (self.filled.registers() <= self.known.len() as u64).then_some(())
    }

    pub fn add(&mut self, word: u64) {
        let (register, rank) = hyperloglog::parts(word);
        let rank = rank.min(hyperloglog::MOST_RANK);
        // A damaged row may name any register.
        let Some(known) = self.known.get_mut(register).filter(|known| **known < rank) else { return };
        self.filled.change(*known, rank);
        *known = rank;
        self.touched.push(register as u32);
    }

    pub fn estimate(&self) -> i64 {
        self.filled.estimate(self.known.len())
    }
}
