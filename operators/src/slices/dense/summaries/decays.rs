//! Exact sums of decayed terms, by block of time.

use crate::row::codec::{MAX_NUMBER, RowBuffer, zigzag};
use crate::row::{HAS_LANES, HAS_WIDE};
use crate::summary::decay::{Block, block_mut};

#[derive(Default)]
pub(super) struct Decays {
    /// Ascending; none is empty.
    blocks: Vec<Block>,
}

impl Decays {
    pub fn add(&mut self, block: i64, term: u64) {
        block_mut(&mut self.blocks, block).add(term);
    }

    /// Takes back a term that was added.
    pub fn sub(&mut self, block: i64, term: u64) {
        if let Ok(at) = self.blocks.binary_search_by_key(&block, |block| block.index) {
            self.blocks[at].sub(term);
            if self.blocks[at].is_empty() {
                self.blocks.remove(at);
            }
        }
    }

    pub fn write(&self, row: &mut RowBuffer) {
        row.varint(self.blocks.len() as u64);
        let mut before = None;
        for block in &self.blocks {
            row.varint(match before.replace(block.index) {
                None => zigzag(block.index),
                Some(before) => (block.index - before) as u64,
            });
            let lanes = if block.inside > 0 { HAS_LANES } else { 0 };
            row.byte(lanes | if block.wide.is_some() { HAS_WIDE } else { 0 });
            if lanes != 0 {
                row.write(MAX_NUMBER, |cursor| cursor.sum(&block.moments));
            }
            if let Some(wide) = &block.wide {
                row.vector(|out| wide.write(out));
            }
        }
    }

    pub fn bytes(&self) -> usize {
        self.blocks.iter().map(Block::bytes).sum()
    }
}
