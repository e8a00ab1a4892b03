//! `approx_count_distinct`: HyperLogLog.

use sha2::{Digest, Sha256};

use super::*;

#[derive(Clone, Copy)]
pub struct ApproxCountDistinct {
    /// There are `2^precision` registers.
    pub precision: u8,
}

const PRECISION: Parameter =
    Parameter { name: "precision", bounds: Bounds::Whole { what: "", low: 4, high: 16, default: Some(8) } };

impl AggregateFunction for ApproxCountDistinct {
    const NAME: &'static str = "approx_count_distinct";
    const PARAMETERS: &'static [Parameter] = &[PRECISION];
    const TAKES: Input = Input::StringsAndIntegers;
    const GIVES: Output = Output::Int64;
    const PAGE: Page = Page {
        unit: "distinct values",
        value: "HyperLogLog with 2^`precision` registers over SHA-256",
        exactness: "standard error 1.04 / sqrt(2^`precision`): 6.5 % at 8, 1.6 % at 12",
        source: "Flajolet et al. 2007, with linear counting up to 2.5 * 2^`precision`",
        ..Page::EXACT
    };

    fn read(written: &mut Written<'_>) -> Option<ApproxCountDistinct> {
        // The bounds fit the type.
        written.whole(&PRECISION).map(|precision| ApproxCountDistinct { precision: precision as u8 })
    }

    fn samples() -> Vec<ApproxCountDistinct> {
        [4, 5, 8, 11].map(|precision| ApproxCountDistinct { precision }).to_vec()
    }

    fn keeps(self) -> Keeps {
        Keeps::Summary(SummaryKind::Registers { precision: self.precision })
    }

    fn value(self, kept: &impl Kept) -> Outcome {
        kept.estimate().map(Value::Int64)
    }

    /// Bit by bit.
    fn naive(self, plain: &Plain) -> Outcome {
        let p = usize::from(self.precision);
        let mut registers = vec![0u32; 1 << p];
        for value in plain.values() {
            let digest = match value {
                Value::String(text) => Sha256::digest(text.as_bytes()),
                Value::Int32(v) => Sha256::digest(i64::from(v).to_be_bytes()),
                Value::Int64(v) => Sha256::digest(v.to_be_bytes()),
                _ => continue,
            };
            let bits: Vec<usize> =
                digest.iter().take(8).flat_map(|byte| (0..8).rev().map(move |b| usize::from(byte >> b & 1))).collect();
            let index = bits[..p].iter().fold(0, |index, bit| 2 * index + bit);
            let zeros = bits[p..].iter().take_while(|bit| **bit == 0).count();
            registers[index] = registers[index].max(1 + zeros as u32);
        }
        let m = registers.len() as f64;
        let alpha = match p {
            4 => 0.673,
            5 => 0.697,
            6 => 0.709,
            _ => 0.7213 / (1.0 + 1.079 / m),
        };
        let harmonic: f64 = registers.iter().map(|r| 1.0 / 2f64.powi(*r as i32)).sum();
        let estimate = alpha * m * m / harmonic;
        let empty = registers.iter().filter(|r| **r == 0).count() as f64;
        let counted = if estimate <= 2.5 * m && empty > 0.0 { m * (m / empty).ln() } else { estimate };
        Ok(Value::Int64(counted.round() as i64))
    }
}
