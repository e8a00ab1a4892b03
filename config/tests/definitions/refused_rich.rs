//! One change each to the file of every function and window, and the lines it is refused with (places without the
//! file's name).

use crate::refused_cases::Case;

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    ("fn: last, n: 3", "fn: lastt, n: 3", &[
        "18:34: aggregate `last_amounts` of view `lists`: unknown function `lastt` [DEF-ARG]; did you mean `last`?",
    ]),
    ("fn: last, n: 3", "fn: median, n: 3", &[
        "18:34: aggregate `last_amounts` of view `lists`: unknown function `median` [DEF-ARG]; write `approx_percentile` with `percentile: 0.5`",
    ]),
    ("fn: last, n: 3", "fn: last, n: 0", &[
        "18:43: aggregate `last_amounts` of view `lists`: `n` of last is 0, not a whole number from 1 to 1000 [DEF-ARG]; write 1",
    ]),
    ("fn: last, n: 3", "fn: first, n: 1001", &[
        "18:44: aggregate `last_amounts` of view `lists`: `n` of first is 1001, not a whole number from 1 to 1000 [DEF-ARG]; write 1000",
    ]),
    ("fn: last, n: 3", "fn: last_distinct, n: 2.5", &[
        "18:52: aggregate `last_amounts` of view `lists`: `n` of last_distinct is 2.5, not a whole number from 1 to 1000 [DEF-ARG]; write 3",
    ]),
    ("fn: last, n: 3", "fn: first_distinct", &[
        "18:34: aggregate `last_amounts` of view `lists`: first_distinct needs the parameter `n` [DEF-ARG]; add `n`: how many values, from 1 to 1000",
    ]),
    ("fn: last, n: 3", "fn: last, n: three", &[
        "18:43: `n` takes a number, not text [DEF-YAML]; write digits without quotes, such as 3",
    ]),
    ("fn: last, n: 3", "fn: mean, n: 3", &[
        "18:43: aggregate `last_amounts` of view `lists`: `n` is no parameter of mean [DEF-ARG]; it takes none",
    ]),
    ("fn: last, n: 3", "fn: last, m: 3", &[
        "18:40: unknown field `m` in aggregate `last_amounts` [DEF-YAML]; did you mean `k`?",
    ]),
    ("percentile: 0.95", "percentile: 95", &[
        "19:56: aggregate `p95` of view `lists`: the percentile 95 does not lie between 0 and 1 [DEF-ARG]; write 0.95",
    ]),
    ("percentile: 0.95", "percentile: 0", &[
        "19:56: aggregate `p95` of view `lists`: the percentile 0 does not lie between 0 and 1 [DEF-ARG]; write 0.95",
    ]),
    ("percentile: 0.95", "percentile: 1.0", &[
        "19:56: aggregate `p95` of view `lists`: the percentile 1 does not lie between 0 and 1 [DEF-ARG]; write 0.95",
    ]),
    ("percentile: 0.95", "percentile: .nan", &[
        "19:56: aggregate `p95` of view `lists`: the percentile NaN does not lie between 0 and 1 [DEF-ARG]; write 0.95",
    ]),
    ("percentile: 0.95, ", "", &[
        "19:25: aggregate `p95` of view `lists`: approx_percentile needs the parameter `percentile` [DEF-ARG]; add `percentile`: a number between 0 and 1, such as 0.95",
    ]),
    ("percentile: 0.95", "percentile: 0.95, precision: 5", &[
        "19:73: aggregate `p95` of view `lists`: `precision` of approx_percentile is 5, not a whole number from 20 to 1000 [DEF-ARG]; write 20",
    ]),
    ("percentile: 0.95, of: amount", "percentile: 0.95, of: merchant", &[
        "19:66: aggregate `p95` of view `lists`: approx_percentile needs a number, and `merchant` is string [DEF-TYPE]; for string there are {functions}",
    ]),
    ("precision: 10", "precision: 17", &[
        "21:65: aggregate `merchants` of view `lists`: `precision` of approx_count_distinct is 17, not a whole number from 4 to 16 [DEF-ARG]; write 16",
    ]),
    ("precision: 10, of: merchant", "of: amount", &[
        "21:58: aggregate `merchants` of view `lists`: approx_count_distinct needs a string or an integer, and `amount` is float64 [DEF-TYPE]; for float64 there are {functions}",
    ]),
    ("limit: 50", "limit: 10001", &[
        "22:50: aggregate `exact` of view `lists`: `limit` of count_distinct is 10001, not a whole number from 1 to 10000 [DEF-ARG]; write 10000",
    ]),
    ("k: 3", "k: 101", &[
        "23:35: aggregate `top` of view `lists`: `k` of top_k is 101, not a whole number from 1 to 100 [DEF-ARG]; write 100",
    ]),
    ("fn: top_k, k: 3", "fn: top_k", &[
        "23:25: aggregate `top` of view `lists`: top_k needs the parameter `k` [DEF-ARG]; add `k`: how many values, from 1 to 100",
    ]),
    ("k: 3, of: merchant", "k: 3, of: amount", &[
        "23:42: aggregate `top` of view `lists`: top_k needs a type other than a float, and `amount` is float64 [DEF-TYPE]; for float64 there are {functions}",
    ]),
    ("fn: count_distinct, limit: 50, of: merchant", "fn: histogram, of: amount", &[
        "22:42: aggregate `exact` of view `lists`: histogram needs a type other than a float, and `amount` is float64 [DEF-TYPE]; for float64 there are {functions}",
    ]),
    ("half_life: 6h", "half_life: 0s", &[
        "24:53: the half-life `0s` of aggregate `decayed` of view `lists` is not longer than zero [DEF-ARG]; write a positive span, such as 10m",
    ]),
    ("half_life: 6h, ", "", &[
        "24:29: aggregate `decayed` of view `lists`: decayed_sum needs the parameter `half_life` [DEF-ARG]; add `half_life`: the age at which a value counts half, such as 6h",
    ]),
    ("half_life: 6h, of: amount", "half_life: 6h, of: ok", &[
        "24:61: aggregate `decayed` of view `lists`: decayed_sum needs a number, and `ok` is bool [DEF-TYPE]; for bool there are {functions}",
    ]),
    ("of: merchant, order: amount", "of: merchant", &[
        "25:29: aggregate `dearest` of view `lists`: max_by needs the parameter `order` [DEF-ARG]; add `order`: a column or an expression that events are compared by",
    ]),
    ("of: merchant, order: amount", "order: amount", &[
        "25:16: aggregate `dearest` of view `lists` has no `of`, and max_by needs a column or an expression [DEF-ARG]; add `of: COLUMN`",
    ]),
    ("offset: -2h", "offset: 2h", &[
        "18:91: aggregate `last_amounts` of view `lists`: the offset `2h` is positive, and no window reaches beyond the instant asked for [DEF-WINDOW]; write zero or a negative span, such as -2h",
    ]),
    ("offset: -2h", "offset: -4000d", &[
        "18:91: aggregate `last_amounts` of view `lists`: the offset `-4000d` is further back than the 3653d (10 years) allowed [DEF-WINDOW]; write a shorter span",
    ]),
    ("offset: -2h", "offset: 2", &[
        "18:91: aggregate `last_amounts` of view `lists`: the offset `2` has no unit [DEF-WINDOW]; write a unit w, d, h, m, s, ms or us, such as 10m or 30s",
    ]),
    ("{size: 1h, offset: -2h}", "{offset: -2h}", &[
        "18:72: aggregate `last_amounts` of view `lists`: a window needs either `size`, with or without `offset`, or `series` alone [DEF-WINDOW]; write `{size: 1h, offset: -2h}` or `{series: {start: -6h, end: 0h, step: 1h, size: 2h}}`",
    ]),
    ("{size: 1h, offset: -2h}", "{size: 1h, series: {start: -6h, end: 0h, step: 1h, size: 2h}}", &[
        "18:72: aggregate `last_amounts` of view `lists`: a window needs either `size`, with or without `offset`, or `series` alone [DEF-WINDOW]; write `{size: 1h, offset: -2h}` or `{series: {start: -6h, end: 0h, step: 1h, size: 2h}}`",
    ]),
    ("    lifetime_start: 2024-01-01\n", "", &[
        "18:88: aggregate `p95` of view `lists`: the window `lifetime` needs the view's lifetime_start [DEF-WINDOW]; add `lifetime_start: 2024-01-01` to the view, or write a span",
        "20:100: aggregate `merchants` of view `lists`: the window `lifetime` needs the view's lifetime_start [DEF-WINDOW]; add `lifetime_start: 2024-01-01` to the view, or write a span",
    ]),
    ("lifetime_start: 2024-01-01", "lifetime_start: 2024-13-01", &[
        "15:21: the lifetime_start of view `lists` `2024-13-01` is not an RFC 3339 instant with a zone [DEF-TIME]; write one such as 2026-01-31T12:00:00Z",
    ]),
    ("start: -6h, end: 0h", "start: 6h, end: 0h", &[
        "20:62: aggregate `hourly` of view `lists`: the start of the series `6h` is positive, and no window reaches beyond the instant asked for [DEF-WINDOW]; write zero or a negative span, such as -6h",
    ]),
    ("start: -6h, end: 0h", "start: -6h, end: -6h", &[
        "20:62: aggregate `hourly` of view `lists`: the start of the series `-6h` is not before its end -6h [DEF-WINDOW]; write a start further back, such as -18h",
    ]),
    ("start: -6h, end: 0h", "start: -6h, end: 1h", &[
        "20:72: aggregate `hourly` of view `lists`: the end of the series `1h` is positive, and no window reaches beyond the instant asked for [DEF-WINDOW]; write zero or a negative span, such as -1h",
    ]),
    ("step: 1h, size: 2h", "step: 0h, size: 2h", &[
        "20:82: aggregate `hourly` of view `lists`: the step of the series `0h` is not longer than zero [DEF-WINDOW]; write a positive span, such as 10m",
    ]),
    ("step: 1h, size: 2h", "step: 1h, size: 7h", &[
        "20:92: aggregate `hourly` of view `lists`: the size of the series `7h` does not fit into the 6h of the series [DEF-WINDOW]; write less than 6h, or a start further back",
    ]),
    ("step: 1h, size: 2h", "step: 5h, size: 2h", &[
        "20:82: aggregate `hourly` of view `lists`: the step of the series `5h` leaves room for one window only [DEF-WINDOW]; write a step of at most 4h, or a start further back",
    ]),
    ("step: 1h, size: 2h", "step: 1h, size: 6h", &[
        "20:82: aggregate `hourly` of view `lists`: the step of the series `1h` leaves room for one window only [DEF-WINDOW]; write a size of less than 6h, or a start further back",
    ]),
    ("step: 1h, size: 2h", "step: 1m, size: 2h", &[
        "20:82: aggregate `hourly` of view `lists`: the step of the series `1m` makes 241 windows, more than 64 [DEF-WINDOW]; write a longer step",
    ]),
    (", step: 1h, size: 2h", ", size: 2h", &[
        "20:54: a series needs the field `step` [DEF-YAML]; add `step`",
    ]),
    ("start: -1h, end: -10m, step: 20m, size: 10m", "start: -1h, end: -9m, step: 7m, size: 12m", &[
        "34:85: aggregate `shops` of view `by_vertical`: the end of the series `-9m` is not a multiple of the view's interval 5m [DEF-WINDOW]; write -5m or -10m",
        "34:96: aggregate `shops` of view `by_vertical`: the step of the series `7m` is not a multiple of the view's interval 5m [DEF-WINDOW]; write 5m or 10m",
        "34:106: aggregate `shops` of view `by_vertical`: the size of the series `12m` is not a multiple of the view's interval 5m [DEF-WINDOW]; write 10m or 15m",
    ]),
    ("by: vertical, windows: [30m]", "by: vertical, windows: [{size: 30m, offset: -7m}]", &[
        "31:88: aggregate `spent` of view `by_vertical`: the offset `-7m` is not a multiple of the view's interval 5m [DEF-WINDOW]; write -5m or -10m",
    ]),
    ("by: vertical, windows: [30m]", "by: amount, windows: [30m]", &[
        "31:48: `by` of aggregate `spent` of view `by_vertical` is `amount`, a float64, and a float cannot be a category [DEF-TYPE]; use an integer, string, bool or timestamp column, or round it in the source's `select`",
    ]),
    ("by: vertical, windows: [30m]", "by: card_id, windows: [30m]", &[
        "31:48: `by` of aggregate `spent` of view `by_vertical` is `card_id`, which is already a join key of the view's entity [DEF-ARG]; name a column that the entity's keys do not hold, or remove it",
    ]),
    ("by: vertical, windows: [30m]", "by: verticl, windows: [30m]", &[
        "31:48: no column `verticl` for `by` of aggregate `spent` of view `by_vertical` [DEF-COL]; did you mean `vertical`? the columns are card_id, merchant, vertical, amount, cents, ok, at, big",
    ]),
    ("by: vertical, windows: [30m]", "by: vertical, windows: [30m, 30m]", &[
        "31:73: the feature `spent_30m` of view `by_vertical` is defined twice, first at a.yaml:31:68 and again here [DEF-DUP]; rename or remove one of the two",
    ]),
    ("{interval: 5m}", "{interval: 5m, sawtooth: 1h}", &[
        "29:11: the mode of view `by_vertical` needs exactly one of `interval`, `batch` and `sawtooth` [DEF-ARG]; write `continuous`, `{interval: 5m}`, `{batch: {schedule: 1h, delay: 10m}}` or `{sawtooth: 1h}`",
    ]),
    ("{interval: 5m}", "{}", &[
        "29:11: the mode of view `by_vertical` needs exactly one of `interval`, `batch` and `sawtooth` [DEF-ARG]; write `continuous`, `{interval: 5m}`, `{batch: {schedule: 1h, delay: 10m}}` or `{sawtooth: 1h}`",
    ]),
    ("{interval: 5m}", "{intervall: 5m}", &[
        "29:12: unknown field `intervall` in a mode [DEF-YAML]; did you mean `interval`?",
    ]),
    ("{interval: 5m}", "{sawtooth: 45m}", &[
        "31:68: aggregate `spent` of view `by_vertical`: the window `30m` is shorter than the view's sawtooth step 45m [DEF-WINDOW]; write a step of at most 30m, or a longer window",
        "32:54: aggregate `total` of view `by_vertical`: the window `30m` is shorter than the view's sawtooth step 45m [DEF-WINDOW]; write a step of at most 30m, or a longer window",
        "34:108: aggregate `shops` of view `by_vertical`: the size of the series `10m` is shorter than the view's sawtooth step 45m [DEF-WINDOW]; write a step of at most 10m, or a longer window",
    ]),
    ("delay: 1h", "delay: -1h", &[
        "38:41: the delay `-1h` of view `per_merchant` is negative [DEF-WINDOW]; write zero or a positive span, such as 1h",
    ]),
    ("{schedule: 1d, delay: 1h}", "{schedule: 0d, delay: x}", &[
        "38:30: the schedule `0d` of view `per_merchant` is not longer than zero [DEF-WINDOW]; write a positive span, such as 10m",
        "38:41: the delay `x` of view `per_merchant` is not a span [DEF-WINDOW]; write numbers with units w, d, h, m, s, ms or us, such as 90s or 1h30m",
    ]),
    ("{schedule: 1d, delay: 1h}", "1d", &[
        "38:19: `batch` takes a batch mode (a map), not text [DEF-YAML]; write `{name: value}`; there is schedule, delay",
    ]),
    ("secondary_key: merchant", "secondary_key: card_id", &[
        "39:20: the secondary key of view `per_merchant` is `card_id`, which is already a join key of the view's entity [DEF-ARG]; name a column that the entity's keys do not hold, or remove it",
    ]),
    ("secondary_key: merchant", "secondary_key: amount", &[
        "39:20: the secondary key of view `per_merchant` is `amount`, a float64, and a float cannot be a category [DEF-TYPE]; use an integer, string, bool or timestamp column, or round it in the source's `select`",
    ]),
    ("secondary_key: merchant", "secondary_key: shop", &[
        "39:20: no column `shop` for the secondary key of view `per_merchant` [DEF-COL]; the columns are card_id, merchant, vertical, amount, cents, ok, at, big",
    ]),
    ("{name: spent, fn: sum, of: amount, windows: [3h, 1d]}", "{name: spent, fn: sum, of: amount, by: ok, windows: [3h, 1d]}", &[
        "41:48: aggregate `spent` of view `per_merchant`: `by` does not go with the view's secondary key [DEF-ARG]; move the aggregate to a view without secondary_key",
    ]),
    ("{name: spent, fn: sum, of: amount, windows: [3h, 1d]}", "{name: merchant_keys, fn: count, windows: [3h, 1d]}", &[
        "41:52: the feature `merchant_keys_3h` of view `per_merchant` is defined twice, first at a.yaml:39:20 and again here [DEF-DUP]; rename or remove one of the two",
        "41:56: the feature `merchant_keys_1d` of view `per_merchant` is defined twice, first at a.yaml:39:20 and again here [DEF-DUP]; rename or remove one of the two",
    ]),
    ("[merchant, amount, big]", "[merchant, amnt, merchant, card_id]", &[
        "47:28: no column `amnt` for the attributes of view `newest` [DEF-COL]; the columns are card_id, merchant, vertical, amount, cents, ok, at, big",
        "47:34: the attribute `merchant` of view `newest` is defined twice, first at a.yaml:47:18 and again here [DEF-DUP]; rename or remove one of the two",
        "47:44: the attribute `card_id` of view `newest` is a join key of its entity [DEF-ARG]; remove it: who asks knows the key",
        "51:88: unknown feature `big` of view `newest` in service `all` [DEF-REF]; there is amnt, card_id, merchant",
    ]),
    ("[merchant, amount, big]", "[]", &[
        "47:17: view `newest` has no attributes [DEF-ARG]; name columns, such as [country, plan]",
    ]),
    ("    attributes: [merchant, amount, big]\n", "", &[
        "43:11: view `newest` needs exactly one of `aggregates` and `attributes` [DEF-ARG]; add `aggregates`, or `attributes` for the newest values of columns",
    ]),
    ("    ttl: 2d", "    aggregates: [{name: n, fn: count, windows: [1h]}]", &[
        "48:17: view `newest` needs exactly one of `aggregates` and `attributes` [DEF-ARG]; put one of the two into a view of its own",
    ]),
    ("    ttl: 2d", "    ttl: 30m", &[
        "48:10: view `newest`: the ttl `30m` is shorter than the view's sawtooth step 1h [DEF-WINDOW]; write a step of at most 30m, or a longer window",
    ]),
    ("    ttl: 2d", "    ttl: 2d\n    secondary_key: ok\n    lifetime_start: 2024-01-01", &[
        "49:20: view `newest` has attributes, and `secondary_key` is for aggregates [DEF-ARG]; remove it",
        "50:21: view `newest` has attributes, and `lifetime_start` is for aggregates [DEF-ARG]; write feature_start: events before it do not count for attributes",
    ]),
    ("    secondary_key: merchant", "    ttl: 1d", &[
        "39:10: view `per_merchant` has aggregates, and `ttl` is for attributes [DEF-ARG]; remove it; windows say how long an event counts, and serving_ttl how long a value is served",
    ]),
    ("newest.big", "newest.small", &[
        "51:88: unknown feature `small` of view `newest` in service `all` [DEF-REF]; there is amount, big, merchant",
    ]),
    ("newest.big", "by_vertical.spent_1h", &[
        "51:88: unknown feature `spent_1h` of view `by_vertical` in service `all` [DEF-REF]; did you mean `seen_1h`?",
    ]),
];
