//! What responses cost, from the worked examples and rule by rule.

use serde_json::Value;
use tailspan::ledger::money::Money;
use tailspan::ledger::prices::{Override, Priced, Prices, Share};
use tailspan::ledger::tokens::Tokens;
use tailspan::transcript::time::Timestamp;
use tailspan::transcript::usage::{Iteration, IterationKind, Usage};

const NOON: &str = "2026-11-20T12:00:00Z";

/// The published prices, as reviewed: USD per million tokens, threshold: input / output / read / write 5m / write 1h.
const PRICE_TABLE: &str = "
| `claude-3-haiku` | 2024-03-07 |  | 0.25 | 1.25 | 0.03 | 0.3 | 0.5 |  |
| `claude-3-sonnet` | 2024-02-29 |  | 3 | 15 | 0.3 | 3.75 | 6 |  |
| `claude-3-opus` | 2024-02-29 |  | 15 | 75 | 1.5 | 18.75 | 30 |  |
| `claude-3-5-sonnet` | 2024-06-20 |  | 3 | 15 | 0.3 | 3.75 | 6 |  |
| `claude-3-5-haiku` | 2024-11-04 | 2024-12-05 | 1 | 5 | 0.1 | 1.25 | 2 |  |
| `claude-3-5-haiku` | 2024-12-05 |  | 0.8 | 4 | 0.08 | 1 | 1.6 |  |
| `claude-3-7-sonnet` | 2025-02-24 |  | 3 | 15 | 0.3 | 3.75 | 6 |  |
| `claude-sonnet-4` | 2025-05-22 | 2025-08-12 | 3 | 15 | 0.3 | 3.75 | 6 |  |
| `claude-sonnet-4` | 2025-08-12 | 2026-04-30 | 3 | 15 | 0.3 | 3.75 | 6 | >200,000: 6 / 22.5 / 0.6 / 7.5 / 12 |
| `claude-sonnet-4` | 2026-04-30 |  | 3 | 15 | 0.3 | 3.75 | 6 |  |
| `claude-opus-4` | 2025-05-22 |  | 15 | 75 | 1.5 | 18.75 | 30 |  |
| `claude-opus-4-1` | 2025-08-05 |  | 15 | 75 | 1.5 | 18.75 | 30 |  |
| `claude-sonnet-4-5` | 2025-09-29 | 2026-04-30 | 3 | 15 | 0.3 | 3.75 | 6 | >200,000: 6 / 22.5 / 0.6 / 7.5 / 12 |
| `claude-sonnet-4-5` | 2026-04-30 |  | 3 | 15 | 0.3 | 3.75 | 6 |  |
| `claude-haiku-4-5` | 2025-10-15 |  | 1 | 5 | 0.1 | 1.25 | 2 |  |
| `claude-opus-4-5` | 2025-11-24 |  | 5 | 25 | 0.5 | 6.25 | 10 |  |
| `claude-opus-4-6` | 2026-02-05 | 2026-03-13 | 5 | 25 | 0.5 | 6.25 | 10 | >200,000: 10 / 37.5 / 1 / 12.5 / 20 |
| `claude-opus-4-6` | 2026-03-13 |  | 5 | 25 | 0.5 | 6.25 | 10 |  |
| `claude-sonnet-4-6` | 2026-02-17 | 2026-03-13 | 3 | 15 | 0.3 | 3.75 | 6 | >200,000: 6 / 22.5 / 0.6 / 7.5 / 12 |
| `claude-sonnet-4-6` | 2026-03-13 |  | 3 | 15 | 0.3 | 3.75 | 6 |  |
| `claude-mythos-preview` | 2026-04-07 |  | 25 | 125 | 2.5 | 31.25 | 50 |  |
| `claude-opus-4-7` | 2026-04-16 |  | 5 | 25 | 0.5 | 6.25 | 10 |  |
| `claude-opus-4-8` | 2026-05-28 |  | 5 | 25 | 0.5 | 6.25 | 10 |  |
| `claude-fable-5` | 2026-06-09 |  | 10 | 50 | 1 | 12.5 | 20 |  |
| `claude-mythos-5` | 2026-06-09 |  | 10 | 50 | 1 | 12.5 | 20 |  |
| `claude-sonnet-5` | 2026-06-30 |  | 2 | 10 | 0.2 | 2.5 | 4 |  |
| `claude-opus-5` | 2026-07-24 |  | 5 | 25 | 0.5 | 6.25 | 10 |  |
| `claude-fable-5-1` | 2026-09-01 |  | 10 | 50 | 0.25 | 12.5 | 20 |  |
| `claude-mythos-5-1` | 2026-09-01 |  | 10 | 50 | 0.25 | 12.5 | 20 |  |
| `claude-opus-5-5` | 2026-09-22 |  | 4 | 20 | 0.2 | 5 | 8 |  |
| `claude-sonnet-5-5` | 2026-09-28 | 2026-10-07 | 2 | 10 | 0.2 | 2.5 | 4 |  |
| `claude-sonnet-5-5` | 2026-10-07 |  | 2 | 10 | 0.1 | 2.5 | 4 |  |
| `claude-haiku-5-5` | 2026-10-07 |  | 0.1 | 0.5 | 0.01 | 0.125 | 0.2 | >100,000: 0.5 / 2.5 / 0.05 / 0.625 / 1 |
| `claude-fable-5-2` | 2026-11-09 |  | 8 | 40 | 0.2 | 10 | 16 |  |
| `claude-mythos-5-2` | 2026-11-09 |  | 8 | 40 | 0.2 | 10 | 16 |  |
";

/// The same for fast mode, with the multiple of the standard price after the dates.
const FAST_TABLE: &str = "
| `claude-opus-4-6` | 2026-02-07 | 2026-02-20 | 6 | 30 | 150 | 3 | 37.5 | 60 |
| `claude-opus-4-6` | 2026-02-20 | 2026-06-29 | 6 | 30 | 150 | 3 | 37.5 | 60 |
| `claude-opus-4-7` | 2026-05-12 | 2026-07-24 | 6 | 30 | 150 | 3 | 37.5 | 60 |
| `claude-opus-4-8` | 2026-05-28 | 2026-11-30 | 2 | 10 | 50 | 1 | 12.5 | 20 |
| `claude-opus-5` | 2026-07-24 |  | 2 | 10 | 50 | 1 | 12.5 | 20 |
| `claude-opus-5-5` | 2026-09-22 |  | 2 | 8 | 40 | 0.4 | 10 | 16 |
| `claude-fable-5-2` | 2026-11-09 |  | 2 | 16 | 80 | 0.4 | 20 | 32 |
| `claude-mythos-5-2` | 2026-11-09 |  | 2 | 16 | 80 | 0.4 | 20 | 32 |
";

fn money(text: &str) -> Money {
    Money::parse_usd(text).unwrap()
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn usage(value: &Value) -> Usage {
    Usage {
        input: count(&value["input_tokens"]),
        output: count(&value["output_tokens"]),
        cache_read: count(&value["cache_read_input_tokens"]),
        cache_write: value["cache_creation_input_tokens"].as_u64(),
        cache_write_5m: count(&value["cache_creation"]["ephemeral_5m_input_tokens"]),
        cache_write_1h: count(&value["cache_creation"]["ephemeral_1h_input_tokens"]),
        web_searches: count(&value["server_tool_use"]["web_search_requests"]),
        fast: value["speed"] == "fast",
        geo_us: value["inference_geo"] == "us",
        batch: value["service_tier"] == "batch",
        ..Usage::default()
    }
}

fn priced<'a>(model: &'a str, at: &str, usage: &'a Usage) -> Priced<'a> {
    Priced { model, requested_model: None, usage, at: time(at), refused: false }
}

/// Cost of the shares together; `None` if one has none.
fn total(shares: &[Share]) -> Option<Money> {
    shares.iter().map(|share| share.cost).sum::<Option<Money>>()
}

fn cost(model: &str, at: &str, usage: &Usage) -> String {
    total(&Prices::embedded().shares(&priced(model, at, usage))).map_or("unpriced".to_owned(), |cost| cost.to_string())
}

/// 1,000 uncached prompt tokens and 100 generated ones.
fn small() -> Usage {
    Usage { input: 1_000, output: 100, ..Usage::default() }
}

fn step(kind: IterationKind, model: Option<&str>, input: u64, output: u64) -> Iteration {
    Iteration { kind, model: model.map(Into::into), input, output, ..Iteration::default() }
}

fn overrides(text: &str) -> Vec<Override> {
    #[derive(serde::Deserialize)]
    struct File {
        price: Vec<Override>,
    }
    toml::from_str::<File>(text).unwrap().price
}

#[test]
fn every_worked_example_costs_what_it_says() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/cost_examples.json")).unwrap();
    let examples: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(examples.len() >= 14);
    for example in examples {
        let message = &example["message"];
        let usage = usage(&message["usage"]);
        let input = Priced {
            model: message["model"].as_str().unwrap(),
            requested_model: None,
            usage: &usage,
            at: time(example["timestamp"].as_str().unwrap()),
            refused: message["stop_reason"] == "refusal",
        };
        let found = total(&Prices::embedded().shares(&input)).map(|cost| cost.to_string());
        let expected = example["usd"].as_str().map(|usd| match usd.contains('.') {
            true => usd.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => usd.to_owned(),
        });
        assert_eq!(found, expected, "{}", example["why"]);
    }
}

/// One usage per kind of token, each a prompt of `prompt` tokens at least.
fn one_kind_each(prompt: u64) -> [Usage; 5] {
    let base = Usage::default();
    [
        Usage { input: prompt, ..base.clone() },
        Usage { output: prompt, ..base.clone() },
        Usage { cache_read: prompt, ..base.clone() },
        Usage { cache_write: Some(prompt), ..base.clone() },
        Usage { cache_write: Some(prompt), cache_write_1h: prompt, ..base },
    ]
}

/// Checks a row's five prices on its first and last day with requests of `prompt` tokens.
fn check_row(model: &str, days: [&str; 2], prices: &[&str], prompt: u64, fast: bool) {
    let last_moment = match days[1] {
        "" => Timestamp(time("2027-06-01T00:00:00Z").0),
        until => Timestamp(time(&format!("{until}T00:00:00Z")).0 - 1),
    };
    for at in [time(&format!("{}T00:00:00Z", days[0])), last_moment] {
        for (usage, price) in one_kind_each(prompt).into_iter().zip(prices) {
            let usage = Usage { fast, ..usage };
            let input = Priced { at, ..priced(model, NOON, &usage) };
            let found = total(&Prices::embedded().shares(&input)).unwrap().picousd();
            let expected = money(price).picousd() * i128::from(prompt) / 1_000_000;
            assert_eq!(found, expected, "{model} at {} {usage:?}", at.to_rfc3339());
        }
    }
}

#[test]
fn every_published_price_is_the_embedded_one() {
    let rows = PRICE_TABLE.trim().lines().map(|line| (line, false));
    let fast_rows = FAST_TABLE.trim().lines().map(|line| (line, true));
    let mut count = 0;
    for (line, fast) in rows.chain(fast_rows) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(|cell| cell.trim_matches([' ', '`'])).collect();
        let prices = if fast { &cells[4..9] } else { &cells[3..8] };
        check_row(cells[0], [cells[1], cells[2]], prices, 1_000, fast);
        if let Some(tier) = (!fast).then(|| cells[8]).filter(|tier| !tier.is_empty()) {
            let (threshold, prices) = tier.split_once(": ").unwrap();
            let above: u64 = threshold.trim_start_matches('>').replace(',', "").parse().unwrap();
            let prices: Vec<&str> = prices.split(" / ").collect();
            let [input, _, read, write_5m, write_1h] = one_kind_each(above + 1);
            for (usage, price) in [input, read, write_5m, write_1h].iter().zip([0, 2, 3, 4].map(|kind| prices[kind])) {
                let usage = Usage { output: 1_000_000, ..usage.clone() };
                let expected = money(price).picousd() * i128::from(above + 1) / 1_000_000 + money(prices[1]).picousd();
                let at = format!("{}T00:00:00Z", cells[1]);
                assert_eq!(cost(cells[0], &at, &usage), Money::from_picousd(expected).to_string(), "{line}");
            }
        }
        count += 1;
    }
    assert_eq!(count, 43);
}

#[test]
fn a_relative_of_a_known_model_has_no_price() {
    for raw in ["claude-opus-6", "claude-sonnet-4-1", "claude-opus-5-6", "claude-opus", "opus", "default", "claude-2-1"]
    {
        assert_eq!(cost(raw, NOON, &small()), "unpriced", "{raw}");
    }
    let usage = small();
    let shares = Prices::embedded().shares(&priced("Claude-Opus-6-20270101", NOON, &usage));
    assert_eq!(shares, [Share { model: "claude-opus-6".into(), tokens: Tokens::of(&usage), cost: None }]);
}

#[test]
fn fast_mode_outside_its_days_costs_its_last_price() {
    let fast = Usage { fast: true, ..small() };
    assert_eq!(cost("claude-opus-4-6", "2026-06-28T23:59:59Z", &fast), "0.045");
    assert_eq!(cost("claude-opus-4-6", "2026-08-01T00:00:00Z", &fast), "0.045");
    assert_eq!(cost("claude-opus-4-8", "2026-12-01T00:00:00Z", &fast), "0.015");
    assert_eq!(cost("claude-opus-4-6", "2026-08-01T00:00:00Z", &small()), "0.0075");
    assert_eq!(cost("claude-opus-4-5", NOON, &fast), cost("claude-opus-4-5", NOON, &small()));
    assert_eq!(cost("claude-opus-5-fast", NOON, &small()), cost("claude-opus-5", NOON, &fast));
    let long = Usage { input: 200_001, fast: true, ..Usage::default() };
    assert_eq!(cost("claude-opus-4-6", "2026-02-19T12:00:00Z", &long), "12.00006");
    assert_eq!(cost("claude-opus-4-6", "2026-02-20T00:00:00Z", &long), "6.00003");
}

#[test]
fn a_response_before_the_first_price_costs_the_first_price() {
    assert_eq!(cost("claude-sonnet-5-5", "2020-01-01T00:00:00Z", &small()), "0.003");
    assert_eq!(cost("claude-3-5-haiku", "2024-12-04T23:59:59.999Z", &small()), "0.0015");
    assert_eq!(cost("claude-3-5-haiku", "2024-12-05T00:00:00Z", &small()), "0.0012");
}

#[test]
fn a_prompt_over_the_threshold_raises_the_whole_request() {
    let prompt = |read, write| Usage { output: 1_000, cache_read: read, cache_write: Some(write), ..Usage::default() };
    assert_eq!(cost("claude-haiku-5-5", NOON, &prompt(99_000, 1_000)), "0.001615");
    assert_eq!(cost("claude-haiku-5-5", NOON, &prompt(99_001, 1_000)), "0.00807505");
    let much_output = Usage { input: 1, output: 500_000, ..Usage::default() };
    assert_eq!(cost("claude-haiku-5-5", NOON, &much_output), "0.2500001");
}

#[test]
fn each_sampling_step_has_its_own_tier() {
    let steps = |second| Usage {
        input: 60_000 + second,
        output: 200,
        iterations: vec![
            step(IterationKind::Message, Some("claude-haiku-5-5"), 60_000, 100),
            step(IterationKind::Message, None, second, 100),
        ],
        ..Usage::default()
    };
    assert_eq!(cost("claude-haiku-5-5", NOON, &steps(80_000)), "0.0141");
    assert_eq!(cost("claude-haiku-5-5", NOON, &steps(100_001)), "0.0563005");
    let not_the_whole = Usage { input: 140_001, ..steps(80_000) };
    assert_eq!(cost("claude-haiku-5-5", NOON, &not_the_whole), "0.0705005");
}

#[test]
fn united_states_inference_costs_a_tenth_more_since_4_6() {
    let usage = Usage { geo_us: true, ..small() };
    assert_eq!(cost("claude-opus-4-5", NOON, &usage), "0.0075");
    assert_eq!(cost("claude-opus-4-6", NOON, &usage), "0.00825");
    let fast_search = Usage { fast: true, web_searches: 1, ..usage };
    assert_eq!(cost("claude-opus-5", NOON, &fast_search), "0.0265");
}

#[test]
fn a_regional_endpoint_costs_a_tenth_more_since_4_5() {
    assert_eq!(cost("us.anthropic.claude-opus-4-1-20250805-v1:0", NOON, &small()), "0.0225");
    assert_eq!(cost("us.anthropic.claude-opus-4-5-20251101-v1:0", NOON, &small()), "0.00825");
    assert_eq!(cost("global.anthropic.claude-opus-4-5-20251101-v1:0", NOON, &small()), "0.0075");
    let (usage, prices) = (small(), Prices::embedded());
    let input = Priced {
        requested_model: Some("eu.anthropic.claude-opus-4-5-20251101-v1:0"),
        ..priced("claude-opus-4-5-20251101", NOON, &usage)
    };
    assert_eq!(total(&prices.shares(&input)), Some(money("0.00825")));
    let both = Usage { geo_us: true, batch: true, ..small() };
    assert_eq!(cost("eu.anthropic.claude-opus-5", NOON, &both), "0.0045375");
}

#[test]
fn a_batch_costs_half_and_its_searches_the_whole() {
    let usage = Usage { batch: true, web_searches: 2, ..small() };
    assert_eq!(cost("claude-opus-5", NOON, &usage), "0.02375");
    assert_eq!(cost("claude-opus-6", NOON, &usage), "unpriced");
}

#[test]
fn the_requested_model_sets_the_price_if_it_has_one() {
    let (usage, prices) = (small(), Prices::embedded());
    let share = |model, requested| {
        let shares = prices.shares(&Priced { requested_model: requested, ..priced(model, NOON, &usage) });
        assert_eq!(shares.len(), 1);
        (shares[0].model.to_string(), shares[0].cost.map(|cost| cost.to_string()))
    };
    let is = |model: &str, usd: Option<&str>| (model.to_owned(), usd.map(str::to_owned));
    assert_eq!(share("claude-opus-5", Some("claude-sonnet-5")), is("claude-sonnet-5", Some("0.003")));
    assert_eq!(share("claude-opus-5", Some("opusplan[1m]")), is("claude-opus-5", Some("0.0075")));
    assert_eq!(share("claude-opus-5", Some("<none>")), is("claude-opus-5", Some("0.0075")));
    assert_eq!(share("claude-opus-6", Some("claude-opus-5")), is("claude-opus-5", Some("0.0075")));
    assert_eq!(share("claude-opus-6", Some("claude-opus-7")), is("claude-opus-6", None));
    assert_eq!(
        prices.shares(&Priced { requested_model: Some("claude-opus-5"), ..priced("<synthetic>", NOON, &usage) }),
        []
    );
}

#[test]
fn compaction_and_advice_are_billed_beside_the_response() {
    let usage = Usage {
        iterations: vec![
            step(IterationKind::Compaction, None, 200_000, 3_000),
            step(IterationKind::Message, None, 1_000, 100),
            step(IterationKind::Advisor, Some("claude-opus-5-20260724"), 10_000, 500),
            step(IterationKind::Advisor, Some("claude-opus-6"), 10, 5),
            step(IterationKind::Other, Some("claude-opus-5"), 10_000, 500),
        ],
        ..small()
    };
    let shares = Prices::embedded().shares(&priced("claude-haiku-5-5", NOON, &usage));
    let found: Vec<_> = shares
        .iter()
        .map(|share| (&*share.model, share.tokens.total(), share.cost.map(|cost| cost.to_string())))
        .collect();
    let expected = [
        ("claude-haiku-5-5", 1_100, Some("0.00015".to_owned())),
        ("claude-haiku-5-5", 203_000, Some("0.1075".to_owned())),
        ("claude-opus-5", 10_500, Some("0.0625".to_owned())),
        ("claude-opus-6", 15, None),
    ];
    assert_eq!(found, expected);
}

#[test]
fn after_a_fallback_the_serving_model_sets_the_price() {
    let declined = |output| Usage {
        iterations: vec![
            step(IterationKind::Message, Some("claude-fable-5-2"), 900, output),
            step(IterationKind::Fallback, Some("claude-opus-5-5"), 1_000, 100),
        ],
        ..small()
    };
    let shares = |usage: &Usage| {
        let input = Priced { requested_model: Some("claude-fable-5-2"), ..priced("claude-opus-5-5", NOON, usage) };
        let shares = Prices::embedded().shares(&input);
        shares.iter().map(|share| format!("{} {}", share.model, share.cost.unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(shares(&declined(0)), ["claude-opus-5-5 0.006"]);
    assert_eq!(shares(&declined(10)), ["claude-opus-5-5 0.006", "claude-fable-5-2 0.0076"]);
}

#[test]
fn a_refusal_is_free_only_before_output() {
    let cost_of_refusal = |output| {
        let usage = Usage { output, ..small() };
        let shares = Prices::embedded().shares(&Priced { refused: true, ..priced("claude-opus-5", NOON, &usage) });
        assert_eq!(shares[0].tokens, Tokens::of(&usage));
        shares[0].cost
    };
    assert_eq!(cost_of_refusal(0), Some(Money::ZERO));
    assert_eq!(cost_of_refusal(1), Some(money("0.005025")));
}

#[test]
fn cache_writes_are_split_by_lifetime() {
    let split = |total, write_5m, write_1h| {
        let usage =
            Usage { cache_write: total, cache_write_5m: write_5m, cache_write_1h: write_1h, ..Usage::default() };
        let tokens = Tokens::of(&usage);
        (tokens.cache_write_5m, tokens.cache_write_1h)
    };
    assert_eq!(split(Some(1_000), 0, 0), (1_000, 0));
    assert_eq!(split(Some(1_000), 100, 300), (700, 300));
    assert_eq!(split(Some(1_000), 0, 2_000), (0, 1_000));
    assert_eq!(split(None, 100, 300), (100, 300));
    let [all, some] = [u64::MAX, 1].map(|input| Tokens { input, output: input, ..Tokens::default() });
    assert_eq!((all + some, some.minus(all), all.total()), (all, Tokens::default(), u64::MAX));
}

#[test]
fn an_override_takes_the_place_of_a_price() {
    let rows = overrides(
        r#"
        [[price]]
        model = "anthropic/Claude-Opus-6"
        input = "3.5"
        output = 20
        cache_read = 0.35
        cache_write_5m = 4.375
        cache_write_1h = 7
        long_context = { above = 500, input = 7, output = 40, cache_read = 0.7, cache_write_5m = 8.75, cache_write_1h = 14 }

        [[price]]
        model = "claude-opus-5"
        from = "2026-12-01"
        input = 1
        output = 1
        cache_read = 1
        cache_write_5m = 1
        cache_write_1h = 1

        [[price]]
        model = "claude-opus-4-8-fast"
        input = 9
        output = 9
        cache_read = 9
        cache_write_5m = 9
        cache_write_1h = 9
        "#,
    );
    let prices = Prices::with_overrides(&rows).unwrap();
    let cost = |model, at, usage: &Usage| total(&prices.shares(&priced(model, at, usage))).unwrap().to_string();
    assert_eq!(cost("claude-opus-6", NOON, &Usage { input: 500, ..small() }), "0.00375");
    assert_eq!(cost("claude-opus-6", NOON, &small()), "0.011");
    assert_eq!(cost("claude-opus-6", NOON, &Usage { geo_us: true, ..small() }), "0.0121");
    assert_eq!(cost("claude-opus-5", "2026-11-30T23:59:59Z", &small()), "0.0075");
    assert_eq!(cost("claude-opus-5", "2026-12-01T00:00:00Z", &small()), "0.0011");
    assert_eq!(cost("claude-opus-4-8", NOON, &small()), "0.0075");
    assert_eq!(cost("claude-opus-4-8", NOON, &Usage { fast: true, ..small() }), "0.0099");
    let mut turned = rows;
    turned.reverse();
    assert_eq!(Prices::with_overrides(&turned).unwrap().fingerprint(), prices.fingerprint());
    assert_ne!(Prices::embedded().fingerprint(), prices.fingerprint());
    assert_eq!(Prices::embedded().fingerprint(), Prices::embedded().fingerprint());
}

#[test]
fn a_wrong_override_is_refused_with_its_reason() {
    let row = |model: &str, dates: &str, input: &str| {
        format!(
            "[[price]]\nmodel = \"{model}\"\n{dates}\ninput = {input}\noutput = 1\ncache_read = 1\n\
             cache_write_5m = 1\ncache_write_1h = 1\n"
        )
    };
    let refused = |text: String| Prices::with_overrides(&overrides(&text)).unwrap_err();
    assert!(refused(row("<synthetic>", "", "1")).contains("<synthetic>"));
    assert!(refused(row("a", "from = \"2026-13-01\"", "1")).contains("`from` is \"2026-13-01\""));
    assert!(refused(row("a", "from = \"2026-01-02\"\nuntil = \"2026-01-02\"", "1")).contains("not after"));
    assert!(refused(row("a", "", "1") + &row("A", "from = \"2026-01-02\"", "1")).contains("same day"));
    assert!(refused(row("a-fast", "", "1")).contains("fast"));
    for wrong in ["-1", "\"free\"", "nan", "1000001", "0.0000001", "true"] {
        #[derive(Debug, serde::Deserialize)]
        #[expect(dead_code, reason = "only read for its errors")]
        struct File {
            price: Vec<Override>,
        }
        assert!(toml::from_str::<File>(&row("a", "", wrong)).is_err(), "{wrong}");
        assert!(toml::from_str::<File>(&row("a", "currency = \"EUR\"", "1")).is_err());
    }
}

#[test]
fn periods_between_overrides_keep_the_price_before() {
    let rows = overrides(
        "[[price]]\nmodel = \"x\"\nfrom = \"2026-01-01\"\nuntil = \"2026-02-01\"\ninput = 1\noutput = 0\n\
         cache_read = 0\ncache_write_5m = 0\ncache_write_1h = 0\n\
         [[price]]\nmodel = \"x\"\nfrom = \"2026-03-01\"\nuntil = \"2026-04-01\"\ninput = 2\noutput = 0\n\
         cache_read = 0\ncache_write_5m = 0\ncache_write_1h = 0\n",
    );
    let prices = Prices::with_overrides(&rows).unwrap();
    for (day, usd) in
        [("2025-12-31", "0.001"), ("2026-02-15", "0.001"), ("2026-03-01", "0.002"), ("2026-05-01", "0.002")]
    {
        let (usage, at) = (small(), format!("{day}T00:00:00Z"));
        assert_eq!(total(&prices.shares(&priced("x", &at, &usage))), Some(money(usd)), "{day}");
    }
}

#[test]
fn absurd_counts_do_not_overflow() {
    let (most, entry) = (u64::MAX, step(IterationKind::Compaction, None, u64::MAX, u64::MAX));
    let usage = Usage {
        input: most,
        output: most,
        cache_read: most,
        cache_write: Some(most),
        cache_write_1h: most,
        web_searches: most,
        geo_us: true,
        iterations: vec![entry.clone(), entry],
        ..Usage::default()
    };
    for at in [i64::MIN, i64::MAX] {
        let input = Priced { at: Timestamp(at), ..priced("us.anthropic.claude-opus-5", NOON, &usage) };
        assert!(total(&Prices::embedded().shares(&input)).unwrap() > money("1e14"));
    }
}

#[test]
fn shares_survive_storage() {
    let usage = small();
    let shares = Prices::embedded().shares(&priced("claude-opus-5", NOON, &usage));
    let bytes = postcard::to_allocvec(&shares).unwrap();
    assert_eq!(postcard::from_bytes::<Vec<Share>>(&bytes).unwrap(), shares);
    let text = serde_json::to_string(&shares).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Share>>(&text).unwrap(), shares);
}
