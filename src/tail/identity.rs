//! Recognises a file that was read before.
//!
//! Device and inode are not enough: ext4 gives the inode of a deleted file to the next one. So a cursor also has hashes
//! of the first bytes of the file and of the last bytes before its offset. Both are computed from the bytes that were
//! returned to the caller and are not read again: bytes that were rewritten in between must not look counted.

use xxhash_rust::xxh3::xxh3_64;

use crate::transcript::chunk::Cursor;

use super::error::ReadError;
use super::source::{SourceFile, TAIL_BYTES_MAX, extend_tail, length_of};
use super::stat::Stat;

/// Most bytes from the beginning of a file that a cursor hashes.
const HEAD_BYTES_MAX: usize = 1024;

/// The first and the last bytes of the part of a file that was read, and where that part ends.
#[derive(Debug, Default)]
pub(super) struct Fingerprint {
    offset: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Fingerprint {
    /// The fingerprint at `cursor` if `source` is still the file that the cursor was made for; otherwise an empty one,
    /// so that reading begins at the first byte. Fails if the file cannot be read.
    pub(super) fn resume(source: &mut SourceFile<'_>, stat: &Stat, cursor: Option<&Cursor>) -> Result<Self, ReadError> {
        let Some(cursor) = cursor else { return Ok(Self::default()) };
        if !stat.same_inode(&Stat::of_cursor(cursor)) || stat.size < cursor.offset {
            return Ok(Self::default());
        }
        let mut print = Self::default();
        print.skip(source, cursor.offset)?;
        Ok(if print.matches(cursor) { print } else { Self::default() })
    }

    /// Offset up to which the file was read.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Adds the bytes that follow.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.feed_head(bytes);
        extend_tail(&mut self.tail, bytes);
        self.offset = self.offset.saturating_add(length_of(bytes));
    }

    /// Moves on to `offset`, reading only the bytes that the fingerprint needs. Fails if the file cannot be read.
    pub(super) fn skip(&mut self, source: &mut SourceFile<'_>, offset: u64) -> Result<(), ReadError> {
        // A head of less than 1024 bytes ends at the old offset, so the bytes from there continue it.
        let missing = offset.saturating_sub(self.offset).min(HEAD_BYTES_MAX.saturating_sub(self.head.len()) as u64);
        let head = source.read(self.offset, missing)?;
        self.feed_head(&head);
        let tail_length = offset.min(TAIL_BYTES_MAX as u64);
        self.tail = source.read(offset.saturating_sub(tail_length), tail_length)?;
        self.offset = offset;
        Ok(())
    }

    /// The cursor at this offset; `stat` is the state of the file before it was read.
    pub(super) fn cursor(&self, stat: &Stat) -> Cursor {
        Cursor {
            device: stat.device,
            inode: stat.inode,
            offset: self.offset,
            size: stat.size,
            modified_ns: stat.modified_ns,
            head_bytes: u32::try_from(self.head.len()).unwrap_or(u32::MAX),
            head_hash: xxh3_64(&self.head),
            tail_hash: xxh3_64(&self.tail),
        }
    }

    fn feed_head(&mut self, bytes: &[u8]) {
        let missing = HEAD_BYTES_MAX.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(missing));
    }

    fn matches(&self, cursor: &Cursor) -> bool {
        usize::try_from(cursor.head_bytes) == Ok(self.head.len())
            && cursor.head_hash == xxh3_64(&self.head)
            && cursor.tail_hash == xxh3_64(&self.tail)
    }
}
