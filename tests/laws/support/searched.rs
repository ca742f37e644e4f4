//! What handlers are given in the laws of search.

use std::sync::{Arc, OnceLock};

use tailspan::archive::Archive;
use tailspan::http::HasReader;
use tailspan::http::api::analytics::cells::{HasCells, SharedCells};
use tailspan::http::api::replay::kept::{HasReplays, Replays};
use tailspan::index::catalogue::SearchIndex;
use tailspan::store::StoreReader;
use tailspan::transcript::time::Timestamp;
use tailspan::views::traces::finish::SpanRules;

/// The state of a world, what it keeps for its readers, and the index.
pub(crate) struct State(
    pub(crate) StoreReader,
    pub(crate) SharedCells,
    pub(crate) Arc<OnceLock<SearchIndex>>,
    pub(crate) Replays,
);

impl HasReplays for State {
    fn replays(&self) -> &Replays {
        &self.3
    }
}

impl HasCells for State {
    fn cells(&self) -> &SharedCells {
        &self.1
    }
}

impl HasReader for State {
    fn reader(&self) -> &StoreReader {
        &self.0
    }

    fn now(&self) -> Timestamp {
        Timestamp(1_900_000_000_000)
    }

    fn span_rules(&self) -> &SpanRules {
        const { &SpanRules::DEFAULT }
    }

    fn archive(&self) -> Archive {
        self.2.get().map(|index| index.archive().clone()).unwrap_or_default()
    }

    fn index(&self) -> Arc<OnceLock<SearchIndex>> {
        Arc::clone(&self.2)
    }
}
