//! Decides what only a stream told, once its run is over or nothing more of it comes.
//!
//! - If the session has a session file, what is left of a provisional turn belongs to the turn of the file that is its
//!   twin, or else to the turn that ran then: the client was killed before it wrote these rows. A turn that was over by
//!   then is another one, and the file is late: the provisional turn is a turn until it comes.
//! - If there is no session file, a provisional turn is a turn. Its responses have the usage of their beginnings, and
//!   sub-agents may be missing; the client's own account (`model_usage_since_last_result`) tells how much is missing. That
//!   becomes the *rest* of the session: one part for each model that holds what no response explains.
//!
//! Settling again changes nothing, and a session file that comes later turns everything into what it would have been.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::known::Known;
use super::place::{Rank, RowPlace};
use super::prices::Prices;
use super::run::{Provisional, RunSession, Spent, StreamPrompt};
use super::session::Session;
use super::tally::Tally;
use super::tokens::Tokens;
use super::unit::{Claim, Identity, Message, Parts, Prompt, Unit, UnitId, UnitKey};
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::record::{Origin, Says};
use crate::transcript::stream::RunId;
use crate::transcript::usage::Usage;

/// Finds the turn of the session file that a provisional turn belongs to, which has no twin: the latest one that began
/// before it.
pub type TurnOf<'a> = &'a dyn Fn(&Known, &Unit) -> Option<UnitId>;

/// Settles a run. In memory must be its provisional turns with their sections, what `turn_of` finds for each of them, its
/// sessions, the other runs that these are in, and of a session without a file all units with their sections.
pub fn settle(known: &mut Known, id: RunId, prices: &Prices, turn_of: TurnOf<'_>) {
    let Some(run) = known.run(id).cloned() else { return };
    let mut left = Vec::new();
    for unit in &run.provisional {
        if settle_turn(known, *unit, turn_of) {
            left.push(*unit);
        }
    }
    for session in &run.sessions {
        note_open(known, id, session, &left);
        settle_rest(known, &session.id, &left, prices);
    }
    let is_over = run.end().is_some();
    if is_over {
        known.arrivals.forget(id);
    }
    if left != run.provisional || run.settled != is_over {
        let run = known.run_mut(id);
        (run.provisional, run.settled) = (left, is_over);
    }
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

/// Settles a provisional turn. True if it stays one, so that it must be looked at again if a session file comes.
fn settle_turn(known: &mut Known, id: UnitId, turn_of: TurnOf<'_>) -> bool {
    let Some(unit) = known.unit(id) else { return false };
    let Some(provisional) = unit.provisional.clone() else { return false };
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
            false
        }
        _ if has_file && !has_parts => {
            known.unit_mut(id).into_iter().for_each(empty);
            false
        }
        _ => {
            promote(known, id, &homes);
            true
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

/// Computes the rest of a session anew. It has a unit of its own, which has no spans and is no turn. `turns` are
/// provisional turns of its run.
fn settle_rest(known: &mut Known, id: &SessionId, turns: &[UnitId], prices: &Prices) {
    let own = turns.iter().rev().filter_map(|turn| known.unit(*turn)).find(|unit| unit.session() == id);
    let has_file = known.session(id).is_some_and(|session| session.own_rows);
    let own = own.map(|unit| unit.key.id());
    change_rest(known, id, Some((own, has_file)), prices);
}

/// Computes the rest of a session anew. `settled` is `None` while the session file may still explain more of it; else it
/// tells the turn beside which a new rest is put, and whether there is a session file: then what is left is no rest, but
/// what the client used for itself.
fn change_rest(known: &mut Known, id: &SessionId, settled: Option<(Option<UnitId>, bool)>, prices: &Prices) {
    let Some(session) = known.session(id) else { return };
    let explains_all = settled.is_some_and(|(_, has_file)| has_file);
    let mut missing = if explains_all { BTreeMap::new() } else { missing(known, session) };
    missing.retain(|_, spent| *spent != Tokens::default());
    let own = settled.and_then(|(own, _)| known.unit(own?));
    let home = match (session.rest, own) {
        (Some(home), _) => home,
        (None, Some(last)) if !missing.is_empty() => {
            let key = UnitKey::Loose(RowId::of(&Message::rest_id(id, "")));
            let claim = Claim { time: last.last, ..last.claim.clone() };
            let (context, of_run) = (last.context.clone(), last.of_run.clone());
            let home = known.claim(&key, claim, context);
            if let Some(unit) = known.unit_mut(home) {
                unit.provisional = Some(Box::new(Provisional { twin: None, prompt: None, later: Vec::new() }));
                unit.of_run = of_run;
            }
            home
        }
        _ => return,
    };
    let Some(unit) = known.unit(home) else { return };
    let rest: Vec<Message> = missing.into_iter().map(|(model, tokens)| rest(id, model, tokens, unit, prices)).collect();
    if unit.parts.messages != rest
        && let Some(parts) = known.parts_mut(home)
    {
        parts.messages.clone_from(&rest);
    }
    let now = (!rest.is_empty()).then_some(home);
    if known.session(id).and_then(|session| session.rest) != now {
        known.session_mut(id).rest = now;
    }
}

/// The tokens of each model that the client counted in the runs of a session, beyond those of its responses.
fn missing(known: &Known, session: &Session) -> BTreeMap<Arc<str>, Tokens> {
    let mut spent: BTreeMap<Arc<str>, Tokens> = BTreeMap::new();
    let mut so_far: BTreeMap<Arc<str>, Tokens> = BTreeMap::new();
    for run in session.runs.iter().filter_map(|run| known.run(*run)?.session(&session.id)) {
        for (model, told) in &run.spent {
            *spent.entry(Arc::clone(model)).or_default() += tokens(told);
        }
        // Each run of a client that is too old to tell more counts what the runs before it have used again.
        for (model, told) in run.so_far.iter().filter(|_| run.spent.is_empty()) {
            let most = so_far.entry(Arc::clone(model)).or_default();
            *most = most.most(tokens(told));
        }
    }
    for (model, told) in so_far {
        *spent.entry(model).or_default() += told;
    }
    let mut counted = counted(known, session);
    for run in session.runs.iter().filter_map(|run| known.run(*run)?.session(&session.id)) {
        for (model, open) in &run.open {
            let sum = counted.entry(Arc::clone(model)).or_default();
            *sum = sum.minus(*open);
        }
    }
    for (model, spent) in &mut spent {
        *spent = spent.minus(counted.remove(model).unwrap_or_default());
    }
    spent
}

/// The tokens of each model in the responses of a session: its sums at the last commit, and what changed since.
fn counted(known: &Known, session: &Session) -> BTreeMap<Arc<str>, Tokens> {
    let mut tally = session.tally.clone();
    for (before, unit) in known.changed_units() {
        before
            .filter(|before| before.session() == &session.id)
            .map(Unit::tally)
            .iter()
            .for_each(|old| tally.subtract(old));
        Some(unit).filter(|unit| unit.session() == &session.id).map(Unit::tally).iter().for_each(|new| tally.add(new));
    }
    for (_, before, section) in known.changed_sections() {
        // The sums in the unit are those of the last commit.
        if known.unit(section.of).is_some_and(|unit| unit.session() == &session.id) {
            before.map(|before| Tally::of(&before.parts)).iter().for_each(|old| tally.subtract(old));
            tally.add(&Tally::of(&section.parts));
        }
    }
    let rest = session.rest.and_then(|rest| known.parts(rest)).map(Tally::of);
    rest.iter().for_each(|rest| tally.subtract(rest));
    tally.models.into_iter().map(|(model, sums)| (model, sums.tokens)).collect()
}

/// Computes the rests of sessions anew of which something has changed since the last commit. To be called before
/// [`Known::roll_up`]. The runs of these sessions must be in memory.
pub fn settle_rests(known: &mut Known, prices: &Prices) {
    let of_units = known.changed_units().map(|(_, unit)| unit.session());
    let changed: BTreeSet<&SessionId> = of_units.chain(known.changed_sessions().map(|session| &session.id)).collect();
    let with_rest = |id: &&&SessionId| known.session(id).is_some_and(|session| session.rest.is_some());
    let changed: Vec<SessionId> = changed.iter().filter(with_rest).map(|id| (*id).clone()).collect();
    for id in changed {
        change_rest(known, &id, None, prices);
    }
}

const fn tokens(told: &Spent) -> Tokens {
    Tokens {
        input: told.input,
        output: told.output,
        cache_read: told.cache_read,
        cache_write_5m: told.cache_write_5m,
        cache_write_1h: told.cache_write_1h,
    }
}

/// The part that holds what no response of a model explains.
fn rest(session: &SessionId, model: Arc<str>, tokens: Tokens, unit: &Unit, prices: &Prices) -> Message {
    let (time, file) = (unit.last, unit.claim.file);
    let usage = Usage {
        input: tokens.input,
        output: tokens.output,
        cache_read: tokens.cache_read,
        cache_write: Some(tokens.cache_write_5m + tokens.cache_write_1h),
        cache_write_5m: tokens.cache_write_5m,
        cache_write_1h: tokens.cache_write_1h,
        ..Usage::default()
    };
    let mut message = Message {
        id: Message::rest_id(session, &model),
        request: None,
        model,
        requested_model: None,
        usage,
        stop: None,
        rank: Rank { copy: false, time, file },
        start: time,
        end: time,
        rows: Vec::new(),
        says: Says::default(),
        skill: None,
        effort: None,
        names: Vec::new(),
        undated: true,
        unreadable_usage: None,
        unidentified: false,
        shares: Vec::new(),
        closed: true,
        sent: true,
        streamed: Vec::new(),
        in_file: false,
        ttft_ms: None,
    };
    message.shares = message.priced(prices);
    message
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
