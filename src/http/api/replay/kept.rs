//! What is kept in memory for replays: the reels of sessions that were asked for lately, the cursors of clients, and the
//! names of files.
//!
//! ```text
//! reels     a reel is worked out from the state when a session is first asked for, and kept until the session changes
//! cursors   a cursor is a position in a session, kept for ten minutes after it was used last
//! names     the state keeps hashes of paths alone; a path is read from the session file once, and kept
//! ```
//!
//! Everything here can be worked out again from the state and the session files, so nothing of it is stored. A reel takes
//! some 60 bytes per event, the states every 256 events included; of all reels together 24 MiB are kept, or the latest
//! alone if it takes more.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::spot::Spot;
use crate::http::api::analytics::cells::HasCells;
use crate::http::api::reel::{Reel, reel_of};
use crate::ledger::session::Session;
use crate::store::{StoreError, StoreReader};
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;

/// Most bytes of the reels that are kept.
const REELS_BYTES_MAX: usize = 24 << 20;

/// Most cursors that are kept; the one that was opened first goes for a further one.
const CURSORS_MAX: usize = 1000;

/// How long a cursor is kept after it was used, in milliseconds.
const CURSOR_MS: i64 = 10 * 60 * 1000;

/// Most names of files that are kept; at this number all are forgotten.
const NAMES_MAX: usize = 16_384;

/// A context that keeps replays, whatever else it holds.
pub trait HasReplays: HasCells {
    /// What is kept for replays.
    fn replays(&self) -> &Replays;
}

/// What is kept for replays, shared by all handlers.
#[derive(Debug, Default)]
pub struct Replays {
    reels: Mutex<Reels>,
    cursors: Mutex<Cursors>,
    names: Mutex<HashMap<u64, Arc<str>>>,
    random: RandomState,
}

#[derive(Debug, Default)]
struct Reels {
    kept: HashMap<SessionId, KeptReel>,
    /// Counts uses.
    uses: u64,
}

#[derive(Debug)]
struct KeptReel {
    reel: Arc<Reel>,
    /// The version of the session that it was made of.
    version: (u64, u64),
    /// The number of its latest use.
    used: u64,
}

#[derive(Debug, Default)]
struct Cursors {
    kept: HashMap<String, Cursor>,
    /// How many were opened.
    opened: u64,
}

/// A cursor of a client.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    pub(super) session: SessionId,
    pub(super) spot: Spot,
    /// When it is forgotten.
    pub(super) expires: Timestamp,
    /// Its number in the order in which cursors were opened.
    number: u64,
}

impl Reels {
    /// Forgets the reels that were used longest ago, until the others are small enough.
    fn shrink(&mut self) {
        let weight = |kept: &HashMap<SessionId, KeptReel>| kept.values().map(|kept| kept.reel.weight()).sum::<usize>();
        while self.kept.len() > 1 && weight(&self.kept) > REELS_BYTES_MAX {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(id, _)| id.clone());
            oldest.and_then(|id| self.kept.remove(&id));
        }
    }
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock can be used: entries are put in as a whole.
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Replays {
    /// The events of a session as they are now. Fails if the state cannot be read.
    pub(in crate::http) fn reel(&self, reader: &StoreReader, session: &Session) -> Result<Arc<Reel>, StoreError> {
        // Before the session is read, so that a change meanwhile makes the reel old.
        let version = reader.version_of(&session.id);
        let mut reels = lock(&self.reels);
        reels.uses += 1;
        let used = reels.uses;
        if let Some(kept) = reels.kept.get_mut(&session.id).filter(|kept| kept.version == version) {
            kept.used = used;
            return Ok(Arc::clone(&kept.reel));
        }
        // The old one goes before the new one comes.
        reels.kept.remove(&session.id);
        drop(reels);
        let reel = Arc::new(reel_of(reader, session)?);
        let mut reels = lock(&self.reels);
        reels.kept.insert(session.id.clone(), KeptReel { reel: Arc::clone(&reel), version, used });
        reels.shrink();
        Ok(reel)
    }

    /// Keeps a new cursor. Returns its name.
    pub(super) fn open(&self, session: &SessionId, spot: Spot, now: Timestamp) -> (String, Timestamp) {
        let mut cursors = lock(&self.cursors);
        cursors.kept.retain(|_, cursor| cursor.expires > now);
        if cursors.kept.len() >= CURSORS_MAX {
            let oldest = cursors.kept.iter().min_by_key(|(_, cursor)| cursor.number).map(|(name, _)| name.clone());
            oldest.and_then(|name| cursors.kept.remove(&name));
        }
        cursors.opened += 1;
        let number = cursors.opened;
        // Not to be guessed: what it leads to is given to its user alone, but another user's step would move it.
        let name = format!("{:016x}{:016x}", self.random.hash_one(number), RandomState::new().hash_one(number));
        let expires = Timestamp(now.0.saturating_add(CURSOR_MS));
        cursors.kept.insert(name.clone(), Cursor { session: session.clone(), spot, expires, number });
        (name, expires)
    }

    /// Where a cursor of a session is; `None` if it is not kept any more.
    pub(super) fn spot(&self, name: &str, session: &SessionId, now: Timestamp) -> Option<Spot> {
        let cursors = lock(&self.cursors);
        let cursor = cursors.kept.get(name)?;
        (cursor.session == *session && cursor.expires > now).then_some(cursor.spot)
    }

    /// Moves a cursor. Returns until when it is kept; `None` if it was forgotten meanwhile.
    pub(super) fn put(&self, name: &str, spot: Spot, now: Timestamp) -> Option<Timestamp> {
        let mut cursors = lock(&self.cursors);
        let cursor = cursors.kept.get_mut(name)?;
        (cursor.spot, cursor.expires) = (spot, Timestamp(now.0.saturating_add(CURSOR_MS)));
        Some(cursor.expires)
    }

    /// Forgets a cursor.
    pub(super) fn close(&self, name: &str) {
        lock(&self.cursors).kept.remove(name);
    }

    /// The path with this hash, if it was read before.
    pub(super) fn name(&self, hash: u64) -> Option<Arc<str>> {
        lock(&self.names).get(&hash).cloned()
    }

    /// Keeps the path with this hash.
    pub(super) fn keep_name(&self, hash: u64, path: &Arc<str>) {
        let mut names = lock(&self.names);
        if names.len() >= NAMES_MAX {
            names.clear();
        }
        names.insert(hash, Arc::clone(path));
    }
}
