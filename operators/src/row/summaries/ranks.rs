//! Order statistics: a band of ranks of the core per percentile, and all other values one by one.

use freshet_config::function::{Fraction, Refusal};
use freshet_config::value::DataType;

use super::super::codec::Bytes;
use crate::slices::value_word;
use crate::summary::rank;

#[derive(Clone, Debug)]
pub(in super::super) struct RanksFold {
    percentiles: Vec<Fraction>,
    /// Values in the core.
    n: u64,
    bands: Vec<Band>,
    /// Values outside the core, as words that order like them.
    added: Vec<u64>,
}

#[derive(Clone, Debug, Default)]
struct Band {
    /// Values of the core before the band.
    below: u64,
    /// Ascending.
    values: Vec<u64>,
}

impl RanksFold {
    pub fn new(percentiles: Vec<Fraction>) -> RanksFold {
        let bands = vec![Band::default(); percentiles.len()];
        RanksFold { percentiles, n: 0, bands, added: Vec::new() }
    }

    pub fn reset(&mut self) {
        self.n = 0;
        self.added.clear();
        for band in &mut self.bands {
            band.below = 0;
            band.values.clear();
        }
    }

    /// The number of values; if there are any, per percentile the values before its band, their number, the first, and of
    /// each other how much greater it is than the one before.
    pub fn read(&mut self, bytes: &mut Bytes) -> Option<()> {
        self.n = bytes.varint()?;
        if self.n == 0 {
            return Some(());
        }
        for band in &mut self.bands {
            band.below = bytes.varint()?;
            let count = bytes.count()?;
            let mut value = 0u64;
            for i in 0..count {
                value = match i {
                    0 => u64::from_le_bytes(bytes.array()?),
                    _ => value.checked_add(bytes.varint()?)?,
                };
                band.values.push(value);
            }
        }
        Some(())
    }

    pub fn add(&mut self, word: u64) {
        self.added.push(word);
    }

    /// The value of rank `floor(percentile * n)`; `None` of no values.
    pub fn percentile(&self, percentile: Fraction) -> Result<Option<f64>, Refusal> {
        let others = self.added.len() as u64;
        let total = self.n.checked_add(others).ok_or(Refusal::Damaged)?;
        if total == 0 {
            return Ok(None);
        }
        let wanted = rank::rank(percentile.get(), total);
        let mut added = self.added.clone();
        let word = if self.n == 0 {
            *added.select_nth_unstable(wanted as usize).1
        } else {
            let i = self.percentiles.iter().position(|known| *known == percentile).ok_or(Refusal::Damaged)?;
            let band = &self.bands[i];
            // What lies before the band counts as before everything: the wanted value is not among it.
            let place = usize::try_from(wanted.checked_sub(band.below).ok_or(Refusal::Damaged)?)
                .map_err(|_| Refusal::Damaged)?;
            added.extend_from_slice(&band.values);
            if place >= added.len() {
                return Err(Refusal::Damaged);
            }
            *added.select_nth_unstable(place).1
        };
        Ok(Some(f64::from_bits(value_word(word, DataType::Float64))))
    }
}
