//! `message.usage` as it is written.

use serde::de::MapAccess;

use super::json::{Fields, List, Object, Scalar, skip};
use super::raw::{FromMap, Word};
use super::usage::{Iteration, IterationKind, Usage};

impl<'de> Fields<'de> for Usage {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "input_tokens" => self.input = tokens(map)?,
            "output_tokens" => self.output = tokens(map)?,
            "cache_read_input_tokens" => self.cache_read = tokens(map)?,
            "cache_creation_input_tokens" => self.cache_write = some_tokens(map)?,
            "cache_creation" => {
                let Split { five_minutes, one_hour } = map.next_value::<Object<Split>>()?.0;
                (self.cache_write_5m, self.cache_write_1h) = (five_minutes, one_hour);
            }
            "output_tokens_details" => self.thinking = map.next_value::<Object<One>>()?.0.thinking,
            "server_tool_use" => self.web_searches = map.next_value::<Object<One>>()?.0.web_searches,
            "speed" => self.fast = Word::from_map(map)?.as_deref() == Some("fast"),
            "inference_geo" => self.geo_us = Word::from_map(map)?.as_deref() == Some("us"),
            "service_tier" => self.batch = Word::from_map(map)?.as_deref() == Some("batch"),
            "iterations" => self.iterations = map.next_value::<List<Iteration>>()?.0,
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// A count, no larger than a response could ever have: sums of these must not overflow.
fn some_tokens<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<u64>, A::Error> {
    const TOKENS_MAX: u64 = 1 << 40;
    Ok(Scalar::from_map(map)?.count().map(|tokens| tokens.min(TOKENS_MAX)))
}

fn tokens<'de, A: MapAccess<'de>>(map: &mut A) -> Result<u64, A::Error> {
    Ok(some_tokens(map)?.unwrap_or(0))
}

#[derive(Default)]
struct Split {
    five_minutes: u64,
    one_hour: u64,
}

impl<'de> Fields<'de> for Split {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "ephemeral_5m_input_tokens" => self.five_minutes = tokens(map)?,
            "ephemeral_1h_input_tokens" => self.one_hour = tokens(map)?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct One {
    thinking: u64,
    web_searches: u64,
}

impl<'de> Fields<'de> for One {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "thinking_tokens" => self.thinking = tokens(map)?,
            "web_search_requests" => self.web_searches = tokens(map)?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for Iteration {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "type" => {
                self.kind = match Word::from_map(map)?.as_deref() {
                    Some("message") => IterationKind::Message,
                    Some("compaction") => IterationKind::Compaction,
                    Some("advisor_message") => IterationKind::Advisor,
                    Some("fallback_message") => IterationKind::Fallback,
                    _ => IterationKind::Other,
                };
            }
            "model" => self.model = Word::from_map(map)?.map(|model| model.as_ref().into()),
            "input_tokens" => self.input = tokens(map)?,
            "output_tokens" => self.output = tokens(map)?,
            "cache_read_input_tokens" => self.cache_read = tokens(map)?,
            "cache_creation_input_tokens" => self.cache_write = some_tokens(map)?,
            "cache_creation" => {
                let Split { five_minutes, one_hour } = map.next_value::<Object<Split>>()?.0;
                (self.cache_write_5m, self.cache_write_1h) = (five_minutes, one_hour);
            }
            _ => skip(map)?,
        }
        Ok(())
    }
}
