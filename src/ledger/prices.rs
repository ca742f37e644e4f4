//! Computes what a response costs, for each model that took part.
//!
//! ```text
//! cost   = Σ tokens × rate × (1.1 US inference) × (1.1 regional endpoint) × (0.5 batch)  +  0.01 USD × web searches
//! rate   of the UTC day; fast mode has its own; a long prompt raises it for the whole sampling request
//! model  the requested one if it has a price (the client prices so), else the answering one
//! ```
//!
//! - Compaction, advisor calls and declined attempts are not in the response's own counts. They are shares of their
//!   own.
//! - A model without a price has no cost: it is neither free nor priced like a similar model.
//! - All amounts are integers, so nothing but a percentage is ever rounded; see [`Money`].

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::model_name;
use super::money::Money;
pub use super::price_rates::Rate;
use super::price_table::{self, Model, Terms};
pub use super::price_table::{LongContext, Override};
use super::tokens::Tokens;
use crate::transcript::hash::ById;
use crate::transcript::time::Timestamp;
use crate::transcript::usage::{Iteration, IterationKind, Usage};

/// Price of a web search: 0.01 USD in picodollars. No multiplier applies to it.
const WEB_SEARCH_PICOUSD: i128 = 10_000_000_000;

/// Prices of all known models over time.
#[derive(Debug, Clone)]
pub struct Prices {
    models: HashMap<Arc<str>, Model, ById>,
    fingerprint: u64,
}

/// A response to be priced.
#[derive(Debug, Clone, Copy)]
pub struct Priced<'a> {
    /// `message.model`, as it is written in the row.
    pub model: &'a str,
    /// `requestedModel`, as it is written in the row.
    pub requested_model: Option<&'a str>,
    /// What the response used.
    pub usage: &'a Usage,
    /// When the response came; its UTC day decides the price.
    pub at: Timestamp,
    /// True if `stop_reason` is `refusal`: then the response costs nothing if it has no output.
    pub refused: bool,
}

/// Tokens and cost of one model that took part in a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Canonical id of the model.
    pub model: Arc<str>,
    /// Tokens that the model used.
    pub tokens: Tokens,
    /// Cost at list prices, with web searches; `None` if the model has no known price.
    pub cost: Option<Money>,
}

/// A model as a row names it.
struct NamedModel<'a> {
    id: Arc<str>,
    model: Option<&'a Model>,
    fast: bool,
    regional: bool,
}

impl Prices {
    /// The table that is compiled in.
    #[must_use]
    pub fn embedded() -> Self {
        match Self::with_overrides(&[]) {
            Ok(prices) => prices,
            Err(error) => unreachable!("the embedded table is a valid table: {error}"),
        }
    }

    /// The embedded table, in which each override replaces the price of its model on its days.
    ///
    /// Fails with a sentence for the user if a name is not that of a model, a date is wrong, two overrides of one model
    /// hold on the same day, or a new model has a price in fast mode only.
    pub fn with_overrides(overrides: &[Override]) -> Result<Self, String> {
        let models = price_table::load(overrides)?;
        let canonical_text = serde_json::to_vec(&models).map_err(|error| format!("price table: {error}"))?;
        Ok(Self { models: models.into_iter().collect(), fingerprint: xxh3_64(&canonical_text) })
    }

    /// A hash of all prices. If it has changed, stored costs are out of date.
    #[must_use]
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The shares of a response: first that of its own counts, then one for each entry that is billed in addition.
    ///
    /// Empty if no model wrote the response (`<synthetic>`).
    #[must_use]
    pub fn shares(&self, input: &Priced<'_>) -> Vec<Share> {
        let Some(answering) = self.named(input.model) else { return Vec::new() };
        let requested = input.requested_model.and_then(|raw| self.named(raw));
        let usage = input.usage;
        let regional = answering.regional || requested.as_ref().is_some_and(|name| name.regional);
        let fallback = usage.iterations.iter().any(|entry| entry.kind == IterationKind::Fallback);
        let main = requested.filter(|name| !fallback && name.model.is_some()).unwrap_or(answering);
        let terms = Terms {
            day: input.at.day(),
            fast: usage.fast || main.fast,
            batch: usage.batch,
            geo_us: usage.geo_us,
            regional,
        };
        let mut shares = vec![self.main_share(input, &main, fallback, terms)];
        for entry in &usage.iterations {
            let own = entry.model.as_deref().and_then(|raw| self.named(raw));
            let billed = match entry.kind {
                IterationKind::Compaction | IterationKind::Advisor => true,
                IterationKind::Message => fallback && entry.output > 0 && is_other(own.as_ref(), &main),
                IterationKind::Fallback | IterationKind::Other => false,
            };
            if billed {
                shares.push(side_share(entry, own.as_ref().unwrap_or(&main), usage, terms));
            }
        }
        shares
    }

    /// An estimate of what a response of a model paid for each token that it read from the cache, in picodollars, as
    /// [`Prices::at_rates_of`].
    #[must_use]
    pub fn cached_input(&self, model: &str, at: Timestamp, tokens: &Tokens, paid_picousd: u64) -> Option<u64> {
        self.at_rates_of(model, at, tokens, paid_picousd, &Tokens { cache_read: 1, ..Tokens::default() })
    }

    /// An estimate of what `other` tokens would have cost in a response of a model with `tokens`, in picodollars: the rates
    /// of its day, times what the whole response `paid` in relation to the list price without premiums. `None` if the model
    /// has no price.
    #[must_use]
    pub fn at_rates_of(
        &self,
        model: &str,
        at: Timestamp,
        tokens: &Tokens,
        paid_picousd: u64,
        other: &Tokens,
    ) -> Option<u64> {
        let rates = self.models.get(model)?.rates(at.day(), tokens)?;
        let list = rates.picousd(other);
        let paid = list.saturating_mul(paid_picousd.into()).checked_div(rates.picousd(tokens)).unwrap_or(list);
        u64::try_from(paid).ok()
    }

    /// Whether a model, named in any of the ways in which rows name models, has a price at some time.
    #[must_use]
    pub fn knows(&self, model: &str) -> bool {
        self.named(model).is_some_and(|named| named.model.is_some())
    }

    /// Every model that has a price at some time, by its canonical id.
    pub fn known_models(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(|id| &**id)
    }

    /// What tokens would cost at a model at list prices, in picodollars; `None` if it has no price.
    #[must_use]
    pub fn list(&self, model: &str, at: Timestamp, tokens: &Tokens) -> Option<u64> {
        u64::try_from(self.named(model)?.model?.rates(at.day(), tokens)?.picousd(tokens)).ok()
    }

    fn main_share(&self, input: &Priced<'_>, main: &NamedModel<'_>, fallback: bool, terms: Terms) -> Share {
        let usage = input.usage;
        let tokens = Tokens::of(usage);
        let unbilled = input.refused && usage.output == 0;
        let cost = main.model.and_then(|model| {
            if unbilled {
                return Some(Money::ZERO);
            }
            let steps = self.sampling_steps(usage, main, fallback);
            let in_steps = steps.len() > 1 && steps.iter().copied().sum::<Tokens>() == tokens;
            let requests = if in_steps { steps.as_slice() } else { std::slice::from_ref(&tokens) };
            let searches = Money::from_picousd(i128::from(usage.web_searches).saturating_mul(WEB_SEARCH_PICOUSD));
            Some(model.cost(requests, terms)? + searches)
        });
        Share { model: Arc::clone(&main.id), tokens, cost }
    }

    /// The tokens of each sampling request inside the top-level counts, as far as the entries of `iterations` tell.
    ///
    /// With server tools a response is several requests. The top-level counts are their sum, which may be above a
    /// long-context threshold even if no single prompt is.
    fn sampling_steps(&self, usage: &Usage, main: &NamedModel<'_>, fallback: bool) -> Vec<Tokens> {
        let serves = |entry: &&Iteration| match entry.kind {
            IterationKind::Message if fallback => {
                let own = entry.model.as_deref().and_then(|raw| self.named(raw));
                !is_other(own.as_ref(), main)
            }
            IterationKind::Message | IterationKind::Fallback => true,
            IterationKind::Compaction | IterationKind::Advisor | IterationKind::Other => false,
        };
        usage.iterations.iter().filter(serves).map(Tokens::of_iteration).collect()
    }

    /// Finds the model of a name; `None` if the name is not that of a model.
    fn named(&self, raw: &str) -> Option<NamedModel<'_>> {
        // Nearly all rows have the canonical id itself, or the id with the day of the release.
        if let Some((id, model)) =
            self.models.get_key_value(raw).or_else(|| self.models.get_key_value(without_day(raw)?))
        {
            return Some(NamedModel { id: Arc::clone(id), model: Some(model), fast: false, regional: false });
        }
        let name = model_name::canonical(raw)?;
        let (id, model) = match self.models.get_key_value(name.text.as_str()) {
            Some((id, model)) => (Arc::clone(id), Some(model)),
            None => (Arc::from(name.text), None),
        };
        Some(NamedModel { id, model, fast: name.fast, regional: name.regional })
    }
}

/// The `name` of `name-YYYYMMDD`; `None` if the text has another form.
fn without_day(raw: &str) -> Option<&str> {
    const DAY_BYTES: usize = "-20250929".len();
    let (name, day) = raw.split_at_checked(raw.len().checked_sub(DAY_BYTES)?)?;
    let digits = day.strip_prefix('-')?;
    digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(name)
}

/// True if the model of an entry is known and is not `main`.
fn is_other(own: Option<&NamedModel<'_>>, main: &NamedModel<'_>) -> bool {
    own.is_some_and(|name| name.id != main.id)
}

/// The share of an entry that is billed in addition: one sampling request of the model `name`, on the response's terms.
fn side_share(entry: &Iteration, name: &NamedModel<'_>, usage: &Usage, terms: Terms) -> Share {
    let tokens = Tokens::of_iteration(entry);
    let terms = Terms { fast: usage.fast || name.fast, regional: terms.regional || name.regional, ..terms };
    let cost = name.model.and_then(|model| model.cost(&[tokens], terms));
    Share { model: Arc::clone(&name.id), tokens, cost }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_to_a_model_leads_where_the_long_one_does() {
        let prices = Prices::embedded();
        let mut dated = 0;
        for id in prices.models.keys() {
            for raw in [id.to_string(), format!("{id}-20250929")] {
                let (short, long) = (prices.named(&raw).unwrap(), model_name::canonical(&raw).unwrap());
                // A name with a day may be reduced to an id that is not in the table; such a name is not compared.
                if prices.models.contains_key(long.text.as_str()) {
                    assert_eq!((&*short.id, short.fast, short.regional), (&*long.text, long.fast, long.regional));
                    dated += 1;
                }
            }
        }
        assert!(dated > 10, "{dated} names");
    }
}
