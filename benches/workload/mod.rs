//! The Q1 workload: card transactions over three days, skewed keys, a few late; made from a seed, the same every run.

pub mod beside;
pub mod graph;
pub mod limit;
pub mod reader;

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringBuilder, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// 2024-01-01T00:00:00Z in microseconds.
pub const START_US: i64 = 1_704_067_200_000_000;
pub const SPAN_US: i64 = 3 * 86_400_000_000;
const CARDS: usize = 1_000_000;
const MERCHANTS: usize = 50_000;
const COUNTRIES: u64 = 50;
const SKEW: f64 = 1.05;
/// One event in this many carries a time up to [`LATE_US`] before its place in the stream.
const LATE_ONE_IN: u64 = 100;
const LATE_US: u64 = 300_000_000;

/// SplitMix64: small, seedable and good enough for a workload.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// Draws numbers with P(rank) ~ 1 / rank^1.05; hot ranks get scattered numbers.
pub struct Ranks {
    cumulative: Vec<f64>,
    numbers: Vec<i64>,
}

impl Ranks {
    pub fn new(count: usize, random: &mut Random) -> Ranks {
        let mut total = 0.0;
        let mut cumulative: Vec<f64> = (1..=count)
            .map(|rank| {
                total += (rank as f64).powf(-SKEW);
                total
            })
            .collect();
        cumulative.iter_mut().for_each(|c| *c /= total);
        let mut numbers: Vec<i64> = (0..count as i64).collect();
        for i in (1..count).rev() {
            numbers.swap(i, (random.next() % (i as u64 + 1)) as usize);
        }
        Ranks { cumulative, numbers }
    }

    pub fn draw(&self, random: &mut Random) -> i64 {
        let u = random.unit();
        self.numbers[self.cumulative.partition_point(|c| *c < u).min(self.numbers.len() - 1)]
    }
}

pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("card_id", DataType::Int64, true),
        Field::new("amount", DataType::Float64, true),
        Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("merchant_id", DataType::Int64, true),
        Field::new("country", DataType::Utf8, true),
    ]))
}

/// Columns of a batch under way.
#[derive(Default)]
struct Columns {
    cards: Vec<i64>,
    amounts: Vec<f64>,
    times: Vec<i64>,
    merchants: Vec<i64>,
    countries: StringBuilder,
}

impl Columns {
    fn finish(&mut self) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(std::mem::take(&mut self.cards))),
            Arc::new(Float64Array::from(std::mem::take(&mut self.amounts))),
            Arc::new(TimestampMicrosecondArray::from(std::mem::take(&mut self.times))),
            Arc::new(Int64Array::from(std::mem::take(&mut self.merchants))),
            Arc::new(self.countries.finish()),
        ];
        RecordBatch::try_new(schema(), columns).expect("columns of the schema")
    }
}

/// `events` events in order of arrival, in batches of `batch` rows that never cross a multiple of `epoch_us`; each with
/// the number of its epoch.
pub fn batches(events: usize, batch: usize, epoch_us: i64, seed: u64) -> Vec<(i64, RecordBatch)> {
    batches_over(SPAN_US, CARDS, events, batch, epoch_us, seed)
}

/// The same over another span of time and another number of cards.
pub fn batches_over(
    span_us: i64,
    cards: usize,
    events: usize,
    batch: usize,
    epoch_us: i64,
    seed: u64,
) -> Vec<(i64, RecordBatch)> {
    let mut random = Random::new(seed);
    let cards = Ranks::new(cards, &mut random);
    let merchants = Ranks::new(MERCHANTS, &mut random);
    let mut out = Vec::new();
    let mut columns = Columns::default();
    let mut current = 0;
    for i in 0..events {
        let arrival = (i as i128 * span_us as i128 / events as i128) as i64;
        let epoch = arrival / epoch_us;
        if !columns.times.is_empty() && (epoch != current || columns.times.len() == batch) {
            out.push((current, columns.finish()));
        }
        current = epoch;
        let late = if random.next().is_multiple_of(LATE_ONE_IN) { (random.next() % LATE_US) as i64 } else { 0 };
        columns.cards.push(cards.draw(&mut random));
        columns.amounts.push(((3.2 + 1.1 * random.normal()).exp() * 100.0).round() / 100.0);
        columns.times.push(START_US + arrival - late);
        columns.merchants.push(merchants.draw(&mut random));
        let country = (random.next() % COUNTRIES) as u8;
        let letters = [b'A' + country / 26, b'A' + country % 26];
        columns.countries.append_value(std::str::from_utf8(&letters).expect("two letters"));
    }
    if !columns.times.is_empty() {
        out.push((current, columns.finish()));
    }
    out
}

/// Seconds of processor time that this process has used.
pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything: user and system time are the 12th and 13th, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(11) + ticks(12)) / 100.0
}

/// Cores and processor of this machine, for the head of a report.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{cores} cores,{}",
        model.trim_start_matches([' ', '\t', ':']).split('@').next().map(|m| format!(" {m}")).unwrap_or_default()
    )
}
