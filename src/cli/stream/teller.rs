//! What is said on standard error: each thing once.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::sidecar::log;

/// Says things once.
#[derive(Debug, Default)]
pub(super) struct Teller(Mutex<BTreeSet<&'static str>>);

impl Teller {
    /// Says something, unless something of this kind was said.
    pub(super) fn once(&self, kind: &'static str, text: impl FnOnce() -> String) {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(kind) {
            self.say(&text());
        }
    }

    /// Says something.
    #[expect(clippy::unused_self, reason = "only who has a teller says something")]
    pub(super) fn say(&self, text: &str) {
        log::say(&format!("tailspan: {text}"));
    }
}
