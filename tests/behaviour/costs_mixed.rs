//! Costs of sessions whose turns mix everything: threads without responses, sub-agents that differ from their turn in all
//! that rows are told apart by, and responses that come long after the prompt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use tailspan::ledger::money::Money;
use tailspan::ledger::prices::Prices;
use tailspan::ledger::session::{Member, Session};
use tailspan::ledger::tokens::Tokens;
use tailspan::ledger::unit::UnitId;
use tailspan::transcript::ids::SessionId;
use tailspan::transcript::record::Origin;
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::cells::{CellAgent, Cells, SpendCell, Whose, Window};
use tailspan::views::analytics::costs::{CostQuestion, CostRow, Edges, GroupBy, Sums, costs};
use tailspan::views::analytics::cube::Cube;
use tailspan::views::analytics::filter::Filter;
use tailspan::views::analytics::period::{Period, QUARTER_MS, Quarter, Zone};
use tailspan::views::analytics::session_cells::StoredUnit;

use crate::support::costs::{Expected, Fact, Keys, expected};
use crate::support::world::Dice;

/// 2026-03-29T00:00:00Z, a day with 23 hours in Berlin.
const BEGIN: i64 = 1_774_742_400_000;

const GROUPS: [(&str, GroupBy); 9] = [
    ("hour", GroupBy::Period(Period::Hour)),
    ("day", GroupBy::Period(Period::Day)),
    ("month", GroupBy::Period(Period::Month)),
    ("project", GroupBy::Project),
    ("branch", GroupBy::Branch),
    ("model", GroupBy::Model),
    ("agent", GroupBy::Agent),
    ("session", GroupBy::Session),
    ("entrypoint", GroupBy::Entrypoint),
];

/// A history in memory, and all of it one by one.
#[derive(Default)]
struct History {
    cube: Cube,
    facts: Vec<Fact>,
    /// Units so far.
    units: u128,
}

fn name(dice: &mut Dice, kind: &str) -> Option<String> {
    (dice.below(5) > 0).then(|| format!("{kind}-{}", dice.below(3)))
}

impl History {
    fn of(seed: u64) -> Self {
        let (mut dice, mut history) = (Dice::new(seed), Self::default());
        for number in 0..6 {
            let id = format!("{number:08}-0000-4000-8000-000000000000");
            let mut units = Vec::new();
            for _ in 0..=dice.below(4) {
                let at = Timestamp(BEGIN + dice.below(3 * 86_400_000) as i64);
                let origin = [Origin::Human, Origin::TaskNotification][dice.below(2)];
                let turn = history.unit(&mut dice, &id, (at, origin), None);
                for _ in 0..dice.below(3) {
                    units.push(history.unit(&mut dice, &id, (at, origin), Some(turn.member.unit)));
                }
                units.push(turn);
            }
            history.cube.put(&Session::new(SessionId(id.into())), &units, &Prices::embedded());
        }
        history
    }

    /// A turn, or a sub-agent of `parent`, in which none to four quarter hours have responses.
    fn unit(
        &mut self,
        dice: &mut Dice,
        session: &str,
        prompt: (Timestamp, Origin),
        parent: Option<UnitId>,
    ) -> StoredUnit {
        self.units += 1;
        let unit = UnitId(self.units);
        let fact = Fact {
            at: None,
            is_turn: parent.is_none(),
            project: name(dice, "project"),
            branch: name(dice, "branch"),
            entrypoint: name(dice, "entrypoint"),
            model: None,
            agent: if parent.is_some() { format!("type-{}", dice.below(2)) } else { "main".to_owned() },
            origin: Some(prompt.1.name().to_owned()),
            session: session.to_owned(),
            tools: BTreeSet::new(),
            turn: Some((parent.unwrap_or(unit).0, prompt.0)),
            messages: 0,
            tokens: Tokens::default(),
            cost: Money::ZERO,
            unpriced: 0,
        };
        let mut cells = Cells { whose: Some(whose(&fact, prompt)), ..Cells::default() };
        let mut quarter = Quarter::of(prompt.0);
        for _ in 0..dice.below(5) {
            quarter = Quarter(quarter.0 + 1 + dice.below(20) as i32);
            self.response(dice, &fact, quarter, &mut cells);
        }
        self.facts.push(fact);
        let (first, last, turn) = (prompt.0, prompt.0, parent.is_none());
        let member = Member { unit, first, last, turn, branch: true, parent, background: false };
        StoredUnit { member, cells: vec![(None, cells)] }
    }

    fn response(&mut self, dice: &mut Dice, unit: &Fact, quarter: Quarter, cells: &mut Cells) {
        let model: Arc<str> = format!("model-{}", dice.below(3)).into();
        let number = cells.models.iter().position(|known| *known == model).unwrap_or_else(|| {
            cells.models.push(Arc::clone(&model));
            cells.models.len() - 1
        });
        let tokens = Tokens { output: dice.below(900) as u64, ..Tokens::default() };
        let (messages, cost) = (dice.below(3) as u64, Money::from_picousd(dice.below(9_000) as i128));
        let (first_ms, last_ms, unpriced) = (0, 1_000, dice.below(2) as u64);
        let model_number = u32::try_from(number).unwrap();
        cells.spend.push(SpendCell {
            quarter,
            model: model_number,
            messages,
            first_ms,
            last_ms,
            tokens,
            cost,
            unpriced,
        });
        let (at, model) = (Some(quarter.start()), Some(model.to_string()));
        self.facts.push(Fact { at, model, messages, tokens, cost, unpriced, ..unit.clone() });
    }
}

fn whose(fact: &Fact, (at, origin): (Timestamp, Origin)) -> Whose {
    let text = |text: &Option<String>| text.as_deref().map(Box::from);
    Whose {
        project: text(&fact.project),
        branch: text(&fact.branch),
        entrypoint: text(&fact.entrypoint),
        workflow: None,
        run: None,
        agent: if fact.is_turn { CellAgent::Main } else { CellAgent::SubAgent(Some(fact.agent.as_str().into())) },
        prompt: fact.is_turn.then_some((origin, at)),
        started: at,
        ended: at,
        is_over: true,
        waited_for_by: None,
    }
}

/// Sums as [`Expected::as_row`] tells them.
fn told(sums: &Sums) -> (u64, u64, u64, Value, String, u64) {
    (sums.messages, sums.turns, sums.sessions, json!(sums.tokens), sums.cost.to_string(), sums.unpriced)
}

/// A filter, whether it takes something, and whether it asks for models.
type Asked = (Filter, Box<dyn Fn(&Fact) -> bool>, bool);

/// A filter of some values of one property, or of none.
fn filter(dice: &mut Dice) -> Asked {
    let of = |kind: &str, dice: &mut Dice| vec![format!("{kind}-{}", dice.below(3)), format!("{kind}-0")];
    let has = |wanted: &[String], value: Option<&String>| value.is_some_and(|value| wanted.contains(value));
    let mut filter = Filter::default();
    let kind = dice.below(6);
    let wanted = match kind {
        0 => of("project", dice),
        1 => of("branch", dice),
        2 => of("model", dice),
        3 => vec![["main", "type-0", "type-1"][dice.below(3)].to_owned()],
        4 => vec![["human", "task_notification"][dice.below(2)].to_owned()],
        _ => Vec::new(),
    };
    let into = match kind {
        0 => &mut filter.project,
        1 => &mut filter.branch,
        2 => &mut filter.model,
        3 => &mut filter.agent,
        _ => &mut filter.origin,
    };
    into.clone_from(&wanted);
    let takes = move |fact: &Fact| match kind {
        0 => has(&wanted, fact.project.as_ref()),
        1 => has(&wanted, fact.branch.as_ref()),
        2 => has(&wanted, fact.model.as_ref()),
        3 => wanted.contains(&fact.agent),
        4 => has(&wanted, fact.origin.as_ref()),
        _ => true,
    };
    (filter, Box::new(takes), kind == 2)
}

#[test]
fn turns_that_mix_everything_count_once_in_each_row() {
    for seed in 0..600 {
        let (history, mut dice) = (History::of(seed), Dice::new(seed + 1_000));
        let (mut filter, takes, asks_for_models) = filter(&mut dice);
        // Windows of whole quarter hours: parts of one are looked at response by response.
        let mut bound = || {
            let quarters = dice.below(3 * 96) as i64;
            (dice.below(2) == 0).then_some(Timestamp(BEGIN + quarters * QUARTER_MS))
        };
        let (since, until) = (bound(), bound());
        filter.window = Window { since, until };
        let (first, second) = (dice.below(GROUPS.len()), dice.below(GROUPS.len()));
        let by: Vec<usize> = [first].into_iter().chain((second != first).then_some(second)).collect();
        let (names, group_by): (Vec<&str>, Vec<GroupBy>) = by.iter().map(|by| GROUPS[*by]).unzip();
        let edges = Edges::new();
        let zone = Zone::named("Europe/Berlin").unwrap();
        let question = CostQuestion { group_by: &group_by, zone, filter: &filter, edges: &edges };
        let table = costs(&history.cube, &question);
        let window = (since, until);
        let (rows, total) = expected(&history.facts, &names, chrono_tz::Europe::Berlin, window, takes, asks_for_models);
        let answered: BTreeMap<Keys, _> =
            table.rows.iter().map(|row: &CostRow| (row.values.clone(), told(&row.sums))).collect();
        let wanted: BTreeMap<Keys, _> =
            rows.iter().map(|(keys, sums): (&Keys, &Expected)| (keys.clone(), sums.as_row())).collect();
        assert_eq!(answered, wanted, "seed {seed}: {names:?} {filter:?}");
        assert_eq!(told(&table.total), total.as_row(), "seed {seed}: {names:?} {filter:?}");
    }
}
