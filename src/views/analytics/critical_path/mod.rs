//! The critical path of a turn: what it waited for, moment by moment.
//!
//! Tracers guess it: they take the child that ended last, because a span does not say who waited for whom. Here the causes
//! are known. The next request of a thread waits for **all** results of the response before it, so of its calls the one
//! that ended last counts, from when the model made it. A call that started sub-agents waits for the last of them, and in
//! it their own path counts. Sub-agents in the background hold up nobody.
//!
//! ```text
//! stretch  what a path is told in
//! steps    which response made which calls
//! waits    hooks, permissions, pauses after failed attempts, compactions: whose a moment is
//! threads  makes the graph of what waits for what
//! graph    the graph, and the longest way through it
//! weigh    what would change if something took longer or shorter
//! ```
//!
//! Rules where files are not clear:
//!
//! - Times are clipped, so that a request lies between the one before and the one after, and a call between its request and
//!   the next one. So every moment is in one stretch, whatever clocks say.
//! - A result without a usable time holds up nobody if a request follows; otherwise its call lasts to the end.
//! - Hooks and compactions before a request count as such, also where the request is only known to follow the row before
//!   them. A hook that runs for a call counts within that call.
//! - Session files do not tell of waits for a person: a call begins with the row that makes it, so the wait for a
//!   permission is part of the call, unless a stream shows exactly how long that was. A turn begins with its prompt, so its
//!   time in the client's queue is before it.
//!
//! The cost grows with the number of parts, times the number of different names on the path of one step.

mod graph;
mod steps;
mod stretch;
mod threads;
mod waits;
mod weigh;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

pub use stretch::{PathKind, PathPart, PathPlace, PathUnit, Stretch, TurnPath};

/// The critical path of a turn. `agents` returns the sub-agents that a call, given by its
/// [`id`](super::work::WorkCall::id), started and waits for.
#[must_use]
pub fn critical_path<'a>(turn: PathUnit<'a>, agents: &dyn Fn(u64) -> Vec<PathUnit<'a>>) -> TurnPath<'a> {
    let first_chunks = HashMap::new();
    let mut threads = threads::Threads {
        names: stretch::PartNames::default(),
        agents,
        met: HashSet::new(),
        busy_ms: 0,
        first_chunks,
    };
    let chain = threads.thread(turn, 0);
    let (names, first_chunks) = (threads.names, threads.first_chunks);
    let mut stretches: Vec<Stretch<'a>> = Vec::new();
    let mut sums = vec![(0, 0, 0); names.len()];
    let mut first_chunk_sums = vec![None; names.len()];
    chain.walk(&mut |piece| {
        let (kind, name) = names.name(piece.part);
        let stretch = Stretch { kind, name, start: piece.start, end: piece.end, at: piece.place };
        match stretches.last_mut().filter(|last| (last.kind, last.name, last.at) == (kind, name, piece.place)) {
            Some(last) => last.end = stretch.end,
            None => stretches.push(stretch),
        }
        if let Some((path, ..)) = sums.get_mut(piece.part) {
            *path += piece.ms();
        }
        if let (PathKind::Model, PathPlace::Response(id)) = (kind, piece.place)
            && let Some((since, until)) = first_chunks.get(&id)
            && let Some(sum) = first_chunk_sums.get_mut(piece.part)
        {
            *sum = Some(sum.unwrap_or(0) + piece.end.min(*until).since_ms(piece.start.max(*since)));
        }
    });
    for (part, half_ms) in weigh::saved(&chain) {
        if let Some((.., saved)) = sums.get_mut(part) {
            *saved = half_ms / 2;
        }
    }
    let mut slacks = BTreeMap::new();
    weigh::slack(&chain, 0, &mut slacks);
    for (part, ms) in slacks {
        if let Some((_, slack, _)) = sums.get_mut(part) {
            *slack = ms;
        }
    }
    let part = |(part, (path_ms, slack_ms, saved_if_halved_ms)): (usize, (u64, u64, u64))| {
        let (kind, name) = names.name(part);
        let first_chunk_ms = first_chunk_sums.get(part).copied().flatten();
        PathPart { kind, name, path_ms, slack_ms, saved_if_halved_ms, first_chunk_ms }
    };
    let mut parts: Vec<PathPart<'a>> = sums.into_iter().enumerate().map(part).collect();
    parts.retain(|part| part.path_ms > 0 || part.slack_ms > 0);
    parts.sort_by_key(|part| (Reverse(part.path_ms), part.kind, part.name));
    TurnPath { stretches, parts, busy_ms: threads.busy_ms }
}
