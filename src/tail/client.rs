//! What the client's own settings say of its session files: after how many days it deletes them.
//!
//! ```text
//! managed-settings.json, managed-settings.d/*.json   of the organisation, in one folder for the whole system; the last of
//!                                                    them that names the days counts, and is stronger than all others
//! settings.json                                      of a user, beside a projects folder
//! ```
//!
//! - The client deletes at its start what was not written for so many days (`cleanupPeriodDays`), in all projects.
//! - Settings of a project count as well for a client that is started in it. Where that will be nobody knows, so that they
//!   are not read.
//! - A whole number from 1 is taken. To older clients 0 meant to keep no files at all, and newer ones refuse it; like all
//!   else that is odd it is told in the log, and the client is taken to keep files as long as it does without settings.
//! - Files are read for each question. They are small, and a change counts at once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::text::chain;

/// Days for which the client keeps session files if its settings do not say.
pub const KEPT_DAYS: u64 = 30;

/// The setting that says for how many days.
const KEY: &str = "cleanupPeriodDays";

/// The folder with the settings of the organisation.
const MANAGED: &str =
    if cfg!(target_os = "macos") { "/Library/Application Support/ClaudeCode" } else { "/etc/claude-code" };

/// Most bytes of a file of settings.
const BYTES_MAX: u64 = 1 << 20;

/// Most characters of a value that a message quotes.
const QUOTED_CHARS_MAX: usize = 40;

/// Where the client's settings are.
#[derive(Debug)]
pub struct ClientSettings {
    roots: Vec<PathBuf>,
    managed: PathBuf,
    /// The last problem with each file, so that each is logged once.
    told: Mutex<BTreeMap<PathBuf, String>>,
}

/// Why a file of settings says nothing.
#[derive(Debug, thiserror::Error)]
enum SettingsError {
    #[error("cannot read the settings of the client in {path}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    // What the parser says may quote the file, which may hold secrets.
    #[error("the settings of the client in {path} are no JSON object (line {line}, column {column})", path = path.display())]
    Syntax { path: PathBuf, line: usize, column: usize },
    #[error("`{KEY}` in {path} is {got}, expected a whole number of days from 1", path = path.display())]
    Days { path: PathBuf, got: String },
}

impl ClientSettings {
    /// The settings beside these projects folders, and those of the organisation.
    #[must_use]
    pub fn of(roots: Vec<PathBuf>) -> Self {
        Self { roots, managed: MANAGED.into(), told: Mutex::default() }
    }

    /// The same with another folder for the settings of the organisation.
    #[must_use]
    pub fn managed_in(self, managed: PathBuf) -> Self {
        Self { managed, ..self }
    }

    /// Days after which the client deletes a session file. Of several folders with settings of their own, the fewest.
    /// Logs what is wrong with a file, once until it changes.
    #[must_use]
    pub fn kept_days(&self) -> u64 {
        if let Some(days) = self.managed_files().iter().rev().find_map(|path| self.days_in(path)) {
            return days;
        }
        let roots = self.roots.iter().filter(|root| root.is_dir());
        roots.map(|root| self.days_in(&settings_of(root)).unwrap_or(KEPT_DAYS)).min().unwrap_or(KEPT_DAYS)
    }

    /// The files of the organisation, the weakest first.
    fn managed_files(&self) -> Vec<PathBuf> {
        let more = fs::read_dir(self.managed.join("managed-settings.d")).into_iter().flatten().flatten();
        let mut more: Vec<PathBuf> = more.map(|entry| entry.path()).filter(|path| is_json(path)).collect();
        more.sort();
        [self.managed.join("managed-settings.json")].into_iter().chain(more).collect()
    }

    fn days_in(&self, path: &Path) -> Option<u64> {
        let days = read(path);
        // A poisoned lock can be used: each entry is put in as a whole.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match days {
            Ok(days) => {
                told.remove(path);
                days
            }
            Err(error) => {
                let text = chain(&error);
                if told.get(path) != Some(&text) {
                    tracing::warn!(
                        "{text}: if no other file says, session files are taken to be kept for {KEPT_DAYS} days"
                    );
                    told.insert(path.to_path_buf(), text);
                }
                None
            }
        }
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "json")
}

/// The settings of the configuration folder that a projects folder, or that itself, is. A link to a projects folder lies
/// beside the settings, and what it leads to need not.
fn settings_of(root: &Path) -> PathBuf {
    const NAME: &str = "settings.json";
    if root.join("projects").is_dir() {
        return root.join(NAME);
    }
    // What a path ends with that has no last name, as `..` has none, is no link.
    root.file_name().and(root.parent()).map_or_else(|| root.join("..").join(NAME), |parent| parent.join(NAME))
}

/// The days that a file of settings names; `None` if it is not there, or names none.
fn read(path: &Path) -> Result<Option<u64>, SettingsError> {
    let unreadable = |source| SettingsError::Read { path: path.to_path_buf(), source };
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(unreadable)?,
    };
    // Whoever opens a pipe waits for somebody to write to it.
    if !metadata.is_file() {
        return Err(unreadable(io::Error::other("it is not a file")));
    }
    if metadata.len() > BYTES_MAX {
        return Err(unreadable(io::Error::other(format!("it has more than {BYTES_MAX} bytes"))));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes)).map_err(unreadable)?;
    let json = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let syntax = |error: serde_json::Error| SettingsError::Syntax {
        path: path.to_path_buf(),
        line: error.line(),
        column: error.column(),
    };
    let settings: Map<String, Value> = serde_json::from_slice(json).map_err(syntax)?;
    let Some(value) = settings.get(KEY) else { return Ok(None) };
    let odd = || {
        let got = value.to_string().chars().take(QUOTED_CHARS_MAX).collect();
        SettingsError::Days { path: path.to_path_buf(), got }
    };
    value.as_u64().filter(|days| *days > 0).map(Some).ok_or_else(odd)
}
