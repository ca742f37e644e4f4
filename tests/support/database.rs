//! The database of a state, once nobody has it open.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long it may stay locked. Only a failing test waits so long.
const DEADLINE: Duration = Duration::from_secs(60);

/// Opens it. A child that another test starts at this moment shares the lock until it has become its program.
pub(crate) fn open(state: &Path) -> sled::Db {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match sled::open(state.join("db")) {
            Ok(database) => return database,
            Err(error) => assert!(error.to_string().contains("acquire lock") && Instant::now() < deadline, "{error}"),
        }
        thread::yield_now();
    }
}
