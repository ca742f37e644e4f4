//! What calls did with files, event by event, without their texts.
//!
//! A call that may change any file (`Bash`, for example) casts doubt on all that is known: from its row on, because it may
//! have begun, until its result, because it may still have run; unless it was refused. A result of `Read`, `Edit` or `Write`
//! that ended well ends the doubt for its file: the client edits no file that has changed since it was read.

use std::collections::BTreeMap;

use super::evidence::FileTool;
use crate::transcript::record::Outcome;

/// What calls did with files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileUses {
    /// By the positions of the files in [`Timeline::files`](super::timeline::Timeline::files).
    pub files: BTreeMap<usize, FileUse>,
    /// The positions of events since which files may have changed, in order.
    changes: Vec<usize>,
}

/// What calls did with a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileUse {
    /// How often it was read, edited and written, by calls that ended well.
    pub reads: usize,
    pub edits: usize,
    pub writes: usize,
    /// The first and the last call that names it.
    pub first: usize,
    pub last: usize,
    /// The calls that told something of its text: the position of the call and of its result, in order of the results.
    pub told: Vec<(usize, usize)>,
}

impl FileUses {
    /// A call of a tool at a position, which names a file or none.
    pub(super) fn called(&mut self, tool: FileTool, file: Option<usize>, at: usize) {
        if let Some(file) = file {
            let own = self.files.entry(file).or_insert_with(|| FileUse { first: at, ..FileUse::default() });
            own.last = at;
        }
        if tool == FileTool::Any {
            self.changes.push(at);
        }
    }

    /// The result of a call, at the positions of both.
    pub(super) fn returned(
        &mut self,
        tool: FileTool,
        file: Option<usize>,
        (call, result): (usize, usize),
        outcome: Outcome,
    ) {
        let is_writing = matches!(tool, FileTool::Edit | FileTool::Write);
        match (tool, outcome) {
            (FileTool::Any, Outcome::Denied) => self.changes.retain(|change| *change != call),
            (FileTool::Any, _) => self.changes.push(result),
            // It may have been written in part.
            (_, Outcome::Interrupted) if is_writing => self.changes.push(result),
            (_, Outcome::Ok) => {
                let Some(own) = file.and_then(|file| self.files.get_mut(&file)) else { return };
                match tool {
                    FileTool::Read => own.reads += 1,
                    FileTool::Edit => own.edits += 1,
                    FileTool::Write => own.writes += 1,
                    FileTool::Harmless | FileTool::Any | FileTool::Task | FileTool::Tasks => return,
                }
                own.told.push((call, result));
            }
            _ => {}
        }
    }

    /// The first event behind a position since which files may have changed.
    #[must_use]
    pub fn changed_after(&self, position: usize) -> Option<usize> {
        let at = self.changes.partition_point(|change| *change <= position);
        self.changes.get(at).copied()
    }
}
