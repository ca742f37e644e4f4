//! The tool calls and the turns of one session in memory, with how long they took.

use std::borrow::Cow;
use std::collections::HashMap;

use super::carried::{Context, Growth};
use super::cells::{CellAgent, Whose};
use super::critical_path::{PathKind, PathPlace, PathUnit, critical_path};
use super::names::{Name, Names};
use super::session_cells::StoredUnit;
use super::work::Work;
use crate::ledger::prices::Prices;
use crate::transcript::hash::ById;
use crate::transcript::record::Outcome;
use crate::transcript::time::Timestamp;

/// The calls and turns of one session.
#[derive(Debug, Default)]
pub struct SessionWork {
    /// Its tool calls, in order of time.
    pub calls: Vec<CubeCall>,
    /// What its turns waited for, those of one turn together, turns in order of their units.
    parts: Vec<CubePart>,
    /// How much was done in each turn that has ended, in order of their units.
    busy: Vec<(u32, u64)>,
}

/// What one turn waited for, of one kind and name.
#[derive(Debug, Clone, Copy)]
pub struct CubePart {
    /// The turn: a position in [`SessionCells::units`](super::session_cells::SessionCells::units).
    pub unit: u32,
    /// The kind.
    pub kind: PathKind,
    /// Which of its kind.
    pub name: Name,
    /// Milliseconds on the critical path.
    pub path_ms: u64,
    /// How many milliseconds longer what lies beside the path could have taken for free.
    pub slack_ms: u32,
    /// By how many milliseconds the turn would be shorter if this took half the time.
    pub saved_ms: u32,
    /// Milliseconds on the path until the first piece of a response came; `None` if no stream tells.
    pub first_chunk_ms: Option<u32>,
    /// The longest stretch of it; `None` if none lies in a response or call.
    pub longest: Option<Longest>,
}

/// The longest stretch of a kind in one turn, by the response or call that it lies in.
#[derive(Debug, Clone, Copy)]
pub struct Longest {
    /// Milliseconds on the critical path.
    pub path_ms: u32,
    /// The unit of the response or call: a position in
    /// [`SessionCells::units`](super::session_cells::SessionCells::units).
    pub unit: u32,
    /// Whether it is a call.
    pub is_call: bool,
    /// The low half of its id in [`Work`].
    pub mark: u32,
    /// When the response or call began.
    pub start: Timestamp,
    /// How long the whole of it took, in milliseconds.
    pub took_ms: u64,
}

/// One tool call in 56 bytes, because a question looks at all of them.
#[derive(Debug, Clone, Copy)]
pub struct CubeCall {
    /// When it was made.
    pub at: Timestamp,
    /// Its unit: a position in [`SessionCells::units`](super::session_cells::SessionCells::units).
    pub unit: u32,
    /// Its tool.
    pub tool: Name,
    /// The model that called; [`Name::NONE`] if its response is not known.
    pub model: Name,
    took_ms: u32,
    /// Length of its result in bytes.
    pub bytes: u32,
    /// Tokens of its result, estimated.
    pub tokens: u32,
    /// Responses that had its result in their prompts.
    pub carried: u32,
    /// Milliseconds for which its turn waited for it and for nothing else, without those of `asked_ms`.
    pub critical_ms: u32,
    /// Milliseconds for which its turn waited for the answer whether it may run, where a stream shows that.
    pub asked_ms: u32,
    /// What the responses that had its result in their prompts paid for it, in units of [`CARRY_PICOUSD`], estimated.
    pub carry: u32,
    /// The low half of [`WorkCall::id`](super::work::WorkCall::id).
    pub mark: u32,
    /// How it ended; `None` while no result counts.
    pub outcome: Option<Outcome>,
}

/// The unit of [`CubeCall::carry`]: a ten-millionth of a dollar, in picodollars.
pub const CARRY_PICOUSD: u32 = 100_000;

const _: () = assert!(size_of::<CubeCall>() == 56);

/// Stands for a duration that is not known.
const UNKNOWN: u32 = u32::MAX;

impl CubeCall {
    /// Milliseconds from call to result; `None` if that is not known. Those above 49 days count as 49 days.
    #[must_use]
    pub fn took_ms(&self) -> Option<u32> {
        (self.took_ms != UNKNOWN).then_some(self.took_ms)
    }
}

/// What each unit with its sections did, in order of time.
pub(super) fn works(stored: &[StoredUnit]) -> Vec<Cow<'_, Work>> {
    stored.iter().map(work_of).collect()
}

fn work_of(unit: &StoredUnit) -> Cow<'_, Work> {
    match unit.cells.as_slice() {
        [(_, only)] => Cow::Borrowed(&only.work),
        all => {
            let mut merged = Work::default();
            merged.append_all(all.iter().map(|(_, cells)| &cells.work));
            Cow::Owned(merged)
        }
    }
}

pub(super) fn whose(unit: &StoredUnit) -> Option<&Whose> {
    unit.cells.iter().find_map(|(_, cells)| cells.whose.as_ref())
}

impl SessionWork {
    /// What a turn, by its unit, waited for.
    pub(super) fn parts_of(&self, unit: u32) -> &[CubePart] {
        let first = self.parts.partition_point(|part| part.unit < unit);
        let last = self.parts.partition_point(|part| part.unit <= unit);
        self.parts.get(first..last).unwrap_or_default()
    }

    /// The durations of everything that was done in a turn, by its unit, added up, in milliseconds.
    pub(super) fn busy_ms(&self, unit: u32) -> u64 {
        let found = self.busy.binary_search_by_key(&unit, |(unit, _)| *unit);
        found.ok().and_then(|at| self.busy.get(at)).map_or(0, |(_, busy)| *busy)
    }

    /// `works` is what each unit did, by [`works`].
    pub(super) fn of(names: &mut Names, stored: &[StoredUnit], works: &[Cow<'_, Work>], prices: &Prices) -> Self {
        let (mut growth, mut main) = (Growth::default(), Context::default());
        let is_main = |unit: &StoredUnit| whose(unit).is_none_or(|whose| whose.agent == CellAgent::Main);
        for (unit, work) in stored.iter().zip(works) {
            growth.add(work);
            if is_main(unit) {
                main.add(work, prices);
            }
        }
        let main = main.in_order();
        let mut session = Self::default();
        let critical = session.walk(names, stored, works);
        for ((unit, work), position) in stored.iter().zip(works).zip(0..) {
            let own = (!is_main(unit)).then(|| {
                let mut own = Context::default();
                own.add(work, prices);
                own.in_order()
            });
            session.add(names, position, work, (own.as_ref().unwrap_or(&main), growth), &critical);
        }
        session.calls.sort_by_key(|call| (call.at, call.unit));
        session
    }

    /// Walks the critical paths of all turns that have ended. Returns for how many milliseconds of them each call was waited
    /// for.
    fn walk(&mut self, names: &mut Names, stored: &[StoredUnit], works: &[Cow<'_, Work>]) -> Critical {
        let path_unit = |position: usize| {
            let whose = stored.get(position).and_then(whose)?;
            Some(PathUnit { started: whose.started, ended: whose.ended, work: works.get(position)? })
        };
        let mut agents: HashMap<u64, Vec<usize>, ById> = HashMap::default();
        for (position, unit) in stored.iter().enumerate() {
            if let Some(call) = whose(unit).and_then(|whose| whose.waited_for_by) {
                agents.entry(call).or_default().push(position);
            }
        }
        let find = |call: u64| -> Vec<PathUnit<'_>> {
            agents.get(&call).into_iter().flatten().filter_map(|position| path_unit(*position)).collect()
        };
        let steps = steps(works);
        let mut critical = Critical::default();
        for (position, unit) in stored.iter().enumerate() {
            let is_over = unit.member.turn && whose(unit).is_some_and(|whose| whose.is_over);
            let Some(turn) = path_unit(position).filter(|_| is_over) else { continue };
            let path = critical_path(turn, &find);
            let unit = small(position);
            self.busy.push((unit, path.busy_ms));
            let first = self.parts.len();
            let places: HashMap<(PathKind, &str), usize> =
                path.parts.iter().enumerate().map(|(at, part)| ((part.kind, part.name), first + at)).collect();
            self.parts.extend(path.parts.iter().map(|part| CubePart {
                unit,
                kind: part.kind,
                name: names.number(Some(part.name)),
                path_ms: part.path_ms,
                slack_ms: saturated(part.slack_ms),
                saved_ms: saturated(part.saved_if_halved_ms),
                first_chunk_ms: part.first_chunk_ms.map(saturated),
                longest: None,
            }));
            for stretch in &path.stretches {
                let PathPlace::Call(call) = stretch.at else { continue };
                let (run, asked) = critical.entry(call).or_default();
                match stretch.kind {
                    PathKind::Tool => *run += stretch.ms(),
                    PathKind::Permission => *asked += stretch.ms(),
                    _ => {}
                }
            }
            for stretch in &path.stretches {
                let place = places.get(&(stretch.kind, stretch.name));
                let part = place.and_then(|place| self.parts.get_mut(*place));
                let longest = steps.get(&stretch.at).map(|step| Longest { path_ms: saturated(stretch.ms()), ..*step });
                if let (Some(part), Some(longest)) = (part, longest)
                    && part.longest.is_none_or(|known| known.path_ms < longest.path_ms)
                {
                    part.longest = Some(longest);
                }
            }
        }
        critical
    }

    fn add(
        &mut self,
        names: &mut Names,
        unit: u32,
        work: &Work,
        (context, growth): (&Context, Growth),
        critical: &Critical,
    ) {
        let models = work.models();
        for call in &work.calls {
            let carried = context.carried(call, growth);
            let (run, asked) = critical.get(&call.id).copied().unwrap_or_default();
            self.calls.push(CubeCall {
                at: call.at,
                unit,
                tool: names.number(Some(&call.tool)),
                model: names.number(models.get(&call.response).copied()),
                took_ms: call.took_ms.map_or(UNKNOWN, |took| saturated(took).min(UNKNOWN - 1)),
                bytes: saturated(call.bytes),
                tokens: rounded(carried.tokens),
                carried: carried.responses,
                critical_ms: saturated(run),
                asked_ms: saturated(asked),
                carry: rounded(carried.picousd / f64::from(CARRY_PICOUSD)),
                mark: low(call.id),
                outcome: call.outcome,
            });
        }
    }
}

/// Milliseconds of critical paths by the call that was waited for: those in which it ran, and those in which it waited for
/// the answer whether it may.
type Critical = HashMap<u64, (u64, u64), ById>;

/// Every response and call of a session, as far as it may be the longest stretch of a path.
fn steps(works: &[Cow<'_, Work>]) -> HashMap<PathPlace, Longest> {
    let mut steps = HashMap::new();
    for (unit, work) in (0..).zip(works) {
        for response in &work.responses {
            let took_ms = response.end.since_ms(response.start);
            let (start, mark) = (response.start, low(response.id));
            let step = Longest { path_ms: 0, unit, is_call: false, mark, start, took_ms };
            steps.insert(PathPlace::Response(response.id), step);
        }
        for call in &work.calls {
            if let Some(took_ms) = call.took_ms {
                let (start, mark) = (call.at, low(call.id));
                let step = Longest { path_ms: 0, unit, is_call: true, mark, start, took_ms };
                steps.insert(PathPlace::Call(call.id), step);
            }
        }
    }
    steps
}

/// The low half of an id.
fn low(id: u64) -> u32 {
    u32::try_from(id & u64::from(u32::MAX)).unwrap_or(0)
}

fn saturated(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn small(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// The nearest whole number; the largest for anything above it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast of a float saturates")]
fn rounded(number: f64) -> u32 {
    number.round() as u32
}
