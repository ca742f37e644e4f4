//! How long answers about sums take while sessions grow: `cargo bench --bench analytics`, or `-- SESSIONS...`.
//!
//! A history is generated in memory: sessions of about 15 turns over a year, some of them with a sub-agent. A session has
//! one project, branch and model, as those of `gen_corpus.py` and most real ones have; its sub-agents have models of their
//! own. With `--mixed` every turn and sub-agent has others. Each question is asked 100 times; the median and the second
//! slowest (p99) are told.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark stops at the first surprise, and prints"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tailspan::ledger::money::Money;
use tailspan::ledger::prices::Prices;
use tailspan::ledger::session::{Member, Session};
use tailspan::ledger::tokens::Tokens;
use tailspan::ledger::unit::UnitId;
use tailspan::transcript::ids::SessionId;
use tailspan::transcript::record::{Origin, Outcome};
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::bottlenecks::bottlenecks;
use tailspan::views::analytics::cells::{CellAgent, Cells, SpendCell, Whose, Window};
use tailspan::views::analytics::costs::{CostQuestion, Edges, GroupBy, costs};
use tailspan::views::analytics::cube::Cube;
use tailspan::views::analytics::filter::Filter;
use tailspan::views::analytics::index::{SessionMatch, SessionQuestion};
use tailspan::views::analytics::patterns::answer::patterns;
use tailspan::views::analytics::patterns::files_deleted_soon::files_kept_ms;
use tailspan::views::analytics::patterns::history_rule::{Asked, by_hour};
use tailspan::views::analytics::patterns::settings::PatternSettings;
use tailspan::views::analytics::patterns::usage::usage;
use tailspan::views::analytics::period::{Period, Quarter, Zone};
use tailspan::views::analytics::projection::{CONFIDENCE, DailySpend};
use tailspan::views::analytics::session_cells::StoredUnit;
use tailspan::views::analytics::tools::{ToolGroup, ToolQuestion, tools};
use tailspan::views::analytics::work::{Work, WorkCall, WorkResponse};

const ASKED: usize = 100;
const YEAR_MS: u64 = 365 * 86_400_000;
/// 2025-11-29T00:00:00Z.
const BEGIN: i64 = 1_764_374_400_000;

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What the turns of a session have in common.
#[derive(Clone, Copy)]
struct Common {
    project: u64,
    branch: u64,
    model: u64,
}

impl Common {
    fn of(dice: &mut Dice) -> Self {
        Self { project: dice.below(20), branch: dice.below(8), model: dice.below(6) }
    }
}

/// A turn or sub-agent with the cells of its responses.
fn unit(dice: &mut Dice, common: Common, number: u128, at: Timestamp, parent: Option<UnitId>) -> StoredUnit {
    let turn = parent.is_none();
    let model = if turn { common.model } else { dice.below(6) };
    let models: Vec<Arc<str>> = vec![format!("claude-model-{model}").into()];
    let text = |name: &str, number: u64| Some(Box::from(format!("{name}-{number}")));
    let agent = if turn { CellAgent::Main } else { CellAgent::SubAgent(text("type", dice.below(5))) };
    let whose = Whose {
        project: text("project", common.project),
        branch: text("branch", common.branch),
        entrypoint: Some("cli".into()),
        workflow: None,
        run: None,
        agent,
        prompt: turn.then_some((Origin::Human, at)),
        started: at,
        ended: Timestamp(at.0 + 200_000),
        is_over: true,
        waited_for_by: None,
    };
    let spend = (0..1 + dice.below(2)).map(|later| {
        let quarter = Quarter(Quarter::of(at).0 + i32::try_from(later).unwrap());
        let tokens = Tokens { input: dice.below(100), output: dice.below(9_000), ..Tokens::default() };
        let cost = Money::from_picousd(i128::from(dice.below(1_000_000_000_000)));
        SpendCell {
            quarter,
            model: 0,
            messages: 1 + dice.below(9),
            first_ms: 0,
            last_ms: 600_000,
            tokens,
            cost,
            unpriced: 0,
        }
    });
    let spend = spend.collect();
    let cells = Cells { whose: Some(whose), models, tools: vec!["Bash".into()], spend, work: work(dice, at) };
    let (unit, first, last) = (UnitId(number), at, Timestamp(at.0 + 600_000));
    let member = Member { unit, first, last, turn, branch: true, parent, background: false };
    StoredUnit { member, cells: vec![(None, cells)] }
}

/// Four requests of a thread, each but the last with two calls side by side.
fn work(dice: &mut Dice, at: Timestamp) -> Work {
    let mut work = Work::default();
    for number in 0..4u64 {
        let start = Timestamp(at.0 + i64::try_from(number * 50_000).unwrap());
        let end = Timestamp(start.0 + 10_000);
        let (id, model) = (dice.below(u64::MAX), "claude-sonnet-4-5".into());
        let tokens = Tokens { cache_read: 20_000 + 4_000 * number, output: 300, ..Tokens::default() };
        work.responses.push(WorkResponse {
            id,
            model,
            start,
            end,
            tokens,
            picousd: Some(9_000_000),
            first_chunk_ms: None,
        });
        for _ in (0..2).filter(|_| number < 3) {
            work.calls.push(WorkCall {
                id: dice.below(u64::MAX),
                response: id,
                tool: format!("Tool{}", dice.below(12)).into(),
                at: end,
                took_ms: Some(dice.below(39_000)),
                outcome: Some(Outcome::Ok),
                bytes: dice.below(9_000),
                input: dice.below(u64::MAX),
                file: dice.below(u64::MAX),
                extension: Some("rs".into()),
                lines_added: 3,
                lines_removed: 1,
                by_person: false,
                waits_for_agents: false,
            });
        }
    }
    work
}

fn history(sessions: u64, mixed: bool) -> Cube {
    let (mut dice, mut cube, prices) = (Dice(7), Cube::default(), Prices::embedded());
    for number in 0..sessions {
        let begin = BEGIN + i64::try_from(dice.below(YEAR_MS)).unwrap();
        let (mut units, of_session) = (Vec::new(), Common::of(&mut dice));
        for turn in 0..10 + dice.below(10) {
            let at = Timestamp(begin + i64::try_from(turn * 300_000).unwrap());
            let id = u128::from(number) << 32 | u128::from(turn) << 1;
            let common = if mixed { Common::of(&mut dice) } else { of_session };
            units.push(unit(&mut dice, common, id, at, None));
            if dice.below(10) == 0 {
                let common = if mixed { Common::of(&mut dice) } else { of_session };
                units.push(unit(&mut dice, common, id + 1, at, Some(UnitId(id))));
            }
        }
        cube.put(&Session::new(SessionId(format!("{number:08}-0000-4000-8000-000000000000").into())), &units, &prices);
    }
    cube
}

fn measure(name: &str, mut ask: impl FnMut() -> usize) {
    let mut times: Vec<Duration> = Vec::new();
    let mut rows = 0;
    for _ in 0..ASKED {
        let started = Instant::now();
        rows = black_box(ask());
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let (half, late) = (milliseconds(times[ASKED / 2]), milliseconds(times[ASKED - 2]));
    println!("  {name:32} p50 {half:8.2} ms  p99 {late:8.2} ms  {rows:7} rows");
}

fn main() {
    let given: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let mixed = std::env::args().any(|argument| argument == "--mixed");
    let sizes = if given.is_empty() { vec![5_000, 100_000] } else { given };
    for sessions in sizes {
        let started = Instant::now();
        let cube = history(sessions, mixed);
        let cells: usize = cube.cells().map(|(_, session)| session.cells.len()).sum();
        println!("{sessions} sessions, {cells} cells, made in {:.1} s", started.elapsed().as_secs_f64());
        let edges = Edges::new();
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let groupings: [(&str, &[GroupBy]); 7] = [
            ("hour", &[GroupBy::Period(Period::Hour)]),
            ("day", &[GroupBy::Period(Period::Day)]),
            ("day,model", &[GroupBy::Period(Period::Day), GroupBy::Model]),
            ("month,project", &[GroupBy::Period(Period::Month), GroupBy::Project]),
            ("block", &[GroupBy::Block]),
            ("session", &[GroupBy::Session]),
            ("branch,agent", &[GroupBy::Branch, GroupBy::Agent]),
        ];
        for (name, group_by) in groupings {
            let filter = Filter::default();
            let question = CostQuestion { group_by, zone: berlin, filter: &filter, edges: &edges };
            measure(&format!("costs by {name}"), || costs(&cube, &question).rows.len());
        }
        let all = Filter::default();
        let by = [ToolGroup::Period(Period::Day)];
        for (name, group_by) in [("tools", &[][..]), ("tools by day", &by[..])] {
            let question = ToolQuestion { group_by, zone: berlin, filter: &all };
            measure(name, || {
                let mut table = tools(&cube, &question);
                let mut rows = std::mem::take(&mut table.rows);
                // What an answer shows of them.
                table.add_details(rows.get_mut(..100).unwrap_or_default());
                rows.len()
            });
        }
        measure("bottlenecks", || bottlenecks(&cube, &all).rows.len());
        // The year ends with this moment.
        let now = Timestamp(BEGIN + i64::try_from(YEAR_MS).unwrap());
        let settings = PatternSettings::default();
        let month = Window { since: Some(Timestamp(now.0 - 30 * 86_400_000)), until: None };
        let last_days = Filter { window: month, ..Filter::default() };
        for (name, filter) in [("patterns and usage", &all), ("the same of thirty days", &last_days)] {
            measure(name, || {
                let hours = by_hour(&cube, filter, berlin);
                let (cube, settings) = (&cube, &settings);
                let files_kept_ms = files_kept_ms(settings, || None);
                let (zone, budgets) = (berlin, &[]);
                let asked = Asked { cube, filter, zone, hours: &hours, now, settings, files_kept_ms, budgets };
                patterns(&asked).len() + usage(&asked).projects.len()
            });
        }
        let some = Filter { project: vec!["project-3".to_owned()], ..Filter::default() };
        for (name, filter) in [("projection", &Filter::default()), ("projection of a project", &some)] {
            measure(name, || {
                let days = DailySpend::of(&cube.spend(filter), berlin, now).unwrap();
                days.projection(Period::Month, CONFIDENCE).unwrap().days_used + days.back_test(CONFIDENCE).months
            });
        }
        measure("sessions of a branch", || {
            let filter = Filter { branch: vec!["branch-3".to_owned()], ..Filter::default() };
            let wanted = SessionMatch::of(SessionQuestion { filter, ..SessionQuestion::default() }, &cube.names);
            cube.sessions().filter(|(id, one)| wanted.takes(&id.0, &one.entry, &one.cells.units)).count()
        });
    }
}
