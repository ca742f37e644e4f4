//! Finds the rows that hold the text of a span, and adds as much of the text as the level allows.

use std::collections::HashMap;

use serde_json::Value as Json;

use crate::ledger::unit::{Agent, Message, Tool, Unit, UnitKey};
use crate::transcript::expected::{Expected, Missing};
use crate::views::traces::attributes as name;
use crate::views::traces::content::ReadRow;
use crate::views::traces::content::{self, ContentLevel};
use crate::views::traces::ids::{TraceId, trace_of_turn};
use crate::views::traces::span::{Attribute, Span, SpanBatch, Value};

/// Finds the parts that spans were made of, and reads their rows again.
pub(super) struct SpanTexts<'a> {
    level: ContentLevel,
    read: ReadRow<'a>,
    tools: HashMap<&'a str, (&'a Unit, &'a Tool)>,
    messages: HashMap<&'a str, Vec<&'a Message>>,
    agents: HashMap<&'a str, Vec<&'a Unit>>,
    turns: HashMap<TraceId, &'a Unit>,
}

/// Attributes, or why there are none.
type Found = Result<Vec<Attribute>, Missing>;

impl<'a> SpanTexts<'a> {
    /// `units` are all units that the spans may be made of; `read` reads their rows.
    pub(super) fn new(level: ContentLevel, units: &[&'a Unit], read: ReadRow<'a>) -> Self {
        let (tools, messages, agents, turns) = Default::default();
        let mut texts = Self { level, read, tools, messages, agents, turns };
        for unit in units.iter().copied() {
            texts.tools.extend(unit.parts.tools.iter().map(|tool| (&*tool.id, (unit, tool))));
            for message in &unit.parts.messages {
                texts.messages.entry(message.told_id()).or_default().push(message);
            }
            if let Some(agent) = &unit.agent {
                texts.agents.entry(agent.id.told()).or_default().push(unit);
            }
            if let UnitKey::Turn(row) = unit.key {
                texts.turns.insert(trace_of_turn(row), unit);
            }
        }
        texts
    }

    /// Adds the text that the level allows to the spans. Returns the number of bytes that were added.
    pub(super) fn add(&mut self, batches: &mut [SpanBatch]) -> usize {
        let mut bytes = 0;
        for span in batches.iter_mut().flat_map(|batch| &mut batch.spans) {
            let mut missing = None;
            for found in self.of_span(span) {
                match found {
                    Ok(attributes) => {
                        bytes += attributes.iter().map(size).sum::<usize>();
                        span.attributes.extend(attributes);
                    }
                    Err(reason) => missing = missing.or(Some(reason)),
                }
            }
            if let Some(reason) = missing {
                let value = Value::Text(reason.reason().to_owned());
                span.attributes.push(Attribute { key: name::CONTENT_UNAVAILABLE.into(), value });
            }
        }
        bytes
    }

    fn of_span(&mut self, span: &Span) -> Vec<Found> {
        let all = self.level >= ContentLevel::Content;
        if let Some(call) = text_of(span, name::TOOL_CALL_ID) {
            let Some((unit, tool)) = self.tools.get(call).copied() else { return Vec::new() };
            let input = (all || content::has_details(text_of(span, name::TOOL_NAME).unwrap_or_default()))
                .then(|| self.call(unit, tool));
            let result = all.then(|| self.result(tool)).flatten();
            return input.flatten().into_iter().chain(result).collect();
        }
        if !all {
            return Vec::new();
        }
        if let Some(message) = text_of(span, name::RESPONSE_ID) {
            // A gateway may give several responses the same id; the one that ends when the span ends is meant.
            let found = self.messages.get(message).and_then(|all| one_of(all, |message| message.end == span.end));
            return found.map(|message| self.answer(message)).into_iter().collect();
        }
        let unit = match text_of(span, name::AGENT_ID) {
            // A sub-agent may run several times; the run that starts when the span starts is meant.
            Some(agent) => self.agents.get(agent).and_then(|all| one_of(all, |unit| unit.started() == span.start)),
            // The trace id of a turn is the id of its prompt row.
            None => self.turns.get(&span.trace).copied().filter(|_| span.parent.is_none()),
        };
        unit.map(|unit| self.agent(unit)).unwrap_or_default()
    }

    fn call(&mut self, unit: &Unit, tool: &Tool) -> Option<Found> {
        let call = tool.call.as_ref()?;
        let expected = Expected::Call(tool.id.clone());
        Some((self.read)(call.place, &expected).map(|row| {
            let input = block_of(&row, "id", &tool.id).and_then(|block| block.get("input"));
            let folders = [row.get("cwd").and_then(Json::as_str), unit.context.cwd.as_deref()];
            let folders: Vec<&str> = folders.into_iter().flatten().collect();
            input.map(|input| content::call(self.level, &call.name, input, &folders)).unwrap_or_default()
        }))
    }

    fn result(&mut self, tool: &Tool) -> Option<Found> {
        // A result that a later resume filled in is written by the client and is no result of the tool.
        let end = tool.result.as_ref().filter(|end| !end.filled_in)?;
        let expected = Expected::Result(tool.id.clone());
        Some((self.read)(end.place, &expected).map(|row| {
            let result = block_of(&row, "tool_use_id", &tool.id).and_then(|block| block.get("content"));
            result.map(|result| content::result(self.level, result)).unwrap_or_default()
        }))
    }

    fn answer(&mut self, message: &Message) -> Found {
        let expected = Expected::Message(message.told_id().into());
        let mut rows = Vec::with_capacity(message.rows.len());
        for place in &message.rows {
            rows.push((self.read)(*place, &expected)?);
        }
        let contents: Vec<&Json> = rows.iter().filter_map(|row| content_of(row)).collect();
        Ok(content::answer(self.level, &contents, message.stop.as_ref().map(|stop| stop.name())))
    }

    /// Attributes of the prompt of a turn or sub-agent, and of its last answer.
    fn agent(&mut self, unit: &Unit) -> Vec<Found> {
        let of_agent = |agent: &Agent| agent.prompt.zip(agent.first_row.map(|(_, row)| Expected::Prompt(row)));
        let asked = unit.prompt_row().or_else(|| of_agent(unit.agent.as_ref()?));
        let prompt = asked.map(|(place, expected)| {
            let row = (self.read)(place, &expected)?;
            Ok(content_of(&row).map(|prompt| content::prompt(self.level, prompt)).unwrap_or_default())
        });
        let spoken = unit.parts.messages.iter().filter(|message| message.says.text);
        let last = spoken.max_by_key(|message| (message.end, &message.id));
        let answer = last.map(|message| self.answer(message));
        prompt.into_iter().chain(answer).collect()
    }
}

fn content_of(row: &Json) -> Option<&Json> {
    row.pointer("/message/content")
}

/// The block of a row whose `key` is `id`.
fn block_of<'r>(row: &'r Json, key: &str, id: &str) -> Option<&'r Json> {
    content_of(row)?.as_array()?.iter().find(|block| block.get(key).and_then(Json::as_str) == Some(id))
}

fn text_of<'s>(span: &'s Span, key: &str) -> Option<&'s str> {
    span.attributes.iter().find(|known| known.key == key).and_then(|known| match &known.value {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    })
}

fn size(attribute: &Attribute) -> usize {
    match &attribute.value {
        Value::Text(text) => attribute.key.len() + text.len(),
        _ => attribute.key.len(),
    }
}

/// The first item that `fits`, else the first of all.
fn one_of<'a, T>(all: &[&'a T], fits: impl Fn(&T) -> bool) -> Option<&'a T> {
    all.iter().find(|one| fits(one)).or(all.first()).copied()
}
