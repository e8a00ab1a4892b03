//! Numbers of epochs, which grow over restarts too.
//!
//! Law: a process numbers no epoch as low as one of the process before it on the same data directory, for rows are
//! versioned by them and offline files named. The clock alone does not give that: a clock of events stands still while
//! idle epochs close, and the machine's may be set back. So a file says which number no epoch has passed: in good
//! order the last one; of a running process one so far ahead that it holds until it is written again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use freshet_config::time::{Epoch, EventTime};
use freshet_connectors::last_epoch::{self, LastEpochError};

/// The file reaches the disk at most once in this time.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// How far the file is ahead of a running process, in numbers: idle time closes an epoch twice a second, load at most a
/// thousand times, and each may count one.
const AHEAD: u64 = 2_000_000;

/// Gives epochs their numbers.
#[derive(Debug)]
pub struct Numbering {
    path: PathBuf,
    last: Epoch,
    saved_at: Option<Instant>,
}

impl Numbering {
    /// Goes on behind what `data_dir` says, and behind `written`, which the offline store has.
    pub fn open(data_dir: &Path, written: Epoch) -> Result<Numbering, LastEpochError> {
        let path = data_dir.join("epoch");
        let last = last_epoch::load(&path)?.max(written);
        Ok(Numbering { path, last, saved_at: None })
    }

    /// The newest number given.
    pub fn last(&self) -> Epoch {
        self.last
    }

    /// The number of an epoch that closes at `instant`: the instant's own, unless it was passed.
    pub fn next(&mut self, instant: EventTime) -> Epoch {
        let number = u64::try_from(instant.micros()).unwrap_or(0).max(self.last.micros().saturating_add(1));
        self.last = Epoch::from_micros(number);
        self.last
    }

    /// Keeps the file ahead, when the last time was more than a second ago.
    pub fn note(&mut self) -> Result<(), LastEpochError> {
        if self.saved_at.is_some_and(|at| at.elapsed() < SAVE_INTERVAL) {
            return Ok(());
        }
        last_epoch::save(&self.path, Epoch::from_micros(self.last.micros().saturating_add(AHEAD)))?;
        self.saved_at = Some(Instant::now());
        Ok(())
    }

    /// Writes the last number itself: no epoch follows in this process.
    pub fn finish(&mut self) -> Result<(), LastEpochError> {
        last_epoch::save(&self.path, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> Numbering {
        Numbering::open(dir, Epoch::default()).unwrap()
    }

    #[test]
    fn numbers_follow_the_clock_and_grow_where_it_stands_still() {
        let dir = tempfile::tempdir().unwrap();
        let mut numbering = open(dir.path());
        let mut next = |instant| numbering.next(EventTime::from_micros(instant)).micros();
        assert_eq!([-5, 0, 100, 100, 7, 200].map(&mut next), [1, 2, 100, 101, 102, 200]);
        assert_eq!([i64::MAX, i64::MAX].map(&mut next), [i64::MAX as u64, i64::MAX as u64 + 1]);
    }

    #[test]
    fn the_next_process_goes_on_behind_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let at = EventTime::from_micros(100);
        let mut first = open(dir.path());
        (0..3).for_each(|_| _ = first.next(at));
        first.note().unwrap();
        (0..1000).for_each(|_| _ = first.next(at));
        first.note().unwrap();
        // Cut off before the file was written again.
        assert!(open(dir.path()).next(at) > first.last());
        first.finish().unwrap();
        assert_eq!(open(dir.path()).next(at).micros(), 1_103);
        let behind_files = Numbering::open(dir.path(), Epoch::from_micros(5_000)).unwrap().next(at);
        assert_eq!(behind_files.micros(), 5_001);
    }
}
