//! Finds the user whose connection it is, as Linux tells: the user who made the socket at the other end.
//!
//! ```text
//! /proc/self/net/tcp    sl  local_address  rem_address    st  tx:rx  tr:when  retrnsmt  uid  timeout  inode
//!                       3:  0100007F:B0A2  0100007F:25F7  01  ...                       1000 0        48213
//! /proc/self/net/tcp6   the same with 128 bits; an IPv4 address stands there as ::ffff:127.0.0.1
//! ```
//!
//! - The peer's socket is the row whose local end is the connection's peer and whose remote end is the server's end. No
//!   two sockets have both ends in common, so the row is never that of another user who takes the same port later: what
//!   the server writes goes to the socket of this row, or to nobody.
//! - A row without an inode is a socket that nobody holds any more. The kernel shows user 0 for it, so it is ignored.
//! - In a user namespace, all users without a number there have the overflow number, so that number is ignored too.
//! - A peer in another network namespace, behind a proxy of the container runtime, is not in the table.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::http::route::problem::Problem;
use crate::http::server::readers::Readers;

const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/// Most rows of a table that are read.
const SOCKETS_MAX: usize = 1_000_000;

/// How often the tables are read if the row is not found: a table is read in pieces, and a row may move from one piece
/// to another while sockets come and go.
const LOOKS_MAX: usize = 3;

/// Number of users that `/proc/self/uid_map` shows for a namespace that has all users, such as the initial one.
const ALL_USERS: &str = "4294967295";

/// The two ends of a connection.
pub(in crate::http) struct Link {
    pub(in crate::http) local: SocketAddr,
    peer: SocketAddr,
    owner: OnceLock<u32>,
    is_narrow: AtomicBool,
    cut: Notify,
}

impl Link {
    pub(in crate::http) const fn new(local: SocketAddr, peer: SocketAddr) -> Self {
        Self { local, peer, owner: OnceLock::new(), is_narrow: AtomicBool::new(false), cut: Notify::const_new() }
    }

    /// Asks that the system keeps little of what is written, so that it is soon seen that a client does not read.
    pub(in crate::http) fn narrow(&self) {
        self.is_narrow.store(true, Ordering::Relaxed);
    }

    pub(in crate::http) fn is_narrow(&self) -> bool {
        self.is_narrow.load(Ordering::Relaxed)
    }

    /// Ends the connection at once.
    pub(in crate::http) fn cut(&self) {
        self.cut.notify_one();
    }

    /// Waits until the connection is to end at once.
    pub(in crate::http) async fn is_cut(&self) {
        self.cut.notified().await;
    }

    /// Fails if the user of this connection may not read answers that quote conversations. Reads the table of sockets
    /// at the first such request of a connection.
    pub(in crate::http) fn check(&self, readers: &Readers) -> Result<(), Problem> {
        if readers.is_everybody() {
            return Ok(());
        }
        match self.owner() {
            Some(owner) if readers.has(owner) => Ok(()),
            Some(owner) => Err(Problem::forbidden(readers.refusal(owner))),
            None => Err(Problem::forbidden(Readers::REFUSAL_UNTOLD)),
        }
    }

    /// The number of the user at the other end; `None` if the system does not tell.
    fn owner(&self) -> Option<u32> {
        if let Some(known) = self.owner.get() {
            return Some(*known);
        }
        let found = (0..LOOKS_MAX).find_map(|_| TABLES.iter().find_map(|table| self.look(Path::new(table))))?;
        if is_overflow(found) {
            return None;
        }
        Some(*self.owner.get_or_init(|| found))
    }

    fn look(&self, table: &Path) -> Option<u32> {
        let lines = BufReader::new(File::open(table).ok()?).lines().map_while(Result::ok);
        let mut rows = lines.skip(1).take(SOCKETS_MAX).filter_map(|line| SocketRow::parse(&line));
        let own = rows.find(|row| is_same(row.local, self.peer) && is_same(row.remote, self.local));
        own.filter(|row| row.inode != 0).map(|row| row.user)
    }
}

/// A row of the table: one socket.
struct SocketRow {
    local: SocketAddr,
    remote: SocketAddr,
    user: u32,
    inode: u64,
}

impl SocketRow {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
        let user = fields.nth(4)?.parse().ok()?;
        let inode = fields.nth(1)?.parse().ok()?;
        Some(Self { local, remote, user, inode })
    }
}

/// Reads an address and port of the table: 32-bit words in the byte order of the machine, in hexadecimal, and the port
/// as a hexadecimal number.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let mut bytes = Vec::with_capacity(16);
    for start in (0..words.len()).step_by(8) {
        let word = u32::from_str_radix(words.get(start..start.checked_add(8)?)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip = match <[u8; 16]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::V6(Ipv6Addr::from(bytes)),
        Err(_) => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// Whether two ends are the same; an IPv4 address that is written as IPv6 is the IPv4 address.
fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.ip().to_canonical() == other.ip().to_canonical()
}

/// Whether a number may stand for any user who has no number in this namespace.
fn is_overflow(user: u32) -> bool {
    let overflow = fs::read_to_string("/proc/sys/kernel/overflowuid").ok().and_then(|text| text.trim().parse().ok());
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    user == overflow.unwrap_or(65_534) && !map.split_ascii_whitespace().eq(["0", "0", ALL_USERS])
}
