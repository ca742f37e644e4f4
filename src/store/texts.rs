//! Text of the conversation that the files of the database may hold beyond its rows, and when that is given back.
//!
//! A span that was delivered is deleted, but sled writes over it late or never. As long as the level of content stays as
//! it is, that is left to the usual compaction. A level that was lowered says that the text is not wanted any more:
//! once no row of the outbox waits that may have been written before, the database is compacted for this reason alone.
//! The row `content` keeps the highest level of which the files may hold text, so that no restart forgets it.

use sled::Tree;

use super::batch::Writes;
use super::disk::Disk;
use super::error::StoreError;
use super::meter::OutboxMeter;
use super::{codec, keys};
use crate::transcript::time::Timestamp;
use crate::views::traces::content::ContentLevel;

/// Pause after a copy that could not be made, in milliseconds.
const AGAIN_MS: i64 = 10 * 60 * 1000;

/// The highest level there is: of a database that does not say.
const HIGHEST: ContentLevel = ContentLevel::Content;

/// Which text the files may hold.
#[derive(Debug)]
pub(super) struct HeldTexts {
    /// The highest level of which they may hold text.
    held: ContentLevel,
    /// The level of what is written now.
    level: ContentLevel,
    /// Rows of the outbox below this number may have been written at a higher level.
    before: u64,
    /// When a copy may be tried next.
    not_before: Timestamp,
}

impl HeldTexts {
    /// As the last run left it.
    pub(super) fn load(tree: &Tree) -> Result<Self, StoreError> {
        let held = codec::get(tree, &keys::meta("content"))?.unwrap_or(HIGHEST);
        Ok(Self { held, level: held, before: 0, not_before: Timestamp(i64::MIN) })
    }

    /// From now on rows are written at `level`; those in the outbox may be of a higher one.
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

    /// True if the files are to be copied without what they hold of a higher level.
    pub(super) fn is_due(&self, meter: &OutboxMeter, now: Timestamp) -> bool {
        self.can_lower(meter) && now >= self.not_before
    }

    /// A copy could not be made: it is tried again some time after `now`.
    pub(super) fn put_off(&mut self, now: Timestamp) {
        self.not_before = Timestamp(now.0.saturating_add(AGAIN_MS));
    }

    /// The rows were copied into `tree`, and nothing else.
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

/// Adds to the batch that begins a database of which level it holds text: that of a new one, or of one whose outbox was
/// copied from a database that did not say.
pub(super) fn begin_with(batch: &mut Writes, tree: &Tree, has_spans: bool) -> Result<(), StoreError> {
    note(batch, tree, if has_spans { HIGHEST } else { ContentLevel::Off })
}

fn note(batch: &mut Writes, tree: &Tree, level: ContentLevel) -> Result<(), StoreError> {
    codec::put(batch, tree, keys::meta("content"), &level)?;
    Ok(())
}
