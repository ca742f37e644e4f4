//! `[[prices.overrides]]`: reads prices as exact decimals, in USD per million tokens.

use toml::de::{DeArray, DeTable, DeValue};

use super::document::{Document, integer, string, wrong};
use super::error::ConfigError;
use super::keys;
use crate::ledger::prices::{LongContext, Override, Rate};

const RATE: &str = "USD per million tokens as a plain decimal, 0 to 1000000 with at most 6 decimals, like 3.75";
const DATE: &str = "a day (UTC), like \"2026-10-07\"";
const MODEL: &str = "the canonical id of a model, like \"claude-sonnet-4-5\"";
const ABOVE: &str = "a whole number of prompt tokens";
const LONG_CONTEXT: &str = "a table with `above` and five rates";

const RATE_FIELDS: [&str; 5] = ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"];
const OVERRIDE_FIELDS: [&str; 4] = ["model", "from", "until", "long_context"];
const LONG_CONTEXT_FIELDS: [&str; 1] = ["above"];

pub(super) fn overrides(
    document: &Document<'_>,
    path: &str,
    array: &DeArray<'_>,
) -> Result<Vec<Override>, ConfigError> {
    let one = |(index, item): (usize, &toml::Spanned<DeValue<'_>>)| {
        let (path, offset) = (format!("{path}[{index}]"), item.span().start);
        match item.get_ref() {
            DeValue::Table(table) => PriceFields { document, path, offset, table }.price_override(),
            other => Err(wrong(document.place(offset), path, other, "a table")),
        }
    };
    array.iter().enumerate().map(one).collect()
}

/// The fields of one table of prices, with the path and the place that an error about them names.
struct PriceFields<'a> {
    document: &'a Document<'a>,
    path: String,
    offset: usize,
    table: &'a DeTable<'a>,
}

impl PriceFields<'_> {
    fn price_override(&self) -> Result<Override, ConfigError> {
        self.refuse_unknown(&OVERRIDE_FIELDS)?;
        let model = |value: &DeValue<'_>| string(value).filter(|model| !model.trim().is_empty());
        let model = self.required("model", MODEL, model)?;
        let [input, output, cache_read, cache_write_5m, cache_write_1h] = self.rates()?;
        Ok(Override {
            model,
            from: self.optional("from", DATE, date)?,
            until: self.optional("until", DATE, date)?,
            input,
            output,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            long_context: self.long_context()?,
        })
    }

    fn long_context(&self) -> Result<Option<LongContext>, ConfigError> {
        let Some((name, value)) = self.table.get_key_value("long_context") else { return Ok(None) };
        let (path, offset) = (format!("{}.long_context", self.path), name.span().start);
        let DeValue::Table(table) = value.get_ref() else {
            return Err(wrong(self.document.place(offset), path, value.get_ref(), LONG_CONTEXT));
        };
        let fields = PriceFields { document: self.document, path, offset, table };
        fields.refuse_unknown(&LONG_CONTEXT_FIELDS)?;
        let above = fields.required("above", ABOVE, |value| integer(value)?.parse().ok())?;
        let [input, output, cache_read, cache_write_5m, cache_write_1h] = fields.rates()?;
        Ok(Some(LongContext { above, input, output, cache_read, cache_write_5m, cache_write_1h }))
    }

    /// The rates in the order of [`RATE_FIELDS`].
    fn rates(&self) -> Result<[Rate; 5], ConfigError> {
        let [input, output, read, write_5m, write_1h] = RATE_FIELDS.map(|name| self.required(name, RATE, rate));
        Ok([input?, output?, read?, write_5m?, write_1h?])
    }

    fn required<T>(
        &self,
        name: &str,
        expected: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let missing = || ConfigError::Missing {
            place: self.document.place(self.offset),
            key: format!("{}.{name}", self.path),
            expected,
        };
        self.optional(name, expected, parse)?.ok_or_else(missing)
    }

    fn optional<T>(
        &self,
        name: &str,
        expected: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((key, value)) = self.table.get_key_value(name) else { return Ok(None) };
        let place = self.document.place(key.span().start);
        let refused = || wrong(place, format!("{}.{name}", self.path), value.get_ref(), expected);
        parse(value.get_ref()).map(Some).ok_or_else(refused)
    }

    fn refuse_unknown(&self, own: &[&str]) -> Result<(), ConfigError> {
        let known = || own.iter().chain(&RATE_FIELDS).copied();
        for (name, _) in self.table {
            if !known().any(|known| known == name.get_ref()) {
                let full = |name: &str| format!("{}.{name}", self.path);
                return Err(ConfigError::UnknownKey {
                    place: self.document.place(name.span().start),
                    key: full(name.get_ref()),
                    nearest: keys::nearest(&full(name.get_ref()), known().map(full)),
                });
            }
        }
        Ok(())
    }
}

/// A price of digits, or of digits with a point between them. A sign or an exponent is not allowed.
fn rate(value: &DeValue<'_>) -> Option<Rate> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Float(float) => float.as_str().to_owned(),
        value => integer(value)?,
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = text.split_once('.').map_or_else(|| digits(&text), |(whole, part)| digits(whole) && digits(part));
    Rate::parse_usd_per_million(&text).filter(|_| plain)
}

fn date(value: &DeValue<'_>) -> Option<String> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        _ => return None,
    };
    text.parse::<chrono::NaiveDate>().is_ok().then_some(text)
}
