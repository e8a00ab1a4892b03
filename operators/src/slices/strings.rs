//! Strings of slices as one word each: up to seven bytes inside the word, longer ones in a pool.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// Strings longer than a word holds, addressed by number.
#[derive(Default)]
pub(super) struct Strings {
    pool: Vec<Box<[u8]>>,
    free: Vec<u32>,
    bytes: usize,
    interned: Option<Box<Interned>>,
}

/// What makes equal strings one: their numbers by content, and how often each is in use.
#[derive(Default)]
struct Interned {
    numbers: HashTable<u32>,
    uses: Vec<u32>,
}

/// Low byte of a word whose string is in the pool; below it, the length of an inline string.
const POOLED: u64 = 0xff;
const INLINE: usize = 7;

impl Strings {
    /// Equal strings get equal words.
    pub fn interned() -> Strings {
        Strings { interned: Some(Box::default()), ..Strings::default() }
    }

    pub fn insert(&mut self, text: &[u8]) -> u64 {
        if text.len() <= INLINE {
            let mut word = [0; 8];
            word[0] = text.len() as u8;
            word[1..=text.len()].copy_from_slice(text);
            return u64::from_le_bytes(word);
        }
        if self.interned.is_some() {
            return self.insert_interned(text);
        }
        u64::from(self.insert_long(text)) << 8 | POOLED
    }

    fn insert_long(&mut self, text: &[u8]) -> u32 {
        self.bytes += text.len();
        match self.free.pop() {
            Some(number) => {
                self.pool[number as usize] = text.into();
                number
            }
            None => {
                self.pool.push(text.into());
                self.pool.len() as u32 - 1
            }
        }
    }

    #[inline(never)]
    fn insert_interned(&mut self, text: &[u8]) -> u64 {
        let Some(mut interned) = self.interned.take() else { return 0 };
        let hash = xxh3_64(text);
        let known = interned.numbers.find(hash, |n| *self.pool[*n as usize] == *text).copied();
        let number = known.unwrap_or_else(|| {
            let number = self.insert_long(text);
            interned.numbers.insert_unique(hash, number, |n| xxh3_64(&self.pool[*n as usize]));
            interned.uses.resize(self.pool.len(), 0);
            number
        });
        interned.uses[number as usize] += 1;
        self.interned = Some(interned);
        u64::from(number) << 8 | POOLED
    }

    /// Whether the last use of a string ended.
    fn unused(&mut self, number: u32) -> bool {
        let Some(interned) = &mut self.interned else { return true };
        let uses = &mut interned.uses[number as usize];
        *uses -= 1;
        if *uses == 0
            && let Ok(entry) = interned.numbers.find_entry(xxh3_64(&self.pool[number as usize]), |n| *n == number)
        {
            entry.remove();
        }
        interned.uses[number as usize] == 0
    }

    pub fn remove(&mut self, word: u64) {
        if word & 0xff == POOLED {
            let number = (word >> 8) as u32;
            if !self.unused(number) {
                return;
            }
            self.bytes -= std::mem::take(&mut self.pool[number as usize]).len();
            self.free.push(number);
        }
    }

    /// The bytes, given to `read` because inline ones live in the word.
    #[inline(always)]
    pub fn with<R>(&self, word: u64, read: impl FnOnce(&[u8]) -> R) -> R {
        if word & 0xff == POOLED {
            read(&self.pool[(word >> 8) as usize])
        } else {
            let bytes = word.to_le_bytes();
            read(&bytes[1..=usize::from(bytes[0]).min(INLINE)])
        }
    }

    pub fn compare(&self, a: u64, b: u64) -> std::cmp::Ordering {
        self.with(a, |a| self.with(b, |b| a.cmp(b)))
    }

    pub fn bytes(&self) -> usize {
        let interned = self.interned.as_ref().map_or(0, |i| i.numbers.capacity() * 5 + i.uses.capacity() * 4);
        self.bytes + self.pool.capacity() * 16 + self.free.capacity() * 4 + interned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_strings_read_back() {
        let mut strings = Strings::default();
        let texts: [&[u8]; 5] = [b"", b"DE", b"seven77", b"eight888", b"a much longer one"];
        let words: Vec<u64> = texts.iter().map(|t| strings.insert(t)).collect();
        for (text, word) in texts.iter().zip(&words) {
            assert!(strings.with(*word, |t| t == *text));
        }
        assert!(strings.compare(words[1], words[3]).is_lt());
        strings.remove(words[3]);
        let again = strings.insert(b"reused slot");
        assert_eq!(again, words[3]);
    }

    #[test]
    fn interned_strings_are_one_until_the_last_is_removed() {
        let mut strings = Strings::interned();
        let word = strings.insert(b"a long string");
        assert_eq!(strings.insert(b"a long string"), word);
        assert_ne!(strings.insert(b"another long string"), word);
        strings.remove(word);
        assert!(strings.with(word, |t| t == b"a long string"));
        strings.remove(word);
        assert_eq!(strings.insert(b"a third long string"), word);
        assert_ne!(strings.insert(b"a long string"), word);
    }
}
