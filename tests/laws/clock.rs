//! A clock that is set back: no counter runs backwards, turns still end, nothing is lost.

use std::collections::{BTreeMap, BTreeSet};

use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::totals::{Sample, Snapshot};

use crate::support::world::{Dice, World, append, clean};

const DAY_MS: i64 = 86_400_000;

fn turn(number: usize, minute: usize) -> String {
    format!(
        "{{\"type\":\"user\",\"sessionId\":\"s\",\"uuid\":\"{number:08x}-0000-4000-8000-000000000000\",\"message\":\
         {{\"role\":\"user\",\"content\":\"p\"}},\"timestamp\":\"2026-11-22T06:{minute:02}:00.000Z\"}}\n\
         {{\"type\":\"assistant\",\"sessionId\":\"s\",\"uuid\":\"{number:08x}-0000-4000-8000-000000000001\",\
         \"message\":{{\"id\":\"m{number}\",\"model\":\"claude-sonnet-4-5\",\"content\":[],\"stop_reason\":\"end_turn\",\
         \"usage\":{{\"input_tokens\":1,\"output_tokens\":2}}}},\"timestamp\":\"2026-11-22T06:{minute:02}:01.000Z\"}}\n"
    )
}

/// Every counter and histogram, by series.
fn counters(snapshot: &Snapshot) -> BTreeMap<String, i128> {
    let counts =
        snapshot.iter().filter(|(series, _)| !series.metric.starts_with("lifetime")).map(|(series, sample)| {
            let number = match sample {
                Sample::Number(number) => *number,
                Sample::Histogram(histogram) => i128::from(histogram.count),
            };
            (format!("{series:?}"), number)
        });
    counts.collect()
}

#[test]
fn a_clock_that_is_set_back_loses_nothing_and_no_counter_runs_backwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let file = world.root.join("slug/s.jsonl");
    let mut last = BTreeMap::new();
    for number in 0..40 {
        append(&file, turn(number, number).as_bytes());
        if number % 3 == 0 {
            world.now.0 -= DAY_MS * i64::try_from(number).unwrap();
        }
        world.read(&mut Dice::new(1), usize::MAX);
        if number % 4 == 0 {
            world.crash();
        } else if number % 5 == 0 {
            world.restart();
        }
        world.read(&mut Dice::new(1), usize::MAX);
        let now = counters(&world.settle());
        for (series, before) in &last {
            assert!(now[series] >= *before, "{series} ran from {before} back to {}", now[series]);
        }
        last = now;
    }
    world.settle();
    assert_eq!(world.summary(), clean(std::slice::from_ref(&world.root)));
    let spans = world.take_spans();
    let ids: BTreeSet<_> = spans.iter().map(|span| (span.trace, span.id)).collect();
    assert_eq!((spans.len(), ids.len()), (80, 80), "a root and a response of each turn, once");
}

#[test]
fn a_turn_that_waited_for_quiet_leaves_soon_after_the_clock_was_set_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    append(&world.root.join("slug/s.jsonl"), turn(1, 1).as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    let engine = world.engine.as_mut().unwrap();
    engine.commit(world.now).unwrap();
    // It would be due in a second of the old time: a day and a second from now.
    let back = Timestamp(world.now.0 - DAY_MS);
    for after_ms in [0, 500, 1_000, 1_500] {
        while engine.tick(Timestamp(back.0 + after_ms)).unwrap() {}
    }
    engine.flush().unwrap();
    assert_eq!(world.take_spans().len(), 2);
}

#[test]
fn a_row_of_the_far_future_came_when_it_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let (read, minute) = (world.now, 60_000);
    let wrong = turn(1, 1).replace("2026-11-22", "9999-12-31");
    append(&world.root.join("slug/s.jsonl"), wrong.as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    let engine = world.engine.as_mut().unwrap();
    let last = engine.last_event().unwrap();
    assert!((read..=Timestamp(read.0 + minute)).contains(&last), "{last:?}");
    assert_eq!(engine.live(read, &Default::default(), &[]).len(), 1);
    assert!(engine.live(Timestamp(last.0 + 1), &Default::default(), &[]).is_empty(), "it is quiet since then");
    // The clock of another machine may be a little ahead.
    let near = Timestamp(world.now.0 + 2 * minute).to_rfc3339();
    append(&world.root.join("slug/t.jsonl"), turn(2, 2).replace("2026-11-22T06:02:01.000Z", &near).as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    assert_eq!(world.engine.as_ref().unwrap().last_event().unwrap().to_rfc3339(), near);
}
