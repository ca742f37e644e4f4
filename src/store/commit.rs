//! The changes of a step, as the writer takes them.

use super::events::EventRef;
use super::file::FileRow;
use super::marks::Handed;
use crate::ledger::run::Run;
use crate::ledger::session::{Session, WaitingAgent};
use crate::ledger::unit::{Section, Unit, UnitId};
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::{AgentId, SessionId};
use crate::transcript::time::Timestamp;
use crate::views::metrics::totals::{Series, Stored};
use crate::views::traces::span::SpanBatch;

/// Everything that one step changes. It is written as one atomic batch.
#[derive(Debug, Default)]
pub struct Commit<'a> {
    /// Files that were read.
    pub files: Vec<(FileNumber, &'a FileRow)>,
    /// Units that changed.
    pub units: Vec<UnitChange<'a>>,
    /// Sections that changed.
    pub sections: Vec<SectionChange<'a>>,
    /// Sessions that changed.
    pub sessions: Vec<&'a Session>,
    /// What is known of sub-agents before any of their rows; `None` once their rows have come.
    pub waiting: Vec<(&'a SessionId, &'a AgentId, Option<&'a WaitingAgent>)>,
    /// Runs that changed.
    pub runs: Vec<&'a Run>,
    /// Pairs of a session and a fork of it that became known.
    pub forks: Vec<&'a (SessionId, SessionId)>,
    /// Totals that changed, as absolute values.
    pub totals: Vec<(&'a Series, &'a Stored)>,
    /// Turns that wait for their end from now on, with the numbers of their units.
    pub pending: Vec<(u32, UnitId)>,
    /// Numbers of the units of turns that do not wait any more.
    pub settled: Vec<u32>,
    /// Spans that go to every endpoint.
    pub spans: Vec<SpanBatch>,
    /// Spans for single endpoints, and which endpoint has got what.
    pub handed: Handed,
    /// What it tells, in order.
    pub events: Vec<EventRef>,
    /// Up to when everything had been read before; stored with its events.
    pub caught_up: Timestamp,
    /// When the commit is made; stored with its spans.
    pub now: Timestamp,
    /// Fingerprint of the prices in use; `None` if the stored one stays.
    pub prices: Option<u64>,
}

/// A changed unit.
#[derive(Debug)]
pub struct UnitChange<'a> {
    /// Its number, from [`Index`](crate::ledger::known::Index).
    pub number: u32,
    /// The unit as it was written last; `None` if it never was.
    pub before: Option<&'a Unit>,
    /// The unit as it is now.
    pub unit: &'a Unit,
}

/// A changed section of a unit.
#[derive(Debug)]
pub struct SectionChange<'a> {
    pub id: UnitId,
    /// Its number, from [`Index`](crate::ledger::known::Index). Needed only if its identities have changed since it was
    /// written.
    pub number: Option<u32>,
    /// The number of its unit.
    pub unit: u32,
    /// The section as it was written last; `None` if it never was.
    pub before: Option<&'a Section>,
    /// The section as it is now.
    pub section: &'a Section,
}
