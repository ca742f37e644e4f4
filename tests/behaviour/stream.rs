//! `tailspan stream` in a pipeline: the same bytes, the same end as `cat`, and a client that is never delayed.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tailspan::streams::spool::Spooled;
use tailspan::streams::sweep::SweepRules;
use tailspan::streams::{Caller, Folder, Intake, Run, RunId, Spool};
use tailspan::transcript::time::Timestamp;
use tempfile::TempDir;

use crate::support::privileges::{Mount, skip};
use crate::support::stream::{Stream, command, event, events, files, flags, marks, nobody, shell_code, until, wait};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Lines as a client writes them, and what it never should: empty lines, bytes of any value, a line of 2 MB, no last newline.
fn odd_bytes() -> Vec<u8> {
    let mut bytes = event(1, 100).into_bytes();
    bytes.extend_from_slice(b"\n\n");
    bytes.extend((0..=255u8).cycle().take(5_000));
    bytes.push(b'\n');
    bytes.extend_from_slice(event(2, 2 << 20).as_bytes());
    bytes.extend_from_slice(b"{\"type\":\"torn");
    bytes
}

#[test]
fn every_byte_comes_out_and_whole_lines_wait_without_a_sidecar() {
    let state = folder();
    let mut stream = Stream::start(
        &[&flags(state.path(), &nobody())[..], &["--workflow", "nightly", "--label", "a=b=c", "--label", "a=b=c"]]
            .concat(),
    );
    let bytes = odd_bytes();
    let given = bytes.clone();
    let mut stdin = stream.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&given).unwrap());
    let ended = stream.end();
    writer.join().unwrap();
    assert_eq!(ended.code(), 0, "{}", ended.said);
    assert!(ended.stdout == bytes);
    assert_eq!(ended.said.matches("tailspan:").count(), 1, "{}", ended.said);
    assert!(ended.said.contains("they wait in "), "{}", ended.said);

    let [file] = files(state.path()).try_into().unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    let kept = fs::read(&file).unwrap();
    let torn = bytes.len() - "{\"type\":\"torn".len();
    let has = |part: &[u8]| memchr_find(&kept, part);
    // Marks stand between lines, the lines are as they came.
    assert!(has(event(1, 100).as_bytes()) && has(event(2, 2 << 20).as_bytes()));
    assert!(has(&bytes[event(1, 100).len() + 2..torn - event(2, 2 << 20).len()]));
    assert!(!has(b"\"type\":\"torn"));
    let first = kept.split(|byte| *byte == b'\n').next().unwrap();
    let first: serde_json::Value = serde_json::from_slice(first).unwrap();
    assert_eq!(
        (&first["mark"], &first["workflow"], &first["labels"]["a"]),
        (&"run".into(), &"nightly".into(), &"b=c".into())
    );
    assert_eq!(file.file_stem().unwrap().to_str(), first["run"].as_str());
    let last: serde_json::Value =
        serde_json::from_slice(kept.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!((&last["mark"], &last["torn_bytes"]), (&"end".into(), &13.into()));
}

#[test]
fn a_last_line_that_is_whole_needs_no_newline() {
    let (first, second, long) = (event(1, 10), event(2, 10), event(3, 5 << 20));
    let (second, long) = (second.trim_end(), long.trim_end());
    for (last, is_whole) in [
        (second, true),
        (&format!("{second} \r"), true),
        (long, true),
        ("{}", true),
        ("", true),
        (&second[..second.len() - 1], false),
        (&long[..long.len() - 1], false),
        ("The answer is 4.", false),
        ("[1]", false),
        ("12", false),
        ("{}}", false),
    ] {
        let state = folder();
        let mut stream = Stream::start(&flags(state.path(), &nobody()));
        let bytes = format!("{first}{last}");
        let given = bytes.clone();
        let mut stdin = stream.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(given.as_bytes()).unwrap());
        let ended = stream.end();
        writer.join().unwrap();
        let shown = last.chars().take(40).collect::<String>();
        assert_eq!(ended.code(), 0, "{shown}: {}", ended.said);
        assert!(ended.stdout == bytes.as_bytes(), "{shown}");
        let kept = events(state.path());
        let wanted = [first.trim_end(), last.trim_end()];
        let wanted = if is_whole && !last.is_empty() { &wanted[..] } else { &wanted[..1] };
        assert!(kept.iter().map(|line| line.trim_end()).eq(wanted.iter().copied()), "{shown}: {} kept", kept.len());
        let torn = if is_whole { serde_json::Value::Null } else { last.len().into() };
        assert_eq!(marks(state.path(), "end")[0]["torn_bytes"], torn, "{shown}");
    }
}

fn memchr_find(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window[0] == part[0] && window == part)
}

#[test]
fn a_line_comes_out_before_the_next_comes_in() {
    let state = folder();
    let mut stream = Stream::start(&flags(state.path(), &nobody()));
    for number in 0..50 {
        // Also what is no whole line yet.
        for part in ["{\"type\":", "\"x\"}\n"] {
            stream.write(part.as_bytes());
            assert_eq!(stream.read(part.len()), part.as_bytes(), "{number}");
        }
    }
    assert_eq!(stream.end().code(), 0);
}

#[test]
fn the_client_is_not_delayed_by_a_reader_that_reads_nothing() {
    let state = folder();
    let mut stream = Stream::start(&flags(state.path(), &nobody()));
    // Far more than the pipes and the memory hold.
    let bytes: Vec<u8> = (0..60).flat_map(|number| event(number, 1 << 20).into_bytes()).collect();
    stream.write(&bytes);
    drop(stream.stdin.take());
    until("all events are kept while nobody reads", || (marks(state.path(), "end").len() == 1).then_some(()));
    assert_eq!(events(state.path()).len(), 60);
    let peak = peak_kilobytes(stream.child.id());
    assert!(peak < 64 << 10, "{peak} kB of memory");
    let ended = stream.end();
    assert!(ended.stdout == bytes);
    assert_eq!(ended.code(), 0);
    // Nothing of it stays on the disk.
    assert_eq!(files(state.path()).len(), 1);
}

/// Most kilobytes of memory that a process has had.
fn peak_kilobytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

#[test]
fn a_reader_that_has_gone_ends_it_as_cat_and_what_was_read_is_kept() {
    for _ in 0..3 {
        let state = folder();
        let mut stream = Stream::start(&flags(state.path(), &nobody()));
        stream.write(event(1, 10).as_bytes());
        assert_eq!(stream.read(event(1, 10).len()), event(1, 10).as_bytes());
        drop(stream.stdout.take());
        // Standard input stays open, as that of a client that goes on; a child of another test may still hold the pipe for a
        // moment.
        let mut number = 1;
        let status = until("it ends", || {
            number += 1;
            stream.stdin.as_mut().unwrap().write_all(event(number, 10).as_bytes()).ok();
            stream.child.try_wait().unwrap()
        });
        assert_eq!(shell_code(status), 141);
        let kept = events(state.path());
        assert!(kept.len() >= 2, "{kept:?}");
        assert!(kept.iter().enumerate().all(|(place, line)| *line == event(place + 1, 10).trim_end()), "{kept:?}");
        assert_eq!(marks(state.path(), "end").len(), 1);
    }
}

/// How a program ends in some places of a pipeline, as a shell tells it.
fn ends(of: &dyn Fn() -> Command) -> Vec<(&'static str, i32)> {
    let mut ends = Vec::new();
    let mut add = |place, code| ends.push((place, code));
    let run = |command: &mut Command| shell_code(wait(&mut command.stderr(Stdio::null()).spawn().unwrap()));

    add("nothing comes", run(of().stdin(Stdio::null()).stdout(Stdio::null())));
    let mut stream = Stream::spawn(&mut of());
    stream.write(b"{}\n");
    add("a line comes", stream.end().code());
    add("a folder comes", run(of().stdin(File::open("/").unwrap()).stdout(Stdio::null())));
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let some = tempfile::NamedTempFile::new().unwrap();
    fs::write(some.path(), "{}\n").unwrap();
    add("nothing fits the output", run(of().stdin(File::open(some.path()).unwrap()).stdout(full())));
    for (place, signal) in [("SIGTERM", "-TERM"), ("SIGHUP", "-HUP"), ("SIGKILL", "-KILL")] {
        let mut stream = Stream::spawn(&mut of());
        stream.write(b"{}\n");
        assert_eq!(stream.read(3), b"{}\n");
        stream.signal(signal);
        add(place, shell_code(wait(&mut stream.child)));
    }
    ends
}

#[test]
fn its_exit_codes_are_those_of_cat() {
    let state = folder();
    let address = nobody();
    let own = ends(&|| command(&flags(state.path(), &address)));
    assert_eq!(own, ends(&|| Command::new("cat")));
    assert_eq!(own.iter().map(|(_, code)| *code).collect::<Vec<_>>(), [0, 0, 1, 1, 143, 129, 137]);
}

#[test]
fn the_pipeline_of_a_shell_ends_as_without_it() {
    let state = folder();
    let stream =
        format!("{} stream --state {} --listen {}", env!("CARGO_BIN_EXE_tailspan"), state.path().display(), nobody());
    let code = |script: &str| {
        let script = format!("set -o pipefail; {script}");
        let out = Command::new("bash").arg("-c").arg(&script).stderr(Stdio::null()).output().unwrap();
        (shell_code(out.status), String::from_utf8(out.stdout).unwrap())
    };
    for between in [stream.as_str(), "cat"] {
        assert_eq!(code(&format!("echo '{{}}' | {between}")), (0, "{}\n".to_owned()), "{between}");
        assert_eq!(code(&format!("(echo '{{}}'; exit 3) | {between}")), (3, "{}\n".to_owned()), "{between}");
        assert_eq!(code(&format!("yes '{{}}' | {between} | head -1")), (141, "{}\n".to_owned()), "{between}");
        // No more than some pipes hold.
        assert_eq!(code(&format!("seq 50000 | {between} | head -1")), (141, "1\n".to_owned()), "{between}");
    }
}

#[test]
fn a_signal_that_was_ignored_before_stays_ignored() {
    let state = folder();
    let script = "trap '' HUP TERM; exec \"$0\" stream --state \"$1\" --listen \"$2\"";
    let mut command = Command::new("sh");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).args(["-c", script]);
    let mut stream = Stream::spawn(command.arg(env!("CARGO_BIN_EXE_tailspan")).arg(state.path()).arg(nobody()));
    for number in 0..3 {
        stream.write(event(number, 10).as_bytes());
        assert_eq!(stream.read(event(number, 10).len()), event(number, 10).as_bytes());
        stream.signal("-HUP");
        stream.signal("-TERM");
    }
    assert_eq!(stream.end().code(), 0);
    assert_eq!(events(state.path()).len(), 3);
}

#[test]
fn an_interrupt_is_for_the_client_and_what_it_prints_then_is_passed_on() {
    let state = folder();
    let mut stream = Stream::start(&flags(state.path(), &nobody()));
    stream.write(event(1, 10).as_bytes());
    stream.read(event(1, 10).len());
    for _ in 0..3 {
        stream.signal("-INT");
    }
    stream.write(event(2, 10).as_bytes());
    assert_eq!(stream.read(event(2, 10).len()), event(2, 10).as_bytes());
    assert_eq!(stream.end().code(), 0);
    assert_eq!(events(state.path()).len(), 2);
}

#[test]
fn what_the_client_prints_at_its_termination_is_passed_on_and_kept() {
    let state = folder();
    let mut stream = Stream::start(&flags(state.path(), &nobody()));
    stream.write(event(1, 10).as_bytes());
    stream.read(event(1, 10).len());
    stream.signal("-TERM");
    stream.write(event(2, 10).as_bytes());
    let begun = Instant::now();
    let ended = stream.end();
    assert!(begun.elapsed() < Duration::from_secs(2), "the end of standard input is the end");
    assert_eq!((ended.code(), ended.stdout), (143, event(2, 10).into_bytes()));
    assert_eq!((events(state.path()).len(), marks(state.path(), "end").len()), (2, 1));
}

#[test]
fn wrong_use_is_said_and_a_wrong_configuration_does_not_stop_the_pipe() {
    let state = folder();
    let config = state.path().join("wrong.toml");
    fs::write(&config, "[stream]\nspoolbytes = 1\n").unwrap();
    for more in
        [&["--config", config.to_str().unwrap()][..], &["--config", "/nowhere.toml"], &["--listen", "0.0.0.0:1"]]
    {
        let mut stream = Stream::start(more);
        stream.write(b"{}\ntorn");
        let ended = stream.end();
        assert_eq!((ended.code(), ended.stdout), (0, b"{}\ntorn".to_vec()), "{more:?}");
        assert!(ended.said.contains("the bytes are passed on, and events are not kept"), "{}", ended.said);
    }
    for more in [&["--workflo", "x"][..], &["--workflow"], &["--span=x"]] {
        let ended = Stream::start(more).end();
        assert_eq!((ended.code(), ended.stdout.as_slice()), (2, &b""[..]), "{}", ended.said);
        assert!(ended.said.contains(more[0].split('=').next().unwrap()), "{}", ended.said);
    }
    // A wrong variable is not worth the pipe.
    let address = nobody();
    let mut named = command(&flags(state.path(), &address));
    let mut stream = Stream::spawn(named.env("TAILSPAN_WORKFLOW", "a\u{1}b").env("TRACEPARENT", "nonsense"));
    stream.write(b"{}\n");
    let ended = stream.end();
    assert_eq!(ended.code(), 0);
    assert!(ended.said.contains("TAILSPAN_WORKFLOW"), "{}", ended.said);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut named = command(&[&flags(state.path(), &address)[..], &["--span"]].concat());
    Stream::spawn(named.env("TAILSPAN_WORKFLOW", "nightly").env("TRACEPARENT", parent)).end();
    let run = marks(state.path(), "run").into_iter().find(|run| run["workflow"] == "nightly").unwrap();
    assert_eq!((&run["traceparent"], &run["span"]), (&parent.into(), &true.into()));
}

/// The run of a pipe with these flags, in which a line comes through, and what is said of its words.
fn named(flagged: &[&str], variable: &str) -> (serde_json::Value, Vec<String>) {
    let (state, address) = (folder(), nobody());
    let mut command = command(&[&flags(state.path(), &address)[..], flagged].concat());
    let mut stream = Stream::spawn(command.env("TAILSPAN_WORKFLOW", variable));
    stream.write(b"{}\n");
    let ended = stream.end();
    assert_eq!((ended.code(), ended.stdout.as_slice()), (0, &b"{}\n"[..]), "{flagged:?}: {}", ended.said);
    let of_words = |line: &&str| !line.contains("they wait in");
    let said = ended.said.lines().filter(of_words).map(str::to_owned).collect();
    (marks(state.path(), "run").remove(0), said)
}

#[test]
fn a_wrong_workflow_or_label_is_said_once_and_left_out() {
    let long = (format!("a={}", "v".repeat(257)), format!("{}=v", "n".repeat(65)), "w".repeat(129));
    for label in ["team", "", "=search", "a=\u{1}", &long.0, &long.1] {
        let (run, said) = named(&["--label", "env=ci", "--label", label, "--workflow", "nightly"], "");
        assert_eq!((&run["workflow"], &run["labels"]), (&"nightly".into(), &serde_json::json!({"env": "ci"})));
        assert!(said.len() == 1 && said[0].contains("--label: a label is NAME=VALUE"), "{label}: {said:?}");
    }
    for workflow in ["", " ", "a\nb", &long.2] {
        let (run, said) = named(&["--workflow", workflow, "--label", "env=ci"], "");
        assert_eq!((&run["workflow"], &run["labels"]["env"]), (&serde_json::Value::Null, &"ci".into()));
        let is_said = said.len() == 1 && said[0].contains("--workflow: a workflow is a name of 1 to 128 letters");
        assert!(is_said, "{workflow:?}: {said:?}");
        // The variable counts as if there were no flag.
        assert_eq!(named(&["--workflow", workflow], "nightly").0["workflow"], "nightly");
        assert_eq!(named(&[&format!("--workflow={workflow}")], "nightly").0["workflow"], "nightly");
    }
    assert_eq!(named(&["--workflow", "review"], "nightly").0["workflow"], "review");
    // Of two values of one label, the first stays; the same one twice is no contradiction.
    let twice = ["--label", "team=search", "--label", "env=ci", "--label", "team = ops", "--label", "env=ci"];
    let (run, said) = named(&twice, "");
    assert_eq!(run["labels"], serde_json::json!({"team": "search", "env": "ci"}));
    assert!(said.len() == 1 && said[0].contains("team is \"search\" already, not \"ops\" as well"), "{said:?}");
    let many: Vec<String> = (10..30).map(|number| format!("--label=l{number}=x")).collect();
    let (run, said) = named(&many.iter().map(String::as_str).collect::<Vec<_>>(), "");
    assert_eq!((run["labels"].as_object().unwrap().len(), said.len()), (16, 4), "{said:?}");
    assert!(run["labels"]["l25"] == "x" && said.iter().all(|line| line.contains("at most 16 labels")), "{said:?}");
}

#[test]
fn bytes_that_are_no_text_name_nothing_and_do_not_stop_the_pipe() {
    use std::os::unix::ffi::OsStrExt;
    let (state, address) = (folder(), nobody());
    let mut command = command(&flags(state.path(), &address));
    let odd = std::ffi::OsStr::from_bytes(b"a=\xff\x01");
    let mut stream = Stream::spawn(command.arg("--label").arg(odd).arg("--workflow").arg(odd));
    stream.write(b"{}\n");
    assert_eq!(stream.end().code(), 0);
    let run = &marks(state.path(), "run")[0];
    assert!(run.get("workflow").is_none() && run.get("labels").is_none(), "{run}");
}

#[test]
fn output_that_is_no_stream_is_passed_on_and_said_to_be_none() {
    let folder = folder();
    for (output, is_said) in [("The answer is 4.\n", true), ("\n{\"type\":\"system\"}\nand more\n", false), ("", false)]
    {
        let mut stream = Stream::start(&flags(folder.path(), &nobody()));
        stream.write(output.as_bytes());
        let ended = stream.end();
        assert_eq!((ended.code(), ended.stdout.as_slice()), (0, output.as_bytes()));
        assert_eq!(ended.said.contains("--output-format stream-json --verbose"), is_said, "{}", ended.said);
    }
}

#[test]
fn a_terminal_on_standard_input_is_wrong_use() {
    let Ok(out) = Command::new("script")
        .args(["-qec", &format!("{} stream", env!("CARGO_BIN_EXE_tailspan")), "/dev/null"])
        .stdin(Stdio::null())
        .output()
    else {
        return skip("there is no `script`");
    };
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stdout).contains("standard input is a terminal: pipe the client into it"));
}

#[test]
fn a_full_disk_drops_events_and_no_byte_of_the_pipe() {
    let above = folder();
    let disk = above.path().join("disk");
    let Some(_mount) = Mount::new(&disk, "size=2m") else { return };
    let mut stream = Stream::start(&flags(&disk, &nobody()));
    let mut stdout = stream.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let bytes: Vec<u8> = (0..5_000).flat_map(|number| event(number, 1_000).into_bytes()).collect();
    stream.write(&bytes);
    let ended = stream.end();
    assert_eq!(ended.code(), 0, "{}", ended.said);
    assert!(reader.join().unwrap() == bytes);
    assert_eq!(ended.said.matches("new ones are passed on, but lost").count(), 1, "{}", ended.said);
    let kept = events(&disk);
    assert!(!kept.is_empty() && kept.len() < 5_000, "{} kept", kept.len());
    // What is kept is whole and in order, the oldest first.
    assert_eq!(kept[0], event(0, 1_000).trim_end());
    assert!(kept.iter().all(|line| line.len() == event(0, 1_000).len() - 1) && kept.is_sorted());
    let lost = 5_000 - kept.len();
    assert!(ended.said.contains(&format!("{lost} lines (")), "{lost} lost, {}", ended.said);
}

#[test]
fn a_spool_has_its_bound_and_says_what_is_lost() {
    let state = folder();
    let config = state.path().join("tailspan.toml");
    fs::write(&config, "[stream]\nspool_bytes = \"64KiB\"\n").unwrap();
    let address = nobody();
    let run = |first: usize| {
        let more = ["--config", config.to_str().unwrap()];
        let mut stream = Stream::start(&[&flags(state.path(), &address)[..], &more].concat());
        for number in first..first + 100 {
            let line = event(number, 900);
            stream.write(line.as_bytes());
            assert_eq!(stream.read(line.len()), line.as_bytes());
        }
        stream.end()
    };
    let ended = run(0);
    let kept = events(state.path());
    assert!((60..=65).contains(&kept.len()), "{} kept", kept.len());
    assert_eq!(kept.last().unwrap(), event(kept.len() - 1, 900).trim_end());
    let lost = u64::try_from(100 - kept.len()).unwrap();
    assert_eq!(marks(state.path(), "lost").iter().map(|mark| mark["lines"].as_u64().unwrap()).sum::<u64>(), lost);
    assert_eq!(ended.said.matches("stream.spool_bytes allows no more").count(), 1, "{}", ended.said);
    assert!(ended.said.contains(&format!("{lost} lines (")), "{}", ended.said);
    // The bound is of all spools together: the oldest stay.
    let second = run(1_000);
    assert_eq!(second.code(), 0);
    assert!(events(state.path()).iter().filter(|line| line.contains("000003e8")).count() <= 1);
    let bytes: u64 = files(state.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(bytes < 68 << 10, "{bytes} bytes");
}

/// A spool of a run in the folder of a state, in which all may have 64 KiB.
fn spool(state: &std::path::Path, run: u128) -> Spool {
    let run = Run { id: RunId::of_random(run.to_be_bytes()), caller: Caller::default() };
    Spool::new(Folder::of_state(state), run, Timestamp(0), 64 << 10)
}

/// Spools a line; whether it was kept.
fn spooled(spool: &mut Spool, line: &str) -> bool {
    let pieces = std::iter::once(Ok(line.as_bytes()));
    matches!(spool.write(Timestamp(0), (1, line.len() as u64), pieces), Spooled::Kept)
}

#[test]
fn runs_that_spool_at_the_same_time_have_one_bound_together() {
    let state = folder();
    let mut spools: Vec<Spool> = (0..4).map(|run| spool(state.path(), run)).collect();
    let line = event(1, 900);
    let kept = (0..100).flat_map(|_| spools.iter_mut().map(|spool| spooled(spool, &line)).collect::<Vec<_>>());
    let bytes = kept.filter(|kept| *kept).count() * line.len();
    // Each may go on for an eighth before it looks what the others have.
    assert!((56 << 10..100 << 10).contains(&bytes), "{bytes} bytes");
}

#[test]
fn what_the_sidecar_has_read_where_it_lies_takes_no_room_from_what_waits() {
    let state = folder();
    let intake = Intake::new(Some(Folder::of_state(state.path())), Arc::default());
    let rules = SweepRules { keep: Duration::from_secs(86_400 * 365_000), keep_bytes: u64::MAX };
    let sweep = |is_read: bool| assert_eq!(intake.sweep(rules, Timestamp(0), &|_, _| is_read).unwrap(), 0);
    let line = event(1, 900);
    let mut first = spool(state.path(), 1);
    while spooled(&mut first, &line) {}
    let fits = || spooled(&mut spool(state.path(), 2), &line);
    // It is read so far, but its run may go on.
    sweep(true);
    assert!(!fits());
    drop(first);
    sweep(false);
    assert!(!fits(), "it is not read yet");
    sweep(true);
    assert!(fits());
    assert_eq!(files(state.path()).len(), 2, "it stays, and so does what it holds");
    // A state that was lost has not read it.
    sweep(false);
    assert!(!spooled(&mut spool(state.path(), 3), &line));
}
