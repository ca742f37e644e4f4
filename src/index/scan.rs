//! Reads a session file piece by piece and tells the places of lines that may match, without decoding them.

use std::io;
use std::ops::{ControlFlow, Range};

use memchr::{memchr, memrchr};

use crate::tail::reread::{LINE_BYTES_MAX, Source};
use crate::views::text::find::hint::{Fit, Hint};

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 << 10;

/// Memory that is used again for each file.
#[derive(Debug, Default)]
pub struct Scanner {
    piece: Vec<u8>,
    scratch: Vec<u8>,
}

/// Places of lines in a file, in order, by how they fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    whole: Vec<Range<u64>>,
    part: Vec<Range<u64>>,
}

impl Lines {
    /// True if there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.part.is_empty()
    }

    /// Whether a row at this place lies in one of the lines: in one that fits as a whole, or, of several rows of the same
    /// event, in any.
    #[must_use]
    pub fn has(&self, offset: u64, bytes: u32, is_of_several: bool) -> bool {
        let is_in = |lines: &[Range<u64>]| {
            let behind = lines.partition_point(|line| line.end <= offset);
            lines.get(behind).is_some_and(|line| line.start < offset + u64::from(bytes.max(1)))
        };
        is_in(&self.whole) || (is_of_several && is_in(&self.part))
    }

    /// Adds a part of a line, if there is one.
    fn add_some(&mut self, part: Range<u64>) {
        if !part.is_empty() {
            self.add(part, Fit::Whole);
        }
    }

    fn add(&mut self, line: Range<u64>, fit: Fit) {
        let lines = match fit {
            Fit::Whole => &mut self.whole,
            Fit::Part => &mut self.part,
        };
        match lines.last_mut() {
            // Where every line may match, one place stands for all of them.
            Some(last) if last.end == line.start => last.end = line.end,
            _ => lines.push(line),
        }
    }
}

impl Scanner {
    /// Adds to `lines` those in a part of a file that may match; a line that is too long to be held may. `are_odd` is as for
    /// [`Hint::lines`]. `goes_on` is called with the number of bytes for each piece that was read, and breaks to stop: then
    /// `None` is returned. Fails if the file cannot be read.
    pub fn lines(
        &mut self,
        file: &Source,
        (part, are_odd): (Range<u64>, bool),
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
            hint.lines(own, are_odd, &mut self.scratch, |line, fit| {
                lines.add(start + line.start as u64..start + line.end as u64, fit);
            });
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
