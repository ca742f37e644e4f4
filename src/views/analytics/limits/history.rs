//! What is kept of the looks at each window, and which of them is the present one.
//!
//! Several sessions tell the same limits, each as its own last answer had them: a session that is idle goes on telling what was
//! true when it worked last. What is used only grows until the reset, so the largest look of a run of a window is the present
//! one, and looks that tell less, or of a run that began earlier, are older whenever they come. A look that was taken while the
//! clock was ahead, or whose reset no window can have, stands in nobody's way.
//!
//! Rows are thinned: of looks that tell the same one after the other, the first and the last of each quarter hour are kept; of
//! looks that tell more and more, one a minute. A gap of more than [`GAP_MS`] stays visible.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sample::{LimitSample, WINDOWS_MAX, is_usual};
use crate::transcript::time::Timestamp;

/// Time between two rows that tell the same, in milliseconds.
pub const EVERY_MS: u64 = 5 * 60_000;
/// After so many milliseconds without a look, the next one is a new row: nobody was there in between.
pub const GAP_MS: u64 = 15 * 60_000;
/// Rows of each window that are kept at most.
pub const ROWS_MAX: usize = 8192;
/// How long rows are kept, in milliseconds: 90 days.
pub const KEPT_MS: u64 = 90 * 86_400_000;
/// A further window of which nobody told for so many milliseconds gives way to a new one: a week.
const LEFT_MS: u64 = 7 * 86_400_000;
/// Least time between two rows, in milliseconds.
const APART_MS: u64 = 60_000;

/// The time by which the present look of a window is kept, which may be no row.
pub const PRESENT: Timestamp = Timestamp(i64::MAX);

/// A row by its window and time, or the present look by its window and [`PRESENT`], as it is now; `None` if it is not kept any
/// more.
pub type RowWrite = ((Arc<str>, Timestamp), Option<LimitSample>);

/// What all looks come to.
#[derive(Debug, Clone, Default)]
pub struct LimitHistory {
    windows: BTreeMap<Arc<str>, Window>,
}

/// The looks at one window.
#[derive(Debug, Clone)]
struct Window {
    /// The present look; its time is that of the last look that told the same.
    present: LimitSample,
    /// The rows, the earliest first.
    rows: Vec<LimitSample>,
}

/// What a look changes of the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowChanges {
    /// Rows that are not kept any more.
    pub removed: Vec<LimitSample>,
    /// A row that is new.
    pub added: Option<LimitSample>,
}

/// Why a look is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// It is older than what is known.
    Older,
    /// It is of one window too many.
    NoRoom,
}

impl NotTaken {
    /// The reason in words.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Older => "it is older than what is known",
            Self::NoRoom => "as many windows as are kept are known already",
        }
    }
}

impl LimitHistory {
    /// Takes a row that was kept earlier.
    pub fn load(&mut self, row: LimitSample) {
        let Some(window) = self.windows.get_mut(&row.window) else {
            self.windows.insert(Arc::clone(&row.window), Window { present: row.clone(), rows: vec![row] });
            return;
        };
        let place = window.rows.partition_point(|known| known.at <= row.at);
        window.rows.insert(place, row);
        if let Some(last) = window.rows.last() {
            window.present = last.clone();
        }
    }

    /// Takes the look at a window that was the present one, behind its rows.
    pub fn load_present(&mut self, look: LimitSample) {
        match self.windows.get_mut(&look.window) {
            Some(window) => window.present = look,
            None => self.load(look),
        }
    }

    /// Takes a look. Fails if it is older than what is known, or of one window too many.
    pub fn take(&mut self, look: LimitSample) -> Result<RowChanges, NotTaken> {
        let Some(window) = self.windows.get_mut(&look.window) else {
            let removed = self.make_room(&look).ok_or(NotTaken::NoRoom)?;
            let added = Some(look.clone());
            self.windows.insert(Arc::clone(&look.window), Window { present: look.clone(), rows: vec![look] });
            return Ok(RowChanges { removed, added });
        };
        if window.is_older(&look) {
            return Err(NotTaken::Older);
        }
        window.present = look.clone();
        let ahead = window.rows.partition_point(|row| row.at <= look.at);
        let ahead = window.rows.split_off(ahead);
        let mut changes = window.keep(look);
        changes.removed.extend(ahead);
        Ok(changes)
    }

    /// Makes room for the window of a look, if there is none: for one of those that clients have, the further window gives way
    /// of which nobody told for longest, for another one only if that is long ago. Returns its rows; `None` if all stay.
    fn make_room(&mut self, look: &LimitSample) -> Option<Vec<LimitSample>> {
        if self.windows.len() < WINDOWS_MAX {
            return Some(Vec::new());
        }
        let further = self.windows.iter().filter(|(name, _)| !is_usual(name));
        let (name, window) = further.min_by_key(|(_, window)| window.present.at)?;
        let gives_way = is_usual(&look.window) || look.at.since_ms(window.present.at) >= LEFT_MS;
        let name = gives_way.then(|| Arc::clone(name))?;
        self.windows.remove(&name).map(|window| window.rows)
    }

    /// The present look at each window, in the order of their names.
    pub fn present(&self) -> impl Iterator<Item = &LimitSample> {
        self.windows.values().map(|window| &window.present)
    }

    /// The rows of a window, the earliest first.
    #[must_use]
    pub fn rows(&self, window: &str) -> &[LimitSample] {
        self.windows.get(window).map_or(&[], |window| &window.rows)
    }

    /// The rows of a window with the present look behind them.
    #[must_use]
    pub fn looks(&self, window: &str) -> Vec<LimitSample> {
        let Some(Window { present, rows }) = self.windows.get(window) else { return Vec::new() };
        let mut looks = rows.clone();
        if rows.last() != Some(present) {
            looks.push(present.clone());
        }
        looks
    }
}

impl Window {
    fn is_older(&self, look: &LimitSample) -> bool {
        let known = &self.present;
        // One that lies far ahead was taken while the clock was wrong.
        if look.at < known.at && known.at.may_be(look.at) {
            return true;
        }
        if known.is_of_run(look) {
            // Without a reset nobody knows whether the window has begun anew.
            return known.resets_at.is_some() && look.used_ppm < known.used_ppm;
        }
        let may_go_on = !known.is_over(look.at) && !known.is_too_long(look.at);
        may_go_on && look.resets_at.zip(known.resets_at).is_some_and(|(own, known)| own < known)
    }

    /// Puts a look into the rows, if it is to be kept.
    fn keep(&mut self, look: LimitSample) -> RowChanges {
        let mut rows = self.rows.iter().rev();
        let (last, before) = (rows.next(), rows.next());
        let tells_same = |row: &LimitSample| row.is_of_run(&look) && row.used_ppm == look.used_ppm;
        let quiet_ms = last.map_or(u64::MAX, |row| look.at.since_ms(row.at));
        let mut changes = RowChanges::default();
        let replaces = if last.is_some_and(tells_same) {
            if quiet_ms < EVERY_MS {
                return changes;
            }
            // The end of a level moves on with it, unless nobody was there in between.
            let spans = |start: &LimitSample| last.is_some_and(|end| end.at.since_ms(start.at) <= GAP_MS);
            quiet_ms <= GAP_MS && before.is_some_and(|start| tells_same(start) && spans(start))
        } else {
            last.is_some_and(|row| row.is_of_run(&look))
                && before.is_some_and(|row| look.at.since_ms(row.at) < APART_MS)
        };
        if replaces {
            changes.removed.extend(self.rows.pop());
        }
        self.rows.push(look.clone());
        changes.removed.extend(self.outdated(look.at));
        changes.added = Some(look);
        changes
    }

    /// Takes out the rows that are too old or too many.
    fn outdated(&mut self, now: Timestamp) -> Vec<LimitSample> {
        let old = self.rows.partition_point(|row| now.since_ms(row.at) > KEPT_MS);
        let many = self.rows.len().saturating_sub(ROWS_MAX);
        self.rows.drain(..old.max(many)).collect()
    }
}
