//! What one session came to in each quarter hour, by all that questions about costs tell apart.
//!
//! A session has a cell for each turn and sub-agent, but most of them differ in nothing that rows are told apart by. What is
//! alike is a *class*. Questions that tell something within a session apart look at the sums of its classes instead of its
//! cells, of which there are several times as many.

use std::collections::{BTreeMap, HashMap};

use super::names::Name;
use super::period::Quarter;
use super::session_cells::{CubeUnit, SessionCells, SmallSpent, Spent};
use crate::transcript::hash::ById;

/// The sums of one session by class and quarter hour; empty if all of it is of one class.
#[derive(Debug, Default)]
pub(super) struct ClassQuarters {
    /// What units and cells have in common, each once.
    classes: Vec<Class>,
    /// In order of classes, and then of time.
    all: Vec<ClassQuarter>,
    /// The turns that are not told in `all`, in their order.
    shared: Vec<SharedTurn>,
}

/// What some units and cells have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Class {
    /// One of the units.
    pub(super) unit: CubeUnit,
    /// The model; none for turns without responses.
    pub(super) model: Name,
}

/// What a class came to in one quarter hour. What does not fit the fields is in a further one.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClassQuarter {
    /// When.
    pub(super) quarter: Quarter,
    /// Turns of this class alone whose prompts lie in it.
    pub(super) turns: u32,
    /// Its class: a position in [`ClassQuarters::classes`].
    class: u32,
    spent: SmallSpent,
}

const _: () = assert!(size_of::<ClassQuarter>() == 56);

/// One of the classes of a turn whose responses are of several, or not of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct SharedTurn {
    /// The turn: a position in [`SessionCells::turns`].
    pub(super) turn: u32,
    /// In which its prompt lies.
    pub(super) quarter: Quarter,
    class: u32,
    /// False for the class of some of its responses; true for its own, which stands behind these and counts if none of them
    /// does.
    pub(super) is_own: bool,
}

impl ClassQuarter {
    /// What was spent; nothing if there are only prompts.
    pub(super) fn spent(&self) -> Spent {
        self.spent.all()
    }
}

impl ClassQuarters {
    /// The sums of cells and turns that are in order.
    pub(super) fn of(session: &SessionCells) -> Self {
        let (mut classes, mut sums, mut shared) = (Classes::default(), Sums::new(), Vec::new());
        // The classes of each turn that has responses.
        let mut answered: Vec<Vec<u32>> = vec![Vec::new(); session.turns.len()];
        for cell in &session.cells {
            let Some(unit) = session.units.get(cell.unit as usize) else { continue };
            let class = classes.number(unit, cell.model);
            sums.entry((class, cell.quarter)).or_default().1.add(&cell.spent());
            let turn = unit.turn.and_then(|turn| answered.get_mut(turn as usize));
            turn.filter(|own| !own.contains(&class)).into_iter().for_each(|own| own.push(class));
        }
        for ((turn, own), number) in session.turns.iter().zip(answered).zip(0..) {
            let Some(unit) = session.units.get(turn.unit as usize) else { continue };
            let quarter = Quarter::of(turn.at);
            match classes.alone(unit, &own) {
                Some(class) => sums.entry((class, quarter)).or_default().0 += 1,
                None => {
                    let of = |class: u32, is_own: bool| SharedTurn { turn: number, quarter, class, is_own };
                    shared.extend(own.iter().map(|class| of(*class, false)));
                    shared.push(of(classes.number(unit, Name::NONE), true));
                }
            }
        }
        let mut quarters = Self { classes: classes.classes, all: Vec::with_capacity(sums.len()), shared };
        for ((class, quarter), (mut turns, mut rest)) in sums {
            while turns > 0 || !rest.is_nothing() {
                let (turns, spent) = (std::mem::take(&mut turns), rest.take());
                quarters.all.push(ClassQuarter { quarter, turns, class, spent });
            }
        }
        quarters
    }

    /// The sums of each class, in order of time.
    pub(super) fn by_class(&self) -> impl Iterator<Item = (&Class, &[ClassQuarter])> {
        let runs = self.all.chunk_by(|a, b| a.class == b.class);
        runs.filter_map(|run| Some((self.classes.get(run.first()?.class as usize)?, run)))
    }

    /// The classes of turns that are not told in these sums: those of a turn one after the other.
    pub(super) fn shared(&self) -> impl Iterator<Item = (&Class, &SharedTurn)> {
        self.shared.iter().filter_map(|turn| Some((self.classes.get(turn.class as usize)?, turn)))
    }

    /// The quarter hours in which prompts lie.
    pub(super) fn prompts(&self) -> impl Iterator<Item = Quarter> {
        let alone = self.all.iter().filter(|one| one.turns > 0).map(|one| one.quarter);
        alone.chain(self.shared.iter().map(|turn| turn.quarter))
    }
}

/// Turns and what was spent, by class and time.
type Sums = BTreeMap<(u32, Quarter), (u32, Spent)>;

/// The classes so far.
#[derive(Default)]
struct Classes {
    classes: Vec<Class>,
    numbers: HashMap<[u32; 7], u32, ById>,
}

impl Classes {
    fn number(&mut self, unit: &CubeUnit, model: Name) -> u32 {
        let CubeUnit { project, branch, entrypoint, workflow, agent, origin, turn: _ } = *unit;
        let names = [project, branch, entrypoint, workflow, agent, origin, model].map(|name| name.0);
        *self.numbers.entry(names).or_insert_with(|| {
            self.classes.push(Class { unit: *unit, model });
            u32::try_from(self.classes.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// The only class in which a turn with this unit counts, if its responses are of these classes; `None` if there are
    /// several, or if it is another than the unit's own.
    fn alone(&mut self, unit: &CubeUnit, answered: &[u32]) -> Option<u32> {
        match answered {
            [] => Some(self.number(unit, Name::NONE)),
            [class] => {
                let model = self.classes.get(*class as usize)?.model;
                (self.number(unit, model) == *class).then_some(*class)
            }
            _ => None,
        }
    }
}
