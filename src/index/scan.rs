//! Reads a session file piece by piece and tells the places of lines that may match, without decoding them.

use std::io;
use std::ops::{ControlFlow, Range};

use memchr::{memchr, memrchr};

use crate::tail::reread::{LINE_BYTES_MAX, Source};
use crate::views::text::find::hint::Hint;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 << 10;

/// Memory that is used again for each file.
#[derive(Debug, Default)]
pub struct Scanner {
    piece: Vec<u8>,
    scratch: Vec<u8>,
}

/// Places of lines in a file, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines(Vec<Range<u64>>);

impl Lines {
    /// True if there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a row at this place lies in one of the lines.
    #[must_use]
    pub fn has(&self, offset: u64, bytes: u32) -> bool {
        let behind = self.0.partition_point(|line| line.end <= offset);
        self.0.get(behind).is_some_and(|line| line.start < offset + u64::from(bytes.max(1)))
    }

    /// Adds a part of a line, if there is one.
    fn add_some(&mut self, part: Range<u64>) {
        if !part.is_empty() {
            self.add(part);
        }
    }

    fn add(&mut self, line: Range<u64>) {
        match self.0.last_mut() {
            // Where every line may match, one place stands for all of them.
            Some(last) if last.end == line.start => last.end = line.end,
            _ => self.0.push(line),
        }
    }
}

impl Scanner {
    /// Adds to `lines` those in a part of a file that may match; a line that is too long to be held may. `goes_on` is
    /// called with the number of bytes for each piece that was read, and breaks to stop: then `None` is returned. Fails if
    /// the file cannot be read.
    pub fn lines(
        &mut self,
        file: &Source,
        part: Range<u64>,
        hint: &Hint,
        lines: &mut Lines,
        mut goes_on: impl FnMut(u64) -> ControlFlow<()>,
    ) -> io::Result<Option<()>> {
        let (mut offset, mut filled) = (part.start, 0);
        // True while the end of a line that is too long is looked for.
        let mut skipping = false;
        loop {
            let left = part.end.saturating_sub(offset + filled as u64);
            if left == 0 {
                return Ok(Some(()));
            }
            self.piece.resize(filled + PIECE_BYTES.min(usize::try_from(left).unwrap_or(usize::MAX)), 0);
            let read = file.read_at(self.piece.get_mut(filled..).unwrap_or_default(), offset + filled as u64)?;
            if read == 0 {
                // Half a line is not counted yet.
                return Ok(Some(()));
            }
            if goes_on(read as u64).is_break() {
                return Ok(None);
            }
            let all = self.piece.get(..filled + read).unwrap_or_default();
            let begin = if skipping {
                match memchr(b'\n', all) {
                    Some(newline) => newline + 1,
                    None => all.len(),
                }
            } else {
                0
            };
            skipping = skipping && begin == all.len() && all.last() != Some(&b'\n');
            lines.add_some(offset..offset + begin as u64);
            let whole = memrchr(b'\n', all).map_or(begin, |newline| newline + 1).max(begin);
            let own = all.get(begin..whole).unwrap_or_default();
            let start = offset + begin as u64;
            hint.lines(own, &mut self.scratch, |line| lines.add(start + line.start as u64..start + line.end as u64));
            let rest = all.len() - whole;
            self.piece.copy_within(whole..whole + rest, 0);
            (offset, filled) = (offset + whole as u64, rest);
            if filled > LINE_BYTES_MAX as usize {
                lines.add_some(offset..offset + filled as u64);
                (offset, filled, skipping) = (offset + filled as u64, 0, true);
            }
        }
    }
}
