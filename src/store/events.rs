//! The log of events: what each commit told, for who follows what happens. It holds no text: an event names a fact by its
//! unit and its identity, and is told by what the state knows of that fact.
//!
//! ```text
//! place     the epoch of the log and a sequence number: 1, 2, 3, ... without gaps
//! epoch     Unix seconds at which the log was begun, and always more than that of any log before: it is in `epoch.json`
//! row       up to 100 events that one commit told, under the sequence number of the first
//! trimmed   by commits that tell something, by time and by bytes; the last row always stays, because it has the next number
//! ```
//!
//! The log is written in the batch of the commit that tells it, so it is there exactly if the facts are. Readers see the end
//! of what is durable, and no event behind it.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sled::Tree;
use tokio::sync::watch;

use super::batch::Writes;
use super::disk::Disk;
use super::error::StoreError;
use super::rows::Rows;
use super::{codec, keys};
use crate::ledger::session::Session;
use crate::ledger::unit::UnitId;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;

/// Most events of a row, so that no row needs further parts.
const EVENTS_MAX: usize = 100;

/// Most rows that one commit trims.
const TRIMMED_MAX: usize = 256;

/// About how many bytes a row takes besides its value.
const ROW_BYTES: u64 = 96;

/// What an event tells of. The order is that of what is stored: further ones come at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Told {
    /// A session began. The id is [`session_number`], without an identity.
    Session,
    /// A prompt reached the model; it has no identity besides its unit.
    Prompt,
    /// A sub-agent began; likewise.
    SubagentStart,
    /// An attempt failed, by [`Identity::Row`](crate::ledger::unit::Identity::Row).
    ApiError,
    /// A response, by [`Identity::Message`](crate::ledger::unit::Identity::Message).
    Message,
    /// A call, by [`Identity::Call`](crate::ledger::unit::Identity::Call).
    ToolCall,
    /// A result, by the same.
    ToolResult,
    /// A sub-agent ended; it has no identity besides its unit.
    SubagentEnd,
    /// A turn ended and was quiet for a moment; likewise.
    Turn,
    /// A run of the client began or ended. The id is the number of the run; the identity is 0 if it began, 1 if it ended.
    Run,
    /// A session began to run away, or does not any more. The id is [`session_number`]; the identity is twice the position of
    /// the reason, and one more if it is over.
    Runaway,
    /// A session began to wait for a person, or does not any more; likewise.
    Waiting,
}

/// An event, by what is needed to find it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRef {
    /// What it tells of.
    pub told: Told,
    /// The unit that it happened in, or what [`Told`] says instead.
    pub unit: UnitId,
    /// The section that held it when it was told; `None` for the unit itself.
    pub section: Option<u32>,
    /// The hash of its identity; 0 for what has none.
    pub identity: u64,
    /// When it happened.
    pub at: Timestamp,
}

/// A place in the log: behind an event, or before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct EventPlace {
    /// The epoch of the log.
    pub epoch: u64,
    /// The number of the last event before this place; 0 at the beginning.
    pub sequence: u64,
}

/// Events that one commit told, in their order.
#[derive(Debug, Clone)]
pub struct ToldEvents {
    /// The sequence number of the first.
    pub first: u64,
    /// When the commit was made.
    pub at: Timestamp,
    /// The events.
    pub events: Vec<EventRef>,
}

/// How much of the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventLimits {
    /// Events are kept for so many milliseconds after they were told.
    pub keep_ms: u64,
    /// Most bytes of the log.
    pub bytes_max: u64,
}

impl EventLimits {
    /// What is kept unless the configuration says otherwise.
    pub const DEFAULT: Self = Self { keep_ms: 3_600_000, bytes_max: 4 << 20 };
}

/// The end of what is durable of the log, for those who wait for more.
#[derive(Debug)]
pub(super) struct LogEnd(watch::Sender<EventPlace>);

impl Default for LogEnd {
    fn default() -> Self {
        Self(watch::Sender::new(EventPlace::default()))
    }
}

impl LogEnd {
    pub(super) fn subscribe(&self) -> watch::Receiver<EventPlace> {
        self.0.subscribe()
    }

    pub(super) fn place(&self) -> EventPlace {
        *self.0.borrow()
    }

    /// Whether somebody waits for more.
    pub(super) fn is_awaited(&self) -> bool {
        self.0.receiver_count() > 0
    }

    fn set(&self, place: EventPlace) {
        self.0.send_if_modified(|known| std::mem::replace(known, place) != place);
    }
}

/// A row as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct LogRow {
    at: Timestamp,
    /// Up to when everything had been read before; see [`EventLog::caught_up`].
    caught_up: Timestamp,
    /// Units, with the position of the section plus one.
    homes: Vec<(u128, u32)>,
    /// What, the position among the homes, the identity, and milliseconds from `at`.
    events: Vec<(Told, u32, u64, i64)>,
}

impl LogRow {
    fn of(events: &[EventRef], at: Timestamp, caught_up: Timestamp) -> Self {
        let mut row = Self { at, caught_up, homes: Vec::new(), events: Vec::with_capacity(events.len()) };
        for event in events {
            let home = (event.unit.0, event.section.map_or(0, |section| section.saturating_add(1)));
            let place = row.homes.iter().position(|known| *known == home).unwrap_or_else(|| {
                row.homes.push(home);
                row.homes.len() - 1
            });
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            row.events.push((event.told, place, event.identity, event.at.0.wrapping_sub(at.0)));
        }
        row
    }

    fn events(self, first: u64) -> ToldEvents {
        let event = |(told, home, identity, ms): (Told, u32, u64, i64)| {
            let (unit, section) = self.homes.get(usize::try_from(home).ok()?)?;
            let at = Timestamp(self.at.0.wrapping_add(ms));
            Some(EventRef { told, unit: UnitId(*unit), section: section.checked_sub(1), identity, at })
        };
        ToldEvents { first, at: self.at, events: self.events.iter().copied().filter_map(event).collect() }
    }
}

/// The number by which an event names a session.
#[must_use]
pub fn session_number(session: &Session) -> UnitId {
    session_number_of(&session.id)
}

/// The number of a session by its id.
#[must_use]
pub fn session_number_of(session: &SessionId) -> UnitId {
    UnitId(keys::session_number(session))
}

/// A row that is kept.
#[derive(Debug, Clone, Copy)]
struct KeptRow {
    first: u64,
    at: Timestamp,
    bytes: u64,
}

/// The writer's side of the log.
#[derive(Debug)]
pub struct EventLog {
    end: Arc<LogEnd>,
    epoch: u64,
    /// When it was begun: what happened before is not told.
    pub begun: Timestamp,
    /// Up to when everything had been read, as the last row tells; the beginning of the log before.
    pub caught_up: Timestamp,
    /// The number of the next event.
    next: u64,
    rows: VecDeque<KeptRow>,
    bytes: u64,
    /// True once the database holds rows of the log.
    has_rows: bool,
    limits: EventLimits,
}

impl EventLog {
    /// The log of a database; `None` if it has none yet.
    pub(super) fn load(tree: &Tree, end: Arc<LogEnd>) -> Result<Option<Self>, StoreError> {
        let Some((epoch, begun)) = codec::get::<(u64, Timestamp)>(tree, &keys::meta(keys::EVENTS))? else {
            return Ok(None);
        };
        let mut log = Self::empty(end, epoch, begun);
        for row in tree.scan_prefix([keys::EVENT]) {
            let (key, value) = row?;
            let Some(first) = keys::number8(&key) else { continue };
            let bytes = ROW_BYTES + value.len() as u64;
            let row: LogRow = codec::decode(tree, &key, &value)?;
            log.rows.push_back(KeptRow { first, at: row.at, bytes });
            log.bytes += bytes;
            (log.next, log.caught_up) = (first + row.events.len() as u64, row.caught_up);
        }
        log.has_rows = !log.rows.is_empty();
        log.durable();
        Ok(Some(log))
    }

    fn empty(end: Arc<LogEnd>, epoch: u64, begun: Timestamp) -> Self {
        let (rows, limits) = (VecDeque::new(), EventLimits::DEFAULT);
        Self { end, epoch, begun, caught_up: begun, next: 1, rows, bytes: 0, has_rows: false, limits }
    }

    /// Begins the log of a database. It is there when this returns.
    pub(super) fn begin(
        (tree, disk): (&Tree, &Disk),
        end: Arc<LogEnd>,
        epoch: u64,
        begun: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut batch = Writes::default();
        codec::put(&mut batch, tree, keys::meta(keys::EVENTS), &(epoch, begun))?;
        batch.apply(tree, disk)?;
        let log = Self::empty(end, epoch, begun);
        log.durable();
        Ok(log)
    }

    /// Sets how much is kept.
    pub const fn limit(&mut self, limits: EventLimits) {
        self.limits = limits;
    }

    /// Whether somebody waits for events.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.end.is_awaited()
    }

    /// Notes that every event so far is durable.
    pub(super) fn durable(&self) {
        self.end.set(EventPlace { epoch: self.epoch, sequence: self.next - 1 });
    }

    /// Adds events to a batch, and the removal of what is not kept. Returns true if these are the first of this database.
    pub(super) fn put(
        &mut self,
        batch: &mut Writes,
        tree: &Tree,
        events: &[EventRef],
        (now, caught_up): (Timestamp, Timestamp),
        scratch: &mut Vec<u8>,
    ) -> Result<bool, StoreError> {
        for some in events.chunks(EVENTS_MAX) {
            let (first, row) = (self.next, LogRow::of(some, now, caught_up));
            let bytes = codec::put_with(batch, tree, keys::event(first), &row, scratch)?;
            let bytes = ROW_BYTES + bytes as u64;
            self.rows.push_back(KeptRow { first, at: now, bytes });
            self.bytes += bytes;
            self.next += some.len() as u64;
        }
        if events.is_empty() {
            return Ok(false);
        }
        self.caught_up = caught_up;
        for _ in 0..TRIMMED_MAX {
            let Some(oldest) = self.rows.front().copied().filter(|_| self.rows.len() > 1) else { break };
            if now.since_ms(oldest.at) < self.limits.keep_ms && self.bytes <= self.limits.bytes_max {
                break;
            }
            batch.remove(keys::event(oldest.first));
            self.bytes -= oldest.bytes;
            self.rows.pop_front();
        }
        Ok(!std::mem::replace(&mut self.has_rows, true))
    }
}

impl Rows<'_> {
    /// What was told behind a place in the log, at most so many rows, without gaps between them. The first event may lie further on than expected, if
    /// what was told between is not kept any more.
    pub(super) fn events_after(self, sequence: u64, rows_max: usize) -> Result<Vec<ToldEvents>, StoreError> {
        let (mut told, mut next) = (Vec::new(), None);
        let wanted = sequence.saturating_add(1);
        let before = self.tree.get_lt(keys::event(wanted.saturating_add(1)))?;
        let begin = before.filter(|(key, _)| key.starts_with(&[keys::EVENT])).and_then(|(key, _)| keys::number8(&key));
        for row in self.tree.range(keys::event(begin.unwrap_or(wanted))..) {
            let (key, value) = row?;
            if !key.starts_with(&[keys::EVENT]) || told.len() >= rows_max {
                break;
            }
            let Some(first) = keys::number8(&key) else { continue };
            // A commit may remove rows while others are read.
            if next.is_some_and(|next| next != first) {
                break;
            }
            let row: LogRow = codec::decode(self.tree, &key, &value)?;
            next = Some(first.saturating_add(row.events.len() as u64));
            let mut row = row.events(first);
            // Of the row in which the place lies, only what is behind it.
            let seen = usize::try_from(wanted.saturating_sub(first)).unwrap_or(usize::MAX);
            row.events.drain(..seen.min(row.events.len()));
            row.first = first.max(wanted);
            if !row.events.is_empty() {
                told.push(row);
            }
        }
        Ok(told)
    }

    /// The number of the first event that is kept; `None` if there is none.
    pub(super) fn first_event(self) -> Result<Option<u64>, StoreError> {
        let first = self.tree.scan_prefix([keys::EVENT]).keys().next().transpose()?;
        Ok(first.and_then(|key| keys::number8(&key)))
    }

    /// A session by its number in an event.
    pub(super) fn session_numbered(self, number: UnitId) -> Result<Option<Session>, StoreError> {
        codec::get(self.tree, &keys::session_at(number.0))
    }
}
