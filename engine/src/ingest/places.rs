//! Where events stood, told from the numbers that order them: what rejections say of their place.

use std::path::PathBuf;

use freshet_config::definitions::{Source, Stream};
use freshet_connectors::position;

/// A row of the history; rows count from 0.
pub(super) fn in_files(files: &[PathBuf], position: u64) -> String {
    let (file, row) = position::split_history(position);
    let name = files.get(file).and_then(|path| path.file_name()).unwrap_or_default();
    format!("{}, row {row}", name.to_string_lossy())
}

/// A record of a topic.
pub(super) fn in_topic(topic: &str, position: u64) -> String {
    let (partition, offset) = position::split_kafka(position);
    format!("{topic}/{partition}/{offset}")
}

/// A record of the embedded log.
pub(super) fn in_log(position: u64) -> String {
    format!("log/{}", position::split_log(position))
}

/// The places of one source's events, for whoever sees no more of them than their numbers.
pub struct Places {
    /// What takes the place of positions, by name.
    tie_breaker: Option<String>,
    files: Vec<PathBuf>,
    /// `None`: the stream is the log.
    topic: Option<String>,
    /// Numbers are those of elements.
    exploded: bool,
}

impl Places {
    /// `files` are those of the history, in their order.
    pub fn of_source(source: &Source, files: &[PathBuf]) -> Places {
        let topic = match &source.stream {
            Some(Stream::Kafka { topic, .. }) => Some(topic.clone()),
            Some(Stream::Log) | None => None,
        };
        Places {
            tie_breaker: source.tie_breaker.map(|column| source.schema[column].name.clone()),
            files: files.to_vec(),
            topic,
            exploded: source.explode.is_some(),
        }
    }

    pub fn place(&self, position: u64) -> String {
        match &self.tie_breaker {
            // As they are ordered: null before all others.
            Some(column) if position == 0 => return format!("the event whose `{column}` is null"),
            Some(column) => return format!("the event whose `{column}` is {}", (position ^ 1 << 63) as i64),
            None => {}
        }
        let position = if self.exploded { position::record_of(position, self.topic.is_some()) } else { position };
        match &self.topic {
            _ if !position::is_stream(position) => in_files(&self.files, position),
            Some(topic) => in_topic(topic, position),
            None => in_log(position),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tell_places() {
        let mut places = Places {
            tie_breaker: None,
            files: vec!["data/a.csv".into(), "data/b.csv".into()],
            topic: Some("sales".to_string()),
            exploded: false,
        };
        assert_eq!(places.place(position::history(1, 7)), "b.csv, row 7");
        assert_eq!(places.place(position::kafka(3, 9)), "sales/3/9");
        places.exploded = true;
        assert_eq!(places.place(position::element(position::kafka(3, 9), true, 2)), "sales/3/9");
        places.topic = None;
        assert_eq!(places.place(position::element(position::log(9), false, 2)), "log/9");
        places.tie_breaker = Some("seq".to_string());
        assert_eq!(places.place(5 ^ 1 << 63), "the event whose `seq` is 5");
        assert_eq!(places.place(-5i64 as u64 ^ 1 << 63), "the event whose `seq` is -5");
        assert_eq!(places.place(0), "the event whose `seq` is null");
    }
}
