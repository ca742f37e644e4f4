//! The price table: the embedded prices over time, and above them the prices in the user's configuration.
//!
//! ```text
//! prices.json   date, source, models (id, percent of the price for US inference and for regional endpoints), prices
//! one price     model, from?, until?, five rates, long_context?          the same form as in the configuration
//! ```
//!
//! - The prices of a model name that ends in `-fast` are those of the model in fast mode.
//! - Old models stay in the table, because old sessions are read too.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::model_name;
use super::money::Money;
use super::price_rates::{Rate, Rates};
use super::tokens::Tokens;
use crate::transcript::time::Timestamp;

const EMBEDDED: &str = include_str!("prices.json");

/// Percent of the list price for US inference and at regional endpoints, for models that are not in the embedded table:
/// the figure of every model since Claude 4.6.
const PREMIUM_PERCENT: u64 = 110;

/// A price that the user sets. All rates are USD per million tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Model name in any form that sessions contain. With `-fast` at its end the price is for fast mode.
    pub model: String,
    /// First UTC day of the price, `YYYY-MM-DD`; without it the price has no beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// First UTC day after the price, `YYYY-MM-DD`; without it the price has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Uncached prompt tokens.
    pub input: Rate,
    /// Generated tokens.
    pub output: Rate,
    /// Prompt tokens read from the cache.
    pub cache_read: Rate,
    /// Prompt tokens written to the cache for 5 minutes.
    pub cache_write_5m: Rate,
    /// Prompt tokens written to the cache for 1 hour.
    pub cache_write_1h: Rate,
    /// Rates of requests with a long prompt; without them all requests have the same rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_context: Option<LongContext>,
}

/// Rates of a whole request with a long prompt, in USD per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongContext {
    /// Prompt tokens (uncached, read and written) above which these rates apply.
    pub above: u64,
    /// Uncached prompt tokens.
    pub input: Rate,
    /// Generated tokens.
    pub output: Rate,
    /// Prompt tokens read from the cache.
    pub cache_read: Rate,
    /// Prompt tokens written to the cache for 5 minutes.
    pub cache_write_5m: Rate,
    /// Prompt tokens written to the cache for 1 hour.
    pub cache_write_1h: Rate,
}

/// What decides the price of a response besides its tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// UTC day of the response, in days since 1970-01-01.
    pub(crate) day: i64,
    pub(crate) fast: bool,
    pub(crate) batch: bool,
    pub(crate) geo_us: bool,
    pub(crate) regional: bool,
}

/// Prices of one model over time.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Model {
    geo_us_percent: u64,
    regional_percent: u64,
    /// Not empty. The first period that covers a day is used, and overrides come before embedded prices.
    periods: Vec<Period>,
    fast: Vec<Period>,
}

/// Models by canonical id.
pub(crate) type Models = BTreeMap<Arc<str>, Model>;

/// Rates for some time. Days are counted from 1970-01-01 in UTC; `until` is the first day after the period.
#[derive(Debug, Clone, Serialize)]
struct Period {
    from: Option<i64>,
    until: Option<i64>,
    rates: Rates,
    long: Option<(u64, Rates)>,
}

#[derive(Deserialize)]
struct File {
    models: Vec<Premiums>,
    prices: Vec<Override>,
}

#[derive(Deserialize)]
struct Premiums {
    id: Arc<str>,
    geo_us_percent: u64,
    regional_percent: u64,
}

/// The embedded table with `overrides` above it. If they are wrong, the error is a sentence for the user.
pub(crate) fn load(overrides: &[Override]) -> Result<Models, String> {
    let file: File = serde_json::from_str(EMBEDDED).map_err(|error| format!("embedded prices: {error}"))?;
    let mut models: Models = file
        .models
        .into_iter()
        .map(|row| (row.id, Model::without_prices(row.geo_us_percent, row.regional_percent)))
        .collect();
    add(&mut models, overrides)?;
    add(&mut models, &file.prices)?;
    match models.iter().find(|(_, model)| model.periods.is_empty()) {
        Some((id, _)) => Err(format!("price of {id}: only fast mode has one, add a price without -fast")),
        None => Ok(models),
    }
}

/// Appends each row to the periods of its model, in order of time.
fn add(models: &mut Models, rows: &[Override]) -> Result<(), String> {
    let mut added: BTreeMap<(String, bool), Vec<Period>> = BTreeMap::new();
    for row in rows {
        let name = model_name::canonical(&row.model)
            .ok_or_else(|| format!("price of \"{}\": not the name of a model", row.model))?;
        let period = row.period().map_err(|reason| format!("price of {}: {reason}", row.model))?;
        added.entry((name.text, name.fast)).or_default().push(period);
    }
    for ((id, fast), mut periods) in added {
        periods.sort_by_key(|period| period.from);
        if periods.windows(2).any(|pair| matches!(pair, [earlier, later] if earlier.overlaps(later))) {
            return Err(format!("price of {id}: two prices hold on the same day"));
        }
        let model =
            models.entry(Arc::from(id)).or_insert_with(|| Model::without_prices(PREMIUM_PERCENT, PREMIUM_PERCENT));
        if fast { &mut model.fast } else { &mut model.periods }.append(&mut periods);
    }
    Ok(())
}

impl Override {
    fn period(&self) -> Result<Period, String> {
        let (from, until) = (day("from", self.from.as_deref())?, day("until", self.until.as_deref())?);
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            return Err("`until` is not after `from`".to_owned());
        }
        let Self { input, output, cache_read, cache_write_5m, cache_write_1h, .. } = *self;
        let rates = Rates { input, output, cache_read, cache_write_5m, cache_write_1h };
        Ok(Period { from, until, rates, long: self.long_context.map(|tier| (tier.above, tier.rates())) })
    }
}

impl LongContext {
    const fn rates(self) -> Rates {
        let Self { input, output, cache_read, cache_write_5m, cache_write_1h, .. } = self;
        Rates { input, output, cache_read, cache_write_5m, cache_write_1h }
    }
}

/// Days since 1970-01-01 of a `YYYY-MM-DD` date.
fn day(field: &str, date: Option<&str>) -> Result<Option<i64>, String> {
    let Some(date) = date else { return Ok(None) };
    match Timestamp::parse(&format!("{date}T00:00:00.000Z")) {
        Some(midnight) => Ok(Some(midnight.day())),
        None => Err(format!("`{field}` is \"{date}\", not a date like 2026-11-22")),
    }
}

impl Model {
    const fn without_prices(geo_us_percent: u64, regional_percent: u64) -> Self {
        Self { geo_us_percent, regional_percent, periods: Vec::new(), fast: Vec::new() }
    }

    /// The cost of a response whose sampling requests used `requests`. Each request has the rates for the length of its
    /// own prompt. `None` if the model has no price.
    pub(crate) fn cost(&self, requests: &[Tokens], terms: Terms) -> Option<Money> {
        let period = self.period(terms.day, terms.fast)?;
        let list_price = requests.iter().fold(0i128, |sum, tokens| sum.saturating_add(period.picousd(tokens)));
        let percents =
            [(terms.geo_us, self.geo_us_percent), (terms.regional, self.regional_percent), (terms.batch, 50)];
        let product = percents.iter().fold(list_price, |product, &(applies, percent)| {
            product.saturating_mul(i128::from(if applies { percent } else { 100 }))
        });
        Some(Money::from_picousd(divide_half_even(product, 1_000_000)))
    }

    /// The rates of a request on a day, without any premium and outside fast mode.
    pub(crate) fn rates(&self, day: i64, tokens: &Tokens) -> Option<&Rates> {
        self.period(day, false).map(|period| period.rates(tokens))
    }

    /// The period for a day. In fast mode, if no period for it covers the day, the latest one is used, because the
    /// response tells that it ran in fast mode. Otherwise, if no period covers the day, the latest one that began
    /// before it is used, or else the first one. A model without prices for fast mode ignores `fast`.
    fn period(&self, day: i64, fast: bool) -> Option<&Period> {
        if fast && !self.fast.is_empty() {
            let latest = || self.fast.iter().max_by_key(|period| period.from);
            return self.fast.iter().find(|period| period.covers(day)).or_else(latest);
        }
        let latest_before = || {
            let started = self.periods.iter().filter(|period| period.from.is_none_or(|from| from <= day));
            started.max_by_key(|period| period.from)
        };
        let first = || self.periods.iter().min_by_key(|period| period.from);
        self.periods.iter().find(|period| period.covers(day)).or_else(latest_before).or_else(first)
    }
}

impl Period {
    fn covers(&self, day: i64) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day < until)
    }

    /// True if this period ends after the beginning of a later one.
    fn overlaps(&self, later: &Self) -> bool {
        self.until.zip(later.from).is_none_or(|(until, from)| until > from)
    }

    /// Picodollars (1e-12 USD) for one sampling request, all of it at the rates for the length of its prompt.
    fn picousd(&self, tokens: &Tokens) -> i128 {
        self.rates(tokens).picousd(tokens)
    }

    fn rates(&self, tokens: &Tokens) -> &Rates {
        match &self.long {
            Some((above, rates)) if tokens.prompt() > *above => rates,
            _ => &self.rates,
        }
    }
}

/// `amount / divisor` for a positive divisor, rounded half to even.
const fn divide_half_even(amount: i128, divisor: i128) -> i128 {
    let (quotient, twice_rest) = (amount.div_euclid(divisor), amount.rem_euclid(divisor).saturating_mul(2));
    let up = twice_rest > divisor || (twice_rest == divisor && quotient % 2 != 0);
    if up { quotient.saturating_add(1) } else { quotient }
}
