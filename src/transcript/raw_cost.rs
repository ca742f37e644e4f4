//! `modelUsage` of a `cost-state` row as it is written.

use super::json::{Fields, Json, ReadJson, Scalar};
use super::record::ModelCost;
use super::strings::Strings;
use super::usage::TOKENS_MAX;

/// Most models of one row that are read. With more than these none of them counts, because their sum would be too low.
const MODELS_MAX: usize = 64;

/// What the client counted for each model, by the name that it asked for.
#[derive(Default)]
pub(super) struct RawModelUsage(Vec<(String, RawModelCost)>);

impl<'a> Fields<'a> for RawModelUsage {
    fn field(&mut self, key: &[u8], json: &mut Json<'a>) -> ReadJson<()> {
        let cost = json.value()?;
        // One more is kept, so that it shows that there are too many.
        if self.0.len() <= MODELS_MAX {
            self.0.push((String::from_utf8_lossy(key).into_owned(), cost));
        }
        Ok(())
    }
}

impl RawModelUsage {
    /// What was counted for each model; nothing if there are too many models, or if a cost is not one that
    /// `is_plausible`.
    pub(super) fn models(&self, is_plausible: impl Fn(f64) -> bool, strings: &mut Strings) -> Vec<ModelCost> {
        let told = self.0.iter().map(|(model, cost)| {
            let usd = cost.usd.number().filter(|usd| is_plausible(*usd))?;
            let tokens = |count: Scalar| count.count().unwrap_or(0).min(TOKENS_MAX);
            Some(ModelCost {
                model: strings.get(model),
                usd,
                input: tokens(cost.input),
                output: tokens(cost.output),
                cache_read: tokens(cost.cache_read),
                cache_write: tokens(cost.cache_write),
                cache_write_1h: tokens(cost.cache_write_1h),
                web_searches: tokens(cost.web_searches),
            })
        });
        told.collect::<Option<Vec<_>>>().filter(|models| models.len() <= MODELS_MAX).unwrap_or_default()
    }
}

#[derive(Default)]
struct RawModelCost {
    usd: Scalar,
    input: Scalar,
    output: Scalar,
    cache_read: Scalar,
    cache_write: Scalar,
    cache_write_1h: Scalar,
    web_searches: Scalar,
}

impl<'a> Fields<'a> for RawModelCost {
    fn field(&mut self, key: &[u8], json: &mut Json<'a>) -> ReadJson<()> {
        let count = match key {
            b"costUSD" => &mut self.usd,
            b"inputTokens" => &mut self.input,
            b"outputTokens" => &mut self.output,
            b"cacheReadInputTokens" => &mut self.cache_read,
            b"cacheCreationInputTokens" => &mut self.cache_write,
            b"cacheCreationEphemeral1hInputTokens" => &mut self.cache_write_1h,
            b"webSearchRequests" => &mut self.web_searches,
            _ => return json.skip(),
        };
        *count = json.value()?;
        Ok(())
    }
}
