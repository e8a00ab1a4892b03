//! What a demo shows while it runs: one line that changes on a terminal, a line every second on a pipe.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::exit::Failure;
use crate::output;
use freshet_engine::Figures;

/// How often the line changes.
const ON_TERMINAL: Duration = Duration::from_millis(200);
const ON_PIPE: Duration = Duration::from_secs(1);

/// The live line and everything printed above it.
pub struct Board {
    bar: Option<ProgressBar>,
    shown: Instant,
    started: Instant,
}

impl Board {
    /// `started` is the start of the process.
    pub fn new(started: Instant) -> Board {
        let bar = is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
            bar.with_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        Board { bar, shown: started, started }
    }

    /// Prints lines that stay.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::line(text)),
            None => output::line(text),
        }
    }

    /// Whether it is time for another [`Board::show`].
    pub fn due(&self, now: Instant) -> bool {
        now.duration_since(self.shown) >= if self.bar.is_some() { ON_TERMINAL } else { ON_PIPE }
    }

    /// Shows the state of this moment behind the seconds since the start.
    pub fn show(&mut self, state: &str, now: Instant) -> Result<(), Failure> {
        self.shown = now;
        let text = format!("{:6.1} s  {state}", now.duration_since(self.started).as_secs_f64());
        match &self.bar {
            Some(bar) => {
                bar.set_message(text);
                bar.tick();
                Ok(())
            }
            None => output::line(&text),
        }
    }

    /// Takes the live line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Whether somebody looks on.
pub fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// `freshness p50 3.1 ms p99 8.0 ms`; a dash before the first event is readable. The engine measures by its own clock,
/// which runs `speed_up` times as fast as this machine's.
pub fn freshness(figures: &Figures, speed_up: f64) -> String {
    let shown = |micros: u64| millis(micros as f64 / speed_up);
    match &figures.freshness_us {
        Some(q) => format!("freshness p50 {} p99 {}", shown(q.p50), shown(q.p99)),
        None => "freshness -".to_string(),
    }
}

/// Microseconds, readable.
pub fn millis(micros: f64) -> String {
    match micros {
        us if us < 10_000.0 => format!("{:.2} ms", us / 1e3),
        us if us < 1_000_000.0 => format!("{:.0} ms", us / 1e3),
        us => format!("{:.1} s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_readable() {
        assert_eq!(millis(123.0), "0.12 ms");
        assert_eq!(millis(12_345.0), "12 ms");
        assert_eq!(millis(2_500_000.0), "2.5 s");
    }
}
