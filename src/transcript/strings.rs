//! Strings that repeat from row to row, kept once in memory.

use std::collections::HashSet;
use std::sync::Arc;

use super::hash::ById;
use super::word::{Word, WordText};

/// Strings that repeat in every row (folder, branch, version, model), kept once per chunk.
#[derive(Debug, Default)]
pub struct Strings {
    all: HashSet<Arc<str>, ById>,
    /// The last value of each field, which the next row mostly repeats.
    last: [Option<Arc<str>>; Field::COUNT],
}

/// A field whose values repeat from row to row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    Session,
    Agent,
    Folder,
    Branch,
    Version,
    Entrypoint,
    Model,
    RequestedModel,
    CopiedFrom,
    AgentType,
    Skill,
    Tool,
}

impl Field {
    const COUNT: usize = Self::Tool as usize + 1;
}

impl Strings {
    /// Most different strings that are kept, so that a hostile file cannot fill the memory. Further ones are not
    /// shared.
    const STRINGS_MAX: usize = 4096;

    /// Longest string in bytes; a longer one is cut. No real folder, branch, version, model or tool is longer.
    const BYTES_MAX: usize = 4096;

    /// The shared copy of a text, cut to [`Strings::BYTES_MAX`].
    pub(super) fn get(&mut self, text: &str) -> Arc<str> {
        let end = (0..=Self::BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        let text = text.get(..end.unwrap_or(0)).unwrap_or(text);
        if let Some(known) = self.all.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        if self.all.len() < Self::STRINGS_MAX {
            self.all.insert(Arc::clone(&new));
        }
        new
    }

    /// The shared copy of the value of a field; `None` if it is missing or empty.
    pub(super) fn field(&mut self, field: Field, word: Word<'_>) -> Option<Arc<str>> {
        let raw = word.filter(|raw| !raw.bytes.is_empty())?;
        let last = self.last.get(field as usize).and_then(Option::as_ref);
        if let Some(last) = last.filter(|last| !raw.escaped() && last.as_bytes() == raw.bytes) {
            return Some(Arc::clone(last));
        }
        let text = self.get(&word.word()?);
        if let Some(last) = self.last.get_mut(field as usize) {
            *last = Some(Arc::clone(&text));
        }
        Some(text)
    }
}
