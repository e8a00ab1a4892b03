//! Why a command ends early: what stderr says, and the status scripts see.

use std::io::Write;
use std::process::ExitCode;

use freshet_config::diagnostic::Diagnostics;

/// The statuses of `sysexits.h` that Freshet uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nobody reads stdout any more.
    Quiet = 0,
    /// The command line is wrong.
    Usage = 2,
    /// Definitions, events or a request are wrong.
    Data = 65,
    /// Something that is needed is not there or does not answer.
    Unavailable = 69,
    /// A defect, or a check that did not hold.
    Internal = 70,
    /// A file or directory cannot be written.
    CannotWrite = 73,
    /// Another process holds what is needed.
    Busy = 75,
    /// The settings are wrong.
    Config = 78,
}

/// A command's end before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub status: Status,
    /// One error per line, each a sentence.
    pub message: String,
}

impl Failure {
    pub fn new(status: Status, message: impl Into<String>) -> Failure {
        Failure { status, message: message.into() }
    }

    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Status::Usage, message)
    }

    pub fn data(message: impl Into<String>) -> Failure {
        Failure::new(Status::Data, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Failure {
        Failure::new(Status::Unavailable, message)
    }

    pub fn internal(message: impl Into<String>) -> Failure {
        Failure::new(Status::Internal, message)
    }

    pub fn cannot_write(message: impl Into<String>) -> Failure {
        Failure::new(Status::CannotWrite, message)
    }

    /// The end of a command whose reader has left.
    pub fn quiet() -> Failure {
        Failure::new(Status::Quiet, "")
    }

    /// All errors of definitions, one per line.
    pub fn definitions(errors: &Diagnostics) -> Failure {
        Failure::data(errors.to_string())
    }

    /// All errors of settings, one per line.
    pub fn settings(errors: &Diagnostics) -> Failure {
        Failure::new(Status::Config, errors.to_string())
    }

    /// Says on stderr what was wrong and gives the status to end with.
    pub fn report(&self) -> ExitCode {
        let mut stderr = std::io::stderr().lock();
        for line in self.message.lines() {
            // A closed stderr leaves nobody to tell; the status still says it.
            let _ = writeln!(stderr, "{line}");
        }
        ExitCode::from(self.status as u8)
    }
}
