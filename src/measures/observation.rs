//! One amount of something that counts once.

use super::dimensions::Dimensions;
use super::measure::Measure;
use crate::ledger::unit::{Message, Parts, Tool, Unit, UnitId};
use crate::transcript::ids::RowId;
use crate::transcript::time::Timestamp;

/// What counts once, whatever file, turn or session it is found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// An API response, by the hash of its identity.
    Message(u64),
    /// A tool call, by the hash of its id.
    Call(u64),
    /// A row that counts by its `uuid`.
    Row(RowId),
    /// A turn or a sub-agent.
    Unit(UnitId),
    /// A session, by the hash of its id.
    Session(u64),
}

/// Which of two states of an item an observation is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it was at the last commit: its amounts are counted already.
    Before,
    /// As it is now.
    After,
}

/// Which of the amounts of an item an observation is. Two states of an item are compared slot by slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Slot {
    /// 0 for the item itself, from 1 for its shares: a response may be billed to several models.
    pub share: u32,
    /// Position along [`Measure::split`], from 0.
    pub part: u32,
}

/// Where an observation was made, so that its span can be found.
#[derive(Debug, Clone, Copy)]
pub enum SpanPlace<'a> {
    /// At an API response among these parts.
    Message(&'a Parts, &'a Message),
    /// At a tool call.
    Tool(&'a Tool),
    /// At a turn.
    Turn(&'a Unit),
    /// At something that has no span of its own.
    Nowhere,
}

/// One amount.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// What it was observed of.
    pub item: Item,
    /// Which amount of that it is.
    pub slot: Slot,
    /// What was counted.
    pub measure: Measure,
    /// What it can be told apart by.
    pub dimensions: Dimensions<'a>,
    /// How much, in the stored unit of the measure.
    pub amount: i128,
    /// When it happened: what decides the day that it counts for.
    pub at: Timestamp,
    /// Where.
    pub place: SpanPlace<'a>,
}
