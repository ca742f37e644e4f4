//! The client's own list of its processes: `sessions/PID.json` in its configuration folder, beside `projects`.
//!
//! ```text
//! {"pid":13330,"procStart":"3511345","pidDomain":"linux:…:pid:[4026531836]","sessionId":"…","entrypoint":"cli",
//!  "status":"busy|idle|waiting","waitingFor":"permission prompt","statusUpdatedAt":1796004565172}
//! ```
//!
//! Seen with 2.1.332, which rewrites the file whenever the status changes, within 30 ms, and removes it at its end. A
//! client that is killed leaves its file behind, so a process is asked for by its number, and on Linux by when it began
//! as well, because numbers are used again. The list is no documented interface: what is missing in it says nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::transcript::time::Timestamp;

/// Most bytes of a file of the list.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Most processes of one list.
const PROCESSES_MAX: usize = 1000;

/// A process of the client that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientProcess {
    /// The session that it has open.
    pub session: Box<str>,
    /// True if it was started with a terminal, and a person can answer it there.
    pub is_terminal: bool,
    /// `status`; `None` if it does not tell.
    pub status: Option<Box<str>>,
    /// `waitingFor`, while it waits.
    pub waiting_for: Option<Box<str>>,
    /// Since when it has this status; `None` if it does not tell.
    pub since: Option<Timestamp>,
}

/// The lists of all configuration folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Register {
    /// The configuration folders that have a list, with the processes that run.
    pub folders: BTreeMap<PathBuf, Vec<ClientProcess>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    pid: u32,
    proc_start: Option<String>,
    pid_domain: Option<String>,
    session_id: Box<str>,
    entrypoint: Option<String>,
    status: Option<Box<str>>,
    waiting_for: Option<Box<str>>,
    status_updated_at: Option<i64>,
}

impl Register {
    /// The lists beside these projects folders, as they are now. A file that cannot be read is left out.
    #[must_use]
    pub fn beside(roots: &[PathBuf]) -> Self {
        let mut folders = BTreeMap::new();
        for config in roots.iter().filter_map(|root| root.parent()) {
            let Ok(entries) = fs::read_dir(list_in(config)) else { continue };
            let paths = entries.flatten().map(|entry| entry.path());
            let files = paths.filter(|path| path.extension().is_some_and(|end| end == "json")).take(PROCESSES_MAX);
            folders.insert(config.to_path_buf(), files.filter_map(|path| process_of(&path)).collect());
        }
        Self { folders }
    }
}

/// The folder of the list in a configuration folder.
#[must_use]
pub fn list_in(config: &Path) -> PathBuf {
    config.join("sessions")
}

/// The process that a file of the list tells of; `None` if it does not run any more.
fn process_of(path: &Path) -> Option<ClientProcess> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let entry: Entry = serde_json::from_slice(&bytes).ok()?;
    runs(&entry).then(|| ClientProcess {
        session: entry.session_id,
        is_terminal: entry.entrypoint.as_deref() == Some("cli"),
        status: entry.status,
        waiting_for: entry.waiting_for,
        since: entry.status_updated_at.map(Timestamp),
    })
}

/// Whether the process of an entry runs. One of another machine or container cannot be asked for, and is taken to run.
fn runs(entry: &Entry) -> bool {
    let is_foreign = match (&entry.pid_domain, own_domain()) {
        (Some(domain), Some(own)) => !domain.ends_with(&own),
        _ => false,
    };
    is_foreign || is_alive(entry.pid, entry.proc_start.as_deref())
}

/// The namespace of process numbers that this process lives in, as the kernel names it: `pid:[4026531836]`.
fn own_domain() -> Option<String> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(link.to_string_lossy().into_owned())
}

#[cfg(target_os = "linux")]
fn is_alive(pid: u32, began: Option<&str>) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The second field is a name in brackets that may hold anything; the twentieth behind it is when the process began.
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let mut fields = behind.split_ascii_whitespace();
    let is_dead = fields.next().is_some_and(|state| matches!(state, "Z" | "X"));
    let same = began.is_none_or(|began| fields.nth(18).is_none_or(|field| field == began));
    !is_dead && same
}

#[cfg(not(target_os = "linux"))]
fn is_alive(pid: u32, _: Option<&str>) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // A process of another user may not be sent a signal, and is there.
    pid.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}
