//! Looking for session files, and how long to wait before all are looked at again.

use std::time::Duration;

use crate::tail::{Folder, FolderProblem, Observer, Watcher};

/// While scans of all files find nothing that events had not told, they become rarer: the pause grows up to this many
/// times the configured one. A scan costs about 10 microseconds per file, and events tell nearly everything.
const RESCAN_RARE: u32 = 20;

/// One search for files: the watcher that gets the folders on the way, and the problems that came up.
pub(super) struct Look<'a> {
    pub(super) watcher: &'a mut Watcher,
    pub(super) problems: Vec<FolderProblem>,
}

impl Observer for Look<'_> {
    fn problem(&mut self, problem: FolderProblem) {
        self.problems.push(problem);
    }

    fn folders(&mut self, folders: &[Folder]) {
        self.watcher.watch(folders);
    }
}

/// The pause before the next scan of all files: the usual one after a scan that found something that no event had told,
/// else twice the last pause, at most [`RESCAN_RARE`] times the usual one.
pub(super) fn next_look(pause: Duration, usual: Duration, has_news: bool) -> Duration {
    if has_news { usual } else { pause.saturating_mul(2).min(usual.saturating_mul(RESCAN_RARE)).max(usual) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rare_while_they_find_nothing() {
        let usual = Duration::from_secs(3);
        let mut pause = usual;
        let mut pauses = Vec::new();
        for has_news in [false, false, false, false, false, false, true, false] {
            pause = next_look(pause, usual, has_news);
            pauses.push(pause.as_secs());
        }
        assert_eq!(pauses, [6, 12, 24, 48, 60, 60, 3, 6]);
    }
}
