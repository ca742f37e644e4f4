//! The rows that are known: some pages of the session, and never all of it.

use std::collections::{BTreeMap, VecDeque};

use super::event::Row;

/// Events of a page.
pub(super) const PAGE: usize = 50;

/// Most pages that are kept.
const PAGES_MAX: usize = 40;

/// Pages of rows. Those that were asked for before the session went on are shown until they are asked for again.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pages: BTreeMap<usize, (u64, Vec<Row>)>,
    order: VecDeque<usize>,
}

impl Pages {
    /// The row of an event, if it is known.
    pub(super) fn row(&self, index: usize) -> Option<&Row> {
        let (_, rows) = self.pages.get(&(index / PAGE))?;
        rows.get(index % PAGE)
    }

    /// Whether a page is known as the session is now.
    pub(super) fn is_known(&self, page: usize, version: u64) -> bool {
        self.pages.get(&page).is_some_and(|(known, _)| *known == version)
    }

    /// Keeps a page; if there are too many then, the one goes that was asked for longest ago.
    pub(super) fn keep(&mut self, page: usize, version: u64, rows: Vec<Row>) {
        self.order.retain(|known| *known != page);
        self.order.push_back(page);
        self.pages.insert(page, (version, rows));
        if self.order.len() > PAGES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.pages.remove(&oldest);
        }
    }
}
