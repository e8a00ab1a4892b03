//! get-features over HTTP: latency at one connection, requests a second when saturated. The server is the real binary on
//! the fraud example with events coming in over HTTP; the load comes from this process, on the same machine. Beside it the
//! limit: the same load on sockets that answer the same number of bytes without looking at the request.
//!
//! `cargo bench --bench serve -- [SECONDS] [CONNECTIONS]` (5 seconds each and 16 connections when not given).

#[allow(dead_code, reason = "each benchmark takes its part of the workload")]
mod workload;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

const ADDRESS: &str = "127.0.0.1:17070";
const GET_FEATURES: &str = "/api/v1/feature-service/get-features";
const CARDS: u64 = 5000;
const MERCHANTS: u64 = 500;
/// Events in one push, and the time between two pushes: 1,000 events/s.
const PUSHED: u64 = 20;
const PACE: Duration = Duration::from_millis(20);
/// Bytes of an answer of the limit, head and body: what get-features answers on average.
const LIMIT_BYTES: usize = 2000;

/// The server, stopped when this goes.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves the fraud example with a directory of its own, one thread for the engine and one for each core to serve.
fn start(directory: &Path) -> Server {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let settings = directory.join("freshet.toml");
    let data_dir = directory.join("data");
    std::fs::write(&settings, format!("[engine]\ndata_dir = {data_dir:?}\n[http]\nthreads = {threads}\n"))
        .expect("a written file");
    let child = Command::new(env!("CARGO_BIN_EXE_freshet"))
        .args(["run", concat!(env!("CARGO_MANIFEST_DIR"), "/examples/fraud"), "--listen", ADDRESS, "--config"])
        .arg(settings)
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
    server
}

/// Pushes transactions of now at a steady pace until told to stop.
fn push(stop: &AtomicBool) {
    let mut connection = Connection::open(ADDRESS.parse().expect("an address"));
    let mut random = workload::Random::new(u64::MAX);
    let begin = Instant::now();
    let mut pushes = 0;
    while !stop.load(Ordering::Relaxed) {
        let records: Vec<String> = (0..PUSHED).map(|n| transaction(pushes * PUSHED + n, &mut random)).collect();
        let body = format!("{{\"records\":{{\"transactions\":[{}]}}}}", records.join(","));
        connection.ask(&request("/ingest", &body));
        pushes += 1;
        std::thread::sleep((PACE * pushes as u32).saturating_sub(begin.elapsed()));
    }
}

fn transaction(number: u64, random: &mut workload::Random) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_micros();
    let (card, merchant) = (random.next() % CARDS, random.next() % MERCHANTS);
    let amount = (random.next() % 100_000) as f64 / 100.0;
    let channel = ["chip", "contactless", "online"][random.next() as usize % 3];
    format!(
        "{{\"record\":{{\"txn_id\":\"t{number}\",\"card_id\":{card},\"merchant_id\":{merchant},\"amount\":{amount},\
         \"country\":\"DE\",\"channel\":\"{channel}\",\"approved\":true,\"ts\":{now}}}}}"
    )
}

/// Answers every request at once with the same bytes, a thread per connection.
fn limit() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            stream.set_nodelay(true).expect("a socket option");
            std::thread::spawn(move || {
                let mut answer = String::from("HTTP/1.1 200 OK\r\ncontent-length: ");
                let body = LIMIT_BYTES - answer.len() - 8;
                answer = format!("{answer}{body}\r\n\r\n{}", "x".repeat(body));
                let mut buffer = [0; 16 * 1024];
                // A request comes in one piece: its sender waits for the answer before the next.
                while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                    stream.write_all(answer.as_bytes()).expect("a sent answer");
                }
            });
        }
    });
    address
}

fn request(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Asks for one card and merchant.
fn lookup(random: &mut workload::Random) -> String {
    let (card, merchant) = (random.next() % CARDS, random.next() % MERCHANTS);
    let body = format!(
        "{{\"params\":{{\"featureServiceName\":\"fraud_v1\",\"joinKeyMap\":{{\"card_id\":\"{card}\",\"merchant_id\":\"{merchant}\"}},\
         \"metadataOptions\":{{\"includeNames\":true,\"includeDataTypes\":true}}}}}}"
    );
    request(GET_FEATURES, &body)
}

/// One keep-alive connection.
struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("a socket option");
        Connection { stream, answer: Vec::new() }
    }

    /// Sends a request; gives the size of the answer's body.
    fn ask(&mut self, request: &str) -> usize {
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

/// Latencies, requests per second and mean size of a body, over some connections for a while, a thread each.
fn load(address: SocketAddr, connections: usize, span: Duration) -> (Histogram<u64>, f64, usize) {
    let begin = Instant::now();
    let asking = |seed: usize| {
        let mut random = workload::Random::new(seed as u64);
        let mut latency_us = Histogram::<u64>::new(3).expect("three digits");
        let (mut connection, mut bytes) = (Connection::open(address), 0);
        while begin.elapsed() < span {
            let request = lookup(&mut random);
            let sent = Instant::now();
            bytes += connection.ask(&request);
            latency_us.saturating_record(sent.elapsed().as_micros() as u64);
        }
        (latency_us, bytes)
    };
    let mut all = Histogram::<u64>::new(3).expect("three digits");
    let mut bytes = 0;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|seed| scope.spawn(move || asking(seed))).collect();
        for thread in threads {
            let (latency_us, size) = thread.join().expect("a client");
            all.add(latency_us).expect("histograms of one shape");
            bytes += size;
        }
    });
    let rate = all.len() as f64 / begin.elapsed().as_secs_f64();
    let bytes = bytes / all.len().max(1) as usize;
    (all, rate, bytes)
}

fn report(name: &str, (latency_us, rate, bytes): &(Histogram<u64>, f64, usize)) {
    let q = |q| latency_us.value_at_quantile(q);
    println!(
        "{name:<32} {rate:>8.0} requests/s  p50 {} us  p99 {} us  p99.9 {} us  {bytes} B",
        q(0.5),
        q(0.99),
        q(0.999)
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let mut number = |default: usize| arguments.next().map_or(default, |a| a.parse().expect("a number"));
    let (seconds, connections) = (number(5), number(16));
    println!(
        "serve: get-features of fraud_v1, {} events/s coming in; {}",
        PUSHED * 1000 / PACE.as_millis() as u64,
        workload::machine()
    );
    let directory = tempfile::tempdir().expect("a temporary directory");
    let _server = start(directory.path());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| push(&stop));
        // Some events, so that rows are there to read.
        std::thread::sleep(Duration::from_secs(5));
        let span = Duration::from_secs(seconds as u64);
        let (freshet, limit) = (ADDRESS.parse().expect("an address"), limit());
        for connections in [1, connections] {
            report(&format!("get-features, {connections} connections"), &load(freshet, connections, span));
            report(&format!("(bare sockets, {connections} connections)"), &load(limit, connections, span));
        }
        stop.store(true, Ordering::Relaxed);
    });
}
