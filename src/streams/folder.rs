//! The folder of stream files, and what they are called.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::append::first_line;
use super::mark::{self, Mark};
use super::run::RunId;
use crate::transcript::time::Timestamp;

/// The name of the folder within the state.
pub const NAME: &str = "streams";
/// The file that tells one folder from another, however a process reaches it.
const IDENTITY: &str = ".folder";
/// The file in which the sidecar notes the spools that wait no more: a line for each, with its name and its length in bytes.
const COUNTED: &str = ".counted";
/// How stream files end.
const ENDING: &str = ".jsonl";

/// The folder of stream files of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

/// A stream file in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its run.
    pub run: RunId,
    /// Which of the files of the run it is, from 0.
    pub number: u32,
    /// Its size.
    pub bytes: u64,
    /// When it was written last.
    pub modified: Timestamp,
}

impl Folder {
    /// The folder of the state at this path.
    #[must_use]
    pub fn of_state(state: &Path) -> Self {
        Self(state.join(NAME))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder unless there is one, readable by its owner alone.
    pub fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)
    }

    /// A text that is the same for everybody who uses this folder, and of no other folder. Makes it if it is missing.
    pub fn identity(&self) -> io::Result<String> {
        let path = self.0.join(IDENTITY);
        let read = || match fs::read_to_string(&path) {
            Ok(text) => Ok(RunId::parse(text.trim())),
            Err(error) => Err(error),
        };
        let is_there = match read() {
            Ok(Some(id)) => return Ok(id.as_str().to_owned()),
            // What a full disk left is no identity.
            Ok(None) => true,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                error.kind() != io::ErrorKind::NotFound
            }
            Err(error) => return Err(error),
        };
        // It is there with its text or not at all, whenever a process is killed.
        let id = RunId::of_random(random()?);
        let own = self.0.join(format!("{IDENTITY}.{}", id.as_str()));
        let written = write_private(&own, id.as_str().as_bytes());
        let placed = written.and_then(|()| if is_there { fs::rename(&own, &path) } else { fs::hard_link(&own, &path) });
        fs::remove_file(&own).ok();
        match placed {
            // Another process was faster.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => read()?.map(|id| id.as_str().to_owned()).ok_or_else(|| io::ErrorKind::InvalidData.into()),
        }
    }

    /// The path of a file of a run.
    #[must_use]
    pub fn path_of(&self, run: &RunId, number: u32) -> PathBuf {
        let run = run.as_str();
        self.0.join(if number == 0 { format!("{run}{ENDING}") } else { format!("{run}.{number}{ENDING}") })
    }

    /// All stream files, in order of their names; none if there is no folder.
    pub fn files(&self) -> io::Result<Vec<StreamFile>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Some((run, number)) = entry.file_name().to_str().and_then(named) else { continue };
            // A file may be gone again.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() {
                let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
                let modified = Timestamp(i64::try_from(modified.as_millis()).unwrap_or(i64::MAX));
                files.push(StreamFile { path: entry.path(), run, number, bytes: metadata.len(), modified });
            }
        }
        files.sort_by(|a, b| (&a.run, a.number).cmp(&(&b.run, b.number)));
        Ok(files)
    }

    /// The files of a run, in order of their numbers.
    pub fn files_of(&self, run: &RunId) -> io::Result<Vec<StreamFile>> {
        Ok(self.files()?.into_iter().filter(|file| file.run == *run).collect())
    }

    /// The files that a `tailspan stream` wrote because no sidecar took its lines.
    pub fn spools(&self) -> io::Result<Vec<StreamFile>> {
        Ok(self.files()?.into_iter().filter(StreamFile::is_spool).collect())
    }

    /// The bytes of all spools that still wait: of those that the sidecar of this folder has read, none do.
    pub fn waiting_bytes(&self) -> io::Result<u64> {
        let counted = self.counted();
        let is_counted = |file: &StreamFile| file.length_by_name().is_some_and(|line| counted.contains(&line));
        let spools = self.spools()?;
        Ok(spools.iter().filter(|file| !is_counted(file)).map(|file| file.bytes).sum())
    }

    /// What [`Self::set_counted`] noted last.
    fn counted(&self) -> BTreeSet<String> {
        let text = fs::read_to_string(self.0.join(COUNTED)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Notes the spools that wait no more, each as [`StreamFile::length_by_name`] tells it.
    pub(super) fn set_counted(&self, spools: &BTreeSet<String>) -> io::Result<()> {
        if *spools == self.counted() {
            return Ok(());
        }
        let lines: Vec<&str> = spools.iter().map(String::as_str).collect();
        // The state has one sidecar.
        let own = self.0.join(format!("{COUNTED}.new"));
        write_private(&own, lines.join("\n").as_bytes())?;
        fs::rename(own, self.0.join(COUNTED))
    }
}

impl StreamFile {
    /// The name of the file with its length, as the folder notes a spool that waits no more. `None` of a name that is no text.
    pub(super) fn length_by_name(&self) -> Option<String> {
        Some(format!("{} {}", self.path.file_name()?.to_str()?, self.bytes))
    }

    /// Whether the file waits for a sidecar, as its first line says.
    #[must_use]
    pub fn is_spool(&self) -> bool {
        let line = first_line(&self.path).unwrap_or_default();
        matches!(mark::read(&line), Some(Mark::Run { spool: true, .. }))
    }
}

/// Writes a file that its owner alone can read.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

/// 16 random bytes of the system.
pub fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Run and number of a file of this name; `None` if it is no stream file.
fn named(name: &str) -> Option<(RunId, u32)> {
    let stem = name.strip_suffix(ENDING)?;
    let (run, number) = match stem.split_once('.') {
        Some((run, number)) => (run, number.parse().ok().filter(|number| *number > 0)?),
        None => (stem, 0),
    };
    Some((RunId::parse(run)?, number))
}
