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

    /// Says so if the first bytes of all, which are at `place` 0, are no beginning of a line of JSON: whoever forgets to ask the
    /// client for its stream has a run of which nothing is known.
    pub(super) fn look_at_form(&self, place: u64, bytes: &[u8]) {
        if place == 0 && bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            self.say(
                "standard input does not begin with a line of JSON, so nothing may be known of this run; `claude -p` needs \
                 --output-format stream-json --verbose",
            );
        }
    }

    /// Says something.
    #[expect(clippy::unused_self, reason = "only who has a teller says something")]
    pub(super) fn say(&self, text: &str) {
        log::say(&format!("tailspan: {text}"));
    }
}
