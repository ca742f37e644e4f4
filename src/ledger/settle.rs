//! Decides what only a stream told, once its run is over or nothing more of it comes.
//!
//! - If the session has a session file, what is left of a provisional turn belongs to the turn of the file that is its
//!   twin, or else to the turn that ran then: the client was killed before it wrote these rows. A turn that was over by
//!   then is another one, and the file is late: the provisional turn is a turn until it comes.
//! - If there is no session file, a provisional turn is a turn. Its responses have the usage of their beginnings, and
//!   sub-agents may be missing; the client's own account (`model_usage_since_last_result`) tells how much is missing. That
//!   becomes the *rest* of the run in the session: see [`rest`](super::rest).
//!
//! Settling again changes nothing, and a session file that comes later turns everything into what it would have been.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::known::Known;
use super::place::RowPlace;
use super::prices::Prices;
use super::rest::{UsedOf, settle_rest};
use super::run::{Run, RunSession, StreamPrompt};
use super::tokens::Tokens;
use super::unit::{Identity, Message, Parts, Prompt, Unit, UnitId};
use crate::transcript::record::Origin;
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;

/// Finds the turn of the session file that a provisional turn belongs to, which has no twin: the latest one that began
/// before it.
pub type TurnOf<'a> = &'a dyn Fn(&Known, &Unit) -> Option<UnitId>;

/// Settles a run. In memory must be its provisional turns with their sections, what `turn_of` finds for each of them, its
/// sessions with their rests, and the other runs that these are in.
pub fn settle(known: &mut Known, id: RunId, prices: &Prices, turn_of: TurnOf<'_>, used: UsedOf<'_>) {
    let Some(run) = known.run(id).cloned() else { return };
    let mut left = Vec::new();
    for unit in &run.provisional {
        let turn = settle_turn(known, *unit, turn_of);
        if turn == Some(*unit) {
            left.push(*unit);
        }
        if let Some((turn, ended)) = turn.zip(run.end()) {
            let_go(known, turn, ended);
        }
    }
    for session in &run.sessions {
        note_open(known, id, session, &left);
        settle_rest(known, (&session.id, id), &left, prices, used);
    }
    let is_over = run.end().is_some();
    if is_over {
        known.arrivals.forget(id);
    }
    left.retain(|turn| is_listed(known, &run, *turn));
    if left != run.provisional || run.settled != is_over {
        let run = known.run_mut(id);
        (run.provisional, run.settled) = (left, is_over);
    }
}

/// Takes in that the process which worked on a turn or sub-agent ended at `at`. One that was open then is over, unless a later
/// row goes on with it.
pub fn let_go(known: &mut Known, id: UnitId, at: Timestamp) {
    if let Some(end) = known.unit(id).and_then(|unit| unit.let_go(at))
        && let Some(unit) = known.unit_mut(id)
    {
        unit.told_end = Some(end);
    }
}

/// Whether a run goes on to list a turn that stays provisional, so that it is looked at whenever the run is settled. Without a
/// session file nothing more is to be decided of a turn whose result came: [`Known::list_again`] lists it if more is told of it.
/// The last one of a session stays, as the place of the rest.
fn is_listed(known: &Known, run: &Run, turn: UnitId) -> bool {
    let Some(unit) = known.unit(turn) else { return false };
    let session = unit.session();
    let has_file = || known.session(session).is_some_and(|session| session.own_rows);
    let has_result = || {
        let result = run.session(session).and_then(|told| told.last.as_ref());
        result.is_some_and(|result| unit.first <= result.at)
    };
    let is_of_it = |other: &&UnitId| known.unit(**other).is_some_and(|unit| unit.session() == session);
    let is_last = || run.provisional.iter().rfind(is_of_it) == Some(&turn);
    has_file() || !has_result() || is_last()
}

/// Notes what the turns of a run used that its last result in a session does not account for.
fn note_open(known: &mut Known, run: RunId, session: &RunSession, turns: &[UnitId]) {
    let mut open: BTreeMap<Arc<str>, Tokens> = BTreeMap::new();
    let units = turns.iter().filter_map(|turn| known.unit(*turn)).filter(|unit| *unit.session() == session.id);
    for unit in units.filter(|unit| session.last.as_ref().is_none_or(|last| unit.first > last.at)) {
        for (model, sums) in unit.tally().models {
            *open.entry(model).or_default() += sums.tokens;
        }
    }
    if open != session.open
        && let Some(session) = known.run_mut(run).session_mut(&session.id, session.first)
    {
        session.open = open;
    }
}

/// The homes of a unit's parts.
fn homes(unit: &Unit) -> Vec<UnitId> {
    std::iter::once(unit.key.id()).chain(unit.section_ids()).collect()
}

/// Settles a provisional turn. Returns the turn that it turned out to be: one of the session file, or itself, and then it
/// must be looked at again if a session file comes. `None` if it was none.
fn settle_turn(known: &mut Known, id: UnitId, turn_of: TurnOf<'_>) -> Option<UnitId> {
    let unit = known.unit(id)?;
    let provisional = unit.provisional.clone()?;
    let (homes, session) = (homes(unit), unit.session().clone());
    let ran = |turn: &UnitId| known.unit(*turn).is_some_and(|turn| ran_when(known, unit, turn));
    let found = provisional.twin.or_else(|| turn_of(known, unit).filter(ran));
    let has_parts = homes.iter().any(|home| known.parts(*home).is_some_and(|parts| !parts.is_empty()));
    let has_file = known.session(&session).is_some_and(|session| session.own_rows);
    match found.filter(|twin| known.unit(*twin).is_some()) {
        Some(twin) if has_file => {
            hand_run(known, id, twin);
            homes.iter().for_each(|home| move_parts(known, *home, twin));
            if let Some(unit) = known.unit_mut(id) {
                empty(unit);
                // More of it may come on the stream.
                unit.provisional.iter_mut().for_each(|provisional| provisional.twin = Some(twin));
            }
            Some(twin)
        }
        _ if has_file && !has_parts => {
            known.unit_mut(id).into_iter().for_each(empty);
            None
        }
        _ => {
            promote(known, id, &homes);
            Some(id)
        }
    }
}

/// Whether a turn of the session file may have run when a provisional turn began: it was not completed before that, nor over
/// before its run.
fn ran_when(known: &Known, provisional: &Unit, turn: &Unit) -> bool {
    let began = provisional.of_run.as_ref().and_then(|of| known.run(of.run)?.began);
    began.is_none_or(|began| turn.last >= began)
        && turn.end().is_none_or(|end| end.reason != "stop" || end.at >= provisional.first)
}

/// Hands the run of a provisional turn to its turn in the session file, of which the stream may have had no row: it was cut
/// before the first. A turn that was over when the run began is of another.
fn hand_run(known: &mut Known, from: UnitId, to: UnitId) {
    let Some(of_run) = known.unit(from).and_then(|unit| unit.of_run.clone()) else { return };
    let began = known.run(of_run.run).and_then(|run| run.began);
    if let Some(turn) = known.unit(to)
        && turn.of_run.is_none()
        && began.is_none_or(|began| turn.last >= began)
        && let Some(turn) = known.unit_mut(to)
    {
        turn.of_run = Some(of_run);
    }
}

/// Leaves nothing of a provisional turn but its id.
fn empty(unit: &mut Unit) {
    unit.prompt = None;
    unit.spoken = false;
    unit.interrupted = None;
    unit.told_end = None;
    if let Some(provisional) = &mut unit.provisional {
        provisional.later.clear();
    }
}

/// Moves all parts of a home to another unit.
fn move_parts(known: &mut Known, from: UnitId, to: UnitId) {
    let parts = known.parts(from).filter(|parts| !parts.is_empty());
    let Some(parts) = parts.cloned() else { return };
    let of_run = known.unit(known.index.owner(from)).and_then(|unit| unit.of_run.clone());
    let Parts { messages, tools, rows } = parts;
    for message in messages.into_iter().filter(|message| !message.is_rest()) {
        let identities: Vec<u64> =
            std::iter::once(Identity::Message(&message.id).hash()).chain(message.names.iter().copied()).collect();
        put(known, to, &identities, |parts| parts.messages.push(Message { closed: true, ..message }));
    }
    for tool in tools {
        put(known, to, &[Identity::Call(&tool.id).hash()], |parts| parts.tools.push(tool));
    }
    for row in rows {
        put(known, to, &[Identity::Row(row.id).hash()], |parts| parts.rows.push(row));
    }
    if let Some(parts) = known.parts_mut(from) {
        *parts = Parts::default();
    }
    if let Some(unit) = known.unit_mut(to).filter(|unit| unit.of_run.is_none()) {
        unit.of_run = of_run;
    }
}

/// Adds a part to a unit. Its identities lead there from now on.
fn put(known: &mut Known, unit: UnitId, identities: &[u64], add: impl FnOnce(&mut Parts)) {
    let Some(room) = known.room(unit) else { return };
    identities.iter().for_each(|identity| known.index.insert(*identity, room));
    if let Some(parts) = known.parts_mut(room) {
        add(parts);
    }
}

/// Makes a turn of a provisional one, because no session file tells of it.
fn promote(known: &mut Known, id: UnitId, homes: &[UnitId]) {
    for home in homes {
        let is_open = |parts: &Parts| parts.messages.iter().any(|message| !message.closed);
        if known.parts(*home).is_some_and(is_open)
            && let Some(parts) = known.parts_mut(*home)
        {
            parts.messages.iter_mut().for_each(|message| message.closed = true);
        }
    }
    let Some(unit) = known.unit(id) else { return };
    let later = unit.provisional.as_ref().map(|provisional| provisional.later.clone()).unwrap_or_default();
    for fact in later {
        let identity = Identity::Row(fact.id).hash();
        if known.index.home(identity).is_none() {
            put(known, id, &[identity], |parts| parts.rows.push(fact));
        }
    }
    if known.unit(id).is_some_and(|unit| unit.prompt.is_none())
        && let Some(unit) = known.unit_mut(id)
    {
        let told = unit.provisional.as_ref().and_then(|provisional| provisional.prompt.clone());
        unit.prompt = Some(prompt(told, unit));
        unit.spoken = true;
    }
}

/// The prompt of a turn of which only a stream tells. Without a line of its own it has no text.
fn prompt(told: Option<StreamPrompt>, unit: &Unit) -> Prompt {
    let nowhere = || RowPlace { file: unit.claim.file, generation: 0, place: Default::default() };
    let told = told.unwrap_or_else(|| StreamPrompt { time: unit.first, place: nowhere(), chars: 0, command: None });
    Prompt {
        origin: Origin::Sdk,
        time: told.time.min(unit.first),
        place: told.place,
        chars: told.chars,
        command: told.command,
        queued_ms: None,
        said: Vec::new(),
        source: None,
        extracts: None,
    }
}

/// [`TurnOf`] for passes that have everything in memory.
#[must_use]
pub fn turn_in_memory(known: &Known, of: &Unit) -> Option<UnitId> {
    let own = known.units().filter(|unit| {
        let is_turn = unit.is_turn() && unit.provisional.is_none();
        is_turn && unit.session() == of.session() && unit.first <= of.first
    });
    own.max_by_key(|unit| (unit.first, unit.key.id())).map(|unit| unit.key.id())
}
