//! Events that are counted or shown by themselves, as they were stored up to layout 6: each kind had a list of its own.

use serde::Deserialize;

use super::frozen::Thaw;
use crate::ledger::unit::{RowFact, RowPlace};
use crate::transcript::ids::RowId;
use crate::transcript::record::{Compaction, Fact, Note};
use crate::transcript::time::Timestamp;

/// An event of most kinds: a failure, a hook or a fallback.
#[derive(Deserialize)]
pub(super) struct StoredRow<T> {
    id: RowId,
    time: Timestamp,
    what: T,
}

/// A compaction.
#[derive(Deserialize)]
pub(super) struct Compacted<C> {
    id: RowId,
    time: Timestamp,
    what: C,
    sent: bool,
}

/// Something that a person did or was told.
#[derive(Deserialize)]
pub(super) struct Noted<P, N> {
    id: RowId,
    time: Timestamp,
    place: P,
    what: N,
}

/// Joins the lists of a unit or section. Within each kind the order stays.
pub(super) fn in_one_list(lists: [Vec<RowFact>; 5]) -> Vec<RowFact> {
    lists.into_iter().flatten().collect()
}

impl<T: Thaw<Fact>> Thaw<RowFact> for StoredRow<T> {
    fn thaw(self) -> RowFact {
        RowFact { id: self.id, time: self.time, place: None, what: self.what.thaw(), sent: false }
    }
}

impl<C: Thaw<Compaction>> Thaw<RowFact> for Compacted<C> {
    fn thaw(self) -> RowFact {
        let what = Fact::Compaction(self.what.thaw());
        RowFact { id: self.id, time: self.time, place: None, what, sent: self.sent }
    }
}

impl<P: Thaw<RowPlace>, N: Thaw<Note>> Thaw<RowFact> for Noted<P, N> {
    fn thaw(self) -> RowFact {
        let what = Fact::Note(self.what.thaw());
        RowFact { id: self.id, time: self.time, place: Some(self.place.thaw()), what, sent: false }
    }
}

/// Defines which variant of `Fact` an older struct becomes.
macro_rules! facts {
    ($($stored:ty => $variant:ident),* $(,)?) => {
        $(impl $crate::store::layout::frozen::Thaw<$crate::transcript::record::Fact> for $stored {
            fn thaw(self) -> $crate::transcript::record::Fact {
                $crate::transcript::record::Fact::$variant(self.thaw())
            }
        })*
    };
}

pub(super) use facts;
