//! Values of flags: read strictly, with the range in the message.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use freshet_config::time::{EventTime, Span};

/// Most workers and serving threads.
const MOST_THREADS: usize = 256;

/// A number of threads, 1 to 256.
pub fn threads(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_THREADS).contains(number));
    number.ok_or_else(|| format!("write a whole number from 1 to {MOST_THREADS}"))
}

/// An address and port to serve on. A name such as `localhost` stands for its first IPv4 address, else for its first.
pub fn listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let advice = "write an IP address and a port, such as 127.0.0.1:7070 or [::1]:7070";
    let resolved = text.to_socket_addrs().map_err(|error| format!("{advice} ({error})"))?;
    let addresses: Vec<SocketAddr> = resolved.collect();
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or_else(|| advice.to_string())
}

/// An instant of event time, RFC 3339 with a zone.
pub fn instant(text: &str) -> Result<EventTime, String> {
    EventTime::parse(text).map_err(|_| "write an instant with a zone, such as 2026-01-31T12:00:00Z".to_string())
}

/// A positive length of time with its unit, such as `30s`, up to ten years.
pub fn duration(text: &str) -> Result<Duration, String> {
    const MOST: Span = Span::from_secs(10 * 366 * 86_400);
    let span = Span::parse(text).map_err(|_| "write a time with its unit, such as 30s, 5m or 1h30m".to_string())?;
    if span <= Span::ZERO || span > MOST {
        return Err("write a time longer than 0s and of at most ten years, such as 30s".to_string());
    }
    Ok(Duration::from_micros(span.micros().unsigned_abs()))
}

/// Events per second, 1 to 10 million.
pub fn rate(text: &str) -> Result<u64, String> {
    const MOST: u64 = 10_000_000;
    let number = text.parse().ok().filter(|number| (1..=MOST).contains(number));
    number.ok_or_else(|| format!("write a whole number from 1 to {MOST}"))
}

/// How many times faster than time, 0.001 to 1 billion.
pub fn speed_up(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.001..=1e9).contains(number));
    number.ok_or_else(|| "write a number from 0.001 to 1000000000".to_string())
}

/// A positive count.
pub fn count(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "write a whole number of at least 1".to_string())
}

/// How many records to show: none up to 1 million.
pub fn shown(text: &str) -> Result<usize, String> {
    const MOST: usize = 1_000_000;
    let number = text.parse().ok().filter(|number| *number <= MOST);
    number.ok_or_else(|| format!("write a whole number from 0 to {MOST}"))
}

/// `KEY=VALUE`; the value may be empty and may hold further equal signs.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_string(), value.to_string())),
        _ => Err("write a join key and its value, such as card_id=4242".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_refused() {
        for text in ["0", "-1", "257", "1e9", "two", ""] {
            assert!(threads(text).is_err(), "{text}");
        }
        assert_eq!(threads("256"), Ok(256));
        for text in ["30", "0s", "-5s", "1 fortnight", "9999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(duration("0s").unwrap_err().contains("longer than 0s"));
        assert_eq!(listen("localhost:7070"), Ok("127.0.0.1:7070".parse().unwrap()));
        assert_eq!(listen("[::1]:80"), Ok("[::1]:80".parse().unwrap()));
        for text in ["localhost", "7070", "", "a b:1"] {
            assert!(listen(text).unwrap_err().starts_with("write an IP address and a port"), "{text}");
        }
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        for text in ["nan", "inf", "0", "-1", "1e10"] {
            assert!(speed_up(text).is_err(), "{text}");
        }
        for text in ["-1", "1000001", "99999999999999999999", "all"] {
            assert_eq!(shown(text), Err("write a whole number from 0 to 1000000".to_string()), "{text}");
        }
        assert_eq!(shown("0"), Ok(0));
        assert_eq!(key_value("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(key_value("=b").is_err());
        assert!(key_value("card_id").is_err());
    }
}
