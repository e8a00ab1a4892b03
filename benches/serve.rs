//! get-features over HTTP: latency at one connection, requests a second when saturated. The server is the real binary on
//! the fraud example with events coming in; the load comes from this process, on the same machine.
//!
//! `cargo bench --bench serve -- [SECONDS] [CONNECTIONS]` (5 seconds each and 16 connections when not given).

#[allow(dead_code, reason = "each benchmark takes its part of the workload")]
mod workload;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

const ADDRESS: &str = "127.0.0.1:17070";
const EVENTS_PER_SECOND: u64 = 1000;

/// The server, stopped when this goes.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start() -> Server {
    let child = Command::new(env!("CARGO_BIN_EXE_freshet"))
        .args(["demo", "--listen", ADDRESS, "--rate", &EVENTS_PER_SECOND.to_string(), "--for", "600s"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let server = Server(child);
    let until = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(ADDRESS).is_err() {
        assert!(Instant::now() < until, "the server does not answer at {ADDRESS}");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Some events, so that rows are there to read.
    std::thread::sleep(Duration::from_secs(5));
    server
}

/// One keep-alive connection.
struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    fn open() -> Connection {
        let stream = TcpStream::connect(ADDRESS).expect("a connection");
        stream.set_nodelay(true).expect("a socket option");
        Connection { stream, answer: Vec::new() }
    }

    /// Asks for one card and merchant; gives the size of the answer's body.
    fn ask(&mut self, card: u64, merchant: u64) -> usize {
        let body = format!(
            "{{\"params\":{{\"featureServiceName\":\"fraud_v1\",\"joinKeyMap\":{{\"card_id\":\"{card}\",\"merchant_id\":\"{merchant}\"}},\
             \"metadataOptions\":{{\"includeNames\":true,\"includeDataTypes\":true}}}}}}"
        );
        let request = format!(
            "POST /api/v1/feature-service/get-features HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).expect("a sent request");
        self.answer.clear();
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = self.stream.read(&mut buffer).expect("an answer");
            assert!(read > 0, "the server closed the connection");
            self.answer.extend_from_slice(&buffer[..read]);
            if let Some(size) = whole(&self.answer) {
                assert!(self.answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.answer));
                return size;
            }
        }
    }
}

/// The size of the body, once all of it is there.
fn whole(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).ok()?.to_ascii_lowercase();
    let length: usize = text.split("content-length:").nth(1)?.lines().next()?.trim().parse().ok()?;
    (answer.len() >= head + length).then_some(length)
}

/// Asks over some connections for a while, a thread each.
fn load(connections: usize, span: Duration) -> (Histogram<u64>, f64, usize) {
    let begin = Instant::now();
    let threads: Vec<_> = (0..connections)
        .map(|seed| {
            std::thread::spawn(move || {
                let mut random = workload::Random::new(seed as u64);
                let mut latency_us = Histogram::<u64>::new(3).expect("three digits");
                let (mut connection, mut bytes) = (Connection::open(), 0);
                while begin.elapsed() < span {
                    let sent = Instant::now();
                    bytes = connection.ask(random.next() % 5000, random.next() % 500);
                    latency_us.saturating_record(sent.elapsed().as_micros() as u64);
                }
                (latency_us, bytes)
            })
        })
        .collect();
    let mut all = Histogram::<u64>::new(3).expect("three digits");
    let mut bytes = 0;
    for thread in threads {
        let (latency_us, size) = thread.join().expect("a client");
        all.add(latency_us).expect("histograms of one shape");
        bytes = size;
    }
    let rate = all.len() as f64 / begin.elapsed().as_secs_f64();
    (all, rate, bytes)
}

fn report(name: &str, (latency_us, rate, bytes): &(Histogram<u64>, f64, usize)) {
    let q = |q| latency_us.value_at_quantile(q);
    println!(
        "{name:<24} {rate:>8.0} requests/s  p50 {} us  p99 {} us  p99.9 {} us  {bytes} B",
        q(0.5),
        q(0.99),
        q(0.999)
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let mut number = |default: usize| arguments.next().map_or(default, |a| a.parse().expect("a number"));
    let (seconds, connections) = (number(5), number(16));
    println!("serve: get-features of fraud_v1, {EVENTS_PER_SECOND} events/s coming in; {}", workload::machine());
    let _server = start();
    let span = Duration::from_secs(seconds as u64);
    report("one connection", &load(1, span));
    report(&format!("{connections} connections"), &load(connections, span));
}
