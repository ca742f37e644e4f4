//! Custom metrics: rules in CEL, the Common Expression Language, that say what is counted, of which events. Pure.
//!
//! ```text
//! event     the kinds of events, and of each its variables: name, type, meaning and where the value comes from
//! rule      a rule as it is written, and what can be wrong with it
//! syntax    parses an expression; the place of each part of it, for messages
//! types     the types of expressions
//! check     finds unknown names and wrong types before anything is counted
//! split     divides a rule into what its text decides and what the facts decide
//! compile   makes rules that can be evaluated of rules as they are written
//! formula   the forms that most expressions have
//! evaluate  computes a rule for one event
//! read      extracts what rules need of the text of a row, when it is read
//! ```
//!
//! # How a rule counts each event once
//!
//! A rule is a function of a fact of the ledger, so it counts what the ledger counts, once: in each commit the views take
//! the difference between what a rule says of a fact as it was and as it is (`views::metrics::custom`). Forks, further
//! readings, crashes and the order of files change nothing that they do not change in the ledger.
//!
//! The facts hold no text. So the parts of a rule that ask for text (`input.command` of a call, `text` of a prompt) are
//! computed where the row is read and go on with the fact as its *extracts* ([`crate::transcript::extracts`]). They are stored
//! beside the unit that holds the fact, in the same batch. A call and its result may be read in different commits, or
//! years apart: the result finds the extracts at the call.
//!
//! A rule is known again by its fingerprint. A rule that was added or changed has no extracts of rows that were read
//! before, and counts what is stamped when it was first seen, or later.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod check;
mod compile;
mod evaluate;
pub mod event;
mod formula;
mod read;
mod rule;
mod split;
mod syntax;
mod types;

pub use compile::{Rule, Rules};
pub use evaluate::{Counted, ONE, fixed};
pub use event::{Event, Happening, What};
pub use read::RuleReader;
pub use rule::{Kind, RuleError, RuleText};
