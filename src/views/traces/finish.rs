//! Gives spans their final form, for the exporter and for Jaeger's API: adds the text that the configuration allows,
//! says where their events are shown, puts them into the configured trace, and adds the configured second names.

use std::borrow::Cow;

use super::content::{ContentLevel, ReadRow};
use super::ids::TraceScope;
use super::span::SpanBatch;
use super::texts::SpanTexts;
use super::{address, openinference, scope};
use crate::ledger::unit::Unit;
use crate::transcript::ids::SessionId;

/// Settings that decide how spans are drawn. The engine and HTTP use the same value, so that the same spans are
/// exported and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanRules {
    /// How much of the conversation spans hold.
    pub content: ContentLevel,
    /// Which spans share a trace.
    pub scope: TraceScope,
    /// Whether spans carry the attribute names of OpenInference too.
    pub openinference: bool,
    /// `service.name` of all spans.
    pub service: Cow<'static, str>,
    /// A turn without a row for this many milliseconds has ended.
    pub idle_ms: u64,
    /// The address of the pages that spans lead to, without a slash at the end; `None` if they lead nowhere.
    pub pages: Option<String>,
}

impl SpanRules {
    /// The rules of an empty configuration.
    pub const DEFAULT: Self = Self {
        content: ContentLevel::Off,
        scope: TraceScope::Turn,
        openinference: false,
        service: Cow::Borrowed("claude-code"),
        idle_ms: 1_800_000,
        pages: None,
    };
}

impl Default for SpanRules {
    /// [`SpanRules::DEFAULT`].
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The facts that spans were made of.
#[derive(Clone, Copy)]
pub struct MadeOf<'a> {
    /// The session of the spans.
    pub session: &'a SessionId,
    /// The session that this one was forked from, if it is a fork.
    pub source: Option<&'a SessionId>,
    /// All units that the spans may be made of.
    pub units: &'a [&'a Unit],
}

/// Gives the span of a run its final form. It stays in its trace, and has no text of the conversation and no address.
pub fn finish_run(batch: &mut SpanBatch, rules: &SpanRules) {
    if rules.openinference {
        batch.spans.iter_mut().for_each(openinference::add);
    }
}

/// Gives spans their final form; `read` reads rows of the session files again. Returns how many bytes of text were
/// added.
pub fn finish(batches: &mut [SpanBatch], rules: &SpanRules, of: MadeOf<'_>, read: ReadRow<'_>) -> usize {
    if batches.is_empty() {
        return 0;
    }
    let text_bytes = match rules.content {
        ContentLevel::Off => 0,
        level => SpanTexts::new(level, of.units, read).add(batches),
    };
    if let Some(pages) = &rules.pages {
        batches.iter_mut().flat_map(|batch| &mut batch.spans).for_each(|span| address::add(span, pages));
    }
    scope::apply(rules.scope, of.session, of.source, batches);
    if rules.openinference {
        batches.iter_mut().flat_map(|batch| &mut batch.spans).for_each(openinference::add);
    }
    text_bytes
}
