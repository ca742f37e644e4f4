//! Layout 7: a call does not tell its input or file, and an account of the client has no models. Structs that did not change
//! since an earlier layout are those of `v4`, `v5` and `v6`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::frozen::{Thaw, frozen, frozen_choice};
use super::v4::{ApiError, Compaction, Context, Export, Fallback, Fork, Reported, RowPlace, Tally, UnitKey};
use super::v5::{First, LatestBranch};
use super::v6::{Agent, Claim, Gist, Holder, Hook, Message, Note, Prompt, PullRequest, Sections, ToldEnd, Tool};
use crate::ledger::money::Money;
use crate::ledger::unit::{self, UnitId};
use crate::ledger::{account, session};
use crate::transcript::ids::{RowId, SessionId};
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
        export: Export;
        of_run: None,
        provisional: None,
    }
    struct Section => unit::Section { of: UnitId, position: u32, parts: Parts }
    struct Parts => unit::Parts { messages: Vec<Message>, tools: Vec<Tool>, rows: Vec<RowFact> }
    struct RowFact => unit::RowFact { id: RowId, time: Timestamp, place: Option<RowPlace>, what: Fact, sent: bool }
    struct Session => session::Session {
        id: SessionId,
        spoken: u64,
        resumes: u64,
        first: Option<First>,
        last: Option<Timestamp>,
        latest_branch: Option<LatestBranch>,
        is_loose: bool,
        tally: Tally,
        accounts: Vec<Account>,
        fork: Option<Fork>,
        has_forks: bool,
        counted_report: Reported,
        counted_start: bool,
        own_rows: bool,
        alone: u64,
        rivals: BTreeSet<SessionId>,
        title: Option<Arc<str>>,
        title_by: TitleBy,
        pull_requests: Vec<PullRequest>;
        runs: Vec::new(),
        counted_events: Default::default(),
        rest: None,
    }
    struct Account => account::Account {
        unit: Option<UnitId>, after: Timestamp, cost: Money, started: Option<u64>;
        models: BTreeMap::new(),
        source: account::AccountSource::CostState,
    }
}

frozen_choice! {
    enum TitleBy => record::TitleBy { Summary, AgentName, Client, Person }
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
