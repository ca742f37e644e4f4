//! `message.usage` as it is written.

use super::json::{Counted, Fields, Json, ReadJson};
use super::record::UnreadableUsage;
use super::usage::{self, Iteration, IterationKind, TOKENS_MAX, Usage};
use super::word::{Word, WordText};

/// `message.usage`, and whether all of its counts could be read.
#[derive(Default)]
pub(super) struct RawUsage {
    /// What could be read.
    pub usage: Usage,
    /// True if at least one of the four token counts was there.
    told: bool,
    /// True if one of these counts was not a whole number.
    broken: bool,
}

impl RawUsage {
    /// Why the usage is incomplete; `None` if it is not.
    pub(super) fn unreadable(&self) -> Option<UnreadableUsage> {
        let missing = (!self.told).then_some(UnreadableUsage::Missing);
        if self.broken { Some(UnreadableUsage::NotANumber) } else { missing }
    }
}

impl<'a> Fields<'a> for RawUsage {
    fn field(&mut self, key: &[u8], json: &mut Json<'a>) -> ReadJson<()> {
        let usage = &mut self.usage;
        let count = match key {
            b"input_tokens" => &mut usage.input,
            b"output_tokens" => &mut usage.output,
            b"cache_read_input_tokens" => &mut usage.cache_read,
            b"cache_creation_input_tokens" => usage.cache_write.insert(0),
            _ => return usage.field(key, json),
        };
        let counted = json.value()?;
        if let Counted::Count(tokens) = counted {
            (*count, self.told) = (tokens.min(TOKENS_MAX), true);
        } else if key == b"cache_creation_input_tokens" {
            usage.cache_write = None;
        } else {
            *count = 0;
        }
        self.broken |= counted == Counted::Unreadable;
        Ok(())
    }
}

impl<'a> Fields<'a> for Usage {
    fn field(&mut self, key: &[u8], json: &mut Json<'a>) -> ReadJson<()> {
        match key {
            b"cache_creation" => {
                let Split { five_minutes, one_hour } = json.value::<Split>()?;
                (self.cache_write_5m, self.cache_write_1h) = (five_minutes, one_hour);
            }
            b"output_tokens_details" => self.thinking = json.value::<One>()?.thinking,
            b"server_tool_use" => self.web_searches = json.value::<One>()?.web_searches,
            b"speed" => self.fast = json.value::<Word<'a>>()?.says("fast"),
            b"inference_geo" => self.geo_us = json.value::<Word<'a>>()?.says("us"),
            b"service_tier" => self.batch = json.value::<Word<'a>>()?.says("batch"),
            b"iterations" => self.iterations = json.value::<Iterations>()?.0,
            _ => json.skip()?,
        }
        Ok(())
    }
}

/// `usage.iterations`, a list of any length.
#[derive(Default)]
struct Iterations(Vec<Iteration>);

impl<'a> Fields<'a> for Iterations {
    fn field(&mut self, _: &[u8], json: &mut Json<'a>) -> ReadJson<()> {
        json.skip()
    }

    fn element(&mut self, json: &mut Json<'a>) -> ReadJson<()> {
        usage::add_iteration(&mut self.0, json.value()?);
        Ok(())
    }
}

/// A count of tokens, cut to [`TOKENS_MAX`] so that sums cannot overflow; `None` if it is missing or not a number.
fn some_tokens(json: &mut Json<'_>) -> ReadJson<Option<u64>> {
    Ok(match json.value()? {
        Counted::Count(tokens) => Some(tokens.min(TOKENS_MAX)),
        Counted::Unreadable | Counted::None => None,
    })
}

fn tokens(json: &mut Json<'_>) -> ReadJson<u64> {
    Ok(some_tokens(json)?.unwrap_or(0))
}

#[derive(Default)]
struct Split {
    five_minutes: u64,
    one_hour: u64,
}

impl<'a> Fields<'a> for Split {
    fn field(&mut self, key: &[u8], json: &mut Json<'a>) -> ReadJson<()> {
        match key {
            b"ephemeral_5m_input_tokens" => self.five_minutes = tokens(json)?,
            b"ephemeral_1h_input_tokens" => self.one_hour = tokens(json)?,
            _ => json.skip()?,
        }
        Ok(())
    }
}

/// Counts of `output_tokens_details` and `server_tool_use`; each object has only one of them.
#[derive(Default)]
struct One {
    thinking: u64,
    web_searches: u64,
}

impl<'a> Fields<'a> for One {
    fn field(&mut self, key: &[u8], json: &mut Json<'a>) -> ReadJson<()> {
        match key {
            b"thinking_tokens" => self.thinking = tokens(json)?,
            b"web_search_requests" => self.web_searches = tokens(json)?,
            _ => json.skip()?,
        }
        Ok(())
    }
}

impl<'a> Fields<'a> for Iteration {
    fn field(&mut self, key: &[u8], json: &mut Json<'a>) -> ReadJson<()> {
        match key {
            b"type" => {
                self.kind = match json.value::<Word<'a>>()?.word().as_deref() {
                    Some("message") => IterationKind::Message,
                    Some("compaction") => IterationKind::Compaction,
                    Some("advisor_message") => IterationKind::Advisor,
                    Some("fallback_message") => IterationKind::Fallback,
                    _ => IterationKind::Other,
                };
            }
            b"model" => self.model = json.value::<Word<'a>>()?.word().map(|model| model.as_ref().into()),
            b"input_tokens" => self.input = tokens(json)?,
            b"output_tokens" => self.output = tokens(json)?,
            b"cache_read_input_tokens" => self.cache_read = tokens(json)?,
            b"cache_creation_input_tokens" => self.cache_write = some_tokens(json)?,
            b"cache_creation" => {
                let Split { five_minutes, one_hour } = json.value::<Split>()?;
                (self.cache_write_5m, self.cache_write_1h) = (five_minutes, one_hour);
            }
            _ => json.skip()?,
        }
        Ok(())
    }
}
