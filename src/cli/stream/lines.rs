//! Whole lines on the tape, until they are handed over. The last one needs no newline if it is whole: it gets one on its way.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use super::tape::{Piece, Tape};
use crate::sidecar::clock;
use crate::streams::line::{self, Line};
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
    /// Whether the last of them has no newline on the tape.
    pub(super) lacks_newline: bool,
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
        let parts = [(range.start..end, lines, false), (end..range.end, self.lines - lines, self.lacks_newline)];
        parts
            .into_iter()
            .filter(|(range, ..)| !range.is_empty())
            .map(|(range, lines, lacks_newline)| Self { at, range, lines, lacks_newline })
            .collect()
    }

    /// Its bytes as they are handed over.
    pub(super) fn pieces<'t>(&self, tape: &'t Tape) -> Pieces<'t> {
        Pieces { tape, range: self.range.clone(), lacks_newline: self.lacks_newline }
    }
}

impl Lines {
    /// Takes the bytes behind the last newline, behind which nothing comes, for a line if that is whole. Returns how many of them
    /// are torn: what is no object of JSON is a part of a line.
    pub(super) fn end(&mut self, tape: &Tape) -> u64 {
        let range = self.whole..self.scanned;
        if self.is_skipping || range.is_empty() {
            return 0;
        }
        let at = tape.arrival(range.end - 1).0.map_or_else(clock::now, Timestamp);
        let segment = Segment { at, range: range.clone(), lines: 1, lacks_newline: true };
        if !is_whole(segment.pieces(tape)) {
            return range.end - range.start;
        }
        self.whole = range.end;
        self.segments.push_back(segment);
        0
    }
}

/// Whether pieces of at most [`line::LINE_BYTES_MAX`] bytes together are a line that the sidecar takes.
fn is_whole(pieces: Pieces<'_>) -> bool {
    let mut line = Vec::new();
    for piece in pieces {
        let Ok(piece) = piece else { return false };
        line.extend_from_slice(piece.as_ref());
    }
    matches!(line::read(&line), Line::Event { .. } | Line::Mark(_))
}

/// The pieces of lines on the tape.
pub(super) struct Pieces<'t> {
    tape: &'t Tape,
    range: Range<u64>,
    lacks_newline: bool,
}

impl Iterator for Pieces<'_> {
    type Item = io::Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.range.is_empty() {
            return std::mem::take(&mut self.lacks_newline).then(|| Ok(Piece::of(b"\n")));
        }
        let piece = self.tape.piece(self.range.start, self.range.end);
        self.range.start =
            piece.as_ref().map_or(self.range.end, |piece| self.range.start + piece.as_ref().len() as u64);
        Some(piece)
    }
}
