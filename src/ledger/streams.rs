//! Folds the lines of a stream into the same units as the rows of the session file, by the same ids.
//!
//! ```text
//! stream   assistant ──▶ provisional turn ─┐ parts move, one by one, as their rows are read
//! file     prompt, assistant ──▶ turn  ◀───┘
//! ```
//!
//! - A stream has no prompts and no `promptId`, so it cannot tell which turn a row belongs to. If the response or call of
//!   a row is known already, the row belongs where that is. Otherwise it goes into a *provisional turn*: one from a row
//!   up to the next `result`. Once the session file has a row of it, the turn there is its *twin*, and further rows of the
//!   stream go to the twin.
//! - A variant of a row from a session file is always better than one from a stream ([`Known::rank_is_better`]), so parts
//!   move to the turn of the file, whichever came first.
//! - What never gets a twin is decided when the run is over: see [`settle`](super::settle).
//! - The usage of a row in a stream is that of the beginning of the response. `message_delta`, the session file, or
//!   `result` tell the rest; the maximum of each count is kept.
//!
//! [`Known::rank_is_better`]: super::known::Known

use super::account::{Account, AccountSource, models_of};
use super::derived::hash_of;
use super::fold::{Fold, PlacedRow};
use super::known::{AskedWhat, StreamThread};
use super::money::Money;
use super::run::{Provisional, Run, StreamPrompt};
use super::unit::{Claim, ClaimBy, Identity, Message, OfRun, RowFact, RowPlace, Unit, UnitId, UnitKey};
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::record::{Ending, Fact, Record, Row, RowKind, Said};
use crate::transcript::stream::{Mark, RunId, StreamLine, StreamResult, StreamUsage};
use crate::transcript::time::Timestamp;

impl Fold<'_> {
    /// True while lines of a stream are folded.
    pub(super) fn is_stream(&self) -> bool {
        self.known.streams.contains(&self.file)
    }

    pub(super) fn stream(&mut self) -> &mut StreamThread {
        self.known.thread_mut(self.file).stream.get_or_insert_default()
    }

    /// The run of this stream. A stream without a mark of its own is a run by the name of its file.
    pub(super) fn run_id(&mut self) -> RunId {
        let named = RunId(RowId::of(&self.known.stem(self.file).0));
        *self.stream().run.get_or_insert(named)
    }

    fn run(&mut self) -> &mut Run {
        let id = self.run_id();
        self.known.run_mut(id)
    }

    /// Takes in a line that is no row of the conversation.
    pub(super) fn stream_line(&mut self, line: &StreamLine, record: &Record) {
        match line {
            StreamLine::Mark(mark) => self.mark(mark, record),
            StreamLine::Init { session, cwd, version } => {
                let place = self.place_of(record);
                let at = self.in_session(session);
                if let Some(session) = self.run().session_mut(session, at) {
                    session.cwd = cwd.clone().or(session.cwd.take());
                    session.version = version.clone().or(session.version.take());
                }
                let begins = StreamPrompt { time: at, place, chars: 0, command: None };
                self.stream().prompt.get_or_insert(begins);
            }
            StreamLine::Requesting { session } => {
                let at = self.in_session(session);
                self.known.thread_mut(self.file).requested = Some(at);
            }
            StreamLine::Usage(usage) => self.stream_usage(usage),
            StreamLine::Prompt { session, time, chars, command } => {
                let place = self.place_of(record);
                let at = self.in_session(session);
                let prompt = StreamPrompt { time: time.unwrap_or(at), place, chars: *chars, command: command.clone() };
                self.stream().prompt = Some(prompt);
            }
            StreamLine::Permission { call, request } => self.permission(call, request.as_deref()),
            StreamLine::Answered { request } => self.request_answered(request),
            StreamLine::Reset => self.known.thread_mut(self.file).current = None,
            StreamLine::Retry { id, session, what } => self.later(session, *id, Fact::Failure(*what)),
            StreamLine::Compaction { id, session, what } => self.later(session, *id, Fact::Compaction(what.clone())),
            StreamLine::Result(result) => self.stream_result(result, record),
        }
    }

    fn place_of(&mut self, record: &Record) -> RowPlace {
        let generation = self.known.thread_mut(self.file).generation;
        RowPlace { file: self.file, generation, place: record.place }
    }

    fn mark(&mut self, mark: &Mark, record: &Record) {
        match mark {
            Mark::Run(began) => {
                self.stream().run = Some(began.run);
                if let Some(at) = began.at {
                    self.arrived(at);
                }
                self.run().begin(began);
            }
            Mark::At { at, by_sidecar } => {
                self.arrived(*at);
                // Who tells when lines arrived is `tailspan stream`, which tells when there are no more.
                self.run().tells_end |= !by_sidecar;
            }
            Mark::Lost { lines, at, .. } => {
                let place = u64::from(self.file.0) << 40 | record.place.offset;
                if self.run().lose(place, *lines) {
                    let at = at.unwrap_or(self.stream().arrived);
                    self.known.losses.push((at, *lines));
                }
            }
            Mark::End { at, torn_bytes } => {
                // The clock of the sender may be behind.
                let at = at.unwrap_or(self.stream().arrived).max(self.stream().arrived);
                self.arrived(at);
                let run = self.run();
                run.ended = run.ended.max(Some(at)).max(run.last);
                run.torn_bytes = run.torn_bytes.max(*torn_bytes);
                self.tell_sessions(AskedWhat::RunEnded);
            }
        }
    }

    fn arrived(&mut self, at: Timestamp) {
        let stream = self.stream();
        stream.arrived = stream.arrived.max(at);
        let run = self.run();
        let had_ended = run.end().is_some();
        run.arrived(at);
        if had_ended && run.end().is_none() {
            self.tell_sessions(AskedWhat::RunBegan);
        }
    }

    /// Notes that a line is of a session. Returns when the line arrived.
    fn in_session(&mut self, session: &SessionId) -> Timestamp {
        let at = self.stream().arrived;
        let run = self.run_id();
        let thread = self.known.thread_mut(self.file);
        if thread.session.as_ref() != Some(session) {
            // One standard output may hold several sessions: `/clear` begins another one.
            thread.current = None;
            thread.session = Some(session.clone());
        }
        if self.known.run(run).is_none_or(|run| run.session(session).is_none()) {
            self.run().session_mut(session, at);
        }
        if !self.known.session(session).is_some_and(|known| known.runs.contains(&run)) {
            self.known.session_mut(session).joined(run);
            self.tell_of_questions(session, at, AskedWhat::RunBegan(run));
        }
        at
    }

    /// Takes in a row of the conversation.
    pub(super) fn stream_row(&mut self, row: &Row, record: &Record) {
        let Some(session) = row.session.clone() else { return };
        let at = self.in_session(&session);
        let time = row.time.unwrap_or(at);
        let run = self.run();
        run.given_up = false;
        if !std::mem::replace(&mut run.is_working, true) {
            run.settled = false;
        }
        let told = run.session(&session).map(|told| (told.cwd.clone(), told.version.clone()));
        let (cwd, version) = told.unwrap_or_default();
        let row = Row { cwd, version, ..row.clone() };
        let thread = self.known.thread_mut(self.file);
        thread.last = thread.last.max(time);
        let place = self.place_of(record);
        let run = self.run_id();
        self.known.arrivals.arrived(hash_of(row.id), at, run);
        let seen = PlacedRow { row: &row, session, time, place };
        match &row.kind {
            RowKind::Assistant(assistant) => {
                let known = Identity::Message(&assistant.message).hash();
                let Some(unit) = self.unit_on_stream(&seen, known) else { return };
                self.assistant(&seen, unit, assistant);
                self.early_usage(&assistant.message);
            }
            RowKind::User(user) => match &user.said {
                Said::Results(results) => {
                    for result in results {
                        let known = Identity::Call(&result.call).hash();
                        let Some(unit) = self.unit_on_stream(&seen, known) else { continue };
                        self.result(&seen, unit, result);
                    }
                    self.asked(&seen);
                }
                Said::Interrupt if row.agent.is_none() => self.interrupted_on_stream(time),
                // The prompt of a sub-agent, and texts of the client: the session file has more of them.
                _ => {}
            },
            _ => {}
        }
    }

    fn interrupted_on_stream(&mut self, time: Timestamp) {
        let Some(unit) = self.known.thread_mut(self.file).current.clone() else { return };
        if let Some(unit) = self.known.unit_mut(unit.id()) {
            unit.interrupted = Some(unit.interrupted.map_or(time, |known| known.min(time)));
        }
    }

    /// The unit that a row of a stream belongs to: where its response or call, by the hash `known`, is; else the turn
    /// that goes on, else a new provisional turn. `None` if it is retired, or must be loaded first.
    fn unit_on_stream(&mut self, seen: &PlacedRow<'_>, known: u64) -> Option<UnitId> {
        if self.known.index.was_retired(known) {
            return None;
        }
        let unit = if let Some(agent) = &seen.row.agent {
            let key = self.unit_of_agent(&seen.session, agent);
            self.ensure(seen, &key)
        } else {
            let home = self.known.index.home(known).map(|home| self.known.index.owner(home));
            let current = self.known.thread_mut(self.file).current.clone().map(|current| current.id());
            match (home, current) {
                (Some(home), _) if !self.known.is_here(home) => return None,
                (Some(home), current) => {
                    if let Some(current) = current.filter(|current| *current != home) {
                        self.met_twin(current, home);
                    }
                    self.go_on_in(home);
                    home
                }
                (None, Some(current)) if self.known.is_here(current) => {
                    let twin = self.known.unit(current).and_then(|unit| unit.provisional.as_ref()?.twin);
                    let unit = twin.unwrap_or(current);
                    if !self.known.is_here(unit) {
                        return None;
                    }
                    self.go_on_in(unit);
                    unit
                }
                (None, Some(_)) => return None,
                (None, None) => self.begin_provisional(seen),
            }
        };
        let of_run = self.run().of();
        // A line of an old client has no time of its own, and says nothing about when its twin was written.
        if seen.row.time.is_some() || self.known.unit(unit).is_some_and(|unit| unit.provisional.is_some()) {
            self.seen_in(seen, unit);
        }
        // Of a stream that is passed on again, as another run, the turns stay those of the first.
        let has_other = |known: &Option<Box<OfRun>>| {
            known.as_ref().is_none_or(|known| known.run == of_run.run && **known != of_run)
        };
        if self.known.unit(unit).is_some_and(|unit| has_other(&unit.of_run))
            && let Some(unit) = self.known.unit_mut(unit)
        {
            unit.of_run = Some(Box::new(of_run));
        }
        self.told_more_of(unit);
        Some(unit)
    }

    /// Has the run decide anew what becomes of a provisional turn of it, because more was told of that.
    fn told_more_of(&mut self, unit: UnitId) {
        let run = self.run_id();
        let is_of_it = |unit: &Unit| unit.of_run.as_ref().is_some_and(|of| of.run == run);
        if self.known.unit(unit).is_some_and(|unit| unit.provisional.is_some() && is_of_it(unit)) {
            self.known.list_again(run, &[unit]);
        }
    }

    fn go_on_in(&mut self, unit: UnitId) {
        let key = self.known.unit(unit).map(|unit| unit.key.clone());
        let thread = self.known.thread_mut(self.file);
        thread.current = key.or(thread.current.take());
    }

    fn begin_provisional(&mut self, seen: &PlacedRow<'_>) -> UnitId {
        let key = UnitKey::Turn(seen.row.id);
        let claim = Claim { by: ClaimBy::Row, time: seen.time, file: self.file, session: seen.session.clone() };
        let id = self.ensure_claimed(seen, &key, claim);
        self.known.thread_mut(self.file).current = Some(key);
        let stream = self.stream();
        let (prompt, later) = (stream.prompt.take(), std::mem::take(&mut stream.later));
        if let Some(unit) = self.known.unit_mut(id)
            && unit.provisional.is_none()
        {
            unit.provisional = Some(Box::new(Provisional { twin: None, prompt, later }));
        }
        let run = self.run();
        if !run.provisional.contains(&id) {
            run.provisional.push(id);
        }
        id
    }

    /// Begins a provisional turn of which only its result tells: it was cut before its first row.
    fn begin_without_rows(&mut self, result: &StreamResult, at: Timestamp, record: &Record) {
        let told = self.run().session(&result.session).map(|told| (told.cwd.clone(), told.version.clone()));
        let (cwd, version) = told.unwrap_or_default();
        let row = Row {
            id: result.id,
            parent: None,
            session: Some(result.session.clone()),
            agent: None,
            sidechain: false,
            forked_from: None,
            time: Some(at),
            cwd,
            branch: None,
            version,
            entrypoint: None,
            kind: RowKind::Other,
        };
        let place = self.place_of(record);
        let unit = self.begin_provisional(&PlacedRow { row: &row, session: result.session.clone(), time: at, place });
        let of_run = self.run().of();
        if let Some(unit) = self.known.unit_mut(unit) {
            unit.of_run = Some(Box::new(of_run));
        }
    }

    /// Notes that a part moves from one home to another: if the first is a provisional turn, the second is its twin.
    pub(super) fn met_twin(&mut self, from: UnitId, to: UnitId) {
        let (from, to) = (self.known.index.owner(from), self.known.index.owner(to));
        let is_turn = |unit: &Unit| matches!(unit.key, UnitKey::Turn(_) | UnitKey::Loose(_));
        let Some(unit) = self.known.unit(from).filter(|_| from != to) else { return };
        let is_new = unit.provisional.as_ref().is_some_and(|provisional| provisional.twin != Some(to));
        if !is_new || !self.known.unit(to).is_some_and(|to| is_turn(to) && to.provisional.is_none()) {
            return;
        }
        let of_run = unit.of_run.clone();
        if let Some(provisional) = self.known.unit_mut(from).and_then(|unit| unit.provisional.as_mut()) {
            provisional.twin = Some(to);
        }
        if let Some(twin) = self.known.unit_mut(to).filter(|twin| twin.of_run.is_none()) {
            twin.of_run = of_run;
        }
    }

    /// Takes an event out of a provisional turn, because the session file tells it too and says where it belongs.
    pub(super) fn take_from_stream(&mut self, identity: u64, id: RowId) {
        if self.is_stream() {
            return;
        }
        let Some(home) = self.known.index.home(identity) else { return };
        let owner = self.known.index.owner(home);
        if self.known.unit(owner).is_some_and(|unit| unit.provisional.is_some())
            && let Some(parts) = self.known.parts_mut(home)
        {
            parts.rows.retain(|row| row.id != id);
            self.known.index.forget(identity);
        }
    }

    /// Keeps an event that has another id in the session file, until it is known whether there is one.
    fn later(&mut self, session: &SessionId, id: RowId, what: Fact) {
        let time = self.in_session(session);
        let fact = RowFact { id, time, place: None, what, sent: false };
        let current = self.known.thread_mut(self.file).current.clone().map(|current| current.id());
        if let Some(current) = current.filter(|current| self.known.is_here(*current)) {
            // A turn of the session file gets such events from there.
            let kept = self.known.unit(current).and_then(|unit| unit.provisional.as_ref()).map(|kept| &kept.later);
            if kept.is_some_and(|later| later.iter().all(|known| known.id != id))
                && let Some(kept) = self.known.unit_mut(current).and_then(|unit| unit.provisional.as_mut())
                && kept.later.len() < StreamThread::LATER_MAX
            {
                kept.later.push(fact);
                self.told_more_of(current);
            }
            return;
        }
        let later = &mut self.stream().later;
        if later.len() < StreamThread::LATER_MAX && later.iter().all(|known| known.id != id) {
            later.push(fact);
        }
    }

    /// Takes in the usage of a response at its beginning or at its end.
    fn stream_usage(&mut self, told: &StreamUsage) {
        self.in_session(&told.session);
        // The next response may have the same name, if a gateway chose it.
        let is_next = told.stop.is_none() && self.id_on_stream(&told.message).is_some();
        if !is_next && self.add_usage(told) {
            return;
        }
        let usages = &mut self.stream().usages;
        match usages.iter_mut().find(|(message, ..)| *message == told.message) {
            Some((_, usage, ttft_ms)) => {
                usage.merge(&told.usage);
                *ttft_ms = ttft_ms.or(told.ttft_ms);
            }
            None => {
                if usages.len() >= StreamThread::USAGES_MAX {
                    usages.remove(0);
                }
                usages.push((told.message.clone(), told.usage.clone(), told.ttft_ms));
            }
        }
    }

    /// The id that was made for the response that goes on, if a gateway gave it this name.
    fn id_on_stream(&mut self, name: &str) -> Option<Box<str>> {
        let named = self.known.thread_mut(self.file).named.as_ref();
        named.filter(|named| *named.name == *name).map(|named| named.id.clone())
    }

    /// Adds what was known of a response before its first row.
    fn early_usage(&mut self, message: &str) {
        let usages = &mut self.stream().usages;
        let Some(position) = usages.iter().position(|(known, ..)| **known == *message) else { return };
        let (message, usage, ttft_ms) = usages.remove(position);
        let session = self.known.thread_mut(self.file).session.clone();
        let Some(session) = session else { return };
        self.add_usage(&StreamUsage { session, message, usage, stop: None, ttft_ms });
    }

    /// Adds usage to a response. False if the response is not known.
    fn add_usage(&mut self, told: &StreamUsage) -> bool {
        let id = self.id_on_stream(&told.message).unwrap_or_else(|| told.message.clone());
        let Some(home) = self.known.home_of_message(&id) else { return false };
        let prices = self.prices;
        let add = |message: &Message| {
            let mut message = message.clone();
            message.usage.merge(&told.usage);
            message.stop = message.stop.take().or_else(|| told.stop.clone());
            message.ttft_ms = message.ttft_ms.or(told.ttft_ms);
            message.shares = message.priced(prices);
            message
        };
        let known = self.known.parts(home).and_then(|parts| parts.message(&id));
        let Some((changed, new)) = known.map(|known| (add(known) != *known, add(known))) else { return true };
        if changed && let Some(known) = self.known.parts_mut(home).and_then(|parts| parts.message_mut(&id)) {
            *known = new;
        }
        true
    }

    /// Takes in the client's account of a turn, which is over.
    fn stream_result(&mut self, result: &StreamResult, record: &Record) {
        let at = self.in_session(&result.session);
        let is_first = self.run().session(&result.session).is_some_and(|session| session.last.is_none());
        if self.known.thread_mut(self.file).current.is_none() && is_first {
            self.begin_without_rows(result, at, record);
        }
        let current = self.known.thread_mut(self.file).current.take().map(|current| current.id());
        self.known.thread_mut(self.file).requested = None;
        // What came before the next turn is not of it.
        let stream = self.stream();
        stream.prompt = None;
        stream.later.clear();
        let own = self.run_id();
        self.tell_of_questions(&result.session, at, AskedWhat::TurnEnded(own));
        let is_copy = self.known.is_told_elsewhere(own, result);
        let run = self.run();
        run.is_working = false;
        let mut counted = Money::ZERO;
        if let Some(session) = run.session_mut(&result.session, at) {
            session.result(result, at, is_copy);
            counted = session.cost();
        }
        if is_copy {
            return;
        }
        let last = self.known.thread_mut(self.file).last;
        let twin = |unit: &Unit| unit.provisional.as_ref().and_then(|provisional| provisional.twin);
        let is_provisional = |unit: &Unit| unit.provisional.is_some();
        if let Some(current) = current.filter(|current| self.known.unit(*current).is_some_and(is_provisional)) {
            let why = if &*result.subtype == "error_max_turns" { Ending::MaxTurns } else { Ending::Stop };
            self.tell_end(current, last, why);
        }
        let unit = current.map(|current| self.known.unit(current).and_then(twin).unwrap_or(current));
        if let Some(cost) = result.usd.map(Money::from_usd_f64) {
            let restored = (cost - counted).max(Money::ZERO);
            let source = AccountSource::Result { at, restored };
            let models = models_of(&result.models);
            self.known.session_mut(&result.session).account(Account {
                unit,
                // A turn without rows comes after all that there was.
                after: if last == Timestamp::default() { at } else { last },
                cost,
                started: None,
                models,
                source,
            });
        }
    }
}
