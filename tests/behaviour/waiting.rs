//! Which session waits for a person: of every recording, row by row, at the times at which its client wrote them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tailspan::transcript::ids::{RowId, SessionId};
use tailspan::transcript::stream::RunId;
use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::catalog;
use tailspan::views::metrics::totals::Snapshot;
use tailspan::vitals::Vitals;
use tailspan::waiting::{
    ASKING, HostCall, OpenCall, ProcessSigns, ProcessStatus, RowSigns, Signs, ThreadSigns, Told, ToldKind, ToldSigns,
    Wait, WaitFor, Waits, changes, wait,
};

use crate::support::world::{Dice, World, append, files_below, recordings};

const IDLE_MS: u64 = 1_800_000;

/// A line of a recording: when it was written, where, and what it is.
struct Line {
    at: Timestamp,
    file: PathBuf,
    text: String,
    row: Value,
}

/// The lines of a recording in the order of their times. One without a time was written with the one before it.
fn lines(projects: &std::path::Path) -> Vec<Line> {
    let mut lines = Vec::new();
    for path in files_below(projects) {
        let (file, mut at) = (path.strip_prefix(projects).unwrap().to_path_buf(), Timestamp(0));
        let text = fs::read_to_string(&path).unwrap();
        let first = text.lines().find_map(|line| time_of(&serde_json::from_str(line).unwrap_or_default()));
        at = first.unwrap_or(at);
        for line in text.split_inclusive('\n') {
            let row: Value = serde_json::from_str(line).unwrap_or_default();
            at = time_of(&row).unwrap_or(at).max(at);
            lines.push(Line { at, file: file.clone(), text: line.to_owned(), row });
        }
    }
    // What a sub-agent's side file and a summary of a workflow tell has no time; it is there from the beginning.
    lines.sort_by_key(|line| line.at);
    lines
}

fn time_of(row: &Value) -> Option<Timestamp> {
    row["timestamp"].as_str().and_then(Timestamp::parse)
}

/// What a plain reading of the rows so far says: the questions that stand, by session.
fn questions(rows: &[Line]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut open: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in rows {
        let session = line.row["sessionId"].as_str().unwrap_or_default();
        for block in line.row["message"]["content"].as_array().into_iter().flatten() {
            if ASKING.contains(&block["name"].as_str().unwrap_or_default()) {
                open.entry(session).or_default().insert(block["id"].as_str().unwrap());
            }
            if let Some(id) = block["tool_use_id"].as_str() {
                open.entry(session).or_default().remove(id);
            }
        }
    }
    open
}

/// True if the next thing that the main thread of a session says is a prompt, or nothing.
fn is_between_turns(session: &str, later: &[Line]) -> bool {
    let is_said = |line: &&Line| {
        let row = &line.row;
        let is_said = ["user", "assistant"].contains(&row["type"].as_str().unwrap_or_default());
        is_said && row["sessionId"] == session && row["isSidechain"] != true && row["isMeta"] != true
    };
    let Some(next) = later.iter().find(is_said) else { return true };
    let is_result = next.row["message"]["content"]
        .as_array()
        .is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "tool_result"));
    next.row["type"] == "user" && !is_result
}

fn waits_at(world: &mut World, vitals: &Vitals, at: Timestamp) -> Waits {
    let engine = world.engine.as_mut().unwrap();
    vitals.set_sessions(engine.live(Timestamp(at.0 - IDLE_MS as i64), &BTreeSet::new(), &[]));
    vitals.waits(&Snapshot::default(), at)
}

#[test]
fn no_recording_is_said_to_wait_for_what_it_does_not() {
    let (mut questions_seen, mut idle_seen) = (0, 0);
    for recording in recordings() {
        let lines = lines(&recording.join("projects"));
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path());
        let vitals = Vitals::new(Timestamp(0), Duration::from_millis(IDLE_MS));
        let mut dice = Dice::new(1);
        for (position, line) in lines.iter().enumerate() {
            append(&world.root.join(&line.file), line.text.as_bytes());
            let next = lines.get(position + 1).map_or(Timestamp(line.at.0 + 3_000), |next| next.at);
            if next == line.at {
                continue;
            }
            world.now = line.at;
            world.read(&mut dice, usize::MAX);
            world.engine.as_mut().unwrap().commit(line.at).unwrap();
            let (so_far, later) = lines.split_at(position + 1);
            let asked = questions(so_far);
            // Just behind the row, and just before the next.
            for at in [Timestamp(line.at.0 + 1), Timestamp(next.0 - 1)] {
                for (session, wait) in waits_at(&mut world, &vitals, at) {
                    let place = || format!("{} at {}: {wait:?}", recording.display(), at.to_rfc3339());
                    match wait.waits_for {
                        WaitFor::Permission => panic!("nobody can know that: {}", place()),
                        WaitFor::Question => {
                            assert!(asked.get(&*session.0).is_some_and(|open| !open.is_empty()), "{}", place());
                            questions_seen += 1;
                        }
                        WaitFor::Idle => {
                            assert!(is_between_turns(&session.0, later), "{}", place());
                            idle_seen += 1;
                        }
                        WaitFor::Unknown => {}
                    }
                }
            }
        }
        let last = lines.last().unwrap().at;
        let left = waits_at(&mut world, &vitals, Timestamp(last.0 + 2_000));
        let has_exited = |session: &str| {
            let own = |line: &&Line| line.row["sessionId"] == session;
            lines.iter().rev().filter(own).any(|line| line.row["type"] == "cost-state")
        };
        for (session, wait) in left {
            assert!(!has_exited(&session.0), "{} has ended: {wait:?}", recording.display());
        }
        assert_eq!(waits_at(&mut world, &vitals, Timestamp(last.0 + IDLE_MS as i64 + 1)), Waits::default());
    }
    assert!(questions_seen > 0 && idle_seen > 0, "{questions_seen} {idle_seen}");
}

fn told(kind: ToldKind, at: i64, tool: Option<&str>) -> Told {
    Told { at: Timestamp(at), kind, agent: None, tool: tool.map(Into::into) }
}

fn rows(last: i64, open: &[(&str, i64)]) -> RowSigns {
    let open = open
        .iter()
        .map(|(tool, since)| OpenCall { id: None, tool: (*tool).into(), since: Timestamp(*since) })
        .collect();
    let thread = ThreadSigns { last: Timestamp(last), open, ..ThreadSigns::default() };
    RowSigns { is_of_a_person: true, last: Timestamp(last), threads: vec![thread], ..RowSigns::default() }
}

fn word(signs: &Signs, at: i64) -> Option<(&'static str, i64, Option<String>)> {
    let wait = wait(signs, Timestamp(at), IDLE_MS)?;
    Some((wait.waits_for.word(), wait.since.0, wait.tool.as_deref().map(str::to_owned)))
}

#[test]
fn a_permission_ends_with_the_row_of_its_own_call() {
    let mut signs = Signs { rows: rows(900, &[("Bash", 800), ("Read", 800)]), ..Signs::default() };
    signs.told.note(&told(ToldKind::PermissionAsked, 1_000, Some("Bash")));
    let waits = Some(("permission", 1_000, Some("Bash".to_owned())));
    assert_eq!(word(&signs, 1_100), None, "it may be allowed or refused by a rule at once");
    assert_eq!(word(&signs, 1_300), waits);
    // A call beside it has a result.
    signs.rows = rows(2_000, &[("Bash", 800)]);
    assert_eq!(word(&signs, 2_500), waits);
    signs.rows = rows(3_000, &[]);
    assert_eq!(word(&signs, 3_500), None);
    // The hook is quicker than the row of the call.
    let mut early = Signs { rows: rows(500, &[]), ..Signs::default() };
    early.told.note(&told(ToldKind::PermissionAsked, 1_000, Some("Bash")));
    assert_eq!(word(&early, 1_300), waits);
}

#[test]
fn a_reminder_counts_where_the_question_itself_is_not_told() {
    let mut signs = Signs { rows: rows(900, &[("Bash", 800)]), ..Signs::default() };
    signs.told.note(&told(ToldKind::Reminded, 7_000, None));
    assert_eq!(word(&signs, 8_000), Some(("permission", 7_000, Some("Bash".to_owned()))));
    signs.rows = rows(9_000, &[("Bash", 8_900)]);
    assert_eq!(word(&signs, 9_500), None, "any row behind it may be its answer");
    signs.told.note(&told(ToldKind::Reminded, 15_000, None));
    assert_eq!(word(&signs, 16_000), Some(("permission", 15_000, Some("Bash".to_owned()))));
    // The client reminds of a question of AskUserQuestion with the same words.
    let mut asks = Signs { rows: rows(900, &[("AskUserQuestion", 800)]), ..Signs::default() };
    asks.told.note(&told(ToldKind::PermissionAsked, 1_000, Some("AskUserQuestion")));
    asks.told.note(&told(ToldKind::Reminded, 7_000, None));
    assert_eq!(word(&asks, 8_000), Some(("question", 800, Some("AskUserQuestion".to_owned()))));
}

#[test]
fn the_status_of_the_process_is_believed_before_anything_else() {
    let runs = |status, since| ProcessSigns::Runs { is_terminal: true, status: Some((status, Timestamp(since))) };
    let mut signs = Signs { rows: rows(900, &[("Bash", 800)]), ..Signs::default() };
    signs.told.note(&told(ToldKind::PermissionAsked, 1_000, Some("Bash")));
    signs.process = runs(ProcessStatus::WaitsForPermission, 990);
    assert_eq!(word(&signs, 5_000), Some(("permission", 990, Some("Bash".to_owned()))));
    // It was allowed, and runs for minutes before its result is written.
    signs.process = runs(ProcessStatus::Busy, 6_000);
    signs.overdue = Some(OpenCall { id: None, tool: "Bash".into(), since: Timestamp(800) });
    assert_eq!(word(&signs, 500_000), None);
    // A client that does not tell of dialogs has been busy since before.
    signs.process = runs(ProcessStatus::Busy, 100);
    assert_eq!(word(&signs, 5_000), Some(("permission", 1_000, Some("Bash".to_owned()))));
    signs.process = ProcessSigns::Gone;
    assert_eq!(word(&signs, 5_000), None);
    // A program that has the client ask it shows the question to a person; the client itself goes on being busy.
    let mut hosted = Signs { rows: rows(900, &[("Bash", 800)]), ..Signs::default() };
    let run = RunId(RowId(1));
    let asks = HostCall { call: 7, request: None, run, is_background: false };
    hosted.rows.threads[0].open[0].id = Some(7);
    hosted.told.note(&told(ToldKind::HostAsked(asks), 1_000, Some("Bash")));
    hosted.process = runs(ProcessStatus::Busy, 1_001);
    assert_eq!(word(&hosted, 5_000), Some(("permission", 1_000, Some("Bash".to_owned()))));
    hosted.told.note(&told(ToldKind::HostReturned(7), 500, Some("Bash")));
    assert_eq!(word(&hosted, 6_500), None);
}

#[test]
fn without_news_an_overdue_call_is_unknown_and_a_quiet_session_over() {
    let overdue = Some(OpenCall { id: None, tool: "Bash".into(), since: Timestamp(800) });
    let signs = Signs { rows: rows(900, &[("Bash", 800)]), overdue, ..Signs::default() };
    assert_eq!(word(&signs, 70_000), Some(("unknown", 800, Some("Bash".to_owned()))));
    assert_eq!(word(&signs, 900 + IDLE_MS as i64 + 1), None);
    let told = ToldSigns { ended: Some(Timestamp(950)), ..ToldSigns::default() };
    assert_eq!(word(&Signs { told, ..signs.clone() }, 70_000), None, "its process has let go of it");
    let rows = RowSigns { is_closed: true, ..signs.rows.clone() };
    assert_eq!(word(&Signs { rows, ..signs }, 70_000), None, "the client wrote its account");
}

#[test]
fn a_wait_for_something_else_is_another_wait() {
    let wait = |waits_for, since| Wait { waits_for, since: Timestamp(since), tool: None };
    let waits = |all: &[(&str, Wait)]| -> Waits {
        all.iter().map(|(session, wait)| (SessionId((*session).into()), wait.clone())).collect()
    };
    let before =
        waits(&[("a", wait(WaitFor::Idle, 1)), ("b", wait(WaitFor::Permission, 2)), ("c", wait(WaitFor::Idle, 3))]);
    let after =
        waits(&[("a", wait(WaitFor::Idle, 1)), ("b", wait(WaitFor::Idle, 5)), ("d", wait(WaitFor::Question, 4))]);
    let told: Vec<_> = changes(&before, &after, Timestamp(9))
        .into_iter()
        .map(|change| (change.session.0.to_string(), change.wait.since.0, change.ended.map(|at| at.0)))
        .collect();
    let expected = [("b", 2, Some(5)), ("c", 3, Some(9)), ("b", 5, None), ("d", 4, None)];
    assert_eq!(told, expected.map(|(session, since, ended)| (session.to_owned(), since, ended)));
}

#[test]
fn a_wait_is_the_same_once_its_tool_is_known() {
    let wait =
        |tool: Option<&str>| Wait { waits_for: WaitFor::Permission, since: Timestamp(1), tool: tool.map(Into::into) };
    let waits = |tool| Waits::from([(SessionId("a".into()), wait(tool))]);
    assert_eq!(changes(&waits(None), &waits(Some("Bash")), Timestamp(9)), []);
}

#[test]
fn the_metric_has_every_kind_of_wait() {
    let words: Vec<&str> = WaitFor::ALL.iter().map(|of| of.word()).collect();
    assert_eq!(catalog::SESSIONS_WAITING.labels[1].at_start(), words);
}

#[test]
fn a_clock_that_is_set_back_leaves_no_question_of_a_hook() {
    let minute = 60_000;
    let ends =
        [ToldKind::ToolEnded, ToldKind::Stopped, ToldKind::Prompted, ToldKind::SessionBegan, ToldKind::SessionEnded];
    for kind in ends {
        let mut signs = ToldSigns::default();
        signs.note(&told(ToldKind::PermissionAsked, 10 * minute, Some("Bash")));
        signs.note(&told(kind, 5 * minute, None));
        assert_eq!(signs.asked, [], "{kind:?}");
        // Hooks of calls beside each other may write their lines in any order.
        signs.note(&told(ToldKind::PermissionAsked, 10 * minute, Some("Bash")));
        signs.note(&told(kind, 10 * minute - 200, None));
        assert_eq!(signs.asked.len(), 1, "{kind:?}");
    }
}
