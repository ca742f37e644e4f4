//! A world as a list of what happens in it: made from a seed, made smaller when it fails, kept as a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use tailspan::engine::PARTS_MAX;

use crate::support::settings;
use crate::support::world::{Dice, files_below, recordings};

/// Everything that makes a world. The same plan gives the same world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Recordings whose files are written, as `version/scenario`. The same twice is a folder that was copied.
    pub(crate) recordings: Vec<String>,
    /// Which of [`settings::matrix`] it is under.
    pub(crate) settings: usize,
    /// Bytes that are read at once.
    pub(crate) chunk_bytes: usize,
    /// Of more parts, a unit is stored in sections.
    pub(crate) parts_max: usize,
    /// In the end everything is checked that has to read all of the state, which most worlds are spared.
    pub(crate) audited: bool,
    pub(crate) actions: Vec<Action>,
}

/// Something that happens. A file is the one of that number, counted around.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// A file grows by so many bytes, maybe to the middle of a line; or by all that is left.
    Grow { file: usize, bytes: Option<usize> },
    /// All has been read and is durable, and then a file loses lines.
    Lose { file: usize, how: Loss },
    /// What is new is read, of files in an order of this seed; so many pieces, or all.
    Read { order: usize, pieces: Option<usize> },
    /// The clock is set back by so many milliseconds.
    ClockBack { ms: i64 },
    /// The process dies: what was not durable is lost.
    Crash,
    /// The process ends, and starts again.
    Restart,
    /// What has ended leaves, and everything is made durable.
    Settle,
}

/// How a file loses lines.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Loss {
    /// Replaced by a file without its first lines; then the writer goes on.
    Head,
    /// Cut in place; what was cut is written again.
    Tail,
    /// Deleted; the rest of the session goes to a new file of the same name.
    Whole,
    /// A torn line is sealed, and writing goes on with the next one.
    Torn,
}

impl Plan {
    /// The plan of a seed. Most are small, so that there can be thousands; one in ten is large.
    pub(crate) fn of(seed: u64) -> Self {
        static ALL: LazyLock<Vec<PathBuf>> = LazyLock::new(recordings);
        let mut dice = Dice::new(seed);
        let (count, rounds) = if dice.one_in(10) { (3, 25) } else { (1 + dice.below(2), 5 + dice.below(6)) };
        let name = |path: &Path| {
            let parts =
                [path.parent().unwrap(), path].map(|part| part.file_name().unwrap().to_str().unwrap().to_owned());
            parts.join("/")
        };
        let mut plan = Self {
            recordings: (0..count).map(|_| name(&ALL[dice.below(ALL.len())])).collect(),
            // Most users have the defaults; each of the others is what one in twelve has.
            settings: if dice.one_in(2) { 0 } else { dice.below(settings::matrix().len()) },
            chunk_bytes: [400, 5_000, 1 << 20][dice.below(3)],
            parts_max: [1, 2, 5, PARTS_MAX][dice.below(4)],
            audited: dice.one_in(3),
            actions: Vec::new(),
        };
        for _ in 0..rounds {
            plan.round(&mut dice);
        }
        plan
    }

    fn round(&mut self, dice: &mut Dice) {
        let order = |dice: &mut Dice| dice.below(1 << 20);
        for _ in 0..4 {
            let bytes = if dice.one_in(4) { None } else { Some(dice.below(20_000)) };
            self.actions.push(Action::Grow { file: order(dice), bytes });
        }
        if dice.one_in(6) {
            let how = [Loss::Head, Loss::Tail, Loss::Whole, Loss::Torn][dice.below(4)];
            self.actions.push(Action::Lose { file: order(dice), how });
        }
        let pieces = if dice.one_in(3) { Some(dice.below(4)) } else { None };
        self.actions.push(Action::Read { order: order(dice), pieces });
        if dice.one_in(10) {
            self.actions.push(Action::ClockBack { ms: i64::try_from(dice.below(3 * 86_400_000)).unwrap() });
        }
        match dice.below(6) {
            0 => self.actions.push(Action::Crash),
            1 => self.actions.push(Action::Restart),
            2 | 3 => self.actions.push(Action::Settle),
            _ => {}
        }
    }

    /// The files of its recordings with their bytes, each recording in a folder of its own.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings");
        let mut files = Vec::new();
        for (number, recording) in self.recordings.iter().enumerate() {
            let projects = all.join(recording).join("projects");
            for file in files_below(&projects) {
                let inside = file.strip_prefix(&projects).unwrap();
                let path =
                    PathBuf::from(format!("slug{number}")).join(inside.components().skip(1).collect::<PathBuf>());
                if !path.to_str().unwrap().contains("tool-results") {
                    files.push((path, fs::read(&file).unwrap()));
                }
            }
        }
        files
    }

    /// The smallest plan that fails as this one does, as far as leaving things out goes.
    pub(crate) fn shrunk(self, fails: &dyn Fn(&Self) -> bool) -> Self {
        let mut plan = self;
        loop {
            let before = plan.clone();
            plan.actions = fewest(&plan.actions, &|actions| fails(&Self { actions, ..plan.clone() }));
            plan.recordings = fewest(&plan.recordings, &|recordings| {
                !recordings.is_empty() && fails(&Self { recordings, ..plan.clone() })
            });
            for change in 0..plan.actions.len() + 3 {
                let plain = plan.simplified(change);
                if plain != plan && fails(&plain) {
                    plan = plain;
                }
            }
            if plan == before {
                return plan;
            }
        }
    }

    /// Its settings, its chunks, its parts, or one of its actions made plain.
    fn simplified(&self, change: usize) -> Self {
        let mut plan = self.clone();
        match change {
            0 => plan.settings = 0,
            1 => plan.chunk_bytes = 1 << 20,
            2 => plan.parts_max = PARTS_MAX,
            _ => match &mut plan.actions[change - 3] {
                Action::Grow { bytes: bytes @ Some(_), .. } => *bytes = None,
                Action::Grow { file, .. } => *file %= self.files().len(),
                Action::Read { pieces, order } => (*pieces, *order) = (None, 0),
                action @ Action::Restart => *action = Action::Settle,
                Action::Lose { file, .. } => *file %= self.files().len(),
                Action::ClockBack { .. } | Action::Crash | Action::Settle => {}
            },
        }
        plan
    }
}

/// The fewest of some that still fail, leaving out ever smaller runs of them.
pub(crate) fn fewest<T: Clone>(all: &[T], fails: &dyn Fn(Vec<T>) -> bool) -> Vec<T> {
    let (mut left, mut run) = (all.to_vec(), all.len().next_power_of_two());
    while run > 0 {
        let mut from = 0;
        while from < left.len() {
            let less: Vec<T> = left[..from].iter().chain(left.iter().skip(from + run)).cloned().collect();
            if fails(less.clone()) { left = less } else { from += run }
        }
        run /= 2;
    }
    left
}
