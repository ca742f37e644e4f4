//! Runaways: what goes wrong is noticed within a minute of its begin, and nothing else is.

use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::runaway::detector::RunawayEvent;
use tailspan::views::analytics::runaway::settings::RunawaySettings;

use crate::support::runs::{Follower, Planted, Session, rows_of};
use crate::support::world::{Dice, recordings};

const BEGIN: Timestamp = Timestamp(1_795_000_000_000);
const HOUR_MS: i64 = 3_600_000;

fn standard() -> Follower {
    Follower::new(RunawaySettings::default())
}

/// Work of some hours in a session.
fn worked(number: usize, hours: i64, dice: &mut Dice) -> Session {
    let start = Timestamp(BEGIN.0 + i64::try_from(dice.below(600_000)).unwrap());
    let mut session = Session::new(number, start);
    while session.now.0 < start.0 + hours * HOUR_MS {
        session.turn(dice);
        session.pause(dice);
    }
    session
}

#[test]
fn no_recording_runs_away() {
    let found = recordings();
    assert!(found.len() > 30, "{}", found.len());
    for recording in found {
        let mut follower = standard();
        follower.follow(rows_of(&recording.join("projects")));
        assert!(follower.events.is_empty(), "{}: {:?}", recording.display(), follower.events);
    }
}

#[test]
fn no_ordinary_day_runs_away() {
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let mut follower = standard();
        let sessions = 1 + dice.below(3);
        let rows = (0..sessions).flat_map(|number| worked(number, 6, &mut dice).rows).collect();
        follower.follow(rows);
        assert!(follower.events.is_empty(), "seed {seed}: {:?}", follower.events);
    }
}

#[test]
fn what_goes_wrong_is_noticed_within_a_minute_and_its_end_within_four() {
    let planted = [(Planted::Failing, "failures"), (Planted::Calling, "calls"), (Planted::Spending, "cost")];
    let mut longest = [0; 3];
    for seed in 0..60 {
        for ((what, reason), longest) in planted.into_iter().zip(&mut longest) {
            let mut dice = Dice::new(seed);
            let mut follower = standard();
            // A young session, and one that has a usual minute of its own.
            let hours = i64::try_from(seed % 2).unwrap();
            let mut session = worked(1, hours, &mut dice);
            let beside = worked(2, hours, &mut dice);
            let begin = session.now;
            session.run_away(what, &mut dice);
            let end = session.now;
            follower.follow([session.rows, beside.rows].concat());
            let begun: Vec<i64> =
                follower.begun().iter().filter(|(_, own)| *own == reason).map(|(at, _)| at.0 - begin.0).collect();
            assert!(
                begun.len() == 1 && (0..=60_000).contains(&begun[0]),
                "seed {seed} {what:?}: {:?}",
                follower.events
            );
            *longest = begun[0].max(*longest);
            let ended = follower.events.iter().filter_map(|(at, event)| match event {
                RunawayEvent::Ended(runaway) if runaway.reason.word() == reason => Some(at.0 - end.0),
                _ => None,
            });
            assert!(ended.collect::<Vec<_>>().iter().all(|late| (0..=240_000).contains(late)), "seed {seed} {what:?}");
            let told = follower.events.len();
            assert!(told.is_multiple_of(2), "seed {seed}: what began has ended: {:?}", follower.events);
        }
    }
    println!("noticed after at most {longest:?} ms");
}

/// What was told, in order.
fn told(follower: &Follower) -> Vec<(&'static str, &'static str)> {
    let word = |event: &RunawayEvent| match event {
        RunawayEvent::Began(of) => ("began", of.reason.word()),
        RunawayEvent::Ended(of) => ("ended", of.reason.word()),
    };
    follower.events.iter().map(|(_, event)| word(event)).collect()
}

#[test]
fn restarts_at_any_time_tell_no_beginning_twice_and_every_end() {
    let mut seen = 0;
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let mut session = worked(1, i64::try_from(seed % 2).unwrap(), &mut dice);
        session.run_away([Planted::Failing, Planted::Calling, Planted::Spending][dice.below(3)], &mut dice);
        let mut rows = session.rows;
        rows.sort_by_key(|(at, ..)| *at);
        let mut steady = standard();
        steady.follow(rows.clone());
        let mut restarted = standard();
        while !rows.is_empty() {
            let later = rows.split_off((1 + dice.below(40)).min(rows.len()));
            restarted.follow_to(std::mem::replace(&mut rows, later));
            restarted.restart();
        }
        restarted.wait();
        assert_eq!(told(&restarted), told(&steady), "seed {seed}");
        seen += steady.events.len();
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn nothing_is_looked_for_if_the_configuration_says_so() {
    let mut dice = Dice::new(1);
    let mut session = Session::new(1, BEGIN);
    session.run_away(Planted::Spending, &mut dice);
    let mut follower = Follower::new(RunawaySettings { enabled: false, ..RunawaySettings::default() });
    follower.follow(session.rows.clone());
    assert!(follower.events.is_empty());
    // Higher limits than what it does.
    let high = RunawaySettings { usd_per_minute: 1000.0, calls_per_minute: 1000.0, ..RunawaySettings::default() };
    let mut follower = Follower::new(high);
    follower.follow(session.rows);
    assert!(follower.events.is_empty(), "{:?}", follower.events);
}
