//! One value each of the file of every function and window changed to one that cannot be, and the lines it is refused with
//! (places without the file's name).

use crate::refused_cases::Case;

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    ("fn: last, n: 3", "fn: last, n: null", &[
        "18:43: `n` has no value [DEF-YAML]; write a value, or remove `n`",
    ]),
    ("fn: last, n: 3", "fn: last, n:", &[
        "18:41: `n` has no value [DEF-YAML]; write a value, or remove `n`",
    ]),
    ("fn: last, n: 3", "fn: first, n: ~", &[
        "18:44: `n` has no value [DEF-YAML]; write a value, or remove `n`",
    ]),
    ("fn: last, n: 3", "fn: null, n: 3", &[
        "18:34: `fn` takes text, not nothing [DEF-YAML]; write a value there",
    ]),
    ("fn: last, n: 3", "fn: last, n: -3", &[
        "18:43: aggregate `last_amounts` of view `lists`: `n` of last is -3, not a whole number from 1 to 1000 [DEF-ARG]; write 1",
    ]),
    ("fn: last, n: 3", "fn: last, n: '3'", &[
        "18:43: `n` takes a number, not text [DEF-YAML]; write digits without quotes, such as 3",
    ]),
    ("fn: last, n: 3", "fn: last, n: [3]", &[
        "18:43: `n` takes a number, not a list [DEF-YAML]; write digits without quotes, such as 3",
    ]),
    ("fn: last, n: 3", "fn: last, n: true", &[
        "18:43: `n` takes a number, not a truth value [DEF-YAML]; write digits without quotes, such as 3",
    ]),
    ("percentile: 0.95", "percentile: null", &[
        "19:56: `percentile` has no value [DEF-YAML]; write a value, or remove `percentile`",
    ]),
    ("percentile: 0.95", "percentile: -0.1", &[
        "19:56: aggregate `p95` of view `lists`: the percentile -0.1 does not lie between 0 and 1 [DEF-ARG]; write 0.95",
    ]),
    ("percentile: 0.95", "percentile: .inf", &[
        "19:56: aggregate `p95` of view `lists`: the percentile inf does not lie between 0 and 1 [DEF-ARG]; write 0.95",
    ]),
    ("percentile: 0.95", "percentile: '0.95'", &[
        "19:56: `percentile` takes a number, not text [DEF-YAML]; write digits without quotes, such as 3",
    ]),
    ("precision: 10", "precision: null", &[
        "21:65: `precision` has no value [DEF-YAML]; write a value, or remove `precision`",
    ]),
    ("precision: 10", "precision: 3", &[
        "21:65: aggregate `merchants` of view `lists`: `precision` of approx_count_distinct is 3, not a whole number from 4 to 16 [DEF-ARG]; write 4",
    ]),
    ("precision: 10", "precision: 8.5", &[
        "21:65: aggregate `merchants` of view `lists`: `precision` of approx_count_distinct is 8.5, not a whole number from 4 to 16 [DEF-ARG]; write 9",
    ]),
    ("limit: 50", "limit: null", &[
        "22:50: `limit` has no value [DEF-YAML]; write a value, or remove `limit`",
    ]),
    ("limit: 50", "limit: 0", &[
        "22:50: aggregate `exact` of view `lists`: `limit` of count_distinct is 0, not a whole number from 1 to 10000 [DEF-ARG]; write 1",
    ]),
    ("k: 3", "k: null", &[
        "23:35: `k` has no value [DEF-YAML]; write a value, or remove `k`",
    ]),
    ("k: 3", "k: 0", &[
        "23:35: aggregate `top` of view `lists`: `k` of top_k is 0, not a whole number from 1 to 100 [DEF-ARG]; write 1",
    ]),
    ("half_life: 6h", "half_life: null", &[
        "24:53: `half_life` has no value [DEF-YAML]; write a value, or remove `half_life`",
    ]),
    ("half_life: 6h", "half_life: -6h", &[
        "24:53: the half-life `-6h` of aggregate `decayed` of view `lists` is not longer than zero [DEF-ARG]; write a positive span, such as 10m",
    ]),
    ("half_life: 6h", "half_life: 6", &[
        "24:53: the half-life `6` of aggregate `decayed` of view `lists` has no unit [DEF-ARG]; write a unit w, d, h, m, s, ms or us, such as 10m or 30s",
    ]),
    ("order: amount", "order: null", &[
        "25:58: `order` has no value [DEF-YAML]; write a value, or remove `order`",
    ]),
    ("order: amount", "order: ''", &[
        "25:58: `order` of aggregate `dearest` of view `lists` is empty [DEF-ARG]; write a column or an SQL expression, or remove it",
    ]),
    ("order: amount", "order: [amount]", &[
        "25:58: `order` takes text, not a list [DEF-YAML]; write one text, without brackets",
    ]),
    ("of: merchant, order: amount", "of: null, order: amount", &[
        "25:41: `of` has no value [DEF-YAML]; write a value, or remove `of`",
    ]),
    ("windows: [7d]}\n      - {name: dec", "windows: null}\n      - {name: dec", &[
        "23:61: `windows` takes a list, not nothing [DEF-YAML]; write a value there",
    ]),
    ("windows: [7d]}\n      - {name: dec", "windows: 7d}\n      - {name: dec", &[
        "23:61: `windows` takes a list, not text [DEF-YAML]; put it in brackets, or write an item per line behind `-`",
    ]),
    ("windows: [7d]}\n      - {name: dec", "windows: [null]}\n      - {name: dec", &[
        "23:62: `windows` takes text, not nothing [DEF-YAML]; write a value there",
    ]),
    ("windows: [7d]}\n      - {name: dec", "windows: [{size: null}]}\n      - {name: dec", &[
        "23:69: `size` has no value [DEF-YAML]; write a value, or remove `size`",
    ]),
    ("offset: -2h", "offset: null", &[
        "18:91: `offset` has no value [DEF-YAML]; write a value, or remove `offset`",
    ]),
    ("offset: -2h", "offset: 1us", &[
        "18:91: aggregate `last_amounts` of view `lists`: the offset `1us` is positive, and no window reaches beyond the instant asked for [DEF-WINDOW]; write zero or a negative span, such as -1us",
    ]),
    ("offset: -2h", "offset: '+1h'", &[
        "18:91: aggregate `last_amounts` of view `lists`: the offset `+1h` is not a span [DEF-WINDOW]; write numbers with units w, d, h, m, s, ms or us, such as 90s or 1h30m",
    ]),
    ("offset: -2h", "offset: lifetime", &[
        "18:91: aggregate `last_amounts` of view `lists`: the offset `lifetime` is not a span [DEF-WINDOW]; write numbers with units w, d, h, m, s, ms or us, such as 90s or 1h30m",
    ]),
    ("{start: -6h, end: 0h, step: 1h, size: 2h}", "{start: -6h, end: 0h, step: 3h, size: 2h}", &[
        "20:82: aggregate `hourly` of view `lists`: the step of the series `3h` does not fit: the last window of 2h ends 1h before the end of the series [DEF-WINDOW]; write `end: -1h`, or a step that divides 4h",
    ]),
    ("{start: -6h, end: 0h, step: 1h, size: 2h}", "{start: -6h, end: 0h, step: 1h, size: 90m}", &[
        "20:82: aggregate `hourly` of view `lists`: the step of the series `1h` does not fit: the last window of 1h30m ends 30m before the end of the series [DEF-WINDOW]; write `end: -30m`, or a step that divides 4h30m",
    ]),
    ("{start: -6h, end: 0h, step: 1h, size: 2h}", "{start: -6h30m, end: 0h, step: 1h, size: 1h}", &[
        "20:85: aggregate `hourly` of view `lists`: the step of the series `1h` does not fit: the last window of 1h ends 30m before the end of the series [DEF-WINDOW]; write `end: -30m`, or a step that divides 5h30m",
    ]),
    ("{start: -6h, end: 0h, step: 1h, size: 2h}", "{start: -6h, end: null, step: 1h, size: 2h}", &[
        "20:72: `end` takes text, not nothing [DEF-YAML]; write a value there",
    ]),
    ("{start: -6h, end: 0h, step: 1h, size: 2h}", "{start: -6h, end: 0, step: 1h, size: 2h}", &[
        "20:72: aggregate `hourly` of view `lists`: the end of the series `0` has no unit [DEF-WINDOW]; write a unit w, d, h, m, s, ms or us, such as 10m or 30s",
    ]),
    ("{start: -6h, end: 0h, step: 1h, size: 2h}", "{start: -6h, end: 0h, step: -1h, size: 2h}", &[
        "20:82: aggregate `hourly` of view `lists`: the step of the series `-1h` is not longer than zero [DEF-WINDOW]; write a positive span, such as 10m",
    ]),
    ("{start: -6h, end: 0h, step: 1h, size: 2h}", "{start: -6h, end: 0h, step: 1h, size: 0h}", &[
        "20:92: aggregate `hourly` of view `lists`: the size of the series `0h` is not longer than zero [DEF-WINDOW]; write a positive span, such as 10m",
    ]),
    ("{start: -6h, end: 0h, step: 1h, size: 2h}", "{start: -6h, end: 0h, step: 1h, size: lifetime}", &[
        "20:92: aggregate `hourly` of view `lists`: the size of the series `lifetime` is not a span [DEF-WINDOW]; write numbers with units w, d, h, m, s, ms or us, such as 90s or 1h30m",
    ]),
    ("{start: -6h, end: 0h, step: 1h, size: 2h}", "null", &[
        "20:54: `series` has no value [DEF-YAML]; write a value, or remove `series`",
    ]),
    ("start: -1h, end: -10m, step: 20m, size: 10m", "start: -1h, end: -10m, step: 15m, size: 10m", &[
        "34:97: aggregate `shops` of view `by_vertical`: the step of the series `15m` does not fit: the last window of 10m ends 10m before the end of the series [DEF-WINDOW]; write `end: -20m`, or a step that divides 40m",
    ]),
    ("lifetime_start: 2024-01-01", "lifetime_start: null", &[
        "15:21: `lifetime_start` has no value [DEF-YAML]; write a value, or remove `lifetime_start`",
    ]),
    ("feature_start: 2025-01-01\n", "feature_start:\n", &[
        "16:18: `feature_start` has no value [DEF-YAML]; write a value, or remove `feature_start`",
    ]),
    ("mode: {sawtooth: 1h}", "mode: {sawtooth: 3d}", &[
        "48:10: view `newest`: the ttl `2d` is shorter than the view's sawtooth step 3d [DEF-WINDOW]; write a step of at most 2d, or a longer window",
    ]),
    ("mode: {sawtooth: 1h}", "mode: {sawtooth: null}", &[
        "46:22: `sawtooth` has no value [DEF-YAML]; write a value, or remove `sawtooth`",
    ]),
    ("mode: {sawtooth: 1h}", "mode: null", &[
        "46:11: `mode` has no value [DEF-YAML]; write a value, or remove `mode`",
    ]),
    ("mode: {sawtooth: 1h}", "mode: {sawtooth: 0s}", &[
        "46:22: the sawtooth step `0s` of view `newest` is not longer than zero [DEF-WINDOW]; write a positive span, such as 10m",
    ]),
    ("delay: 1h", "delay: null", &[
        "38:41: `delay` has no value [DEF-YAML]; write a value, or remove `delay`",
    ]),
    ("delay: 1h", "delay: -1us", &[
        "38:41: the delay `-1us` of view `per_merchant` is negative [DEF-WINDOW]; write zero or a positive span, such as 1h",
    ]),
    ("delay: 1h", "delay: 5", &[
        "38:41: the delay `5` of view `per_merchant` has no unit [DEF-WINDOW]; write a unit w, d, h, m, s, ms or us, such as 10m or 30s",
    ]),
    ("{schedule: 1d, delay: 1h}", "null", &[
        "38:19: `batch` has no value [DEF-YAML]; write a value, or remove `batch`",
    ]),
    ("schedule: 1d, ", "", &[
        "38:19: a batch mode needs the field `schedule` [DEF-YAML]; add `schedule`",
    ]),
    ("mode: {interval: 5m}", "mode: {interval: null}", &[
        "29:22: `interval` has no value [DEF-YAML]; write a value, or remove `interval`",
    ]),
    ("mode: {interval: 5m}", "mode: interval", &[
        "29:11: the mode `interval` of view `by_vertical` needs its span [DEF-ARG]; write `continuous`, `{interval: 5m}`, `{batch: {schedule: 1h, delay: 10m}}` or `{sawtooth: 1h}`",
    ]),
    ("by: vertical, windows: [30m]", "by: null, windows: [30m]", &[
        "31:48: `by` has no value [DEF-YAML]; write a value, or remove `by`",
    ]),
    ("by: vertical, windows: [30m]", "by: [vertical], windows: [30m]", &[
        "31:48: `by` takes text, not a list [DEF-YAML]; write one text, without brackets",
    ]),
    ("by: vertical, windows: [30m]", "by: upper(vertical), windows: [30m]", &[
        "31:48: no column `upper(vertical)` for `by` of aggregate `spent` of view `by_vertical` [DEF-COL]; the columns are card_id, merchant, vertical, amount, cents, ok, at, big",
    ]),
    ("secondary_key: merchant", "secondary_key: null", &[
        "39:20: `secondary_key` has no value [DEF-YAML]; write a value, or remove `secondary_key`",
    ]),
    ("secondary_key: merchant", "secondary_key: [merchant]", &[
        "39:20: `secondary_key` takes text, not a list [DEF-YAML]; write one text, without brackets",
    ]),
    ("ttl: 2d", "ttl: null", &[
        "48:10: `ttl` has no value [DEF-YAML]; write a value, or remove `ttl`",
    ]),
    ("ttl: 2d", "ttl: lifetime", &[
        "48:10: view `newest`: the ttl `lifetime` is not a span [DEF-WINDOW]; write numbers with units w, d, h, m, s, ms or us, such as 90s or 1h30m",
    ]),
    ("attributes: [merchant, amount, big]", "attributes: [null]", &[
        "47:18: `attributes` takes text, not nothing [DEF-YAML]; write a value there",
    ]),
    ("fn: sum, of: amount, windows: [30m]", "fn: sum, of: at, windows: [30m]", &[
        "32:36: aggregate `total` of view `by_vertical`: sum needs a number, and `at` is timestamp [DEF-TYPE]; for timestamp there are {functions}",
    ]),
    ("precision: 10, of: merchant", "precision: 10, of: at", &[
        "21:73: aggregate `merchants` of view `lists`: approx_count_distinct needs a string or an integer, and `at` is timestamp [DEF-TYPE]; for timestamp there are {functions}",
    ]),
    ("lateness: 1h", "lateness: null", &[
        "6:15: `lateness` has no value [DEF-YAML]; write a value, or remove `lateness`",
    ]),
    ("stream: {log: {}}", "stream: {log: }", &[
        "3:17: `log` has no value [DEF-YAML]; write a value, or remove `log`",
    ]),
    ("event_time: at", "event_time: null", &[
        "5:17: `event_time` takes text, not nothing [DEF-YAML]; write a value there",
    ]),
    ("keys: {card_id: int64}", "keys: null", &[
        "10:24: `keys` takes a map, not nothing [DEF-YAML]; write a value there",
    ]),
    ("keys: {card_id: int64}", "keys: {card_id: null}", &[
        "10:34: `card_id` takes text, not nothing [DEF-YAML]; write a value there",
    ]),
];
