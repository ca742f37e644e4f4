//! Finds what a trace id names: the unit at the root of the trace, or the session that is one trace.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::http::jaeger::trace_id::uuid;
use crate::ledger::family::LEVELS_MAX;
use crate::ledger::session::Session;
use crate::ledger::unit::{Unit, UnitId, UnitKey};
use crate::store::{StoreError, StoreReader};
use crate::transcript::ids::{RowId, SessionId};
use crate::views::traces::ids::{TraceId, TraceScope, trace_of};

/// The units that may be at the root of a trace: a turn, rows before the first prompt, or a sub-agent with a trace of its
/// own. Seldom there is more than one.
pub(in crate::http) fn roots_of(reader: &StoreReader, id: TraceId) -> Result<Vec<Unit>, StoreError> {
    let row = RowId(id.0);
    let mut roots = Vec::new();
    for key in [UnitKey::Turn(row), UnitKey::Loose(row)] {
        roots.extend(reader.unit(key.id())?.filter(|unit| unit.key == key));
    }
    roots.extend(reader.agent(row)?);
    // The trace of a sub-agent whose first row was never read has the id of its unit.
    roots.extend(reader.unit(UnitId(id.0))?.filter(|unit| unit.agent.is_some()));
    roots.retain(|unit| trace_of(unit) == id);
    Ok(roots)
}

/// The session whose id is no UUID and whose trace, as one trace, has this id; `None` if there is none. All sessions are
/// read.
pub(in crate::http) fn session_by_hash(reader: &StoreReader, id: TraceId) -> Result<Option<SessionId>, StoreError> {
    let mut session = None;
    reader.each_session(|one| {
        if TraceScope::of_session(&one.id) == id {
            session = Some(one.id);
        }
    })?;
    Ok(session)
}

/// The session that is one trace with this id in `scope`; `None` if there is none.
pub(in crate::http) fn session_of(
    reader: &StoreReader,
    scope: TraceScope,
    id: TraceId,
) -> Result<Option<Session>, StoreError> {
    if let Some(session) = reader.session(&SessionId(uuid(id).into()))? {
        return Ok(Some(session));
    }
    match scope {
        TraceScope::Turn => Ok(None),
        TraceScope::Session => session_by_hash(reader, id)?.map_or(Ok(None), |session| reader.session(&session)),
    }
}

/// The trace that the spans of each unit of a session are in, in [`TraceScope::Turn`]: of those in the trace of `root`, or
/// of all if there is none.
pub(in crate::http) fn traces_in(
    reader: &StoreReader,
    session: &SessionId,
    root: Option<&Unit>,
) -> Result<HashMap<UnitId, TraceId>, StoreError> {
    let mut above: HashMap<UnitId, Option<UnitId>> = HashMap::new();
    reader.each_member(session, |member| {
        above.insert(member.unit, member.leaves_with());
        ControlFlow::Continue(())
    })?;
    let root = root.map(|root| (root.key.id(), trace_of(root)));
    let (mut traces, mut tops): (_, HashMap<UnitId, Option<TraceId>>) = (HashMap::new(), HashMap::new());
    for unit in above.keys().copied() {
        // The unit, those above it, and at the end the root of its trace.
        let up = std::iter::successors(Some(unit), |unit| above.get(unit).copied().flatten()).take(LEVELS_MAX + 1);
        match root {
            Some((root, trace)) => traces.extend(up.into_iter().any(|one| one == root).then_some((unit, trace))),
            None => {
                let Some(top) = up.last() else { continue };
                let trace = match tops.get(&top) {
                    Some(known) => *known,
                    None => reader.unit(top)?.as_ref().map(trace_of),
                };
                tops.insert(top, trace);
                traces.extend(trace.map(|trace| (unit, trace)));
            }
        }
    }
    Ok(traces)
}
