//! Which files were changed, by hashes of their paths: no path is kept.

use std::borrow::Cow;

use super::finding::Step;
use crate::transcript::time::Timestamp;
use crate::views::analytics::names::{Name, Names};
use crate::views::analytics::work::Work;

/// One call that changed lines of a file.
#[derive(Debug, Clone, Copy)]
pub struct Edit {
    /// When it was made.
    pub at: Timestamp,
    /// Its unit: a position in [`SessionCells::units`](crate::views::analytics::session_cells::SessionCells::units).
    pub unit: u32,
    /// xxh3-64 of the path.
    pub file: u64,
    /// The extension of the path; [`Name::NONE`] if it has none.
    pub extension: Name,
    /// Lines that it added.
    pub lines_added: u32,
    /// Lines that it removed.
    pub lines_removed: u32,
    /// The call.
    pub step: Step,
}

/// The calls of a session that changed files, in order of time. `works` is what each of its units did.
pub(in crate::views::analytics) fn edits(names: &mut Names, works: &[Cow<'_, Work>]) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (work, unit) in works.iter().zip(0u32..) {
        for call in work.calls.iter().filter(|call| call.file != 0 && (call.lines_added, call.lines_removed) != (0, 0))
        {
            edits.push(Edit {
                at: call.at,
                unit,
                file: call.file,
                extension: names.number(call.extension.as_deref()),
                lines_added: call.lines_added,
                lines_removed: call.lines_removed,
                step: Step::new(true, call.id, call.end()),
            });
        }
    }
    edits.sort_by_key(|edit| (edit.at, edit.unit));
    edits
}
