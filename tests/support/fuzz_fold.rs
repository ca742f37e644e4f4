//! Rows of two files, counted: whatever they say, nothing panics and nothing counts twice. Shared with `fuzz/`.

use std::sync::OnceLock;

use tailspan::ledger::ended;
use tailspan::ledger::fold::Fold;
use tailspan::ledger::known::Known;
use tailspan::ledger::prices::Prices;
use tailspan::ledger::session::Session;
use tailspan::ledger::unit::UnitKey;
use tailspan::measures::change::everything;
use tailspan::transcript::chunk::{Chunk, Cursor, FileNumber, FileRole};
use tailspan::transcript::ids::AgentId;
use tailspan::transcript::read;
use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::labels::LabelRules;
use tailspan::views::metrics::totals::Totals;
use tailspan::views::sessions::summary::{FileCounts, Part, SummarySources, ToolDurations};
use tailspan::views::traces::tree::{TurnFacts, TurnOrder, position_of, turn_spans};

const BEGINNING: Timestamp = Timestamp(i64::MIN);

/// Panics where a law of the ledger is broken.
pub(crate) fn run(data: &[u8]) {
    static PRICES: OnceLock<Prices> = OnceLock::new();
    let prices = PRICES.get_or_init(Prices::embedded);
    let mut known = Known::default();
    ["one.jsonl", "two.jsonl"].iter().for_each(|path| _ = known.paths.push(path.as_bytes()));
    let cut = data.iter().position(|byte| *byte == 0xff).unwrap_or(data.len());
    let files = [&data[..cut], data.get(cut + 1..).unwrap_or_default()];
    count(&mut known, prices, files);
    let first = show(&known);
    known.committed();
    count(&mut known, prices, files);
    let second = show(&known);
    assert!(first == second, "reading again has changed something:\n{first:#?}\n{second:#?}");
}

fn count(known: &mut Known, prices: &Prices, files: [&[u8]; 2]) {
    for (bytes, number) in files.iter().zip(0..) {
        let role = match bytes.first() {
            Some(b'@') => FileRole::AgentMeta { session: "s".into(), agent: "a".into() },
            _ => FileRole::Rows,
        };
        let bytes = bytes.strip_prefix(b"@").unwrap_or(bytes).to_vec();
        let (file, cursor) = (FileNumber(number), Cursor::default());
        let chunk = Chunk { file, role, offset: 0, bytes, restarted: true, too_long_lines: 0, cursor };
        let mut fold = Fold::new(known, prices, file, true);
        read(&chunk).records.iter().for_each(|record| fold.fold(record));
        known.missing.clear();
    }
    known.roll_up();
}

/// Makes everything that is made of units: totals, spans, the summary. Returns what counts. (To whom a row belongs may
/// become clear only when its neighbours are known, so times and names of sessions are not compared.)
fn show(known: &Known) -> Vec<String> {
    let mut totals = Totals::new(LabelRules::default());
    everything(known, |change| totals.observe(change, BEGINNING, None));
    for unit in known.units() {
        let Some(session) = known.session(unit.session()) else { continue };
        let agents = |agent: &AgentId| known.unit(UnitKey::agent(unit.session(), agent).id());
        let position = position_of(session, unit, TurnOrder::among(known.units()).earlier(unit));
        let facts = TurnFacts { turn: unit, agents: &agents, position, end: ended::so_far(unit) };
        let spans: usize = turn_spans(&facts).iter().map(|batch| batch.spans.len()).sum();
        assert!(spans > 0, "a unit without a span");
    }
    drop(totals.snapshot());
    let durations = |session: &Session| {
        let mut durations = ToolDurations::default();
        known.units().filter(|unit| *unit.session() == session.id).for_each(|unit| durations.add(&unit.parts));
        durations
    };
    let sources = SummarySources { session: &|id| known.session(id), durations: &durations };
    let summary = Part::of(known.sessions(), &sources, true).summary(FileCounts::default(), true);
    let summary = serde_json::to_value(&summary).unwrap();
    let names = ["messages", "tokens", "cost_usd", "unpriced_tokens", "models", "compactions", "api_errors"];
    names.iter().map(|name| format!("{name} {}", summary[name])).collect()
}
