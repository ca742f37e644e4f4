//! Which spans share a trace: those of a turn, or those of a whole session.

use crate::transcript::ids::{RowId, SessionId};
use crate::views::traces::attributes as name;
use crate::views::traces::ids::SpanAt;
use crate::views::traces::span::{SpanBatch, SpanLink, Value};

/// What a trace holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceScope {
    /// A turn, or a sub-agent of its own.
    #[default]
    Turn,
    /// All turns and sub-agents of a session; the id of the trace is that of the session.
    Session,
}

impl TraceScope {
    /// Where a span of `session` is, that is at `at` in the trace of its turn. Its own id is the same in both scopes.
    #[must_use]
    pub fn place(self, session: &SessionId, at: SpanAt) -> SpanAt {
        SpanAt { trace: self.trace(session, at.trace), ..at }
    }

    /// The trace that holds what is in `turn`'s otherwise.
    #[must_use]
    pub fn trace(self, session: &SessionId, turn: u128) -> u128 {
        match self {
            Self::Turn => turn,
            Self::Session => RowId::of(&session.0).0.max(1),
        }
    }

    /// Moves the spans of one turn of `session` to where they belong; `source` is the session it was forked from.
    pub fn apply(self, session: &SessionId, source: Option<&SessionId>, batches: &mut [SpanBatch]) {
        if self == Self::Turn {
            return;
        }
        for span in batches.iter_mut().flat_map(|batch| &mut batch.spans) {
            span.trace = self.trace(session, span.trace);
            for link in &mut span.links {
                let target = source.filter(|_| leads_to_source(link)).unwrap_or(session);
                link.trace = self.trace(target, link.trace);
            }
            let apart = span.attributes.iter_mut().filter(|attribute| attribute.key == name::SUBAGENT_TRACE);
            apart.for_each(|attribute| attribute.value = Value::Text(format!("{:032x}", span.trace)));
        }
    }
}

fn leads_to_source(link: &SpanLink) -> bool {
    let why = Value::Text(name::LINK_FORKED_FROM.to_owned());
    link.attributes.iter().any(|attribute| attribute.key == name::LINK && attribute.value == why)
}
