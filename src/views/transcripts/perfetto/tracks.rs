//! The tracks of a trace, and which of them is free.
//!
//! Perfetto wants the slices of a track to lie within each other. What overlaps therefore stands on tracks beside each
//! other, which have the same name, so that they are shown as one.

use super::messages::{CounterDescriptor, Packet, TrackDescriptor};

/// What [`fold`] begins with.
pub(super) const FOLD_BASE: u64 = 0xcbf2_9ce4_8422_2325;

/// An id that follows from a text: FNV-1a.
pub(super) fn fold(base: u64, text: &str) -> u64 {
    text.bytes().fold(base, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A track to be made.
pub(super) struct NewTrack<'n> {
    pub(super) name: &'n str,
    pub(super) parent: Option<u64>,
    /// Its place among the tracks of its parent.
    pub(super) rank: i32,
    /// The unit, if it counts something.
    pub(super) unit: Option<&'n str>,
}

/// Makes tracks. Their ids follow from the id of the session and the order in which they are made.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    next: u64,
}

impl Tracks {
    pub(super) fn of(session: &str) -> Self {
        // Two sessions in one window should not share tracks.
        Self { next: fold(FOLD_BASE, session) & !0xffff_ffff }
    }

    pub(super) fn add(&mut self, track: NewTrack<'_>, out: &mut Vec<u8>) -> u64 {
        self.next = self.next.wrapping_add(1);
        let descriptor = TrackDescriptor {
            uuid: self.next,
            name: track.name.to_owned(),
            parent_uuid: track.parent,
            counter: track.unit.map(|unit| CounterDescriptor { unit_name: unit.to_owned() }),
            child_ordering: Some(3),
            sibling_order_rank: Some(track.rank),
        };
        Packet { track_descriptor: Some(descriptor), ..Packet::default() }.write(out);
        self.next
    }
}

/// Tracks of one name, of which each holds one slice at a time.
#[derive(Debug)]
pub(super) struct Lanes {
    name: &'static str,
    parent: u64,
    rank: i32,
    /// Each with the time from which on it is free; `None` while its slice is open.
    lanes: Vec<(u64, Option<u64>)>,
}

impl Lanes {
    pub(super) const fn new(name: &'static str, parent: u64, rank: i32) -> Self {
        Self { name, parent, rank, lanes: Vec::new() }
    }

    /// Lanes of which the first is the parent itself.
    pub(super) fn on(name: &'static str, parent: u64) -> Self {
        Self { name, parent, rank: 0, lanes: vec![(parent, Some(0))] }
    }

    /// A track that is free from `begin` on. It is taken until [`Lanes::free`] says when its slice ended.
    pub(super) fn take(&mut self, begin: u64, tracks: &mut Tracks, out: &mut Vec<u8>) -> u64 {
        if let Some((track, free)) = self.lanes.iter_mut().find(|(_, free)| free.is_some_and(|free| free <= begin)) {
            *free = None;
            return *track;
        }
        let new = NewTrack { name: self.name, parent: Some(self.parent), rank: self.rank, unit: None };
        let track = tracks.add(new, out);
        self.lanes.push((track, None));
        track
    }

    pub(super) fn free(&mut self, track: u64, end: u64) {
        if let Some((_, free)) = self.lanes.iter_mut().find(|(own, _)| *own == track) {
            *free = Some(end);
        }
    }
}
