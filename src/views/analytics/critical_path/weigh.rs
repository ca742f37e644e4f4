//! What would change if something took longer or shorter.

use std::collections::BTreeMap;

use crate::transcript::time::Timestamp;
use crate::views::analytics::critical_path::graph::{Chain, Fork};

/// Amounts by number of kind and name, each number once, in order.
type Amounts = Vec<(usize, u64)>;

/// For each kind and name on the longest way through a chain, by how many half milliseconds the chain would be shorter
/// if that took half the time wherever it is in it. What is not on the way saves nothing.
pub(super) fn saved(chain: &Chain) -> Amounts {
    let mut all = Vec::new();
    for fork in &chain.forks {
        saved_at(fork, &mut all);
        all.extend(fork.tail.iter().map(|piece| (piece.part, piece.ms())));
    }
    summed(all)
}

/// Adds what is saved at a fork until all is done there.
fn saved_at(fork: &Fork, all: &mut Amounts) {
    let Some((last, branch)) = fork.last() else {
        let own = fork.lead_until(fork.own_end).map(|piece| (piece.part, piece.ms()));
        if fork.branches.is_empty() {
            all.extend(own);
        } else {
            let branches: Vec<Amounts> = fork.branches.iter().map(saved).collect();
            saved_of(fork, &branches, summed(own.collect()), all);
        }
        return;
    };
    let branches: Vec<Amounts> = fork.branches.iter().map(saved).collect();
    let lead = fork.lead_until(branch.start).map(|piece| (piece.part, piece.ms()));
    let on_way = lead.chain(branches.get(last).into_iter().flatten().copied());
    saved_of(fork, &branches, summed(on_way.collect()), all);
}

/// Adds what each of the parts on the way saves: when all would be done is again the latest of all ends.
fn saved_of(fork: &Fork, branches: &[Amounts], on_way: Amounts, all: &mut Amounts) {
    // Half milliseconds, so that halves are whole numbers.
    let length = |end: Timestamp| end.since_ms(fork.start).saturating_mul(2);
    for (part, _) in on_way {
        let of_lead = |pieces: &mut dyn Iterator<Item = super::graph::Piece>| -> u64 {
            pieces.filter(|piece| piece.part == part).map(|piece| piece.ms()).sum()
        };
        let mut latest = length(fork.own_end).saturating_sub(of_lead(&mut fork.lead_until(fork.own_end)));
        // Branches are in order of their beginnings, so the lead is added up once.
        let (mut lead, mut before) = (fork.lead.iter().peekable(), 0);
        for (branch, saved) in fork.branches.iter().zip(branches) {
            while let Some(piece) = lead.next_if(|piece| piece.end <= branch.start) {
                before += if piece.part == part { piece.ms() } else { 0 };
            }
            let begun = lead.peek().filter(|piece| piece.part == part).and_then(|piece| piece.before(branch.start));
            let shorter = before + begun.map_or(0, |piece| piece.ms()) + amount(saved, part);
            latest = latest.max(length(branch.end).saturating_sub(shorter));
        }
        all.push((part, length(fork.finish()).saturating_sub(latest)));
    }
}

fn amount(amounts: &Amounts, part: usize) -> u64 {
    let found = amounts.binary_search_by_key(&part, |(part, _)| *part).ok();
    found.and_then(|position| amounts.get(position)).map_or(0, |(_, amount)| *amount)
}

fn summed(mut amounts: Amounts) -> Amounts {
    amounts.sort_unstable_by_key(|(part, _)| *part);
    amounts.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        kept.1 = kept.1.saturating_add(if same { later.1 } else { 0 });
        same
    });
    amounts
}

/// Adds by how many milliseconds longer the branches beside the longest way could take for free. A branch gives this to
/// every kind and name on the longest way through itself, and to what is beside that way, which has its own besides.
/// `outer` is what the chain itself has.
pub(super) fn slack(chain: &Chain, outer: u64, sums: &mut BTreeMap<usize, u64>) {
    for fork in &chain.forks {
        let last = fork.last().map(|(position, _)| position);
        let finish = fork.finish();
        for (position, branch) in fork.branches.iter().enumerate() {
            let own = if Some(position) == last { 0 } else { finish.since_ms(branch.end) };
            let all = outer.saturating_add(own);
            if Some(position) != last && all > 0 {
                let mut parts = Vec::new();
                branch.walk(&mut |piece| parts.push(piece.part));
                parts.sort_unstable();
                parts.dedup();
                for part in parts {
                    let sum = sums.entry(part).or_default();
                    *sum = sum.saturating_add(all);
                }
            }
            slack(branch, all, sums);
        }
    }
}
