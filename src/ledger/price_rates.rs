//! Rates: the price of one token of each kind.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::money::Money;
use super::tokens::Tokens;

/// Number of tokens that a list price is for.
const TOKENS_PER_LIST_PRICE: i128 = 1_000_000;
/// Highest rate in picodollars per token, which is 1,000,000 USD per million tokens. With it no product can overflow.
const PICOUSD_PER_TOKEN_MAX: u64 = 1_000_000_000_000;

/// The price of one token in picodollars (1e-12 USD). It is written as USD per million tokens: a number or a decimal
/// text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rate(u64);

impl Rate {
    /// Reads USD per million tokens: 0 to 1,000,000 with at most 6 decimals; `None` if it is anything else.
    #[must_use]
    pub fn parse_usd_per_million(text: &str) -> Option<Self> {
        let list_price = Money::parse_usd(text)?.picousd();
        let per_token = u64::try_from(list_price / TOKENS_PER_LIST_PRICE).ok()?;
        let exact = list_price % TOKENS_PER_LIST_PRICE == 0;
        (exact && per_token <= PICOUSD_PER_TOKEN_MAX).then_some(Self(per_token))
    }

    /// Picodollars (1e-12 USD) per token.
    #[must_use]
    pub const fn picousd_per_token(self) -> u64 {
        self.0
    }

    fn picousd(self, tokens: u64) -> i128 {
        i128::from(tokens).saturating_mul(i128::from(self.0))
    }
}

/// Decimal USD per million tokens.
impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Money::from_picousd(self.picousd(1).saturating_mul(TOKENS_PER_LIST_PRICE)).fmt(formatter)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RateVisitor)
    }
}

struct RateVisitor;

impl Visitor<'_> for RateVisitor {
    type Value = Rate;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a price in USD per million tokens: 0 to 1000000 with at most 6 decimals")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Rate, E> {
        Rate::parse_usd_per_million(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, usd: u64) -> Result<Rate, E> {
        self.visit_str(&usd.to_string())
    }

    fn visit_i64<E: Error>(self, usd: i64) -> Result<Rate, E> {
        self.visit_str(&usd.to_string())
    }

    // The shortest decimal form of a float is the text that it was read from.
    fn visit_f64<E: Error>(self, usd: f64) -> Result<Rate, E> {
        self.visit_str(&usd.to_string())
    }
}

/// The rates of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Rates {
    pub(crate) input: Rate,
    pub(crate) output: Rate,
    pub(crate) cache_read: Rate,
    pub(crate) cache_write_5m: Rate,
    pub(crate) cache_write_1h: Rate,
}

impl Rates {
    /// What the tokens cost at these rates, in picodollars (1e-12 USD).
    pub(crate) fn picousd(&self, tokens: &Tokens) -> i128 {
        [
            self.input.picousd(tokens.input),
            self.output.picousd(tokens.output),
            self.cache_read.picousd(tokens.cache_read),
            self.cache_write_5m.picousd(tokens.cache_write_5m),
            self.cache_write_1h.picousd(tokens.cache_write_1h),
        ]
        .into_iter()
        .fold(0, i128::saturating_add)
    }
}
