//! Seeded worlds in which streams grow beside session files, while the process crashes: in the end the state tells what a pass
//! over all files tells, and no counter goes back.
//!
//! `TAILSPAN_TEST_SEEDS=5000 cargo test --release --test laws streamed_worlds::` runs more worlds than the usual ones.

use std::collections::BTreeMap;
use std::panic::{catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use crate::simulation::{check_monotone, room};
use crate::streams::{check, runs_of};
use crate::support::plan::{Action, Plan};
use crate::support::world::{Dice, World, append};

/// Worlds in an ordinary run of the tests.
const SEEDS: u64 = 150;

/// A file that is written over time.
struct Growing {
    path: PathBuf,
    bytes: Vec<u8>,
    at: usize,
}

impl Growing {
    fn grow(&mut self, bytes: Option<usize>) {
        let is_whole = self.path.to_str().unwrap().ends_with(".meta.json");
        let left = self.bytes.len() - self.at;
        let some = bytes.filter(|_| !is_whole).unwrap_or(left).min(left);
        if some > 0 {
            append(&self.path, &self.bytes[self.at..self.at + some]);
            self.at += some;
        }
    }
}

/// The session files of a plan, and the streams of its recordings, each of which is another run.
fn files_of(plan: &Plan, world: &World) -> Vec<Growing> {
    let growing = |(path, bytes): (PathBuf, Vec<u8>)| Growing { path, bytes, at: 0 };
    let mut files: Vec<Growing> =
        plan.files().into_iter().map(|(path, bytes)| growing((world.root.join(path), bytes))).collect();
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings");
    for (recording, number) in plan.recordings.iter().zip(1..) {
        for (path, bytes) in runs_of(&all.join(recording)) {
            let own = |text: &str| text.replacen("00000000-0000-4000-8000", &format!("{number:08x}-0000-4000-8000"), 1);
            let text = own(&String::from_utf8(bytes).unwrap());
            files.push(growing((world.streams().join(own(path.to_str().unwrap())), text.into_bytes())));
        }
    }
    files
}

fn run(plan: &Plan) {
    let keep = room();
    let mut world = World::under(keep.path(), plan.settings);
    world.limits.chunk_bytes = plan.chunk_bytes;
    world.parts_max = plan.parts_max;
    world.restart();
    let (mut files, mut last) = (files_of(plan, &world), BTreeMap::new());
    let count = files.len();
    for action in &plan.actions {
        match *action {
            Action::Grow { file, bytes } => files[file % count].grow(bytes),
            Action::Read { order, pieces } => {
                world.read(&mut Dice::new(order as u64), pieces.unwrap_or(usize::MAX));
            }
            Action::Crash => world.crash(),
            Action::Restart => world.restart(),
            Action::Settle => check_monotone(&world.settle(), &mut last),
            // Lines that a file loses may be on the stream, and a clock that is set back moves when lines arrived.
            Action::Lose { .. } | Action::ClockBack { .. } => {}
        }
    }
    files.iter_mut().for_each(|file| file.grow(None));
    world.read(&mut Dice::new(0), usize::MAX);
    check_monotone(&world.settle(), &mut last);
    check_monotone(&world.settle(), &mut last);
    check(&world, "a world with streams");
}

#[test]
fn streams_and_files_that_grow_together_tell_what_a_pass_over_them_tells() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let seeds: u64 = number("TAILSPAN_TEST_SEEDS").unwrap_or(SEEDS);
    let first: u64 = number("TAILSPAN_TEST_FIRST_SEED").unwrap_or(1);
    for seed in first..first + seeds {
        let plan = Plan::of(seed);
        if let Err(panic) = catch_unwind(|| run(&plan)) {
            println!("failed: seed {seed}, {:?}", plan.recordings);
            resume_unwind(panic);
        }
    }
}
