//! `epoch.json`: what must survive the loss of the database, in a file that people can read.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::transcript::ids::RowId;
use crate::transcript::time::Timestamp;

/// The sidecar's first start ever, and how far traces had been handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    path: PathBuf,
    /// First start: counters count what is stamped at or after it.
    pub first_start: Timestamp,
    /// Latest end of a turn whose spans were put into the outbox.
    pub exported_until: Option<Timestamp>,
    /// Tells this state from any other: a random UUID (version 4).
    pub instance: String,
}

#[derive(Serialize, Deserialize)]
struct Text {
    first_start: String,
    exported_until: Option<String>,
    #[serde(default)]
    instance: Option<String>,
}

impl Epoch {
    /// Reads the file of a state folder, or makes it with `now`. The second value is true if it was there.
    pub(super) fn load(folder: &Path, now: Timestamp) -> Result<(Self, bool), StoreError> {
        let path = folder.join("epoch.json");
        let failed = |source| StoreError::Folder { path: path.clone(), source };
        match fs::read(&path) {
            Ok(bytes) => {
                let text: Text = serde_json::from_slice(&bytes).map_err(|error| failed(io::Error::other(error)))?;
                let first_start = Timestamp::parse(&text.first_start)
                    .ok_or_else(|| failed(io::Error::other("`first_start` is not an RFC 3339 time")))?;
                let exported_until = text.exported_until.as_deref().and_then(Timestamp::parse);
                let known = text.instance.filter(|instance| !instance.is_empty());
                let is_new = known.is_none();
                let epoch = Self { path, first_start, exported_until, instance: known.unwrap_or_else(new_instance) };
                if is_new {
                    epoch.save()?;
                }
                Ok((epoch, true))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let epoch = Self { path, first_start: now, exported_until: None, instance: new_instance() };
                epoch.save()?;
                Ok((epoch, false))
            }
            Err(source) => Err(failed(source)),
        }
    }

    /// Notes that spans of turns that ended by `until` were handed out. Returns true if that is news to be saved.
    pub fn exported(&mut self, until: Timestamp) -> bool {
        let news = self.exported_until.is_none_or(|known| known < until);
        if news {
            self.exported_until = Some(until);
        }
        news
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn save(&self) -> Result<(), StoreError> {
        let text = Text {
            first_start: self.first_start.to_rfc3339(),
            exported_until: self.exported_until.map(Timestamp::to_rfc3339),
            instance: Some(self.instance.clone()),
        };
        let write = || -> io::Result<()> {
            let new = self.path.with_extension("json.new");
            let mut file = fs::File::create(&new)?;
            file.write_all(&serde_json::to_vec_pretty(&text).map_err(io::Error::other)?)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        };
        write().map_err(|source| StoreError::Folder { path: self.path.clone(), source })
    }
}

/// A random UUID. The standard library seeds each of its hash maps from the system's randomness.
fn new_instance() -> String {
    let random = || u128::from(RandomState::new().hash_one(0));
    let bits = random() << 64 | random();
    let version_4 = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    RowId(version_4).to_string()
}
