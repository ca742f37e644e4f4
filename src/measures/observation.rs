//! One amount of something that is counted once.

use super::dimensions::Dimensions;
use super::measure::Measure;
use crate::ledger::unit::{Message, Parts, Tool, Unit, UnitId};
use crate::transcript::ids::RowId;
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;

/// Something that is counted once, in whatever files, turns or sessions it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// An API response, by the hash of its identity.
    Message(u64),
    /// A tool call, by the hash of its id.
    Call(u64),
    /// An event that is identified by the `uuid` of its row.
    Row(RowId),
    /// A turn or a sub-agent.
    Unit(UnitId),
    /// A session, by the hash of its id.
    Session(u64),
    /// A run.
    Run(RunId),
}

/// The state of an item that an observation describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The item as it was at the last commit: its amounts are counted already.
    Before,
    /// The item as it is now.
    After,
}

/// Which amount of an item an observation is. Two states of an item are compared slot by slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Slot {
    /// 0 for the item itself, and from 1 on for the shares of a response, which may be billed to several models.
    pub share: u32,
    /// Position of the value in the dimension [`Measure::split`], from 0.
    pub part: u32,
}

/// What an observation was made at, so that its span can be found.
#[derive(Debug, Clone, Copy)]
pub enum SpanPlace<'a> {
    /// An API response, and the parts that hold it.
    Message(&'a Parts, &'a Message),
    /// A tool call.
    Tool(&'a Tool),
    /// A turn.
    Turn(&'a Unit),
    /// What a rest had that was superseded: counters have it, and nothing else does.
    Superseded,
    /// Something that has no span of its own.
    Nowhere,
}

/// One amount of a measure, with its dimensions, identity and time.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// The item that has the amount.
    pub item: Item,
    /// Which amount of the item it is.
    pub slot: Slot,
    /// What it is an amount of.
    pub measure: Measure,
    /// The properties by which it is told apart.
    pub dimensions: Dimensions<'a>,
    /// The amount, in [`Measure::unit`].
    pub amount: i128,
    /// When it happened, which decides for which day it is counted.
    pub at: Timestamp,
    /// What it was observed at.
    pub place: SpanPlace<'a>,
}
