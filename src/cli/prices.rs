//! The built-in prices with those of the configuration on top.

use crate::config::{Config, ConfigError, PriceOverride};
use crate::ledger::prices::{LongContext, Override, Prices, Rate};

/// The prices to be used.
///
/// # Errors
///
/// A rate that is not a price, or overrides that contradict each other.
pub fn load(config: &Config) -> Result<Prices, ConfigError> {
    let overrides: Result<Vec<Override>, ConfigError> = config.prices.overrides.iter().map(convert).collect();
    Prices::with_overrides(&overrides?).map_err(|message| ConfigError::Prices { message })
}

fn convert(row: &PriceOverride) -> Result<Override, ConfigError> {
    let rate = |text: &str| {
        Rate::parse_usd_per_million(text).ok_or_else(|| ConfigError::Prices {
            message: format!("price of {}: {text} is not an amount of 0 to 1000000 with at most 6 decimals", row.model),
        })
    };
    let long_context = row.long_context.as_ref().map(|long| {
        Ok::<_, ConfigError>(LongContext {
            above: long.above,
            input: rate(&long.input)?,
            output: rate(&long.output)?,
            cache_read: rate(&long.cache_read)?,
            cache_write_5m: rate(&long.cache_write_5m)?,
            cache_write_1h: rate(&long.cache_write_1h)?,
        })
    });
    Ok(Override {
        model: row.model.clone(),
        from: row.from.clone(),
        until: row.until.clone(),
        input: rate(&row.input)?,
        output: rate(&row.output)?,
        cache_read: rate(&row.cache_read)?,
        cache_write_5m: rate(&row.cache_write_5m)?,
        cache_write_1h: rate(&row.cache_write_1h)?,
        long_context: long_context.transpose()?,
    })
}
