//! The last form of a span, for the exporter and for Jaeger's API: with as much text as is let out, in the trace that holds
//! it, under all of its names.

use std::borrow::Cow;

use super::content::{ContentLevel, ReadRow};
use super::ids::TraceScope;
use super::span::SpanBatch;
use super::texts::SpanTexts;
use super::{openinference, scope};
use crate::ledger::unit::Unit;
use crate::transcript::ids::SessionId;

/// Settings that decide what leaves. One value for the engine and for HTTP: what is exported and what is answered are the
/// same spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanRules {
    /// How much of the conversation they hold.
    pub content: ContentLevel,
    /// What shares a trace.
    pub scope: TraceScope,
    /// They carry the names of OpenInference as well.
    pub openinference: bool,
    /// `service.name` of all of them.
    pub service: Cow<'static, str>,
    /// Without a row for this many milliseconds a turn has ended.
    pub idle_ms: u64,
}

impl SpanRules {
    /// Those of a configuration that says nothing.
    pub const DEFAULT: Self = Self {
        content: ContentLevel::Off,
        scope: TraceScope::Turn,
        openinference: false,
        service: Cow::Borrowed("claude-code"),
        idle_ms: 1_800_000,
    };
}

impl Default for SpanRules {
    /// Those of a configuration that says nothing.
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What spans were made of.
#[derive(Clone, Copy)]
pub struct MadeOf<'a> {
    /// Their session.
    pub session: &'a SessionId,
    /// The session that it was forked from.
    pub source: Option<&'a SessionId>,
    /// All units that they may be made of.
    pub units: &'a [&'a Unit],
}

/// Gives spans their last form; `read` reads rows of the session files again. Returns how many bytes of text they took.
pub fn finish(batches: &mut [SpanBatch], rules: &SpanRules, of: MadeOf<'_>, read: ReadRow<'_>) -> usize {
    if batches.is_empty() {
        return 0;
    }
    let text_bytes = match rules.content {
        ContentLevel::Off => 0,
        level => SpanTexts::new(level, of.units, read).add(batches),
    };
    scope::apply(rules.scope, of.session, of.source, batches);
    if rules.openinference {
        batches.iter_mut().flat_map(|batch| &mut batch.spans).for_each(openinference::add);
    }
    text_bytes
}
