//! Takes secrets out of everything that a form is given.
//!
//! A text is judged as it is, and as it is seen: an escape for a terminal, or a letter that is not seen, may stand within a
//! secret. The input of a call is judged member by member, by the names of the members; what is learned of a session is
//! learned of each of these texts, by the same names, and of the input as JSON.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::colours;
use super::entry::Piece;
use crate::transcript::scrub::session::SessionScrubber;
use crate::transcript::scrub::{names_secret, scrub_named};
use crate::views::sessions::event::{Detail, Event};
use crate::views::sessions::summary::SessionSummary;

/// Endings of members that hold the value for a name in another member, as in `{"name": ..., "value": ...}`.
const VALUES: [&str; 2] = ["value", "content"];

/// Takes secrets out, or leaves everything as it is.
#[derive(Debug, Default)]
pub struct Hide(Option<SessionScrubber>);

impl Hide {
    /// Takes secrets out of the texts of a session.
    #[must_use]
    pub fn secrets() -> Self {
        Self(Some(SessionScrubber::default()))
    }

    /// Leaves everything as it is.
    #[must_use]
    pub const fn nothing() -> Self {
        Self(None)
    }

    /// Is told the texts of the next event.
    pub fn learn(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            if let Some(input) = &piece.input {
                self.learn_text(&as_seen(input).to_string());
                self.learn_value(input, None);
            } else if let Some(text) = &piece.text {
                self.learn_text(text);
            }
        }
    }

    /// Is told a text of the session that belongs to no event.
    pub fn learn_text(&mut self, text: &str) {
        if let Some(scrubber) = &mut self.0 {
            if has_unseen(text) { scrubber.learn(&plain(text)) } else { scrubber.learn(text) }
        }
    }

    /// Is told the texts in a value, in the order of [`Self::value`] and with the names that they have there.
    fn learn_value(&mut self, value: &Value, name: Option<&str>) {
        match value {
            Value::String(text) => self.learn_named(name, text),
            Value::Number(number) if name.is_some_and(names_secret) => self.learn_named(name, &number.to_string()),
            Value::Array(elements) => {
                for (element, name) in named_elements(elements, name) {
                    self.learn_value(element, name);
                }
            }
            Value::Object(members) => {
                for (_, member, name) in named_members(members, name) {
                    self.learn_value(member, Some(name));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn learn_named(&mut self, name: Option<&str>, text: &str) {
        let seen = if has_unseen(text) { Cow::Owned(plain(text)) } else { Cow::Borrowed(text) };
        match (&mut self.0, name) {
            (Some(scrubber), Some(name)) => scrubber.learn_named(name, &seen),
            (Some(scrubber), None) => scrubber.learn(&seen),
            (None, _) => {}
        }
    }

    /// A text without its secrets.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(scrubber) = &self.0 else { return Cow::Borrowed(text) };
        let scrubbed = scrubber.scrub(text);
        if !has_unseen(text) {
            return scrubbed;
        }
        let seen = plain(text);
        let hidden = scrubber.scrub(&seen);
        if hidden == plain(&scrubbed) { scrubbed } else { Cow::Owned(hidden.into_owned()) }
    }

    /// Texts of an event without their secrets.
    #[must_use]
    pub fn pieces(&self, mut pieces: Vec<Piece>) -> Vec<Piece> {
        if self.0.is_none() {
            return pieces;
        }
        for piece in &mut pieces {
            self.put(&mut piece.kind);
            if let Some(input) = &mut piece.input {
                *input = self.value(input, None);
                piece.text = Some(input.to_string());
            } else if let Some(text) = &mut piece.text {
                self.put(text);
            }
        }
        pieces
    }

    /// A value without its secrets. `name` is the name of the member that holds it.
    fn value(&self, value: &Value, name: Option<&str>) -> Value {
        match value {
            Value::String(text) => Value::String(self.named(text, name)),
            Value::Number(number) if name.is_some() => {
                let text = number.to_string();
                let hidden = self.named(&text, name);
                if hidden == text { value.clone() } else { Value::String(hidden) }
            }
            Value::Array(elements) => {
                named_elements(elements, name).map(|(element, name)| self.value(element, name)).collect()
            }
            Value::Object(members) => {
                let each = named_members(members, name);
                Value::Object(
                    each.map(|(own, member, name)| (self.text(own).into_owned(), self.value(member, Some(name))))
                        .collect(),
                )
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn named(&self, text: &str, name: Option<&str>) -> String {
        let hidden = self.text(text);
        let Some(name) = name else { return hidden.into_owned() };
        let by_name = scrub_named(name, &hidden);
        by_name.into_owned()
    }

    fn put(&self, text: &mut String) {
        if let Cow::Owned(hidden) = self.text(text) {
            *text = hidden;
        }
    }

    fn shared(&self, text: &mut Arc<str>) {
        if let Cow::Owned(hidden) = self.text(text) {
            *text = hidden.into();
        }
    }

    fn boxed(&self, text: &mut Box<str>) {
        if let Cow::Owned(hidden) = self.text(text) {
            *text = hidden.into();
        }
    }

    /// The sums of a session without secrets in their names.
    #[must_use]
    pub fn summary(&self, mut summary: SessionSummary) -> SessionSummary {
        self.put(&mut summary.id);
        let names = [&mut summary.project, &mut summary.cwd, &mut summary.git_branch, &mut summary.forked_from];
        names.into_iter().flatten().for_each(|name| self.put(name));
        summary.models.iter_mut().chain(&mut summary.title).for_each(|name| self.shared(name));
        let tools = std::mem::take(&mut summary.tools).into_iter().map(|(mut tool, counts)| {
            self.shared(&mut tool);
            (tool, counts)
        });
        summary.tools = tools.collect();
        summary
    }

    /// An event without secrets in its names.
    #[must_use]
    pub fn event(&self, mut event: Event) -> Event {
        if self.0.is_some() {
            let names = [&mut event.agent, &mut event.parent_agent, &mut event.outcome];
            names.into_iter().flatten().for_each(|name| self.shared(name));
            self.detail(&mut event.detail);
        }
        event
    }

    fn detail(&self, detail: &mut Detail) {
        match detail {
            Detail::SubagentStart { agent_type, tool_call_id, background: _ }
            | Detail::SubagentEnd { agent_type, tool_call_id } => {
                agent_type.iter_mut().for_each(|name| self.shared(name));
                tool_call_id.iter_mut().for_each(|id| self.boxed(id));
            }
            Detail::ModelChange { uuid: _, from, to, trigger } => {
                [from, to, trigger].into_iter().for_each(|name| self.shared(name));
            }
            Detail::Message {
                message_id,
                request_id,
                model,
                tokens: _,
                cost_usd: _,
                unpriced_tokens: _,
                ttft_seconds: _,
            } => {
                self.boxed(message_id);
                request_id.iter_mut().for_each(|id| self.boxed(id));
                self.shared(model);
            }
            Detail::ToolCall { tool_call_id, tool, message_id, permission_requested_at: _ } => {
                [tool_call_id, message_id].into_iter().for_each(|id| self.boxed(id));
                self.shared(tool);
            }
            Detail::ToolResult {
                tool_call_id,
                tool,
                bytes: _,
                exit_code: _,
                decision,
                filled_in: _,
                permission_wait_seconds: _,
            } => {
                self.boxed(tool_call_id);
                tool.iter_mut().chain(decision).for_each(|name| self.shared(name));
            }
            Detail::Hook { uuid: _, name, event, tool_call_id, exit_code: _ } => {
                [name, event].into_iter().for_each(|name| self.shared(name));
                tool_call_id.iter_mut().for_each(|id| self.boxed(id));
            }
            Detail::TaskEnd { uuid: _, task_id, tool_call_id } => {
                task_id.iter_mut().chain(tool_call_id).for_each(|id| self.boxed(id));
            }
            Detail::PullRequest { number: _, url, repository } => {
                self.shared(url);
                repository.iter_mut().for_each(|name| self.shared(name));
            }
            Detail::ServerTool { uuid: _, tool } => self.shared(tool),
            // Their ids are uuids, and their words are of our own.
            Detail::Prompt { .. }
            | Detail::ApiError { .. }
            | Detail::Compaction { .. }
            | Detail::QueuedPrompt { .. }
            | Detail::AwaySummary { .. }
            | Detail::PlanMode { .. }
            | Detail::Interrupt => {}
        }
    }
}

/// Elements, each with the name by which it is judged: an element may name the next one, as in `["--password", "..."]`.
fn named_elements<'v>(
    elements: &'v [Value],
    name: Option<&'v str>,
) -> impl Iterator<Item = (&'v Value, Option<&'v str>)> {
    let mut before = None;
    elements.iter().map(move |element| {
        let own = element.as_str().filter(|text| names_secret(text));
        (element, std::mem::replace(&mut before, own).or(name))
    })
}

/// Members with their names, and the names by which they are judged. A member may name the value of another one, as in
/// `{"name": "DB_PASSWORD", "value": "..."}`, and an object the values of its members.
fn named_members<'v>(
    members: &'v Map<String, Value>,
    name: Option<&'v str>,
) -> impl Iterator<Item = (&'v str, &'v Value, &'v str)> {
    let beside = members.values().filter_map(Value::as_str).find(|text| names_secret(text));
    let outer = name.filter(|name| names_secret(name));
    members.iter().map(move |(own, member)| {
        let is_value = VALUES.iter().any(|value| own.to_ascii_lowercase().ends_with(value));
        let telling = if names_secret(own) { None } else { outer.or(beside.filter(|_| is_value)) };
        (own.as_str(), member, telling.unwrap_or(own))
    })
}

/// Whether something stands in a text that is not seen.
fn has_unseen(text: &str) -> bool {
    text.chars().any(is_unseen)
}

const fn is_unseen(letter: char) -> bool {
    matches!(letter, '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text as it is seen.
fn plain(text: &str) -> String {
    let mut plain = colours::without(text);
    plain.retain(|letter| letter == '\r' || !is_unseen(letter));
    plain
}

/// A value with each of its texts as it is seen.
fn as_seen(value: &Value) -> Value {
    match value {
        Value::String(text) if has_unseen(text) => Value::String(plain(text)),
        Value::Array(elements) => elements.iter().map(as_seen).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), as_seen(value))).collect())
        }
        other => other.clone(),
    }
}
