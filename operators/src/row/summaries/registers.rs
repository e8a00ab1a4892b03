//! HyperLogLog registers, a byte each.

use freshet_config::value::Value;

use super::super::codec::Bytes;
use crate::summary::hyperloglog;

#[derive(Clone, Debug)]
pub(in super::super) struct RegistersFold {
    registers: Vec<u8>,
    empty: bool,
}

impl RegistersFold {
    pub fn new(precision: u8) -> RegistersFold {
        RegistersFold { registers: vec![0; 1 << precision], empty: true }
    }

    pub fn reset(&mut self) {
        if !self.empty {
            self.registers.fill(0);
            self.empty = true;
        }
    }

    /// `1`: every register, a byte each. Else twice the number of registers that are not empty, and for each its distance
    /// from the one before and its value.
    pub fn read(&mut self, bytes: &mut Bytes) -> Option<()> {
        let head = bytes.varint()?;
        self.empty = false;
        if head == 1 {
            for register in &mut self.registers {
                *register = bytes.byte().filter(|rank| *rank <= hyperloglog::MOST_RANK)?;
            }
            return Some(());
        }
        let mut next = 0usize;
        for _ in 0..head / 2 {
            let at = next.checked_add(usize::try_from(bytes.varint()?).ok()?)?;
            *self.registers.get_mut(at)? = bytes.byte().filter(|rank| *rank <= hyperloglog::MOST_RANK)?;
            next = at + 1;
        }
        Some(())
    }

    pub fn add(&mut self, word: u64) {
        let (register, rank) = hyperloglog::parts(word);
        // A damaged row may name any register.
        if let Some(held) = self.registers.get_mut(register) {
            *held = (*held).max(rank.min(hyperloglog::MOST_RANK));
            self.empty = false;
        }
    }

    pub fn value(&self) -> Value {
        Value::Int64(if self.empty { 0 } else { hyperloglog::estimate(&self.registers) })
    }
}
