//! Rows that count or show by themselves, as they were stored up to layout 6: each kind had a list of its own.

use serde::Deserialize;

use super::frozen::Thaw;
use super::{v4, v6};
use crate::ledger::unit::RowFact;
use crate::transcript::ids::RowId;
use crate::transcript::record::Fact;
use crate::transcript::time::Timestamp;

/// A row of most kinds.
#[derive(Deserialize)]
pub(super) struct Row<T> {
    id: RowId,
    time: Timestamp,
    what: T,
}

pub(super) type Failure = Row<v4::ApiError>;
/// A hook as layouts 4 and 5 stored it.
pub(super) type OldHookRun = Row<v4::Hook>;
pub(super) type HookRun = Row<v6::Hook>;
pub(super) type FellBack = Row<v4::Fallback>;

#[derive(Deserialize)]
pub(super) struct Compacted {
    id: RowId,
    time: Timestamp,
    what: v4::Compaction,
    sent: bool,
}

#[derive(Deserialize)]
pub(super) struct Noted {
    id: RowId,
    time: Timestamp,
    place: v4::RowPlace,
    what: v6::Note,
}

/// The lists of a unit or section as one. Within each kind the order stays.
pub(super) fn in_one_list(lists: [Vec<RowFact>; 5]) -> Vec<RowFact> {
    lists.into_iter().flatten().collect()
}

impl<T: Thaw<Fact>> Thaw<RowFact> for Row<T> {
    fn thaw(self) -> RowFact {
        RowFact { id: self.id, time: self.time, place: None, what: self.what.thaw(), sent: false }
    }
}

impl Thaw<RowFact> for Compacted {
    fn thaw(self) -> RowFact {
        let what = Fact::Compaction(self.what.thaw());
        RowFact { id: self.id, time: self.time, place: None, what, sent: self.sent }
    }
}

impl Thaw<RowFact> for Noted {
    fn thaw(self) -> RowFact {
        let what = Fact::Note(self.what.thaw());
        RowFact { id: self.id, time: self.time, place: Some(self.place.thaw()), what, sent: false }
    }
}

macro_rules! facts {
    ($($stored:ty => $variant:ident),* $(,)?) => {
        $(impl Thaw<Fact> for $stored {
            fn thaw(self) -> Fact {
                Fact::$variant(self.thaw())
            }
        })*
    };
}

facts!(v4::ApiError => Failure, v4::Hook => Hook, v6::Hook => Hook, v4::Fallback => Fallback);
