//! The `freshet` binary: commands over the crates, and the wiring of engine, stores and server in one process.
//!
//! Law: bad input of any kind ends in one clear sentence per error on stderr and a status that scripts can tell apart
//! ([`exit`]); a reader of stdout that leaves early is no error.

mod adapters;
mod cli;
mod client;
mod data_dir;
mod demo;
mod exit;
mod interrupt;
mod node;
mod output;
mod records;
mod testing;
mod trouble;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
