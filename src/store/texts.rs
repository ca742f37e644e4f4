//! Text of the conversation that is still in the files of the database after its rows were deleted, and its removal.
//!
//! A span that was delivered is deleted, but sled overwrites it late or never. While the content level stays the same,
//! such text is left to the usual compaction. If the level was lowered, the user does not want the text any more: once
//! no row waits in the outbox that may have been written before, the database is compacted for this reason alone. The
//! row `content` stores the highest level of which the files may hold text, so that it is known after a restart.

use sled::Tree;

use super::batch::Writes;
use super::disk::Disk;
use super::error::StoreError;
use super::meter::OutboxMeter;
use super::{codec, keys};
use crate::transcript::time::Timestamp;
use crate::views::traces::content::ContentLevel;

/// How long to wait after a copy that could not be made, in milliseconds (10 minutes).
const AGAIN_MS: i64 = 10 * 60 * 1000;

/// The highest content level, which is assumed for a database that does not tell.
const HIGHEST: ContentLevel = ContentLevel::Content;

/// The content level of the text that the files may hold.
#[derive(Debug)]
pub(super) struct HeldTexts {
    /// The highest level of which the files may hold text.
    held: ContentLevel,
    /// The level at which spans are written now.
    level: ContentLevel,
    /// Rows of the outbox below this number may have been written at a higher level.
    before: u64,
    /// When a copy may be tried next.
    not_before: Timestamp,
}

impl HeldTexts {
    /// Loads what the last run stored.
    pub(super) fn load(tree: &Tree) -> Result<Self, StoreError> {
        let held = codec::get(tree, &keys::meta("content"))?.unwrap_or(HIGHEST);
        Ok(Self { held, level: held, before: 0, not_before: Timestamp(i64::MIN) })
    }

    /// Notes that spans are written at `level` from now on. Rows in the outbox may be of a higher level.
    pub(super) fn begin(
        &mut self,
        tree: &Tree,
        disk: &Disk,
        level: ContentLevel,
        meter: &OutboxMeter,
    ) -> Result<(), StoreError> {
        (self.level, self.before) = (level, meter.next());
        if level > self.held { self.hold(tree, disk, level) } else { Ok(()) }
    }

    /// True if the database should be compacted now to remove text of a higher level.
    pub(super) fn is_due(&self, meter: &OutboxMeter, now: Timestamp) -> bool {
        self.can_lower(meter) && now >= self.not_before
    }

    /// Notes that a copy could not be made. It is tried again [`AGAIN_MS`] after `now`.
    pub(super) fn put_off(&mut self, now: Timestamp) {
        self.not_before = Timestamp(now.0.saturating_add(AGAIN_MS));
    }

    /// Notes that `tree` is a copy of the rows alone, without deleted text.
    pub(super) fn copied(&mut self, tree: &Tree, disk: &Disk, meter: &OutboxMeter) -> Result<(), StoreError> {
        if self.can_lower(meter) { self.hold(tree, disk, self.level) } else { Ok(()) }
    }

    fn can_lower(&self, meter: &OutboxMeter) -> bool {
        self.level < self.held && meter.first().is_none_or(|first| first >= self.before)
    }

    fn hold(&mut self, tree: &Tree, disk: &Disk, level: ContentLevel) -> Result<(), StoreError> {
        self.held = level;
        let mut batch = Writes::default();
        note(&mut batch, tree, level)?;
        batch.apply(tree, disk)
    }
}

/// Adds the first content level of a database to a batch. A new database holds no text; one whose outbox was copied
/// from a database that did not tell a level may hold text of the highest one.
pub(super) fn begin_with(batch: &mut Writes, tree: &Tree, has_spans: bool) -> Result<(), StoreError> {
    note(batch, tree, if has_spans { HIGHEST } else { ContentLevel::Off })
}

fn note(batch: &mut Writes, tree: &Tree, level: ContentLevel) -> Result<(), StoreError> {
    codec::put(batch, tree, keys::meta("content"), &level)?;
    Ok(())
}
