//! Times of requests: nanoseconds in, quantiles out, within one per cent.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Longest time told apart; longer ones count as this.
const LONGEST_NANOS: u64 = 60_000_000_000;

/// A distribution of times with its exact sum.
#[derive(Clone, Debug)]
pub struct Latencies {
    nanos: Histogram<u64>,
    total: Duration,
}

impl Default for Latencies {
    fn default() -> Latencies {
        // These bounds and this precision are legal for the histogram; its own error cannot happen.
        let nanos =
            Histogram::new_with_bounds(1, LONGEST_NANOS, 2).expect("1 ns to 60 s at two digits is a legal histogram");
        Latencies { nanos, total: Duration::ZERO }
    }
}

impl Latencies {
    pub fn record(&mut self, elapsed: Duration) {
        self.nanos
            .saturating_record(u64::try_from(elapsed.as_nanos()).unwrap_or(LONGEST_NANOS).clamp(1, LONGEST_NANOS));
        self.total += elapsed;
    }

    pub fn add(&mut self, other: &Latencies) {
        // Both have the same bounds, the one thing that could keep them apart.
        let _ = self.nanos.add(&other.nanos);
        self.total += other.total;
    }

    pub fn clear(&mut self) {
        self.nanos.reset();
        self.total = Duration::ZERO;
    }

    pub fn count(&self) -> u64 {
        self.nanos.len()
    }

    pub fn total(&self) -> Duration {
        self.total
    }

    /// How many times were at most `bound`, within the histogram's precision.
    pub fn count_up_to(&self, bound: Duration) -> u64 {
        self.nanos.count_between(0, u64::try_from(bound.as_nanos()).unwrap_or(LONGEST_NANOS))
    }

    /// Seconds below which the given share of times lies; 0 when nothing was recorded.
    pub fn quantile_seconds(&self, quantile: f64) -> f64 {
        self.nanos.value_at_quantile(quantile) as f64 / 1e9
    }

    /// The quantiles that are shown, with their labels.
    pub fn quantiles(&self) -> [(&'static str, f64); 3] {
        [("0.5", 0.5), ("0.99", 0.99), ("0.999", 0.999)].map(|(label, q)| (label, self.quantile_seconds(q)))
    }
}

/// Length of one half of [`Recent`].
const HALF: Duration = Duration::from_secs(10);

/// Times of the last ten to twenty seconds: a full half and one being filled.
#[derive(Debug, Default)]
pub struct Recent {
    filling: Latencies,
    full: Latencies,
    began: Option<Instant>,
    /// Length of `full`; zero when it holds nothing.
    full_span: Duration,
}

impl Recent {
    pub fn record(&mut self, elapsed: Duration, now: Instant) {
        self.turn(now);
        self.filling.record(elapsed);
    }

    /// Adds everything held to `out` and gives the span it covers.
    pub fn add_to(&mut self, out: &mut Latencies, now: Instant) -> Duration {
        self.turn(now);
        out.add(&self.filling);
        out.add(&self.full);
        let filling = self.began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        filling + self.full_span
    }

    fn turn(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let age = now.saturating_duration_since(began);
        if age < HALF {
            return;
        }
        std::mem::swap(&mut self.filling, &mut self.full);
        self.filling.clear();
        self.full_span = age;
        if age >= 2 * HALF {
            // Nothing came for a whole half: what was held is no longer recent.
            self.full.clear();
            self.full_span = Duration::ZERO;
        }
        self.began = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_per_cent() {
        let mut times = Latencies::default();
        (1..=1000).for_each(|micros| times.record(Duration::from_micros(micros)));
        assert_eq!(times.count(), 1000);
        assert_eq!(times.total(), Duration::from_micros(500_500));
        for (quantile, micros) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0)] {
            assert!((times.quantile_seconds(quantile) * 1e6 / micros - 1.0).abs() < 0.01);
        }
        times.record(Duration::from_secs(100_000));
        assert_eq!(times.count(), 1001);
    }

    #[test]
    fn recent_forgets() {
        let (mut recent, start) = (Recent::default(), Instant::now());
        let held = |recent: &mut Recent, seconds| {
            let mut out = Latencies::default();
            let span = recent.add_to(&mut out, start + Duration::from_secs(seconds));
            (out.count(), span.as_secs())
        };
        recent.record(Duration::from_micros(5), start);
        assert_eq!(held(&mut recent, 9), (1, 9));
        assert_eq!(held(&mut recent, 12), (1, 12));
        recent.record(Duration::from_micros(5), start + Duration::from_secs(13));
        assert_eq!(held(&mut recent, 14), (2, 14));
        assert_eq!(held(&mut recent, 23), (1, 11));
        assert_eq!(held(&mut recent, 60), (0, 0));
    }
}
