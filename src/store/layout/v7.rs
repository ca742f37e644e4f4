//! Layout 7: all events of a unit or section lie in one list, and a call does not tell its input or file. Structs that did
//! not change since an earlier layout are those of `v4` and `v6`.

use serde::Deserialize;

use super::frozen::{Thaw, frozen};
use super::v4::{ApiError, Compaction, Context, Export, Fallback, RowPlace, UnitKey};
use super::v6::{Agent, Claim, Gist, Holder, Hook, Message, Note, Prompt, Sections, ToldEnd, Tool};
use crate::ledger::unit::{self, UnitId};
use crate::transcript::ids::RowId;
use crate::transcript::record;
use crate::transcript::time::Timestamp;

frozen! {
    struct Unit => unit::Unit {
        key: UnitKey,
        claim: Claim,
        context: Context,
        first: Timestamp,
        last: Timestamp,
        prompt: Option<Prompt>,
        agent: Option<Agent>,
        parts: Parts,
        sections: Option<Box<Sections>>,
        below: Option<Box<Gist>>,
        active_ms: Option<u64>,
        interrupted: Option<Timestamp>,
        superseded: Option<Timestamp>,
        told_end: Option<ToldEnd>,
        asked_again: Option<Timestamp>,
        holders: Vec<Holder>,
        resumes: bool,
        spoken: bool,
        export: Export,
    }
    struct Section => unit::Section { of: UnitId, position: u32, parts: Parts }
    struct Parts => unit::Parts { messages: Vec<Message>, tools: Vec<Tool>, rows: Vec<RowFact> }
    struct RowFact => unit::RowFact { id: RowId, time: Timestamp, place: Option<RowPlace>, what: Fact, sent: bool }
}

#[derive(Deserialize)]
pub(super) enum Fact {
    Failure(ApiError),
    Compaction(Compaction),
    Hook(Hook),
    Fallback(Fallback),
    Note(Note),
}

impl Thaw<record::Fact> for Fact {
    fn thaw(self) -> record::Fact {
        match self {
            Self::Failure(what) => record::Fact::Failure(what.thaw()),
            Self::Compaction(what) => record::Fact::Compaction(what.thaw()),
            Self::Hook(what) => record::Fact::Hook(what.thaw()),
            Self::Fallback(what) => record::Fact::Fallback(what.thaw()),
            Self::Note(what) => record::Fact::Note(what.thaw()),
        }
    }
}
