//! One line of a hook.
//!
//! ```text
//! {"at":"2026-11-30T02:09:25.179Z","hook_event_name":"PermissionRequest","session_id":"…","permission_mode":"default","tool_name":"Bash"}
//! ```
//!
//! The client gives a hook far more: the prompt, the input and the result of a tool, the last answer. Only single words
//! of the fields below are taken, so that no text of a conversation can get into the line. What is no such word is left
//! out, and so is what cannot be read: the fields before it still count.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::waiting::{Told, ToldKind};

/// Longest value that is taken, in bytes: names of tools of MCP servers have up to 64 and 128 letters.
const WORD_BYTES_MAX: usize = 256;

/// The words of a line, as the client names them.
#[derive(Debug, Default, Serialize)]
pub struct Words {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hook_event_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_use_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The line for what the client gave a hook at `at`, with its newline; `None` if it names no session and no event.
#[must_use]
pub fn line_of(input: &[u8], at: Timestamp) -> Option<Vec<u8>> {
    let mut words = words_of(input);
    if words.session_id.is_none() || words.hook_event_name.is_none() {
        return None;
    }
    words.at = Some(at.to_rfc3339());
    let mut line = serde_json::to_vec(&words).ok()?;
    line.push(b'\n');
    Some(line)
}

/// What a line tells, and of which session; `None` if it is none.
#[must_use]
pub fn told_by(line: &[u8]) -> Option<(SessionId, Told)> {
    let words = words_of(line);
    let kind = match (words.hook_event_name?.as_str(), words.notification_type.as_deref()) {
        ("PermissionRequest", _) => ToldKind::PermissionAsked,
        ("Notification", Some("permission_prompt" | "worker_permission_prompt")) => ToldKind::Reminded,
        ("PostToolUse" | "PostToolUseFailure" | "PermissionDenied", _) => ToldKind::ToolEnded,
        ("UserPromptSubmit", _) => ToldKind::Prompted,
        ("Stop" | "StopFailure", _) => ToldKind::Stopped,
        ("SubagentStop", _) => ToldKind::AgentStopped,
        ("SessionStart", _) => ToldKind::SessionBegan,
        ("SessionEnd", _) => ToldKind::SessionEnded,
        _ => ToldKind::Other,
    };
    let told = Told {
        at: Timestamp::parse(&words.at?)?,
        kind,
        agent: words.agent_id.map(Into::into),
        tool: words.tool_name.map(Into::into),
    };
    Some((SessionId(words.session_id?.into()), told))
}

/// The words of a JSON object, as far as it can be read.
fn words_of(json: &[u8]) -> Words {
    let mut words = Words::default();
    // What was read before the fault stays in `words`.
    drop(serde_json::Deserializer::from_slice(json).deserialize_map(Fields(&mut words)));
    words
}

struct Fields<'w>(&'w mut Words);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let words = self.0;
        while let Some(Key(key)) = map.next_key::<Key>()? {
            let field = match &*key {
                "at" => &mut words.at,
                "hook_event_name" => &mut words.hook_event_name,
                "session_id" => &mut words.session_id,
                "agent_id" => &mut words.agent_id,
                "permission_mode" => &mut words.permission_mode,
                "notification_type" => &mut words.notification_type,
                "tool_name" => &mut words.tool_name,
                "tool_use_id" => &mut words.tool_use_id,
                "source" => &mut words.source,
                "reason" => &mut words.reason,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *field = map.next_value::<Word>()?.0;
        }
        Ok(())
    }
}

/// A name of a field; one that is too long is none of ours.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Word::deserialize(deserializer).map(|word| Self(word.0.unwrap_or_default()))
    }
}

/// A text that is one word; anything else is read as `None`.
struct Word(Option<String>);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyWord)
    }
}

struct AnyWord;

impl<'de> Visitor<'de> for AnyWord {
    type Value = Word;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a word")
    }

    fn visit_str<E>(self, text: &str) -> Result<Word, E> {
        Ok(Word(is_word(text).then(|| text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Word, E> {
        Ok(Word(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Word, E> {
        Ok(Word(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Word, E> {
        Ok(Word(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Word, E> {
        Ok(Word(None))
    }

    fn visit_unit<E>(self) -> Result<Word, E> {
        Ok(Word(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Word, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Word(None))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Word, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Word(None))
    }
}

/// True for what names something: letters, digits and `-_.:@/`, without a blank between.
fn is_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'@' | b'/');
    (1..=WORD_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits)
}
