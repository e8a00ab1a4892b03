//! Decayed sums: exact sums of blocks of time, scaled to the instant asked for.

use freshet_config::time::Span;

use super::super::codec::Bytes;
use super::super::codec::unzigzag;
use crate::exact::Wide;
use crate::summary::decay::{Block, block_mut, decayed};

#[derive(Clone, Debug)]
pub(in super::super) struct DecayFold {
    half_life: Span,
    /// Ascending.
    blocks: Vec<Block>,
}

/// Bits of a block's head: sums of terms in the lanes follow, and of terms outside.
pub(crate) const HAS_LANES: u8 = 1;
pub(crate) const HAS_WIDE: u8 = 2;

impl DecayFold {
    pub fn new(half_life: Span) -> DecayFold {
        DecayFold { half_life, blocks: Vec::new() }
    }

    pub fn reset(&mut self) {
        self.blocks.clear();
    }

    /// The number of blocks; per block its distance from the one before (the first from 1970, zigzag) and its sums.
    pub fn read(&mut self, bytes: &mut Bytes) -> Option<()> {
        let mut index = 0i64;
        for i in 0..bytes.count()? {
            let step = bytes.varint()?;
            index = match i {
                0 => unzigzag(step),
                // Distinct and ascending, or the row is damaged.
                _ => index.checked_add_unsigned(step).filter(|_| step > 0)?,
            };
            let mut block = Block::new(index);
            let head = bytes.byte()?;
            if head & HAS_LANES != 0 {
                block.moments = bytes.moments(false)?;
            }
            if head & HAS_WIDE != 0 {
                let (wide, rest) = Wide::read(bytes.rest())?;
                bytes.skip_to(rest);
                block.wide = Some(Box::new(wide));
            }
            self.blocks.push(block);
        }
        Some(())
    }

    pub fn add(&mut self, block: i64, term: u64) {
        block_mut(&mut self.blocks, block).add(term);
    }

    /// The sum at `end`; `None` of no values.
    pub fn sum(&self, end: i64) -> Option<f64> {
        let blocks = self.blocks.iter();
        let sum = blocks.fold(0.0, |sum, block| sum + decayed(self.half_life, block.index, block.sum(), end));
        (!self.blocks.is_empty()).then_some(sum)
    }
}
