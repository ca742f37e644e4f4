//! What a step changes, as it is given to the writer.

use super::file::FileRow;
use super::marks::Handed;
use crate::ledger::session::{Session, WaitingAgent};
use crate::ledger::unit::{Section, Unit, UnitId};
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::{AgentId, SessionId};
use crate::transcript::time::Timestamp;
use crate::views::metrics::totals::{Series, Stored};
use crate::views::traces::span::SpanBatch;

/// Everything that one step changes. It becomes one atomic batch.
#[derive(Debug, Default)]
pub struct Commit<'a> {
    /// Files read.
    pub files: Vec<(FileNumber, &'a FileRow)>,
    /// Units changed.
    pub units: Vec<UnitChange<'a>>,
    /// Sections changed.
    pub sections: Vec<SectionChange<'a>>,
    /// Sessions changed.
    pub sessions: Vec<&'a Session>,
    /// Sub-agents without rows; `None` if they wait no more.
    pub waiting: Vec<(&'a SessionId, &'a AgentId, Option<&'a WaitingAgent>)>,
    /// Sessions and their forks.
    pub forks: Vec<&'a (SessionId, SessionId)>,
    /// Totals changed, absolute.
    pub totals: Vec<(&'a Series, &'a Stored)>,
    /// Turns that wait for their end, with their numbers.
    pub pending: Vec<(u32, UnitId)>,
    /// Turns that need no more waiting.
    pub settled: Vec<u32>,
    /// Spans to be sent.
    pub spans: Vec<SpanBatch>,
    /// What goes to some endpoints and not to others.
    pub handed: Handed,
    /// When the commit is made.
    pub now: Timestamp,
    /// Fingerprint of the prices in use.
    pub prices: Option<u64>,
}

/// A changed unit.
#[derive(Debug)]
pub struct UnitChange<'a> {
    /// Its number, from [`Index`](crate::ledger::known::Index).
    pub number: u32,
    /// As it was written last; `None` if it never was.
    pub before: Option<&'a Unit>,
    /// As it is now.
    pub unit: &'a Unit,
}

/// A changed section of a unit.
#[derive(Debug)]
pub struct SectionChange<'a> {
    pub id: UnitId,
    /// Its number, from [`Index`](crate::ledger::known::Index); only needed where its identities are others than when it was written.
    pub number: Option<u32>,
    /// The number of its unit.
    pub unit: u32,
    /// As it was written last; `None` if it never was.
    pub before: Option<&'a Section>,
    /// As it is now.
    pub section: &'a Section,
}
