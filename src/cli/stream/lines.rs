//! Whole lines on the tape, until they are handed over.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use super::tape::{Piece, Tape};
use crate::transcript::time::Timestamp;

/// Lines that are whole, and where the next begins.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) segments: VecDeque<Segment>,
    /// Where what is not handed over begins, as far as is known.
    pub(super) head: u64,
    /// Where the line begins whose end is still to come.
    pub(super) whole: u64,
    pub(super) scanned: u64,
    /// Whether the end of a line is looked for that is dropped.
    pub(super) is_skipping: bool,
}

/// Whole lines that arrived at one time.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) at: Timestamp,
    pub(super) range: Range<u64>,
    pub(super) lines: u64,
}

impl Segment {
    /// The lines that fit so many bytes, and the others.
    pub(super) fn cut(&self, tape: &Tape, room: u64) -> Vec<Self> {
        let (at, range) = (self.at, self.range.clone());
        let (mut place, mut end, mut lines) = (range.start, range.start, 0);
        let until = range.start.saturating_add(room).min(range.end);
        while until < range.end && place < until {
            let Ok(piece) = tape.piece(place, until) else { break };
            for newline in memchr::memchr_iter(b'\n', piece.as_ref()) {
                (end, lines) = (place + newline as u64 + 1, lines + 1);
            }
            place += piece.as_ref().len() as u64;
        }
        let parts = [(range.start..end, lines), (end..range.end, self.lines - lines)];
        parts
            .into_iter()
            .filter(|(range, _)| !range.is_empty())
            .map(|(range, lines)| Self { at, range, lines })
            .collect()
    }
}

/// The pieces of a range of the tape.
pub(super) struct Pieces<'t> {
    pub(super) tape: &'t Tape,
    pub(super) range: Range<u64>,
}

impl Iterator for Pieces<'_> {
    type Item = io::Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.range.is_empty() {
            return None;
        }
        let piece = self.tape.piece(self.range.start, self.range.end);
        self.range.start =
            piece.as_ref().map_or(self.range.end, |piece| self.range.start + piece.as_ref().len() as u64);
        Some(piece)
    }
}
