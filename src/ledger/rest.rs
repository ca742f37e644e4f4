//! The rest of a run in a session: what the client counted in it and no response explains.
//!
//! ```text
//! rest of a run, for each model  =  what its results count  -  what its responses used, up to the last result
//! ```
//!
//! - A rest is counted only as long as the session has no session file, which tells more. It is a unit of its own, one for
//!   each run and session, which has no spans and is no turn; so it is in the sums of the session and of the run.
//! - `settle_rest` computes it, when a run is settled. Until the next time [`settle_rests`] takes away what responses have
//!   come to explain since, in the commit that counts these responses, so that no counter has both.
//! - Once the session has a file, it is superseded: it is in no sum and no answer. But counters have counted it, and the file
//!   may go on to tell it for long. So it stays for them alone, and [`settle_rests`] goes on to take away what is explained.
//! - Output alone that is missing is of responses whose end the stream did not tell; a request without rows would have a
//!   prompt. If all of these were cut or interrupted, it completes nothing: a session file does not have it either. So it is
//!   no rest, and stays what the client counted for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::account::{Account, AccountSource};
use super::family::owner;
use super::known::Known;
use super::place::Rank;
use super::prices::Prices;
use super::run::{Provisional, Run, RunSession, Spent};
use super::session::Session;
use super::tally::Tally;
use super::tokens::Tokens;
use super::unit::{Claim, Message, Parts, Unit, UnitId, UnitKey};
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::record::Says;
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use crate::transcript::usage::Usage;

/// When a response came that no result has counted.
const NEVER: Timestamp = Timestamp(i64::MAX);

/// Tokens of each model.
type Models = BTreeMap<Arc<str>, Tokens>;

/// What the responses of a session used, run by run; by `None` those that belong to no run. It is kept up to date by taking out
/// what changes and adding what it became, as a tally is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// By run. What used nothing is not in it.
    runs: BTreeMap<Option<RunId>, Models>,
    /// How many responses there are, by run and model, whose end no stream told and that may have ended all the same.
    open: BTreeMap<(Option<RunId>, Arc<str>), u64>,
    /// The responses that did not end, and how many of each kind there are.
    cut: BTreeMap<Cut, u64>,
}

/// A response that did not end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cut {
    run: Option<RunId>,
    model: Arc<str>,
    /// When the first row of its unit came.
    first: Timestamp,
    /// True if it was interrupted, and did not break off by itself.
    is_interrupted: bool,
}

/// Finds what the responses of a session used.
pub type UsedOf<'a> = &'a dyn Fn(&Known, &SessionId) -> Used;

impl Used {
    /// What parts of a unit used: its own, or those of one of its sections.
    fn of(unit: &Unit, parts: &Parts) -> Self {
        let mut used = Self::default();
        if is_rest(parts) {
            return used;
        }
        let run = run_of(unit);
        let models = Tally::of(parts).models.into_iter().map(|(model, told)| (model, told.tokens));
        let models: Models = models.filter(|(_, tokens)| *tokens != Tokens::default()).collect();
        if !models.is_empty() {
            used.runs.insert(run, models);
        }
        for message in parts.messages.iter().filter(|message| !message.in_file && message.stop.is_none()) {
            let Some(model) = message.shares().first().map(|share| Arc::clone(&share.model)) else { continue };
            let is_interrupted = was_interrupted(unit, message);
            // A stream with partial messages tells the beginning of a response, and its end if there is one.
            if is_interrupted || message.ttft_ms.is_some() {
                *used.cut.entry(Cut { run, model, first: unit.first, is_interrupted }).or_default() += 1;
            } else {
                *used.open.entry((run, model)).or_default() += 1;
            }
        }
        used
    }

    /// Adds parts of a unit: its own, or those of one of its sections.
    pub fn add(&mut self, unit: &Unit, parts: &Parts) {
        let more = Self::of(unit, parts);
        for (run, models) in more.runs {
            let own = self.runs.entry(run).or_default();
            models.into_iter().for_each(|(model, tokens)| *own.entry(model).or_default() += tokens);
        }
        more.open.into_iter().for_each(|(of, count)| *self.open.entry(of).or_default() += count);
        more.cut.into_iter().for_each(|(cut, count)| *self.cut.entry(cut).or_default() += count);
    }

    /// Takes out parts of a unit that were added before, with the unit as it was then.
    pub fn subtract(&mut self, unit: &Unit, parts: &Parts) {
        let less = Self::of(unit, parts);
        for (run, models) in less.runs {
            let Some(own) = self.runs.get_mut(&run) else { continue };
            take_out(own, models, Tokens::minus);
            if own.is_empty() {
                self.runs.remove(&run);
            }
        }
        take_out(&mut self.open, less.open, u64::saturating_sub);
        take_out(&mut self.cut, less.cut, u64::saturating_sub);
    }

    /// Whether what a unit in sections used stands elsewhere now although its sections did not change.
    #[must_use]
    pub fn moves_sections(before: &Unit, now: &Unit) -> bool {
        let place = |unit: &Unit| (unit.first, run_of(unit));
        before.sections.is_some() && (place(before) != place(now) || before.session() != now.session())
    }

    /// Whether all responses of a model in a run whose ends no stream told were cut or interrupted.
    fn are_all_cut(&self, run: &Run, told: &RunSession, model: &Arc<str>) -> bool {
        let mut cut = self.cut.keys().filter(|cut| cut.run == Some(run.id) && cut.model == *model).peekable();
        let is_cut = |cut: &Cut| {
            told.last.as_ref().is_some_and(|last| {
                let is_over = cut.first <= last.at;
                let aborted = || last.reason.as_deref() == Some("aborted_streaming");
                is_over && if cut.is_interrupted { aborted() } else { run.lost.is_empty() }
            })
        };
        cut.peek().is_some() && cut.all(is_cut) && !self.open.contains_key(&(Some(run.id), Arc::clone(model)))
    }

    fn by(&self, run: Option<RunId>) -> Models {
        self.runs.get(&run).cloned().unwrap_or_default()
    }
}

/// Subtracts amounts that were added before. What becomes nothing is removed.
fn take_out<K: Ord, A: Copy + Default + PartialEq>(
    from: &mut BTreeMap<K, A>,
    what: BTreeMap<K, A>,
    minus: fn(A, A) -> A,
) {
    for (key, less) in what {
        let Some(amount) = from.get_mut(&key) else { continue };
        *amount = minus(*amount, less);
        if *amount == A::default() {
            from.remove(&key);
        }
    }
}

fn run_of(unit: &Unit) -> Option<RunId> {
    unit.of_run.as_ref().map(|of| of.run)
}

/// Whether a response came when its turn was interrupted: the last one, if no call of it ran.
fn was_interrupted(unit: &Unit, message: &Message) -> bool {
    let is_last = |parts: &Parts| parts.messages.iter().all(|other| other.end <= message.end);
    let has_call = |parts: &Parts| {
        parts.tools.iter().any(|tool| tool.call.as_ref().is_some_and(|call| call.message == message.id))
    };
    let parts = &unit.parts;
    unit.interrupted.is_some() && unit.sections.is_none() && is_last(parts) && !has_call(parts)
}

/// [`UsedOf`] for passes that have everything in memory.
#[must_use]
pub fn used_in_memory(known: &Known, session: &SessionId) -> Used {
    let mut used = Used::default();
    for unit in known.units().filter(|unit| unit.session() == session) {
        let homes = std::iter::once(unit.key.id()).chain(unit.section_ids());
        homes.filter_map(|home| known.parts(home)).for_each(|parts| used.add(unit, parts));
    }
    used
}

/// The units that may hold a rest of a session.
pub fn homes_of(session: &Session) -> impl Iterator<Item = UnitId> + '_ {
    session.rest.into_iter().chain(session.runs.iter().map(|run| key_of(&session.id, *run).id()))
}

fn key_of(session: &SessionId, run: RunId) -> UnitKey {
    UnitKey::Loose(RowId::of(&Message::rest_id(session, run, "")))
}

fn is_rest(parts: &Parts) -> bool {
    parts.messages.iter().any(Message::is_rest)
}

/// Computes the rests of a session anew, when a run of it is settled. `turns` are provisional turns of this run. All that
/// may hold a rest of the session must be in memory, and the runs that it is in.
pub(super) fn settle_rest(
    known: &mut Known,
    (id, run): (&SessionId, RunId),
    turns: &[UnitId],
    prices: &Prices,
    used: UsedOf<'_>,
) {
    let Some(session) = known.session(id) else { return };
    if session.own_rows {
        // What is left is no rest, but what the client used for itself.
        let homes: Vec<UnitId> = homes_of(session).collect();
        homes.into_iter().for_each(|home| supersede(known, home));
    } else {
        let own = turns.iter().rev().filter_map(|turn| known.unit(*turn)).find(|unit| unit.session() == id);
        let other = || homes_of(session).find(|home| known.unit(*home).is_some());
        let beside = own.map(|unit| unit.key.id()).or_else(other);
        for (of, rest) in rests(known, session, &used(known, id)) {
            // That of another run which goes on is computed when it is settled.
            if of == run || known.run(of).is_some_and(|run| run.settled) {
                put(known, (id, of), rest, beside, prices);
            }
        }
    }
    note(known, id);
}

/// Notes with a session where it has a rest.
fn note(known: &mut Known, id: &SessionId) {
    let Some(session) = known.session(id) else { return };
    let now = homes_of(session).find(|home| known.parts(*home).is_some_and(is_rest));
    if session.rest != now {
        known.session_mut(id).rest = now;
    }
}

/// What no response explains in each run of a session.
fn rests(known: &Known, session: &Session, used: &Used) -> Vec<(RunId, Models)> {
    let runs = session.runs.iter().filter_map(|run| known.run(*run));
    let mut runs: Vec<(&Run, &RunSession)> = runs.filter_map(|run| Some((run, run.session(&session.id)?))).collect();
    runs.sort_by_key(|(run, told)| (told.last.as_ref().map(|last| last.at), run.id));
    // Each run of a client that is too old to tell more counts what the runs before it have used again.
    let (mut so_far, mut before) = (Models::new(), Models::new());
    let (mut rests, mut older) = (Vec::new(), BTreeSet::new());
    for (run, told) in &runs {
        let mut used = used.by(Some(run.id));
        take(&mut used, &mut told.open.clone());
        let mut rest: Models = told.spent.iter().map(|(model, spent)| (Arc::clone(model), tokens(spent))).collect();
        if rest.is_empty() && !told.so_far.is_empty() {
            for (model, spent) in &told.so_far {
                let most = so_far.entry(Arc::clone(model)).or_default();
                let more = most.most(tokens(spent));
                rest.insert(Arc::clone(model), more.minus(*most));
                *most = more;
            }
            older.insert(run.id);
        }
        take(&mut rest, &mut used);
        if older.contains(&run.id) {
            used.into_iter().for_each(|(model, more)| *before.entry(model).or_default() += more);
        }
        rests.push((run.id, rest));
    }
    rests.iter_mut().filter(|(run, _)| older.contains(run)).for_each(|(_, rest)| take(rest, &mut before));
    let mut of_none = used.by(None);
    rests.iter_mut().for_each(|(_, rest)| take(rest, &mut of_none));
    for ((run, told), (_, rest)) in runs.iter().zip(&mut rests) {
        rest.retain(|model, rest| rest.prompt() > 0 || !used.are_all_cut(run, told, model));
    }
    rests
}

/// Takes the tokens of each model away on both sides, as far as both have them.
fn take(from: &mut Models, what: &mut Models) {
    for (model, what) in what {
        let Some(from) = from.get_mut(model) else { continue };
        (*from, *what) = (from.minus(*what), what.minus(*from));
    }
}

/// The unit that holds the rest of a run. One that was stored when a session had a single one is that of the run that it
/// belongs to.
fn home_of(known: &Known, id: &SessionId, run: RunId) -> UnitId {
    let noted = known.session(id).and_then(|session| known.unit(session.rest?));
    let noted = noted.filter(|unit| unit.of_run.as_ref().is_some_and(|of| of.run == run));
    noted.map_or_else(|| key_of(id, run).id(), |unit| unit.key.id())
}

/// Gives a run this rest. If it had none, its unit is made like another one.
fn put(known: &mut Known, (id, run): (&SessionId, RunId), rest: Models, beside: Option<UnitId>, prices: &Prices) {
    let rest = rest.into_iter().filter(|(_, tokens)| *tokens != Tokens::default());
    let rest: Models = rest.collect();
    let home = home_of(known, id, run);
    if known.unit(home).is_none() {
        let Some(like) = beside.and_then(|unit| known.unit(unit)).filter(|_| !rest.is_empty()) else { return };
        let told = known.run(run).map(|run| (run.of(), run.session(id).and_then(|told| told.last.as_ref())));
        let Some((of_run, last)) = told else { return };
        let is_own = like.of_run.as_ref().is_some_and(|of| of.run == run);
        let time = last.filter(|_| !is_own).map_or(like.last, |last| last.at);
        let claim = Claim { time, ..like.claim.clone() };
        let context = like.context.clone();
        known.claim(&key_of(id, run), claim, context);
        let Some(unit) = known.unit_mut(home) else { return };
        unit.provisional = Some(Box::new(Provisional { twin: None, prompt: None, later: Vec::new() }));
        unit.of_run = Some(Box::new(of_run));
    }
    let Some(unit) = known.unit(home) else { return };
    let end = told_until(known, id, run).unwrap_or(unit.last);
    let part = |(model, tokens)| Message { end, ..part((id, run), model, tokens, unit, prices) };
    let parts = rest.into_iter().map(part).collect();
    fill(known, home, parts);
}

/// The latest time of a row before the last result of a run in a session, by the client's clock: what came later is not in it.
fn told_until(known: &Known, id: &SessionId, run: RunId) -> Option<Timestamp> {
    let last = last_of(known, id, run)?;
    let is_it = |account: &&Account| matches!(account.source, AccountSource::Result { at, .. } if at == last);
    let account = known.session(id)?.accounts.iter().rfind(is_it);
    Some(account.map_or(last, |account| account.after))
}

/// Leaves a rest to counters alone.
fn supersede(known: &mut Known, home: UnitId) {
    let Some(unit) = known.unit(home) else { return };
    let parts = unit.parts.messages.iter().map(|part| Message { in_file: true, ..part.clone() }).collect();
    fill(known, home, parts);
}

fn fill(known: &mut Known, home: UnitId, parts: Vec<Message>) {
    if known.unit(home).is_some_and(|unit| unit.parts.messages != parts)
        && let Some(unit) = known.unit_mut(home)
    {
        unit.parts.messages = parts;
    }
}

/// Takes from the rests of sessions what responses have come to explain since the last commit. To be called before
/// [`Known::roll_up`]. All that may hold a rest of these sessions must be in memory, and the runs that they are in.
pub fn settle_rests(known: &mut Known, prices: &Prices) {
    let of_units = known.changed_units().map(|(_, unit)| unit.session());
    let changed: BTreeSet<&SessionId> = of_units.chain(known.changed_sessions().map(|session| &session.id)).collect();
    let with_rest = |id: &&&SessionId| known.session(id).is_some_and(|session| session.rest.is_some());
    let changed: Vec<SessionId> = changed.iter().filter(with_rest).map(|id| (*id).clone()).collect();
    for id in changed {
        explain(known, &id, prices);
    }
}

fn explain(known: &mut Known, id: &SessionId, prices: &Prices) {
    let Some(session) = known.session(id) else { return };
    let homes: BTreeSet<UnitId> = homes_of(session).collect();
    let homes = homes.into_iter().filter_map(|home| Some((known.unit(home)?, run_of(known.unit(home)?)?)));
    let mut homes: Vec<_> = homes.map(|(unit, run)| (reach(unit, session), unit.key.id(), run)).collect();
    homes.sort_unstable();
    let mut grown = grown(known, id);
    // First the rest of the run that a response belongs to, then, for those that belong to none, any that it may be of.
    for is_own in [true, false] {
        for (reach, home, run) in &homes {
            let explains = |whose: &Whose| whose.run == Some(*run).filter(|_| is_own) && whose.at <= *reach;
            let grown = grown.iter_mut().filter(|(whose, _)| explains(whose));
            grown.for_each(|(_, grown)| lessen(known, (id, *run), *home, grown, prices));
        }
    }
    note(known, id);
}

/// Takes from a rest what responses have grown by, and that from their growth.
fn lessen(known: &mut Known, of: (&SessionId, RunId), home: UnitId, grown: &mut Models, prices: &Prices) {
    let Some(unit) = known.unit(home) else { return };
    let mut parts = unit.parts.messages.clone();
    for known in &mut parts {
        let mut rest = Models::from([(Arc::clone(&known.model), Tokens::of(&known.usage))]);
        take(&mut rest, grown);
        if let Some((model, tokens)) = rest.into_iter().find(|(_, tokens)| *tokens != Tokens::of(&known.usage)) {
            let (end, in_file) = (known.end, known.in_file);
            *known = Message { end, in_file, ..part(of, model, tokens, unit, prices) };
        }
    }
    parts.retain(|part| Tokens::of(&part.usage) != Tokens::default());
    fill(known, home, parts);
}

/// Up to when responses may be what a rest is of. A session file goes on with turns that it is not of.
fn reach(rest: &Unit, session: &Session) -> Timestamp {
    let end = rest.parts.messages.iter().map(|part| part.end).max().filter(|_| session.own_rows);
    end.unwrap_or(Timestamp(NEVER.0 - 1))
}

/// Whose rest a response may explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Whose {
    /// That of the run that it belongs to; `None` if it may be of any.
    run: Option<RunId>,
    /// When it came, or [`NEVER`].
    at: Timestamp,
}

impl Whose {
    /// What is used behind the last result of its run, the client did not count.
    fn of(known: &Known, unit: &Unit, message: &Message) -> Self {
        let run = run_of(owner(known, unit));
        let last = run.and_then(|run| last_of(known, unit.session(), run));
        let is_open = !message.in_file && last.is_none_or(|last| unit.first > last);
        Self { run, at: if is_open { NEVER } else { message.rank.time } }
    }
}

/// When the last result of a run in a session came.
fn last_of(known: &Known, session: &SessionId, run: RunId) -> Option<Timestamp> {
    Some(known.run(run)?.session(session)?.last.as_ref()?.at)
}

/// How much more the responses of a session used than at the last commit. What only moved from one unit or run to another is not
/// more.
fn grown(known: &Known, id: &SessionId) -> BTreeMap<Whose, Models> {
    let (mut now, mut before) = (Vec::new(), BTreeMap::new());
    for (old, unit) in known.changed_units() {
        now.extend(responses(&unit.parts).filter(|_| unit.session() == id).map(|message| (unit, message)));
        let old = old.filter(|old| old.session() == id).into_iter().flat_map(|old| responses(&old.parts));
        before.extend(old.map(|message| (&*message.id, used_by(message))));
    }
    for (_, old, section) in known.changed_sections() {
        let Some(unit) = known.unit(section.of).filter(|unit| unit.session() == id) else { continue };
        now.extend(responses(&section.parts).map(|message| (unit, message)));
        let old = old.into_iter().flat_map(|old| responses(&old.parts));
        before.extend(old.map(|message| (&*message.id, used_by(message))));
    }
    let mut grown: BTreeMap<Whose, Models> = BTreeMap::new();
    for (unit, message) in now {
        let mut more = used_by(message);
        before.remove(&*message.id).into_iter().for_each(|mut known| take(&mut more, &mut known));
        let models = grown.entry(Whose::of(known, unit, message)).or_default();
        more.into_iter().for_each(|(model, tokens)| *models.entry(model).or_default() += tokens);
    }
    // What is left has another id now.
    for known in before.values_mut() {
        grown.values_mut().for_each(|grown| take(grown, known));
    }
    grown
}

fn responses(parts: &Parts) -> impl Iterator<Item = &Message> {
    parts.messages.iter().filter(|message| !message.is_rest())
}

/// The tokens of each model of a response.
fn used_by(message: &Message) -> Models {
    let mut models = Models::new();
    message.shares().iter().for_each(|share| *models.entry(Arc::clone(&share.model)).or_default() += share.tokens);
    models
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
fn part((session, run): (&SessionId, RunId), model: Arc<str>, tokens: Tokens, unit: &Unit, prices: &Prices) -> Message {
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
        id: Message::rest_id(session, run, &model),
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
