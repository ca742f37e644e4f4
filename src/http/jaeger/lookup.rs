//! What one request reads of the state to make traces: each session and the order of its turns once, and the ends of
//! turns.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::http::api::state::HasReader;
use crate::http::jaeger::texts::SessionRows;
use crate::ledger::ended;
use crate::ledger::session::Session;
use crate::ledger::unit::{TurnEnd, Unit};
use crate::store::{StoreError, StoreReader};
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::traces::content::ContentLevel;
use crate::views::traces::finish::{MadeOf, SpanRules, finish};
use crate::views::traces::ids::TraceScope;
use crate::views::traces::span::SpanBatch;
use crate::views::traces::tree::{Earlier, TurnOrder};

/// Most sessions that one request keeps; if there are more, all are dropped and read anew. Most often the newest turns
/// are of a few sessions.
const SESSIONS_KEPT: usize = 16;

/// The state as one request reads it.
pub(super) struct Lookup<'c> {
    pub(super) reader: &'c StoreReader,
    pub(super) now: Timestamp,
    pub(super) rules: Cow<'c, SpanRules>,
    /// Sessions that were read; `None` for one that does not exist.
    sessions: RefCell<HashMap<SessionId, Option<Rc<Session>>>>,
    /// Orders of turns that were read, from which each turn gets its number and the turn before it.
    orders: RefCell<HashMap<SessionId, Rc<TurnOrder>>>,
    texts: RefCell<SessionRows<'c>>,
}

impl<'c> Lookup<'c> {
    pub(super) fn of<C: HasReader>(context: &'c C) -> Self {
        Self {
            reader: context.reader(),
            now: context.now(),
            rules: Cow::Borrowed(context.span_rules()),
            sessions: RefCell::default(),
            orders: RefCell::default(),
            texts: RefCell::new(SessionRows::of(context.reader(), &context.archive())),
        }
    }

    /// The same, but spans get no text, so that no session file is read.
    pub(super) fn without_text<C: HasReader>(context: &'c C) -> Self {
        let rules = SpanRules { content: ContentLevel::Off, ..context.span_rules().clone() };
        Self { rules: Cow::Owned(rules), ..Self::of(context) }
    }

    pub(super) fn earlier(&self, session: Option<&Session>, turn: &Unit) -> Result<Earlier, StoreError> {
        match session {
            Some(session) if turn.is_turn() => self.reader.earlier(session, turn, &*self.turn_order(&session.id)?),
            Some(_) | None => Ok(Earlier::default()),
        }
    }

    fn turn_order(&self, session: &SessionId) -> Result<Rc<TurnOrder>, StoreError> {
        if let Some(known) = self.orders.borrow().get(session) {
            return Ok(known.clone());
        }
        let order = Rc::new(self.reader.turn_order(session)?);
        let mut orders = self.orders.borrow_mut();
        if orders.len() >= SESSIONS_KEPT {
            orders.clear();
        }
        orders.insert(session.clone(), order.clone());
        Ok(order)
    }

    pub(super) fn session(&self, id: &SessionId) -> Result<Option<Rc<Session>>, StoreError> {
        if let Some(known) = self.sessions.borrow().get(id) {
            return Ok(known.clone());
        }
        let session = self.reader.session(id)?.map(Rc::new);
        let mut sessions = self.sessions.borrow_mut();
        if sessions.len() >= SESSIONS_KEPT {
            sessions.clear();
        }
        sessions.insert(id.clone(), session.clone());
        Ok(session)
    }

    /// When and how a unit ended, as the exporter sees it, except that a unit that has not ended lasts until now. `at`
    /// is the last activity in its trace.
    pub(super) fn end_of(&self, unit: &Unit, at: Timestamp) -> TurnEnd {
        let open = TurnEnd { at: self.now.max(at), reason: "open" };
        ended::ended(unit, at, self.now, self.rules.idle_ms).unwrap_or(open)
    }

    pub(super) fn goes_on(&self, unit: &Unit, at: Timestamp) -> bool {
        ended::ended(unit, at, self.now, self.rules.idle_ms).is_none()
    }

    /// Gives spans the final form that exported spans have. Fails if the database fails.
    pub(super) fn finish(
        &self,
        batches: &mut [SpanBatch],
        scope: TraceScope,
        session: &SessionId,
        units: &[&Unit],
    ) -> Result<(), StoreError> {
        let owner = self.session(session)?;
        let source = owner.as_deref().and_then(|session| session.fork.as_ref()).map(|fork| &fork.from);
        let rules = SpanRules { scope, ..self.rules.as_ref().clone() };
        let mut texts = self.texts.borrow_mut();
        finish(batches, &rules, MadeOf { session, source, units }, &mut |row, expected| texts.read(row, expected));
        texts.failed()
    }
}
