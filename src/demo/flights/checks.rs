//! Answers that two independent programs agreed on, and what Freshet says.

use freshet_config::time::EventTime;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::output::Table;

/// The instant of the live check, two hours into the replayed part: 2013-11-01T02:00:00Z.
pub const LIVE_AT: EventTime = EventTime::from_micros(1_383_271_200_000_000);

/// A lookup whose answers are known.
pub struct Question {
    pub name: &'static str,
    pub service: &'static str,
    pub keys: Value,
    pub at: EventTime,
    /// Feature and value.
    pub expected: Vec<(&'static str, Value)>,
}

/// Departures of one carrier at JFK over six hours: 29 from history, 13 from the replayed stream.
pub fn live() -> Vec<Question> {
    vec![Question {
        name: "B6 at JFK over history and stream",
        service: "carrier_board",
        keys: json!({"carrier": "B6", "airport": "JFK"}),
        at: LIVE_AT,
        expected: vec![
            ("carrier_at_airport.departures_6h", json!(42)),
            ("carrier_at_airport.delay_sum_6h", json!(100)),
            ("carrier_at_airport.delay_mean_6h", json!(2.380952380952381)),
            ("carrier_at_airport.late15_6h", json!(4)),
        ],
    }]
}

/// Questions about instants inside history.
pub fn history() -> Vec<Question> {
    let mut questions = vec![Question {
        // Events lie exactly on this instant, one hour and six hours before it.
        name: "departures at JFK on window edges",
        service: "airport_board",
        keys: json!({"airport": "JFK"}),
        // 2013-08-27T20:00:00Z
        at: EventTime::from_micros(1_377_633_600_000_000),
        expected: vec![
            ("airport_congestion.departures_1h", json!(21)),
            ("airport_congestion.delay_sum_1h", json!(98)),
            ("airport_congestion.delay_mean_1h", json!(4.666666666666667)),
            ("airport_congestion.delay_max_1h", json!(83)),
            ("airport_congestion.departures_6h", json!(91)),
            ("airport_congestion.delay_sum_6h", json!(179)),
            ("airport_congestion.delay_mean_6h", json!(1.967032967032967)),
            ("airport_congestion.delay_max_6h", json!(161)),
            ("airport_hourly.departures_1h", json!(21)),
            ("airport_hourly.delay_sum_1h", json!(93)),
            ("airport_hourly.delay_mean_1h", json!(4.428571428571429)),
            ("airport_hourly.departures_6h", json!(91)),
            ("airport_hourly.delay_sum_6h", json!(159)),
            ("airport_hourly.delay_mean_6h", json!(1.7472527472527473)),
        ],
    }];
    // One microsecond before two arrivals share an instant, at that instant, and a week later.
    let aircraft = [
        ("N710TW before a tie", 1_366_311_839_999_999, 5, 59_040, json!(6), "LAX"),
        ("N710TW at a tie", 1_366_311_840_000_000, 7, 0, json!(64), "SEA"),
        ("N710TW a week later", 1_366_977_600_000_000, 1, 498_720, Value::Null, "SEA"),
    ];
    for (name, at, arrivals, seconds_since_last, last_delay, last_airport) in aircraft {
        // Arrivals are on whole minutes: the microsecond before belongs to the minute that ends.
        let last = (at + 1) / 60_000_000 * 60_000_000 - seconds_since_last * 1_000_000;
        questions.push(Question {
            name,
            service: "aircraft_board",
            keys: json!({"tailnum": "N710TW"}),
            at: EventTime::from_micros(at),
            expected: vec![
                ("aircraft_rotation.arrivals_7d", json!(arrivals)),
                ("aircraft_rotation.last_arrival_7d", json!(EventTime::from_micros(last).to_string())),
                ("aircraft_rotation.last_delay_24h", last_delay),
                ("aircraft_rotation.last_airport_7d", json!(last_airport)),
            ],
        });
    }
    questions
}

/// What was compared so far.
#[derive(Default)]
pub struct Checks {
    lines: Vec<[String; 5]>,
    equal: usize,
    /// Whether everything was asked.
    pub done: bool,
    /// Questions whose instant lies outside what was asked.
    pub skipped: usize,
}

impl Checks {
    /// Compares every expected value; `got` gives a feature's value.
    pub fn compare(&mut self, question: &Question, got: impl Fn(&str) -> Option<Value>) {
        for (feature, expected) in &question.expected {
            let value = got(feature);
            let equal = value.as_ref().is_some_and(|value| same(expected, value));
            self.equal += usize::from(equal);
            let answer = value.as_ref().map_or_else(|| "no answer".to_string(), shown);
            let verdict = if equal { "equal" } else { "DIFFERENT" };
            self.lines.push([question.name.into(), feature.to_string(), shown(expected), answer, verdict.into()]);
        }
    }

    /// All comparisons as a table.
    pub fn report(&self) -> String {
        let mut table = Table::new(["check", "feature", "expected", "got", ""]);
        for line in &self.lines {
            table.row(line.clone());
        }
        format!("\n{}", table.text())
    }

    /// How many were equal.
    pub fn verdict_line(&self) -> String {
        let mut text = format!("{} of {} checks equal", self.equal, self.lines.len());
        if self.skipped > 0 {
            text.push_str(&format!("; {} questions lie outside what was loaded and replayed", self.skipped));
        }
        text
    }

    /// An error unless everything was equal, and something was.
    pub fn verdict(&self) -> Result<(), Failure> {
        match self.lines.len() {
            n if n == self.equal => Ok(()),
            n => Err(Failure::internal(format!("{} of {n} answers are not the expected ones", n - self.equal))),
        }
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

/// Equal as values: integers may come as text, instants in any spelling.
fn same(expected: &Value, got: &Value) -> bool {
    if expected.is_null() || got.is_null() {
        return expected == got;
    }
    let (expected, got) = (shown(expected), shown(got));
    if let (Ok(expected), Ok(got)) = (expected.parse::<f64>(), got.parse::<f64>()) {
        return expected == got;
    }
    match (EventTime::parse(&expected), EventTime::parse(&got)) {
        (Ok(expected), Ok(got)) => expected == got,
        _ => expected == got,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_by_meaning() {
        assert!(same(&json!(42), &json!("42")));
        assert!(same(&json!("2013-11-01T02:00:00Z"), &json!("2013-11-01T03:00:00+01:00")));
        assert!(same(&Value::Null, &Value::Null));
        for (expected, got) in [(json!(42), json!(43)), (Value::Null, json!(0)), (json!(0), Value::Null)] {
            assert!(!same(&expected, &got));
        }
    }

    #[test]
    fn one_difference_is_an_error() {
        let question = &live()[0];
        let mut checks = Checks::default();
        let answer =
            |feature: &str| question.expected.iter().find(|(name, _)| *name == feature).map(|(_, v)| v.clone());
        checks.compare(question, answer);
        assert!(checks.verdict().is_ok());
        assert_eq!(checks.verdict_line(), "4 of 4 checks equal");
        checks.compare(question, |_| None);
        assert_eq!(checks.verdict().unwrap_err().message, "4 of 8 answers are not the expected ones");
    }

    #[test]
    fn instants_are_the_ones_meant() {
        let at: Vec<String> = history().iter().map(|question| question.at.to_string()).collect();
        assert_eq!(
            at,
            ["2013-08-27T20:00:00Z", "2013-04-18T19:03:59.999999Z", "2013-04-18T19:04:00Z", "2013-04-26T12:00:00Z"]
        );
        assert_eq!(LIVE_AT.to_string(), "2013-11-01T02:00:00Z");
    }
}
