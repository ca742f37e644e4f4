//! Finds where single calls and responses stand that an answer names: in the replay of their session and in its traces. What
//! was found is kept until the session changes.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::cells::CellsNow;
use super::place::{Place, Sought};
use crate::http::api::long_session::LongSession;
use crate::http::api::page_address::page_address;
use crate::http::api::state::unreadable;
use crate::http::route::problem::Problem;
use crate::ledger::family::{LEVELS_MAX, root_around};
use crate::ledger::session::Session;
use crate::ledger::unit::{Identity, Parts, Tool, Unit, UnitId};
use crate::store::{StoreError, StoreReader};
use crate::transcript::ids::SessionId;
use crate::views::sessions::event::{Detail, Event};
use crate::views::sessions::events::events;
use crate::views::traces::finish::SpanRules;
use crate::views::traces::ids::{CHAT, EXECUTE_TOOL, SpanAt, TraceId, span_id, trace_of};

/// Most places that are kept: some 10 MB.
const PLACES_MAX: usize = 50_000;

/// Most events of one millisecond among which that of a call in a long session is looked for.
const SAME_TIME_MAX: usize = 256;

/// Finds places, each session being read at most once. What is not found is left out.
pub(in crate::http) fn places(
    reader: &StoreReader,
    cells: &CellsNow<'_>,
    rules: &SpanRules,
    wanted: &[(SessionId, Sought)],
) -> Result<HashMap<Sought, Place>, Problem> {
    let mut found = HashMap::new();
    let mut unknown: HashMap<&SessionId, Vec<Sought>> = HashMap::new();
    {
        let known = cells.places();
        for (session, sought) in wanted {
            match known.get(session).and_then(|places| places.get(sought)) {
                Some(place) => found.extend(place.clone().map(|place| (*sought, place))),
                None => unknown.entry(session).or_default().push(*sought),
            }
        }
    }
    for (id, sought) in unknown {
        let Some(session) = reader.session(id).map_err(unreadable)? else { continue };
        let new = find(reader, &session, rules, &sought).map_err(unreadable)?;
        let mut known = cells.places();
        if known.values().map(HashMap::len).sum::<usize>() > PLACES_MAX {
            known.clear();
        }
        let places = known.entry(id.clone()).or_default();
        for sought in sought {
            let place = new.get(&sought).cloned();
            places.insert(sought, place.clone());
            found.extend(place.map(|place| (sought, place)));
        }
    }
    Ok(found)
}

fn find(
    reader: &StoreReader,
    session: &Session,
    rules: &SpanRules,
    sought: &[Sought],
) -> Result<HashMap<Sought, Place>, StoreError> {
    if LongSession::is_one(session) {
        return find_in_long(reader, session, rules, sought);
    }
    let units = reader.units_of(session)?;
    let by_id: HashMap<UnitId, &Unit> = units.iter().map(|unit| (unit.key.id(), unit)).collect();
    let events = events(&units);
    let by_own_id: HashMap<&str, &Event> = events.iter().filter_map(|event| Some((ended_by(event)?, event))).collect();
    let mut places = HashMap::new();
    for sought in sought {
        let Some(unit) = by_id.get(&sought.unit) else { continue };
        let Some(own) = Own::of(&unit.parts, sought) else { continue };
        let event = by_own_id.get(&*own.id).copied();
        places.insert(*sought, own.place(event, trace(reader, unit)?, session, rules));
    }
    Ok(places)
}

/// The same for a session that is too long to be in memory.
fn find_in_long(
    reader: &StoreReader,
    session: &Session,
    rules: &SpanRules,
    sought: &[Sought],
) -> Result<HashMap<Sought, Place>, StoreError> {
    let long = LongSession::read(reader, session)?;
    let mut places = HashMap::new();
    for sought in sought {
        let Some(unit) = reader.unit(sought.unit)? else { continue };
        let mut own = Own::of(&unit.parts, sought);
        reader.each_section(sought.unit, |section| {
            own = own.take().or_else(|| Own::of(&section.parts, sought));
            until(own.is_some())
        })?;
        let Some(own) = own else { continue };
        let near = long.plain_events(reader, long.at(sought.end), SAME_TIME_MAX)?;
        let event = near.iter().find(|event| ended_by(event) == Some(&*own.id));
        places.insert(*sought, own.place(event, trace(reader, &unit)?, session, rules));
    }
    Ok(places)
}

/// Breaks once something was found.
const fn until(found: bool) -> ControlFlow<()> {
    if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// What names a call or response in the replay and in its span.
struct Own {
    id: Box<str>,
    kind: &'static str,
    /// The natural key of its span.
    key: Box<str>,
}

impl Own {
    /// The call or response that is sought, if it is among these parts.
    fn of(parts: &Parts, sought: &Sought) -> Option<Self> {
        if sought.is_call {
            let is_it = |tool: &&Tool| tool.call.is_some() && sought.has(Identity::Call(&tool.id).hash());
            let id = &parts.tools.iter().find(is_it)?.id;
            return Some(Self { id: id.clone(), kind: EXECUTE_TOOL, key: id.clone() });
        }
        let message = parts.messages.iter().find(|message| sought.has(Identity::Message(&message.id).hash()))?;
        let key = message.request.as_ref().unwrap_or(&message.id);
        Some(Self { id: message.id.clone(), kind: CHAT, key: key.clone() })
    }

    fn place(&self, event: Option<&Event>, trace: TraceId, session: &Session, rules: &SpanRules) -> Place {
        let span = SpanAt { trace, span: span_id(trace, self.kind, &self.key) };
        Place {
            event: event.map(|event| event.index),
            turn: event.and_then(|event| event.turn),
            span: rules.scope.place(&session.id, span),
            page: page_address(rules, &session.id.0, event.map(|event| event.index)).into(),
        }
    }
}

/// The id of the call or response that an event ended.
fn ended_by(event: &Event) -> Option<&str> {
    match &event.detail {
        Detail::ToolResult { tool_call_id, .. } => Some(tool_call_id),
        Detail::Message { message_id, .. } => Some(message_id),
        _ => None,
    }
}

/// The trace that holds the spans of a unit.
fn trace(reader: &StoreReader, unit: &Unit) -> Result<TraceId, StoreError> {
    let mut above: Vec<(Unit, Option<Tool>)> = Vec::new();
    while above.len() < LEVELS_MAX {
        let below = above.last().map_or(unit, |(last, _)| last);
        let Some(agent) = &below.agent else { break };
        let (Some(parent), Some(call)) = (agent.parent, agent.call.as_deref()) else { break };
        let Some(parent) = reader.unit(parent)? else { break };
        let call = call_of(reader, &parent, call)?;
        above.push((parent, call));
    }
    let find = |id| above.iter().map(|(unit, _)| unit).find(|unit| unit.key.id() == id);
    let find_call =
        |_: &Unit, id: &str| above.iter().filter_map(|(_, call)| call.as_ref()).find(|call| *call.id == *id);
    Ok(trace_of(root_around(unit, &find, &find_call).unwrap_or(unit)))
}

/// A call of a unit, wherever its parts lie.
fn call_of(reader: &StoreReader, unit: &Unit, call: &str) -> Result<Option<Tool>, StoreError> {
    let mut found = unit.parts.tool(call).cloned();
    if unit.sections.is_some() {
        reader.each_section(unit.key.id(), |section| {
            found = found.take().or_else(|| section.parts.tool(call).cloned());
            until(found.is_some())
        })?;
    }
    Ok(found)
}
