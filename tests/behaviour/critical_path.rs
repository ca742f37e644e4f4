//! What turns wait for: the same to the millisecond as the turn lasts, as worked out by hand, as another, slower way finds.

use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::critical_path::TurnPath;

use crate::support::units::Dice;

mod examples;
mod making;

use making::by_chance;

/// Why a path is no partition of the time from `started` to `ended`; `None` if it is one.
fn hole(path: &TurnPath<'_>, started: i64, ended: i64) -> Option<String> {
    let mut told = started;
    for stretch in &path.stretches {
        if stretch.start != Timestamp(told) || stretch.end <= stretch.start {
            return Some(format!("{stretch:?} after {told}"));
        }
        told = stretch.end.0;
    }
    let sum: u64 = path.parts.iter().map(|part| part.path_ms).sum();
    let whole = u64::try_from((ended - started).max(0)).unwrap();
    (told != ended.max(started) || sum != whole).then(|| format!("{told} instead of {ended}, sum {sum} of {whole}"))
}

#[test]
fn every_moment_of_a_turn_is_in_one_part() {
    for seed in 1..=10_000 {
        let world = by_chance(&mut Dice(seed), seed % 2 == 0);
        let hole = hole(&world.path(), world.turn.started, world.turn.ended);
        assert_eq!(hole, None, "seed {seed}: {world:#?}");
    }
}
