//! When the leases of dense keys end: a wheel of ticks, so that a close looks only at those that end soon.

use std::collections::VecDeque;

/// Ticks of the wheel, microseconds.
pub(super) const TICK: i64 = 1_000_000;
/// Leases that end later than this many ticks from now are looked at again then.
const TICKS: i64 = 4096;

pub(super) struct Wheel {
    /// Places of dense keys and ends of their leases; the first entry is tick `at`.
    ticks: VecDeque<Vec<(u32, i64)>>,
    at: i64,
}

impl Wheel {
    pub fn new(clock: i64) -> Wheel {
        Wheel { ticks: VecDeque::new(), at: clock.div_euclid(TICK) }
    }

    /// Remembers that the lease of the key at `place` ends at `lease`.
    pub fn arm(&mut self, place: u32, lease: i64) {
        let tick = lease.div_euclid(TICK).saturating_sub(self.at).clamp(0, TICKS) as usize;
        while self.ticks.len() <= tick {
            self.ticks.push_back(Vec::new());
        }
        self.ticks[tick].push((place, lease));
    }

    /// Takes the places armed for the earliest tick, if it is `last` or earlier.
    pub fn pop(&mut self, last: i64) -> Option<Vec<(u32, i64)>> {
        if self.at > last {
            return None;
        }
        match self.ticks.pop_front() {
            Some(places) => {
                self.at += 1;
                Some(places)
            }
            None => {
                self.at = last + 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_come_up_in_their_tick_or_before() {
        let mut wheel = Wheel::new(100 * TICK);
        wheel.arm(1, 103 * TICK + 5);
        wheel.arm(2, 90 * TICK);
        wheel.arm(3, (100 + 2 * TICKS) * TICK);
        assert_eq!(wheel.pop(102), Some(vec![(2, 90 * TICK)]));
        assert_eq!(wheel.pop(102), Some(vec![]));
        assert_eq!(wheel.pop(102), Some(vec![]));
        assert_eq!(wheel.pop(102), None);
        assert_eq!(wheel.pop(103), Some(vec![(1, 103 * TICK + 5)]));
        let mut popped = Vec::new();
        while let Some(places) = wheel.pop(1 << 40) {
            popped.extend(places);
        }
        assert_eq!(popped, [(3, (100 + 2 * TICKS) * TICK)]);
        wheel.arm(4, 0);
        assert_eq!(wheel.pop(1 << 41), Some(vec![(4, 0)]));
    }
}
