//! Blocks of whole cache lines that never move, are never copied on growth and are reused when freed.

/// One cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub(super) struct Line(pub [u64; 8]);

const CHUNK_LINES: usize = 1 << 12;

/// Equal blocks of `lines` cache lines, addressed by number.
pub(super) struct Slab {
    chunks: Vec<Box<[Line]>>,
    lines: usize,
    per_chunk_log2: u32,
    used: u32,
    free: Vec<u32>,
}

impl Slab {
    pub fn new(words: usize) -> Slab {
        let lines = words.div_ceil(8).max(1);
        let per_chunk_log2 = (CHUNK_LINES / lines).max(1).ilog2();
        Slab { chunks: Vec::new(), lines, per_chunk_log2, used: 0, free: Vec::new() }
    }

    pub fn alloc(&mut self) -> u32 {
        if let Some(block) = self.free.pop() {
            return block;
        }
        let block = self.used;
        self.used += 1;
        if (block >> self.per_chunk_log2) as usize == self.chunks.len() {
            self.chunks.push(vec![Line([0; 8]); self.lines << self.per_chunk_log2].into_boxed_slice());
        }
        block
    }

    pub fn release(&mut self, block: u32) {
        self.free.push(block);
    }

    #[inline(always)]
    fn place(&self, block: u32) -> (usize, usize) {
        let within = block & ((1 << self.per_chunk_log2) - 1);
        ((block >> self.per_chunk_log2) as usize, within as usize * self.lines)
    }

    #[inline(always)]
    pub fn words(&self, block: u32) -> &[u64] {
        let (chunk, line) = self.place(block);
        self.chunks[chunk][line..line + self.lines].as_words()
    }

    #[inline(always)]
    pub fn words_mut(&mut self, block: u32) -> &mut [u64] {
        let (chunk, line) = self.place(block);
        self.chunks[chunk][line..line + self.lines].as_words_mut()
    }

    /// Where a block will be read, for a prefetch.
    #[inline(always)]
    pub fn address(&self, block: u32) -> *const u64 {
        let (chunk, line) = self.place(block);
        self.chunks[chunk].as_ptr().wrapping_add(line).cast()
    }

    /// Blocks ever handed out: numbers below this are valid.
    pub fn len(&self) -> u32 {
        self.used
    }

    pub fn bytes(&self) -> usize {
        self.chunks.len() * (self.lines << self.per_chunk_log2) * 64 + self.free.capacity() * 4
    }
}

trait Words {
    fn as_words(&self) -> &[u64];
    fn as_words_mut(&mut self) -> &mut [u64];
}

impl Words for [Line] {
    #[inline(always)]
    fn as_words(&self) -> &[u64] {
        // Sound: a line is exactly eight words without padding (64 bytes, alignment 64 >= 8).
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast(), self.len() * 8) }
    }

    #[inline(always)]
    fn as_words_mut(&mut self) -> &mut [u64] {
        // Sound: as above, and the borrow of `self` is unique.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), self.len() * 8) }
    }
}

/// Asks for a cache line ahead of its use.
#[inline(always)]
pub(super) fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // Sound: a prefetch never faults, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch(address.cast(), std::arch::x86_64::_MM_HINT_T0)
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_apart_and_reused() {
        let mut slab = Slab::new(12);
        let blocks: Vec<u32> = (0..5000).map(|_| slab.alloc()).collect();
        for block in &blocks {
            slab.words_mut(*block).fill(u64::from(*block));
        }
        for block in &blocks {
            assert_eq!(slab.words(*block), [u64::from(*block); 16]);
        }
        slab.release(17);
        assert_eq!(slab.alloc(), 17);
        assert_eq!(slab.len(), 5000);
    }
}
