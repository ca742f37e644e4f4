//! Everything that can be counted, defined once. Values are raw: labels are made by the readers. Pure.
//!
//! ```text
//! measure      what can be counted: name, unit, help, dimensions
//! dimensions   the properties by which amounts are told apart
//! observation  one amount of something that is counted once
//! wanted       which observations a reader takes
//! unit         observations of the parts of a unit
//! turn         observations of a turn that has ended
//! session      observations of a session
//! change       the difference between two states, as observations: what readers take
//! ```
//!
//! Metrics, lifetime gauges and the history read observations, and each keeps what it needs. Two states of an item have
//! the same identity and the same slots. So a reader can tell what has grown, and a response that moves to another
//! session or changes its model is counted once.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod change;
pub mod dimensions;
pub mod measure;
pub mod observation;
mod run;
mod session;
mod turn;
mod unit;
mod wanted;

pub use change::Change;
pub use dimensions::{Dimension, Dimensions, MAIN};
pub use measure::{Measure, MeasureKind};
pub use observation::{Item, Observation, Slot, SpanPlace, State};
pub use unit::surroundings;
pub use wanted::Wanted;
