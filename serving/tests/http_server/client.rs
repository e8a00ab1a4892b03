//! A small HTTP client that can also send what no client should.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// One answer as received.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        // Only so that a defect fails instead of hanging.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Client { stream, unread: Vec::new() }
    }

    /// Sends bytes as they are; the server may already have closed its side.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    pub fn post(&mut self, path: &str, body: &str) -> Answer {
        self.request("POST", path, &["content-type: application/json"], body)
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.request("GET", path, &[], "")
    }

    pub fn request(&mut self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let length = body.len();
        let text = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n\r\n{body}");
        self.send(text.as_bytes()).unwrap();
        self.answer()
    }

    /// Reads one answer; `read_end` tells whether the server then closes.
    pub fn answer(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(
                self.read_more(),
                "the connection ended before an answer: {:?}",
                String::from_utf8_lossy(&self.unread)
            );
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let split = |line: &str| line.split_once(':').map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_string()));
        let headers: Vec<(String, String)> = lines.filter_map(split).collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.unread.len() < length {
            assert!(self.read_more(), "the connection ended within a body");
        }
        answer.body = self.unread.drain(..length).collect();
        answer
    }

    /// Whether the server has closed, with nothing more to read.
    pub fn ended(&mut self) -> bool {
        self.unread.is_empty() && !self.read_more()
    }

    fn read_more(&mut self) -> bool {
        let mut buffer = [0; 65_536];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                self.unread.extend_from_slice(&buffer[..length]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("no answer: {error}"),
        }
    }
}
