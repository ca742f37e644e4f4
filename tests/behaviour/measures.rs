//! Everything that can be counted is defined once: the sums that are kept are those of the observations, and every reader
//! finds what it reads.

use std::collections::{BTreeMap, BTreeSet};

use tailspan::ledger::known::Changed;
use tailspan::ledger::money::Money;
use tailspan::ledger::session::Session;
use tailspan::ledger::tally::Tally;
use tailspan::ledger::tokens::Tokens;
use tailspan::ledger::unit::Unit;
use tailspan::measures::measure::MeasureKind;
use tailspan::measures::{Change, Dimension, Measure, Observation, State, Wanted};
use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::catalog;

use crate::support::units::{fixtures, message, recordings, reported, run, session, turn};

/// The tally of some units, from nothing but their observations.
fn tally_of<'a>(units: impl Iterator<Item = &'a Unit>) -> Tally {
    let mut tally = Tally::default();
    for unit in units {
        Change::between(None, unit).observe(Wanted::all(), &mut |state, observation| {
            assert_eq!(state, State::After);
            add(&mut tally, observation);
        });
    }
    tally
}

fn add(tally: &mut Tally, observation: &Observation<'_>) {
    let of = &observation.dimensions;
    let amount = u64::try_from(observation.amount).unwrap();
    let model = of.model.map(|name| tally.models.entry(name.into()).or_default());
    match (observation.measure, model) {
        (Measure::Responses, Some(model)) => model.messages += amount,
        (Measure::Cost, Some(model)) => model.cost += Money::from_picousd(observation.amount),
        (Measure::UnpricedTokens, Some(model)) => model.unpriced += amount,
        (Measure::Tokens, Some(model)) => {
            let Tokens { input, output, cache_read, cache_write_5m, cache_write_1h, .. } = &mut model.tokens;
            let kinds = [
                ("input", input),
                ("output", output),
                ("cache_read", cache_read),
                ("cache_write_5m", cache_write_5m),
                ("cache_write_1h", cache_write_1h),
            ];
            *kinds.into_iter().find(|(kind, _)| of.kind == Some(kind)).unwrap().1 += amount;
        }
        (Measure::ToolCalls, _) => tally.tools.entry(of.tool.unwrap().into()).or_default().calls += amount,
        (Measure::ToolResults, _) => {
            let tool = tally.tools.entry(of.tool.unwrap().into()).or_default();
            match of.outcome.unwrap() {
                "ok" => tool.ok += amount,
                "error" => tool.failed += amount,
                "denied" => tool.denied += amount,
                "interrupted" => tool.interrupted += amount,
                other => panic!("{other}"),
            }
        }
        (Measure::LinesChanged, _) if of.change == Some("added") => tally.lines_added += amount,
        (Measure::LinesChanged, _) => tally.lines_removed += amount,
        (Measure::ApiErrors, _) => tally.api_errors += amount,
        (Measure::Compactions, _) => tally.compactions += amount,
        (Measure::Turns, _) => tally.turns += amount,
        (Measure::Subagents, _) => tally.subagents += amount,
        _ => {}
    }
}

#[test]
fn the_tally_of_a_session_is_the_sum_of_its_observations() {
    let mut compared = 0;
    for (name, pass) in recordings() {
        for session in pass.sessions() {
            let units = pass.units_of(session);
            assert_eq!(tally_of(units.iter().map(|unit| &**unit)), session.tally, "{name:?} {:?}", session.id);
            compared += 1;
        }
    }
    assert!(compared > 60, "{compared}");
}

/// Sums of the measures that are added up, from changes.
fn sums(changes: &[Change<'_>]) -> BTreeMap<(Measure, String), i128> {
    let mut sums = BTreeMap::new();
    for change in changes {
        change.observe(Wanted::all(), &mut |state, observation| {
            let sign = if state == State::After { 1 } else { -1 };
            if observation.measure.kind() == MeasureKind::Sum {
                *sums.entry((observation.measure, format!("{:?}", observation.dimensions))).or_default() +=
                    sign * observation.amount;
            }
        });
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

#[test]
fn what_changes_say_one_after_the_other_is_what_the_last_state_says() {
    for (name, pass) in recordings() {
        for unit in pass.sessions().into_iter().flat_map(|session| pass.units_of(session)) {
            let whole = unit.into_owned();
            let mut steps = vec![Unit { parts: Default::default(), ..whole.clone() }];
            for calls in 0..=whole.parts.tools.len() {
                let mut step = whole.clone();
                step.parts.tools.truncate(calls);
                step.parts.messages.truncate(calls);
                let failed: Vec<_> = whole.parts.failures().skip(calls).map(|(row, _)| row.id).collect();
                step.parts.rows.retain(|row| !failed.contains(&row.id));
                steps.push(step);
            }
            // The unit turns out to be another session's, of another folder, of a sub-agent of another type.
            let mut moved = whole.clone();
            moved.context.cwd = Some("/elsewhere/else".into());
            moved.context.branch = Some("other".into());
            if let Some(agent) = &mut moved.agent {
                agent.agent_type = Some("another".into());
            }
            steps.extend([whole, moved.clone()]);
            moved.parts.tools.reverse();
            steps.push(moved);
            let mut changes = vec![Change::between(None, &steps[0])];
            changes.extend(steps.windows(2).map(|pair| Change::between(Some(&pair[0]), &pair[1])));
            let last = Change::Parts(Changed::new(steps.last().unwrap()));
            assert_eq!(sums(&changes), sums(&[last]), "{name:?}");
        }
    }
}

#[test]
fn an_observation_has_the_dimensions_of_its_measure_and_no_other() {
    let mut seen: BTreeSet<(Measure, Option<Dimension>)> = BTreeSet::new();
    let mut note = |change: &Change<'_>| {
        change.observe(Wanted::all(), &mut |_, observation| {
            let measure = observation.measure;
            seen.insert((measure, None));
            for dimension in Dimension::ALL {
                let is_given = observation.dimensions.get(*dimension).is_some();
                assert!(!is_given || measure.dimensions().contains(dimension), "{measure:?} {dimension:?}");
                seen.extend(is_given.then_some((measure, Some(*dimension))));
            }
        });
    };
    for (_, pass) in recordings().into_iter().chain(fixtures()) {
        for session in pass.sessions() {
            Change::new_session(session, None).iter().for_each(&mut note);
            for unit in pass.units_of(session) {
                note(&Change::between(None, &unit));
                Change::ended(&unit).iter().for_each(&mut note);
                // What only a stream tells.
                let mut streamed = unit.into_owned();
                streamed.parts.messages.iter_mut().for_each(|message| message.ttft_ms = Some(20));
                streamed.parts.tools.iter_mut().for_each(|tool| tool.asked = Some(Timestamp(0)));
                note(&Change::between(None, &streamed));
            }
        }
    }
    // No session file tells of a run.
    let run = run(1, Some("nightly"));
    Change::Run { run: &run, cost: Money::ZERO }.observe(Wanted::all(), &mut |_, observation| {
        let told = Dimension::ALL.iter().filter(|one| observation.dimensions.get(**one).is_some());
        seen.extend(told.map(|dimension| (observation.measure, Some(*dimension))).chain([(observation.measure, None)]));
    });
    for measure in Measure::ALL {
        assert!(seen.contains(&(*measure, None)), "nothing says anything of {measure:?}");
        for dimension in measure.dimensions() {
            // Told by few rows, and then of everything in the unit.
            let is_rare = [Dimension::Branch, Dimension::Entrypoint, Dimension::AgentType].contains(dimension);
            assert!(is_rare || seen.contains(&(*measure, Some(*dimension))), "{measure:?} never has {dimension:?}");
        }
    }
}

#[test]
fn a_metric_tells_apart_only_what_its_measure_does() {
    for metric in catalog::ALL {
        let Some(measure) = metric.of else { continue };
        for label in metric.labels {
            let is_told = label.dimension.is_some_and(|own| measure.dimensions().contains(&own));
            assert!(is_told, "{} {}", metric.name, label.name);
        }
    }
}

#[test]
fn every_measure_and_dimension_says_what_it_is() {
    let mut names: Vec<_> = Measure::ALL.iter().map(|one| (one.name(), one.help())).collect();
    names.extend(Dimension::ALL.iter().map(|one| (one.name(), one.help())));
    for (name, help) in &names {
        assert!(help.ends_with('.') && help.split(' ').count() > 2, "{name}: {help}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte)), "{name}");
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup_by_key(|(name, _)| *name);
    assert_eq!(names.len(), count, "one name, one meaning");
}

#[test]
fn a_session_and_its_account_are_observed_once() {
    let session: Session = session("cli", Timestamp(7));
    let change = |is_new, before, now| Change::Session { session: &session, is_new, before, now };
    let first = change(true, reported(0, 0), reported(7, 4));
    let later = change(false, reported(7, 4), reported(5, 0));
    let sums = sums(&[first, later]);
    let of = |measure| sums.iter().filter(|((of, _), _)| *of == measure).map(|(_, sum)| *sum).sum::<i128>();
    assert_eq!([Measure::Sessions, Measure::ClientReported, Measure::Unattributed].map(of), [1, 5, 0]);
}

#[test]
fn a_copy_that_was_stamped_anew_has_no_duration() {
    let mut unit = turn(1, "/home/dev/app");
    let durations = |unit: &Unit| {
        let mut durations = 0;
        Change::ended(unit).unwrap().observe(Wanted::all(), &mut |_, observation| {
            durations += u32::from(observation.measure == Measure::TurnDuration);
        });
        durations
    };
    assert_eq!(durations(&unit), 1);
    let mut message = message("m1", "claude-a", 10, Some(500));
    message.undated = true;
    message.end = unit.prompt.as_ref().unwrap().time;
    unit.parts.messages.push(message);
    assert_eq!(durations(&unit), 0);
}
