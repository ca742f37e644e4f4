//! The lines that are new since the last look, each once.
//!
//! Files only grow, and a reader remembers how far it read each. A last line without a newline is left for the next
//! look. A file that is shorter than it was is another one, and is read from its beginning.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::folder;
use super::line::told_by;
use crate::transcript::ids::SessionId;
use crate::waiting::Told;

/// Most bytes of one file that are read at one look; of more, the earlier ones are passed over, since only the latest
/// lines of a session matter.
const LOOK_BYTES_MAX: u64 = 16 << 20;

/// Reads the lines of hooks in the folder of a state.
#[derive(Debug)]
pub struct HookLines {
    folder: PathBuf,
    read: BTreeMap<PathBuf, u64>,
}

impl HookLines {
    /// A reader of the lines in the folder of a state, from the oldest that is kept.
    #[must_use]
    pub fn in_state(state: &Path) -> Self {
        Self { folder: folder::folder_of(state), read: BTreeMap::new() }
    }

    /// The folder of the lines, which may be missing.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was written since the last look, in the order of the files. Lines that cannot be read are left out, and a
    /// file that cannot be read is looked at again the next time.
    pub fn news(&mut self) -> Vec<(SessionId, Told)> {
        let mut events = Vec::new();
        let files = folder::files(&self.folder);
        self.read.retain(|path, _| files.contains(path));
        for path in files {
            let from = self.read.get(&path).copied().unwrap_or_default();
            if let Ok((bytes, end)) = read_on(&path, from) {
                events.extend(bytes.split(|byte| *byte == b'\n').filter_map(told_by));
                self.read.insert(path, end);
            }
        }
        events
    }
}

/// The whole lines of a file behind `from`, and where they end.
fn read_on(path: &Path, from: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = if length < from { 0 } else { from };
    if length == from {
        return Ok((Vec::new(), from));
    }
    // The line that is cut by this is not read, like any that is broken.
    let from = from.max(length.saturating_sub(LOOK_BYTES_MAX));
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(length - from).read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    bytes.truncate(whole);
    Ok((bytes, from.saturating_add(whole as u64)))
}
