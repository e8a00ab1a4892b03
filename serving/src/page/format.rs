//! Figures as people read them. `page.js` has the same rules; change both.

use serde_json::Value;

/// How a figure is shown.
#[derive(Clone, Copy, Debug)]
pub enum Format {
    Text,
    Count,
    Rate,
    Seconds,
    Bytes,
}

impl Format {
    /// The name the script knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Count => "count",
            Format::Rate => "rate",
            Format::Seconds => "seconds",
            Format::Bytes => "bytes",
        }
    }

    /// HTML of a value; a dash for one that is not known.
    pub fn show(self, value: &Value) -> String {
        match (self, value) {
            (Format::Text, Value::String(text)) => escape(text),
            (Format::Text, Value::Array(items)) => {
                items.iter().filter_map(Value::as_str).map(escape).collect::<Vec<_>>().join(", ")
            }
            (_, value) => match value.as_f64() {
                None => "–".to_string(),
                Some(number) => self.number(number),
            },
        }
    }

    fn number(self, number: f64) -> String {
        match self {
            Format::Text | Format::Count => thousands(number),
            Format::Rate if number < 10.0 => format!("{number:.1}/s"),
            Format::Rate => format!("{}/s", thousands(number)),
            Format::Seconds => seconds(number),
            Format::Bytes => bytes(number),
        }
    }
}

fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.round());
    let mut out = String::with_capacity(digits.len() + 4);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && digit.is_ascii_digit() && (digits.len() - index).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn seconds(seconds: f64) -> String {
    match seconds {
        0.0 => "0".to_string(),
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.2} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn bytes(bytes: f64) -> String {
    match bytes {
        b if b < 1024.0 => format!("{b:.0} B"),
        b if b < 1_048_576.0 => format!("{:.1} KiB", b / 1024.0),
        b if b < 1_073_741_824.0 => format!("{:.1} MiB", b / 1_048_576.0),
        b => format!("{:.2} GiB", b / 1_073_741_824.0),
    }
}

/// Text as it may stand in an element or a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_are_short() {
        for (format, value, shown) in [
            (Format::Count, json!(0), "0"),
            (Format::Count, json!(999), "999"),
            (Format::Count, json!(1000), "1,000"),
            (Format::Count, json!(-123456), "-123,456"),
            (Format::Rate, json!(0.25), "0.2/s"),
            (Format::Seconds, json!(0.5), "500.00 ms"),
            (Format::Seconds, json!(90000), "25.0 h"),
            (Format::Bytes, json!(1536), "1.5 KiB"),
            (Format::Bytes, json!(null), "–"),
            (Format::Text, json!("<a&'\">"), "&lt;a&amp;&#39;&quot;&gt;"),
        ] {
            assert_eq!(format.show(&value), shown);
        }
    }
}
