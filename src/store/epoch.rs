//! The file `epoch.json`: what must survive the loss of the database, in a form that people can read.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::transcript::ids::RowId;
use crate::transcript::time::Timestamp;

/// When the sidecar was started for the first time ever, and up to when traces have left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    path: PathBuf,
    /// The first start: counters count what happened at or after it.
    pub first_start: Timestamp,
    /// Latest end of a turn whose spans were put into the outbox; `None` if there is none.
    pub exported_until: Option<Timestamp>,
    /// Identifies this state: a random UUID (version 4).
    pub instance: String,
    /// The rules of custom metrics that were counted last, by name: fingerprint, and when each was first seen.
    pub rules: BTreeMap<String, (u64, Timestamp)>,
    /// The epoch of the log of events that was begun last; 0 if there was none.
    pub log: u64,
}

#[derive(Serialize, Deserialize)]
struct EpochText {
    first_start: String,
    exported_until: Option<String>,
    #[serde(default)]
    instance: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rules: BTreeMap<String, RuleSeen>,
    /// The epoch of the log of events that was begun last.
    #[serde(default, skip_serializing_if = "is_none")]
    events_epoch: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_none(epoch: &u64) -> bool {
    *epoch == 0
}

/// A rule of a custom metric, as the file tells it.
#[derive(Serialize, Deserialize)]
struct RuleSeen {
    /// In hexadecimal, since JSON has no exact numbers of 64 bits.
    fingerprint: String,
    first_seen: String,
}

/// The first start that is stored in a state folder; `None` if there is no state yet. It takes no lock and changes
/// nothing, so the sidecar may be running. Fails if the file is there and cannot be read.
pub fn first_start(folder: &Path) -> Result<Option<Timestamp>, StoreError> {
    let path = folder.join("epoch.json");
    Ok(read(&path).map_err(|source| StoreError::Folder { path, source })?.map(|(first_start, _)| first_start))
}

/// The content of the file, and its first start as a time; `None` if there is no file.
fn read(path: &Path) -> io::Result<Option<(Timestamp, EpochText)>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let text: EpochText = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
    let first_start =
        Timestamp::parse(&text.first_start).ok_or_else(|| io::Error::other("`first_start` is not an RFC 3339 time"))?;
    Ok(Some((first_start, text)))
}

impl RuleSeen {
    fn of((fingerprint, first_seen): &(u64, Timestamp)) -> Self {
        Self { fingerprint: format!("{fingerprint:016x}"), first_seen: first_seen.to_rfc3339() }
    }
}

/// The rules in the file; one that cannot be read counts as never seen.
fn seen(rules: &BTreeMap<String, RuleSeen>) -> BTreeMap<String, (u64, Timestamp)> {
    let read = |(name, seen): (&String, &RuleSeen)| {
        let fingerprint = u64::from_str_radix(&seen.fingerprint, 16).ok()?;
        Some((name.clone(), (fingerprint, Timestamp::parse(&seen.first_seen)?)))
    };
    rules.iter().filter_map(read).collect()
}

impl Epoch {
    /// Reads the file of a state folder, or makes it with `now` as the first start. The flag is true if it was there.
    /// Fails if the file cannot be read or written.
    pub(super) fn load(folder: &Path, now: Timestamp) -> Result<(Self, bool), StoreError> {
        let path = folder.join("epoch.json");
        let failed = |source| StoreError::Folder { path: path.clone(), source };
        match read(&path).map_err(failed)? {
            Some((first_start, text)) => {
                let exported_until = text.exported_until.as_deref().and_then(Timestamp::parse);
                let known = text.instance.filter(|instance| !instance.is_empty());
                let is_new = known.is_none();
                let instance = known.unwrap_or_else(new_instance);
                let (rules, log) = (seen(&text.rules), text.events_epoch);
                let epoch = Self { path, first_start, exported_until, instance, rules, log };
                if is_new {
                    epoch.save()?;
                }
                Ok((epoch, true))
            }
            None => {
                let epoch = Self {
                    path,
                    first_start: now,
                    exported_until: None,
                    instance: new_instance(),
                    rules: BTreeMap::new(),
                    log: 0,
                };
                epoch.save()?;
                Ok((epoch, false))
            }
        }
    }

    /// Notes that spans of turns that ended by `until` have left. True if that is new, so that [`Epoch::save`] is due.
    pub fn exported(&mut self, until: Timestamp) -> bool {
        let news = self.exported_until.is_none_or(|known| known < until);
        if news {
            self.exported_until = Some(until);
        }
        news
    }

    /// Notes which rules of custom metrics are counted, by name and fingerprint, and returns when each was first seen. A
    /// rule that was not counted last time, or has changed since, is seen at `now`. Fails like [`Epoch::save`].
    pub fn count_rules(&mut self, rules: &[(String, u64)], now: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
        let known = |(name, fingerprint): &(String, u64)| {
            self.rules.get(name).filter(|(known, _)| known == fingerprint).map_or(now, |(_, since)| *since)
        };
        let since: Vec<Timestamp> = rules.iter().map(known).collect();
        let noted = rules.iter().zip(&since).map(|((name, fingerprint), since)| (name.clone(), (*fingerprint, *since)));
        let noted = noted.collect();
        if noted != self.rules {
            self.rules = noted;
            self.save()?;
        }
        Ok(since)
    }

    /// Whether there was a log of events before.
    pub(super) const fn has_told(&self) -> bool {
        self.log > 0
    }

    /// Takes the epoch of a new log of events: the time in Unix seconds, or one more than that of the log before, whichever
    /// is more. Fails like [`Epoch::save`].
    pub(super) fn next_log(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        self.log = u64::try_from(now.0 / 1000).unwrap_or_default().max(self.log + 1);
        self.save()?;
        Ok(self.log)
    }

    /// Writes the file, whole or not at all. Fails if the disk does not take it.
    pub fn save(&self) -> Result<(), StoreError> {
        let text = EpochText {
            first_start: self.first_start.to_rfc3339(),
            exported_until: self.exported_until.map(Timestamp::to_rfc3339),
            instance: Some(self.instance.clone()),
            rules: self.rules.iter().map(|(name, seen)| (name.clone(), RuleSeen::of(seen))).collect(),
            events_epoch: self.log,
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

/// A random UUID. The randomness is that of the operating system, from which the standard library seeds its hash maps.
fn new_instance() -> String {
    let random = || u128::from(RandomState::new().hash_one(0));
    let bits = random() << 64 | random();
    let version_4 = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    RowId(version_4).to_string()
}
