//! What the server asks of the rest of the process: rows, the clock, the door for records, and figures.

mod figures;
mod ingest;
mod rows;

use std::sync::Arc;

use freshet_config::time::EventTime;
use freshet_engine::clock::Clock;

pub use figures::EngineFigures;
pub use ingest::EngineDoor;
pub use rows::StoreRows;

/// The engine's clock as the server's: a replay answers for its own now.
#[derive(Debug)]
pub struct EngineClock(pub Arc<Clock>);

impl freshet_serving::Clock for EngineClock {
    fn now(&self) -> EventTime {
        self.0.now()
    }
}
