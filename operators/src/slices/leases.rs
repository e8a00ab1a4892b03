//! When the leases of dense keys end: by ticks, so that a close looks only at those that end soon.

use std::collections::BTreeMap;

/// Length of a tick, microseconds.
pub(super) const TICK: i64 = 1_000_000;

/// Places of dense keys and ends of their leases, by tick. How far one close looked ahead binds no other: after a leap of
/// the clock closes look less far again, and what was armed meanwhile must come up all the same.
#[derive(Default)]
pub(super) struct Wheel {
    ticks: BTreeMap<i64, Vec<(u32, i64)>>,
}

impl Wheel {
    /// Remembers that the lease of the key at `place` ends at `lease`.
    pub fn arm(&mut self, place: u32, lease: i64) {
        self.ticks.entry(lease.div_euclid(TICK)).or_default().push((place, lease));
    }

    /// Takes the places armed for the earliest tick, if it is `last` or earlier.
    pub fn pop(&mut self, last: i64) -> Option<Vec<(u32, i64)>> {
        let earliest = self.ticks.first_entry().filter(|earliest| *earliest.key() <= last)?;
        Some(earliest.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_come_up_in_their_tick() {
        let mut wheel = Wheel::default();
        wheel.arm(1, 103 * TICK + 5);
        wheel.arm(2, 90 * TICK);
        assert_eq!(wheel.pop(102), Some(vec![(2, 90 * TICK)]));
        assert_eq!(wheel.pop(102), None);
        assert_eq!(wheel.pop(4000), Some(vec![(1, 103 * TICK + 5)]));
        // Nothing was due for long, and closes look less far than they did.
        assert_eq!(wheel.pop(4000), None);
        wheel.arm(3, 200 * TICK);
        assert_eq!(wheel.pop(199), None);
        assert_eq!(wheel.pop(200), Some(vec![(3, 200 * TICK)]));
    }
}
