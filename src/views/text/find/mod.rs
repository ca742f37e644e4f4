//! What search compares: the words of a question with the decoded texts of events.
//!
//! ```text
//! fold      letters without their case
//! query     words, "phrases", -not and /regular expressions/, as they are typed
//! literal   what every text that a regular expression finds must have
//! texts     the texts of an event, by kind
//! found     whether texts match, and the snippet that shows where
//! hint      what the line of a session file must have if its texts match, so that most lines are never decoded
//! ```
//!
//! The unit of a match is one event's text of one kind: all words of a question stand in it, and none of those with a
//! minus. A word is found anywhere, also within a longer word: `fail` finds `failure` and `exit_on_fail`.

pub mod fold;
pub mod found;
pub mod hint;
mod literal;
pub mod query;
pub mod texts;
