//! Numbers between 0 and 1, which percentiles are.

use serde::{Serialize, Serializer};

/// A number between 0 and 1, neither of which it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fraction(u64);

impl Fraction {
    /// `None` outside (0, 1), and for NaN.
    pub fn new(value: f64) -> Option<Fraction> {
        (value > 0.0 && value < 1.0).then_some(Fraction(value.to_bits()))
    }

    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl std::fmt::Debug for Fraction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}
