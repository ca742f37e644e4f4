//! The self-check of a running sidecar: a state that differs from its files is counted and said, a healthy one never.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tailspan::audit::selfcheck::SelfCheck;
use tailspan::ledger::prices::Prices;
use tailspan::store::{self, Commit};
use tailspan::transcript::time::Timestamp;
use tailspan::vitals::Vitals;

use crate::support::daemon::{Daemon, sum};
use crate::support::world::{Dice, append, copy_folder, files_below};

const DRIFT: &str = "tailspan_state_drift_total";
const CHECKED: &str = "the state was compared with some of the session files";

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(scenarios: &[&str]) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        scenarios.iter().for_each(|scenario| place.add(scenario));
        fs::write(place.folder.path().join("check.toml"), "selfcheck.every = \"1s\"\n").unwrap();
        place
    }

    fn add(&self, scenario: &str) {
        copy_folder(&recording(scenario), &self.projects());
    }

    fn projects(&self) -> PathBuf {
        self.folder.path().join("projects")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn start(&self) -> Daemon {
        let config = self.folder.path().join("check.toml");
        Daemon::start(&self.projects(), &self.state(), &["--config", config.to_str().unwrap()])
    }

    /// Runs until everything is counted, and ends.
    fn count(&self) {
        let daemon = Daemon::start(&self.projects(), &self.state(), &[]);
        daemon.metrics();
        assert_eq!(daemon.stop(), Some(0));
    }

    fn session_file(&self, with: &str) -> PathBuf {
        let files = files_below(&self.projects());
        let holds = |file: &&PathBuf| fs::read_to_string(file).is_ok_and(|text| text.contains(with));
        files
            .iter()
            .find(|file| file.extension().is_some_and(|ending| ending == "jsonl") && holds(file))
            .unwrap()
            .clone()
    }
}

fn recording(scenario: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings").join(scenario).join("projects")
}

/// Numbers of a line about a check: compared, skipped, drifts.
fn numbers(line: &str) -> [u64; 3] {
    ["compared=", "skipped=", "drifts="]
        .map(|name| line.split(name).nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap())
}

#[test]
fn a_state_that_skipped_rows_is_counted_as_drift_once_and_named() {
    let place = Place::new(&["2.1.330/a_plain", "2.1.330/g_resume"]);
    place.count();
    // Rows appear, and the state is made to believe that they were counted: what a lost commit would look like.
    place.add("2.1.330/b_tools");
    place.add("2.1.330/h1_errors_retried");
    let now = Timestamp::parse("2026-11-25T00:00:00.000Z").unwrap();
    let lost = lost_rows(&place, now);
    let mut daemon = place.start();
    let line = daemon.wait_for_log(CHECKED);
    assert_eq!(numbers(&line)[2], lost, "{line}");
    let named = daemon.said.iter().filter(|line| line.contains("the state differs from the session files")).count();
    assert_eq!(named as u64, lost, "{:#?}", daemon.said);
    assert!(daemon.said.iter().any(|line| line.contains("difference=\"not in the state\"")), "{:#?}", daemon.said);
    assert_eq!(sum(&daemon.metrics(), DRIFT), lost as f64);
    let line = daemon.wait_for_log(CHECKED);
    assert_eq!(numbers(&line)[2], 0, "the same differences again");
    assert_eq!(sum(&daemon.metrics(), DRIFT), lost as f64);
}

/// Moves the cursors of files that were never read to their end. Returns how many sessions are lost by that.
fn lost_rows(place: &Place, now: Timestamp) -> u64 {
    let other = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&place.projects(), &other.path().join("state"), &[]);
    daemon.metrics();
    assert_eq!(daemon.stop(), Some(0));
    let complete = store::open(&other.path().join("state"), now).unwrap();
    let mut opened = store::open(&place.state(), now).unwrap();
    let mut missing = Vec::new();
    complete
        .reader
        .each_file(|number, row| {
            if opened.recovered.paths.number(&row.path).is_none() {
                missing.push((tailspan::transcript::chunk::FileNumber(number.0 + 100), row));
            }
        })
        .unwrap();
    let rows = missing.iter().map(|(number, row)| (*number, row)).collect();
    opened.writer.commit(&Commit { files: rows, now, ..Commit::default() }).unwrap();
    opened.writer.flush().unwrap();
    let (mut has, mut had) = (0, 0);
    complete.reader.each_session(|session| has += u64::from(session.is_real())).unwrap();
    opened.reader.each_session(|session| had += u64::from(session.is_real())).unwrap();
    assert!(has > had);
    has - had
}

#[test]
fn a_row_that_changed_behind_the_sidecar_is_drift_with_both_sides_said() {
    let place = Place::new(&["2.1.330/a_plain"]);
    place.count();
    // In place, of the same length, and outside of what a cursor remembers of a file.
    let file = place.session_file("\"output_tokens\":12");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"output_tokens\":12", "\"output_tokens\":92")).unwrap();
    let mut daemon = place.start();
    let line = daemon.wait_for_log(CHECKED);
    assert_eq!(numbers(&line), [1, 0, 2], "tokens and cost: {line}");
    let said = daemon.said.join("\n");
    assert!(said.contains("cost_usd is \\\"0.009189\\\" in the state, \\\"0.010389\\\" in the files"), "{said}");
    assert_eq!(sum(&daemon.metrics(), DRIFT), 2.0);
}

#[test]
fn a_world_that_grows_forks_and_loses_files_has_no_drift() {
    let place = Place::new(&["2.1.330/a_plain", "2.1.330/g_resume", "2.1.330/e1_subagent", "2.0.77/b_tools"]);
    let mut daemon = place.start();
    assert!(daemon.metrics().contains(&format!("{DRIFT} 0\n")), "it exists from the first scrape");
    let source: Vec<u8> = files_below(&recording("2.1.330/z1_big_transcript"))
        .iter()
        .filter(|file| file.extension().is_some_and(|ending| ending == "jsonl"))
        .flat_map(|file| fs::read(file).unwrap())
        .collect();
    let mut dice = Dice::new(1);
    let (mut at, mut checks, mut compared) = (0, 0, 0);
    let target = place.projects().join("growing/12345678-0000-4000-8000-000000000000.jsonl");
    while checks < 6 {
        let end = (at + 1 + dice.below(3_000)).min(source.len());
        append(&target, &source[at..end]);
        at = end;
        std::thread::park_timeout(Duration::from_millis(15));
        while let Some(line) = daemon.said_since(CHECKED) {
            let [some, _, drifts] = numbers(&line);
            assert_eq!(drifts, 0, "{:#?}", daemon.said);
            checks += 1;
            compared += some;
            match checks {
                1 => copy_folder(&recording("2.1.330/g_resume"), &place.projects().join("copies")),
                2 => fs::remove_file(place.session_file("\"output_tokens\":12")).unwrap(),
                3 => cut_in_half(&place.session_file("\"tool_use\"")),
                _ => {}
            }
        }
    }
    assert!(compared > 10, "{compared} sessions were compared");
    assert!(daemon.metrics().contains(&format!("{DRIFT} 0\n")));
}

/// Takes the first lines away, as a person or a clean-up does.
fn cut_in_half(file: &Path) {
    let bytes = fs::read(file).unwrap();
    let at = bytes.iter().take(bytes.len() / 2).rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let new = file.with_extension("new");
    fs::write(&new, &bytes[at..]).unwrap();
    fs::rename(new, file).unwrap();
}

#[test]
fn rows_that_are_not_counted_yet_are_no_drift_of_the_files_that_share_their_session() {
    let place = Place::new(&["2.1.330/a_plain"]);
    let session = place.session_file("\"output_tokens\":12").file_stem().unwrap().to_str().unwrap().to_owned();
    // A title that stands in a file of its own: with the session's file alone, the state seems to know too much.
    let title = format!(r#"{{"type":"custom-title","customTitle":"Named elsewhere","sessionId":"{session}"}}"#);
    append(&place.projects().join("one/00000000-1111-4000-8000-000000000001.jsonl"), (title + "\n").as_bytes());
    place.count();
    let check = || {
        let opened = store::open(&place.state(), tailspan::sidecar::clock::now()).unwrap();
        let vitals = Arc::new(Vitals::new(tailspan::sidecar::clock::now(), Duration::from_secs(3600)));
        SelfCheck::new(
            opened.reader,
            Prices::embedded(),
            (vec![place.projects()], place.state().join("streams")),
            vitals,
            Arc::default(),
        )
        .check()
        .unwrap()
    };
    assert_eq!(check().drifts, 0);
    // The same session goes on elsewhere, and nobody has read it yet: the outbox is full, or the first scan goes on.
    let row = format!(
        r#"{{"type":"user","uuid":"00000000-2222-4000-8000-000000000000","sessionId":"{session}","timestamp":"2026-11-22T06:00:00.000Z","message":{{"role":"user","content":"More."}}}}"#
    );
    append(&place.projects().join("two/00000000-1111-4000-8000-000000000002.jsonl"), (row + "\n").as_bytes());
    assert_eq!(check().drifts, 0);
    place.count();
    assert_eq!(check().drifts, 0);
}

#[test]
fn a_check_that_is_not_wanted_does_not_run() {
    let place = Place::new(&["2.1.330/a_plain"]);
    fs::write(place.folder.path().join("check.toml"), "selfcheck.every = \"0\"\n").unwrap();
    let daemon = place.start();
    assert!(daemon.metrics().contains(&format!("{DRIFT} 0\n")));
    let threads = fs::read_dir(format!("/proc/{}/task", daemon.child.id())).unwrap();
    let names: Vec<String> =
        threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).unwrap()).collect();
    assert!(names.iter().any(|name| name == "tail\n") && !names.iter().any(|name| name == "check\n"), "{names:?}");
}
