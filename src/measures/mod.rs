//! Everything that can be counted, defined once, with raw values instead of labels. Pure.
//!
//! ```text
//! measure      what can be counted: name, unit, help, dimensions
//! dimensions   what an amount can be told apart by
//! observation  one amount of something that counts once; wanted  which of them a reader takes
//! unit         what the parts of a unit say; turn  a turn that has ended; session  a session
//! change       what is different between two states of these: the one thing that readers take
//! ```
//!
//! Metrics, lifetime gauges and the history read observations; each of them keeps what it needs. Two states of the same
//! item have the same identity and the same slots, so that a reader can tell what has grown, and a response that moves to
//! another session or changes its model counts once.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod change;
pub mod dimensions;
pub mod measure;
pub mod observation;
mod session;
mod turn;
mod unit;
mod wanted;

pub use change::Change;
pub use dimensions::{Dimension, Dimensions};
pub use measure::Measure;
pub use observation::{Item, Observation, Slot, SpanPlace, State};
pub use wanted::Wanted;
