//! A piece of one file as it was read, and the place where reading stopped.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest line that is read, in bytes (64 MiB); a longer one is skipped to its newline and counted as `too_long`.
pub const LINE_BYTES_MAX: usize = 64 << 20;

/// Usual size of one read, in bytes (256 KiB). A longer line grows the chunk up to [`LINE_BYTES_MAX`].
pub const CHUNK_BYTES: usize = 256 << 10;

/// Number of a file in the state. It stays the same over restarts; files are numbered in the order of discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileNumber(pub u32);

/// What a file below a session root holds, told by its path alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileRole {
    /// `projects/<slug>/<session>.jsonl`, or `agent-*.jsonl` in any folder; each row names its session and agent.
    Rows,
    /// `.../<session>/subagents/**/agent-<agent>.meta.json`: one JSON object, which the client rewrites as a whole.
    AgentMeta {
        /// Name of the folder above `subagents`.
        session: Arc<str>,
        /// The id between `agent-` and `.meta.json`.
        agent: Arc<str>,
    },
    /// `<state>/streams/<run>.jsonl`: what a client wrote to its standard output in the format `stream-json`, with marks
    /// between the lines; see [`stream`](super::stream).
    Stream,
}

/// Where reading of a file stopped, and how to recognise that file again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// Device number of the file.
    pub device: u64,
    /// Inode number of the file.
    pub inode: u64,
    /// Byte after the last newline that was read: everything before it is counted.
    pub offset: u64,
    /// Size in bytes when last read. If size and modification time are still the same, there is nothing to do.
    pub size: u64,
    /// Modification time in nanoseconds since 1970-01-01 UTC.
    pub modified_ns: i64,
    /// How many of the first bytes [`Cursor::head_hash`] covers, at most 1024.
    pub head_bytes: u32,
    /// xxh3-64 of the first [`Cursor::head_bytes`] bytes.
    pub head_hash: u64,
    /// xxh3-64 of the last bytes before [`Cursor::offset`], at most 64: it differs if the file was rewritten in place.
    pub tail_hash: u64,
}

/// Whole lines of one file, in order.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The file that the lines are from.
    pub file: FileNumber,
    /// What kind of file it is.
    pub role: FileRole,
    /// Byte offset of the first byte of [`Chunk::bytes`] in the file.
    pub offset: u64,
    /// Whole lines, each ended by `\n`; of a [`FileRole::AgentMeta`] file, its content unchanged.
    pub bytes: Vec<u8>,
    /// True if reading began at the first byte of the file: it is new, or was truncated, replaced or rewritten.
    pub restarted: bool,
    /// Lines longer than [`LINE_BYTES_MAX`] that were skipped inside this piece.
    pub too_long_lines: u32,
    /// The cursor once this chunk is counted.
    pub cursor: Cursor,
}
