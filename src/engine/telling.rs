//! What is told besides the changes of the facts.

use crate::store::EventRef;
use crate::transcript::time::Timestamp;

/// What is told while a commit is made.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// Up to when everything has been read.
    pub(super) caught_up: Option<Timestamp>,
    /// What the next commit tells besides what its changes do.
    pub(super) more: Vec<EventRef>,
}
