//! Card transactions that never happened: seeded, with bursts, stolen cards and everything that goes wrong on the way.
//!
//! The same seed and the same instants make the same records.

use std::time::Duration;

use fastrand::Rng;
use freshet_config::time::{EventTime, Span};

/// A card and a merchant with traffic at every moment, for lookups that change from call to call.
pub const HOT_CARD: u64 = 4242;
pub const HOT_MERCHANT: u64 = 7;

/// Cards are numbered from here; lower numbers are used more.
const FIRST_CARD: u64 = 1000;
const CARDS: u64 = 20_000;
const MERCHANTS: u64 = 500;

/// Shares of all records.
const UNPARSABLE: f64 = 0.002;
const DUPLICATE: f64 = 0.005;
const HOT: f64 = 0.01;
const STOLEN: f64 = 0.02;
/// Shares of transactions: late but in time for every window, and too late for any.
const DELAYED: f64 = 0.01;
const TOO_LATE: f64 = 0.0005;

/// How long a stolen card is used.
const EPISODE: Span = Span::from_secs(20);
/// How many records back a duplicate may lie.
const REMEMBERED: usize = 512;

/// Bursts: the last part of every period runs faster, the others slower; on average the rate is the one asked for.
const PERIOD_SECONDS: f64 = 4.0;
const CALM_SECONDS: f64 = 3.0;
const CALM_PACE: f64 = 0.75;
const BURST_PACE: f64 = 1.75;

/// How many records should have come after `elapsed`.
pub fn due(rate: u64, elapsed: Duration) -> u64 {
    let seconds = elapsed.as_secs_f64();
    let inside = seconds % PERIOD_SECONDS;
    let paced = CALM_PACE * inside.min(CALM_SECONDS) + BURST_PACE * (inside - CALM_SECONDS).max(0.0);
    (rate as f64 * (seconds - inside + paced)) as u64
}

/// Any card, the busy ones more often.
pub fn pick_card(rng: &mut Rng) -> u64 {
    if rng.f64() < 0.1 { HOT_CARD } else { FIRST_CARD + (rng.f64().powi(3) * CARDS as f64) as u64 }
}

fn pick_merchant(rng: &mut Rng) -> u64 {
    1 + (rng.f64().powi(2) * MERCHANTS as f64) as u64
}

const COUNTRIES: [&str; 8] = ["DE", "FR", "US", "GB", "PL", "BR", "IN", "JP"];

/// A card in wrong hands.
struct Episode {
    card: u64,
    until: EventTime,
    /// Grows with every success.
    amount: f64,
}

struct Transaction {
    card: u64,
    merchant: u64,
    amount: f64,
    country: &'static str,
    channel: &'static str,
    approved: bool,
}

/// Makes one record after the other.
pub struct Generator {
    rng: Rng,
    /// Keeps the ids of two runs over one log apart.
    run: i64,
    made: u64,
    recent: Vec<String>,
    episode: Option<Episode>,
}

impl Generator {
    pub fn new(seed: u64, now: EventTime) -> Generator {
        Generator { rng: Rng::with_seed(seed), run: now.micros(), made: 0, recent: Vec::new(), episode: None }
    }

    /// The next record, as of `now`.
    pub fn next_record(&mut self, now: EventTime) -> String {
        self.made += 1;
        match self.rng.f64() {
            share if share < UNPARSABLE => self.unparsable(now),
            share if share < UNPARSABLE + DUPLICATE && !self.recent.is_empty() => {
                self.recent[self.rng.usize(..self.recent.len())].clone()
            }
            share => {
                let transaction = self.transaction(share, now);
                let at = self.instant(now);
                let record = self.write(&transaction, at);
                self.remember(record.clone());
                record
            }
        }
    }

    fn transaction(&mut self, share: f64, now: EventTime) -> Transaction {
        if share > 1.0 - HOT {
            let merchant = if self.rng.bool() { HOT_MERCHANT } else { pick_merchant(&mut self.rng) };
            return self.plain(HOT_CARD, merchant);
        }
        if share > 1.0 - HOT - STOLEN {
            return self.stolen(now);
        }
        let card = FIRST_CARD + (self.rng.f64().powi(3) * CARDS as f64) as u64;
        let merchant = pick_merchant(&mut self.rng);
        self.plain(card, merchant)
    }

    fn plain(&mut self, card: u64, merchant: u64) -> Transaction {
        Transaction {
            card,
            merchant,
            amount: 2.0 + self.rng.f64().powi(4) * 400.0,
            // Most people stay at home.
            country: COUNTRIES
                [if self.rng.f64() < 0.95 { card as usize } else { self.rng.usize(..) } % COUNTRIES.len()],
            channel: ["chip", "contactless", "online"][self.rng.usize(..3)],
            approved: self.rng.f64() > 0.02,
        }
    }

    /// Online, from anywhere, each purchase greater than the one before, until it is noticed.
    fn stolen(&mut self, now: EventTime) -> Transaction {
        let card = FIRST_CARD + self.rng.u64(..CARDS);
        let over = self.episode.as_ref().is_none_or(|episode| now >= episode.until);
        if over {
            self.episode = Some(Episode { card, until: now + EPISODE, amount: 5.0 });
        }
        let merchant = pick_merchant(&mut self.rng);
        let mut transaction = self.plain(card, merchant);
        if let Some(episode) = &mut self.episode {
            transaction.card = episode.card;
            transaction.amount = episode.amount;
            transaction.approved = episode.amount < 900.0 || self.rng.f64() < 0.3;
            episode.amount = (episode.amount * 1.15).min(2_500.0);
        }
        transaction.channel = "online";
        transaction.country = COUNTRIES[self.rng.usize(..COUNTRIES.len())];
        transaction
    }

    /// Just now, some minutes ago, or long ago.
    fn instant(&mut self, now: EventTime) -> EventTime {
        match self.rng.f64() {
            share if share < TOO_LATE => now - Span::from_secs(3 * 86_400),
            share if share < TOO_LATE + DELAYED => now - Span::from_secs(self.rng.i64(60..40 * 60)),
            _ => now - Span::from_micros(self.rng.i64(0..200_000)),
        }
    }

    fn write(&self, transaction: &Transaction, at: EventTime) -> String {
        let Transaction { card, merchant, amount, country, channel, approved } = transaction;
        format!(
            "{{\"txn_id\":\"{:x}-{}\",\"card_id\":{card},\"merchant_id\":{merchant},\"amount\":{amount:.2},\
             \"country\":\"{country}\",\"channel\":\"{channel}\",\"approved\":{approved},\"ts\":\"{at}\"}}",
            self.run, self.made
        )
    }

    /// Senders break in several ways.
    fn unparsable(&mut self, now: EventTime) -> String {
        let (card, merchant) = (pick_card(&mut self.rng), pick_merchant(&mut self.rng));
        let transaction = self.plain(card, merchant);
        let record = self.write(&transaction, now);
        match self.rng.u8(..3) {
            0 => record.replace("\"amount\":", "\"amount\":\"a lot\",\"was\":"),
            1 => record.replace("\"ts\":", "\"time\":"),
            _ => record.replace(&now.to_string(), "yesterday"),
        }
    }

    fn remember(&mut self, record: String) {
        if self.recent.len() < REMEMBERED {
            self.recent.push(record);
        } else {
            let oldest = self.made as usize % REMEMBERED;
            self.recent[oldest] = record;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use serde_json::Value;

    use super::*;

    const NOW: EventTime = EventTime::from_micros(1_767_225_600_000_000);

    fn made(seed: u64, records: usize) -> Vec<String> {
        let mut generator = Generator::new(seed, NOW);
        (0..records).map(|i| generator.next_record(NOW + Span::from_micros(i as i64 * 200))).collect()
    }

    #[test]
    fn a_seed_decides() {
        assert_eq!(made(1, 2000), made(1, 2000));
        assert_ne!(made(1, 2000), made(2, 2000));
    }

    #[test]
    fn everything_that_is_promised_is_there() {
        let records = made(7, 20_000);
        let (mut ids, mut cards) = (HashSet::new(), HashMap::<u64, u64>::new());
        let (mut duplicate, mut late, mut unparsable) = (0, 0, 0);
        for record in &records {
            let record: Value = serde_json::from_str(record).unwrap();
            let at = record["ts"].as_str().and_then(|text| EventTime::parse(text).ok());
            let Some(at) = at.filter(|_| record["amount"].is_number()) else {
                unparsable += 1;
                continue;
            };
            duplicate += u32::from(!ids.insert(record["txn_id"].as_str().unwrap().to_string()));
            late += u32::from(at < NOW - Span::from_secs(86_400));
            *cards.entry(record["card_id"].as_u64().unwrap()).or_default() += 1;
        }
        assert!((20..80).contains(&unparsable), "{unparsable}");
        assert!((50..200).contains(&duplicate), "{duplicate}");
        assert!((1..40).contains(&late), "{late}");
        assert!(cards[&HOT_CARD] > 100);
        let stolen = cards.iter().filter(|(card, _)| **card != HOT_CARD).map(|(_, count)| *count).max();
        assert!(stolen > Some(100), "a stolen card is used hundreds of times: {stolen:?}");
    }

    #[test]
    fn bursts_keep_the_average() {
        assert_eq!(due(1000, Duration::from_secs(80)), 80_000);
        assert_eq!(due(1000, Duration::from_secs(3)), 2_250);
        assert_eq!(due(1000, Duration::from_millis(3_500)), 3_125);
    }
}
