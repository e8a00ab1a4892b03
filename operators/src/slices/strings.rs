//! Strings of slices as one word each: up to seven bytes inside the word, longer ones in a pool.

/// Strings longer than a word holds, addressed by number.
#[derive(Default)]
pub(super) struct Strings {
    pool: Vec<Box<[u8]>>,
    free: Vec<u32>,
    bytes: usize,
}

/// Low byte of a word whose string is in the pool; below it, the length of an inline string.
const POOLED: u64 = 0xff;
const INLINE: usize = 7;

impl Strings {
    pub fn insert(&mut self, text: &[u8]) -> u64 {
        if text.len() <= INLINE {
            let mut word = [0; 8];
            word[0] = text.len() as u8;
            word[1..=text.len()].copy_from_slice(text);
            return u64::from_le_bytes(word);
        }
        self.bytes += text.len();
        let number = match self.free.pop() {
            Some(number) => {
                self.pool[number as usize] = text.into();
                number
            }
            None => {
                self.pool.push(text.into());
                self.pool.len() as u32 - 1
            }
        };
        u64::from(number) << 8 | POOLED
    }

    pub fn remove(&mut self, word: u64) {
        if word & 0xff == POOLED {
            let number = (word >> 8) as u32;
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
        self.bytes + self.pool.capacity() * 16 + self.free.capacity() * 4
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
}
