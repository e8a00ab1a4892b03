//! `freshet ingest`: the rows of a file into a source of a running Freshet, each one answered for.

mod rows;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::client::{Answer, Client, DEFAULT_URL, INGEST};
use crate::exit::Failure;
use crate::output;
use rows::{FileRows, Foreign};

/// Records of one request: at most so many, and about so many bytes.
const REQUEST_RECORDS: usize = 1000;
const REQUEST_BYTES: usize = 256 << 10;
/// How often a server that is busy is asked again.
const MOST_TRIES: u32 = 10;
/// Rejections that are shown; all are counted.
const SHOWN: u64 = 20;

/// Feed the rows of a file into a source.
#[derive(Debug, Args)]
pub struct Ingest {
    /// The source, which must have a stream.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// A file ending in .ndjson, .jsonl, .json (one object per line), .csv or .parquet; `-` reads objects from stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The directory of definition files; needed for CSV, which does not say its types. Parquet is then checked like a
    /// file of the source's history, before anything is sent.
    #[arg(long, value_name = "DIR")]
    definitions: Option<PathBuf>,
    /// The server to feed.
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    url: String,
    /// Check every record and write none.
    #[arg(long)]
    dry_run: bool,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    rejected: u64,
    foreign: Foreign,
}

impl Ingest {
    pub fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.url)?;
        let mut rows = FileRows::open(&self.file, &self.source, self.definitions.as_deref())?;
        let mut tally = Tally { foreign: rows.foreign().clone(), ..Tally::default() };
        let (mut waiting, mut bytes) = (Vec::new(), 0);
        let broken = loop {
            let row = match rows.next_row() {
                Ok(Some(row)) => row,
                Ok(None) => break None,
                Err(failure) => break Some(failure),
            };
            match row.record {
                Ok(record) => {
                    bytes += record.len();
                    waiting.push((row.place, record));
                }
                Err(message) => tally.reject(&row.place, &message),
            }
            if waiting.len() == REQUEST_RECORDS || bytes >= REQUEST_BYTES {
                self.send(&client, &waiting, &mut tally)?;
                (waiting, bytes) = (Vec::new(), 0);
            }
        };
        if !waiting.is_empty() {
            self.send(&client, &waiting, &mut tally)?;
        }
        match broken {
            None => self.report(&tally, rows.name()),
            Some(failure) => Err(broken_off(failure, &tally)),
        }
    }

    /// Sends one request, again while the server says that it is busy: a refused request has written nothing.
    fn send(&self, client: &Client, records: &[(String, String)], tally: &mut Tally) -> Result<(), Failure> {
        let body = self.body(records);
        for _ in 1..MOST_TRIES {
            let answer = client.post(INGEST, body.as_bytes())?;
            match answer.retry_after {
                Some(seconds) if answer.status == 503 => std::thread::sleep(Duration::from_secs(seconds.clamp(1, 30))),
                _ => return tally.take(records, &answer).map_err(|failure| so_far(failure, tally.accepted)),
            }
        }
        let answer = client.post(INGEST, body.as_bytes())?;
        tally.take(records, &answer).map_err(|failure| so_far(failure, tally.accepted))
    }

    fn body(&self, records: &[(String, String)]) -> String {
        let source = Value::String(self.source.clone());
        let mut body = format!("{{\"dryRun\":{},\"records\":{{{source}:[", self.dry_run);
        for (index, (_, record)) in records.iter().enumerate() {
            body.push_str(if index > 0 { ",{\"record\":" } else { "{\"record\":" });
            body.push_str(record);
            body.push('}');
        }
        body.push_str("]}}");
        body
    }

    fn report(&self, tally: &Tally, file: &str) -> Result<(), Failure> {
        if self.json {
            output::json(&serde_json::json!({
                "source": self.source,
                "accepted": tally.accepted,
                "rejected": tally.rejected,
                "dryRun": self.dry_run,
            }))?;
        } else {
            let done = if self.dry_run { "would be accepted" } else { "accepted" };
            output::line(&format!("{}: {} {done}, {} rejected", self.source, tally.accepted, tally.rejected))?;
        }
        match tally.rejected {
            0 => Ok(()),
            1 => Err(Failure::data(format!("1 record of {file} was not accepted"))),
            n => Err(Failure::data(format!("{n} records of {file} were not accepted"))),
        }
    }
}

impl Tally {
    fn reject(&mut self, place: &str, message: &str) {
        self.rejected += 1;
        if self.rejected <= SHOWN {
            // A closed stderr hides what is also in the count.
            let _ = writeln!(std::io::stderr(), "{place}: {message}");
        }
    }

    /// Counts what the server says of a request. 200: all taken, 207: some, 400 with reasons per record: none.
    fn take(&mut self, records: &[(String, String)], answer: &Answer) -> Result<(), Failure> {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(errors) = body["recordErrors"].as_array() else {
            answer.success()?;
            self.accepted += records.len() as u64;
            return Ok(());
        };
        for error in errors {
            let index = error["index"].as_u64().and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX);
            let place = records.get(index).map_or("?", |(place, _)| place);
            let text = |name: &str| error[name].as_str().unwrap_or_default();
            let message = self.foreign.explained(text("errorMessage"));
            self.reject(place, &format!("{message} [{}]", text("errorType")));
        }
        self.accepted += (records.len() as u64).saturating_sub(errors.len() as u64);
        Ok(())
    }
}

/// A file that cannot be read on: what came before it is taken, and how to go on.
fn broken_off(failure: Failure, tally: &Tally) -> Failure {
    let Tally { accepted, rejected, .. } = tally;
    let message = format!(
        "{}; of the records before it {accepted} were accepted and are durable, {rejected} were rejected: mend the file \
         and send what follows them, or all of it if the source has a dedup_key",
        failure.message
    );
    Failure::new(failure.status, message)
}

/// Sending a file again sends its beginning twice: say how much of it was taken.
fn so_far(failure: Failure, accepted: u64) -> Failure {
    match accepted {
        0 => failure,
        1 => Failure::new(failure.status, format!("{}; 1 record was accepted before", failure.message)),
        n => Failure::new(failure.status, format!("{}; {n} records were accepted before", failure.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(places: &[&str]) -> Vec<(String, String)> {
        places.iter().map(|place| (place.to_string(), "{}".to_string())).collect()
    }

    #[test]
    fn every_record_is_answered_for() {
        let answer = |status, body: &str| Answer { status, body: body.into(), retry_after: None };
        let mut tally = Tally::default();
        tally.take(&records(&["a", "b"]), &answer(200, "{}")).unwrap();
        let partial = r#"{"recordErrors":[{"index":1,"errorType":"EV-TIME","errorMessage":"no time"}]}"#;
        tally.take(&records(&["c", "d"]), &answer(207, partial)).unwrap();
        assert_eq!((tally.accepted, tally.rejected), (3, 1));
        let refused = tally.take(&records(&["e"]), &answer(404, r#"{"message":"no source"}"#)).unwrap_err();
        assert_eq!(so_far(refused, 3).message, "no source; 3 records were accepted before");
        let broken = broken_off(Failure::data("cannot read x.parquet"), &tally).message;
        assert!(broken.starts_with("cannot read x.parquet; of the records before it 3 were accepted and are durable"));
    }
}
