//! `tailspan replay` on a terminal: tmux, driven by keys, looked at line by line. Without tmux these tests are skipped, except
//! where CI=true.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Command;

use serde_json::json;
use tailspan::cli::replay::frame::frame;
use tailspan::cli::replay::layout::Size;
use tailspan::cli::replay::play::Play;
use tailspan::cli::replay::screen::{Means, Screen};
use tailspan::cli::replay::viewer::{About, Viewer};
use tailspan::sidecar::log;
use tailspan::views::analytics::period::Zone;

use crate::pages::{HOSTILE, MADE, Side};
use crate::support::analytics::answer;
use crate::support::tmux::Tmux;

/// The program in a shell: its number in `pid`, the modes of the terminal before and after it, and how it ended.
fn script(side: &Side, arguments: &str) -> String {
    let (program, address) = (env!("CARGO_BIN_EXE_tailspan"), side.address());
    format!(
        "echo before; stty -a > $D/before\n\
         sh -c 'echo $$ > $D/pid; exec \"$@\"' sh {program} replay --listen {address} {arguments}\n\
         code=$?; stty -a > $D/after; echo \"ended with $code\""
    )
    .replace("$D/pid", "'\"$D\"'/pid")
}

/// The replay of a session on a terminal of a size.
fn shown(side: &Side, size: (usize, usize), arguments: &str) -> Option<Tmux> {
    Tmux::start(size, &script(side, arguments))
}

/// Checks that the terminal is as it was before the program.
fn given_back(tmux: &Tmux, ending: &str) {
    let screen = tmux.until(&["before", ending]);
    assert_eq!(tmux.fact("alternate_on"), "0", "{screen}");
    assert_eq!(tmux.fact("cursor_flag"), "1");
    assert_eq!(tmux.fact("wrap_flag"), "1");
    // Without the first line, which has the size.
    let modes = |name: &str| tmux.file(name).split_once('\n').map(|(_, modes)| modes.to_owned());
    assert_eq!(modes("before"), modes("after"));
}

#[test]
fn keys_step_seek_find_and_leave() {
    let side = Side::new();
    let Some(tmux) = shown(&side, (80, 24), MADE) else { return };
    let screen =
        tmux.until(&["Count the zebras  made  0dd5e551", "‖ #0 ·", "turn 1", "❯ Prompt #0", "Please fix the zebra"]);
    assert_eq!(tmux.fact("alternate_on"), "1", "{screen}");
    assert!(screen.lines().last().unwrap().contains("? keys  q quit"), "{screen}");
    tmux.press(&["Right"]);
    tmux.until(&["‖ #1 ·", "✦ Answer claude-sonnet-4-5 #1", "let zebras = 1;"]);
    tmux.press(&["j", "Down", "Down", "Right", "Down"]);
    tmux.until(&["#6 ·", "Call Edit #6", "@@ -4 +4 @@", "- let zebras = 1;", "+ let zebras = 2;"]);
    tmux.press(&["Left", "k", "Up"]);
    tmux.until(&["#3 ·", "Call Write #3", "+ fn main() {"]);
    tmux.press(&["e"]);
    tmux.until(&["Result Bash #13 failed", "deploy: no such zoo"]);
    tmux.press(&["e"]);
    tmux.until(&["there is no further error", "#13 ·"]);
    tmux.press(&["t"]);
    tmux.until(&["Call Read #15", "zebra.png"]);
    tmux.press(&["T"]);
    tmux.until(&["Call Bash #12", "./deploy --now"]);
    tmux.press(&["]"]);
    tmux.until(&["turn 2", "Look for other animals."]);
    tmux.press(&["["]);
    tmux.until(&["❯ Prompt #0", "#0 ·"]);
    tmux.press(&["/"]);
    tmux.until(&["find:"]);
    tmux.press(&["quokkaz", "BSpace", "Enter"]);
    tmux.until(&["Result Grep", "src/zoo.rs: a quokka", "turn 2"]);
    tmux.press(&["n"]);
    tmux.until(&["“quokka” is not said after event"]);
    tmux.press(&["End"]);
    tmux.until(&["All animals are counted."]);
    tmux.press(&["PageUp", "PageUp", "Home", "PageDown"]);
    tmux.until(&["#10 ·", "Result Bash #10"]);
    tmux.press(&["?"]);
    tmux.until(&["Keys", "follow a session that goes on"]);
    tmux.press(&["x", "q"]);
    given_back(&tmux, "ended with 0");
}

#[test]
fn a_session_plays_and_pauses_and_long_gaps_are_marked() {
    let side = Side::new();
    let Some(tmux) = shown(&side, (100, 30), &format!("{MADE} --speed 100 --event 20")) else { return };
    // The pause of ten minutes before the second turn is in the colour of warnings.
    tmux.until(&["#20 ·", "+10m03"]);
    let painted = tmux.painted();
    let look = painted.split("+10m03").next().unwrap().rsplit("[33m").next().unwrap();
    assert!(look.len() < 12, "{look:?}");
    tmux.press(&["Space"]);
    tmux.until(&["‖", "the end", "All animals are counted."]);
    tmux.press(&["-", "-", "Home", "Space"]);
    tmux.until(&["▶ #", "25×"]);
    tmux.press(&["Space"]);
    tmux.until(&["‖ #"]);
    tmux.press(&["C-c"]);
    given_back(&tmux, "ended with 0");
}

#[test]
fn a_session_that_goes_on_is_followed_and_a_sidecar_that_goes_is_said() {
    let mut side = Side::new();
    let Some(tmux) = shown(&side, (80, 24), MADE) else { return };
    tmux.until(&["❯ Prompt #0"]);
    tmux.press(&["f"]);
    tmux.until(&["following", "All animals are counted."]);
    let mut file = OpenOptions::new().append(true).open(side.file()).unwrap();
    writeln!(file, "{}", answer(MADE, 1005, "m99", json!([{"type": "text", "text": "One more wombat came."}])))
        .unwrap();
    tmux.until(&["One more wombat came."]);
    side.daemon.signal("-KILL");
    side.daemon.exit_code();
    tmux.press(&["Up"]);
    tmux.until(&["asking again: the sidecar at", "does not answer"]);
    tmux.press(&["q"]);
    given_back(&tmux, "ended with 0");
}

#[test]
fn every_size_has_its_place_for_everything_and_changes_when_it_likes() {
    let side = Side::new();
    let Some(tmux) = shown(&side, (40, 10), &format!("{MADE} --event 9")) else { return };
    let fits = |tmux: &Tmux, columns: usize, rows: usize, seen: &[&str]| {
        let screen = tmux.until(seen);
        assert_eq!(screen.lines().count(), rows, "{screen}");
        assert!(screen.lines().all(|line| line.chars().count() <= columns), "{screen}");
        screen
    };
    let screen = fits(&tmux, 40, 10, &["‖ #9 ·", "⚙ Call Bash #9", "cargo test"]);
    assert!(screen.starts_with(" ‖ #9 ·"), "{screen}");
    tmux.run(&["resize-window", "-t", "t", "-x", "200", "-y", "60"]);
    let screen = fits(&tmux, 200, 60, &["Count the zebras", "│ ⚙ Call Bash #9", "f follow  ? keys  q quit"]);
    assert!(screen.lines().nth(59).unwrap().contains("q quit"), "{screen}");
    tmux.run(&["resize-window", "-t", "t", "-x", "20", "-y", "4"]);
    fits(&tmux, 20, 4, &["‖ #9 ·", "? keys  q quit"]);
    tmux.run(&["resize-window", "-t", "t", "-x", "80", "-y", "24"]);
    fits(&tmux, 80, 24, &["Count the zebras", "⚙ Call Bash #9", "f follow  ? keys  q quit"]);
    tmux.press(&["Escape"]);
    given_back(&tmux, "ended with 0");
}

#[test]
fn colours_of_programs_are_kept_and_can_be_left_out() {
    let side = Side::new();
    let Some(tmux) = shown(&side, (80, 24), &format!("{MADE} --event 10")) else { return };
    tmux.until(&["Result Bash #10", "3 passed; 0 failed"]);
    assert!(tmux.painted().contains("\u{1b}[32m3 passed") && tmux.painted().contains("\u{1b}[31m0 failed"));
    let Some(plain) = shown(&side, (80, 24), &format!("{MADE} --event 10 --color never")) else { return };
    plain.until(&["Result Bash #10", "3 passed; 0 failed"]);
    assert!(!plain.painted().contains("[32m"), "{}", plain.painted());
}

#[test]
fn terminals_of_every_kind_show_it_and_a_dumb_one_gets_the_plain_text() {
    let side = Side::new();
    for (kind, locale, edit) in [
        ("xterm", "C.UTF-8", "⚙ Call Edit #6"),
        ("linux", "C.UTF-8", "⚙ Call Edit #6"),
        ("vt100", "C", "* Call Edit #6"),
    ] {
        let script = script(&side, &format!("{MADE} --event 6"));
        let Some(tmux) = Tmux::start((80, 24), &format!("export TERM={kind} LANG={locale} LC_ALL={locale}\n{script}"))
        else {
            return;
        };
        let screen = tmux.until(&["Count the zebras", "#6 ", edit, "+ let zebras = 2;", "? keys  q quit"]);
        assert_eq!(screen.is_ascii(), locale == "C", "{screen}");
        tmux.press(&["q"]);
        given_back(&tmux, "ended with 0");
    }
    let script = script(&side, &format!("{MADE} --event 140"));
    let Some(tmux) = Tmux::start((80, 24), &format!("export TERM=dumb\n{script}")) else { return };
    let screen = tmux.until(&["All animals are counted.", "ended with 0"]);
    assert!(!screen.contains("q quit"), "{screen}");
}

#[test]
fn a_state_and_the_files_answer_as_a_sidecar_does() {
    let Side { daemon, folder } = Side::new();
    let (address, program) = (daemon.address, env!("CARGO_BIN_EXE_tailspan"));
    assert_eq!(daemon.stop(), Some(0));
    let state = format!("--listen {address} --state {}", folder.path().join("state").display());
    let files = format!("--scan --projects {}", folder.path().join("projects").display());
    for source in [state, files] {
        let Some(tmux) = Tmux::start((80, 24), &format!("{program} replay {MADE} {source}; echo \"ended with $?\""))
        else {
            return;
        };
        tmux.until(&["❯ Prompt #0", "Please fix the zebra"]);
        tmux.press(&["e"]);
        tmux.until(&["Result Bash #13 failed", "deploy: no such zoo"]);
        tmux.press(&["/"]);
        tmux.until(&["find:"]);
        tmux.press(&["quokka", "Enter"]);
        tmux.until(&["Result Grep", "src/zoo.rs: a quokka"]);
        tmux.press(&["f"]);
        tmux.until(&["nothing to follow"]);
        tmux.press(&["q"]);
        tmux.until(&["ended with 0"]);
    }
}

#[test]
fn a_hostile_session_moves_and_changes_nothing() {
    let side = Side::new();
    let Some(tmux) = shown(&side, (80, 24), HOSTILE) else { return };
    tmux.run(&["set-option", "-g", "set-clipboard", "on"]);
    tmux.run(&["set-option", "-g", "monitor-bell", "on"]);
    tmux.until(&["‖ #0 ·", "❯ Prompt"]);
    let title = tmux.fact("pane_title");
    let total: usize = tmux.screen().split("#0 · ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    for event in 0..total {
        let screen = tmux.until(&[&format!("‖ #{event} · {total} events"), &format!("#{event} ")]);
        assert!(screen.lines().nth(1).unwrap().starts_with(&format!(" ‖ #{event}")), "{screen}");
        assert!(!screen.contains(['\u{202e}', '\u{2066}', '\u{200f}', '\u{feff}']), "{screen}");
        tmux.press(&["Tab", "End", "Tab", "Down"]);
    }
    assert_eq!(
        (tmux.fact("pane_title"), tmux.fact("window_bell_flag"), tmux.run(&["list-buffers"])),
        (title, "0".into(), String::new())
    );
    tmux.press(&["q"]);
    given_back(&tmux, "ended with 0");
}

#[test]
fn signals_give_the_terminal_back() {
    let side = Side::new();
    for (signal, code) in [("-TERM", 143), ("-HUP", 129), ("-INT", 130), ("-USR1", 138), ("-ALRM", 142)] {
        let Some(tmux) = shown(&side, (80, 24), MADE) else { return };
        tmux.until(&["❯ Prompt #0"]);
        assert!(Command::new("kill").args([signal, tmux.file("pid").trim()]).status().unwrap().success());
        given_back(&tmux, &format!("ended with {code}"));
    }
}

#[test]
fn a_replay_that_stops_gives_the_terminal_back_until_it_goes_on() {
    let side = Side::new();
    let script = script(&side, MADE)
        .replace("code=$?;", "echo \"stopped with $?\"; stty -a > $D/stopped; read line; fg; code=$?;");
    let Some(tmux) = Tmux::start((80, 24), &format!("set -m\n{script}")) else { return };
    tmux.until(&["❯ Prompt #0"]);
    tmux.press(&["Down", "C-z"]);
    tmux.until(&["before", "stopped with"]);
    assert_eq!((tmux.fact("alternate_on"), tmux.file("stopped")), ("0".into(), tmux.file("before")));
    tmux.press(&["Enter"]);
    tmux.until(&["#1 ·", "✦ Answer claude-sonnet-4-5 #1"]);
    tmux.press(&["Down"]);
    tmux.until(&["#2 ·", "✦ Answer claude-sonnet-4-5 #2"]);
    tmux.press(&["q"]);
    given_back(&tmux, "ended with 0");
}

/// What makes the test below the one that panics.
const PANICS: &str = "TAILSPAN_TEST_PANICS_ON_A_SCREEN";

#[test]
fn a_panic_gives_the_terminal_back() {
    if std::env::var_os(PANICS).is_some() {
        let about = About {
            session: "s".into(),
            title: "A title".into(),
            project: String::new(),
            can_grow: false,
            zone: Zone::UTC,
        };
        let mut viewer = Viewer::new(about, (0, 0), Play::of("10", false));
        let mut screen = Screen::open(Means { has_colours: true, has_unicode: true }).unwrap();
        let size: Size = screen.size().unwrap();
        viewer.fit(size);
        screen.draw(frame(&viewer, std::time::Duration::ZERO)).unwrap();
        log::say("a line of the log");
        let go = std::env::var(PANICS).unwrap();
        while fs::metadata(&go).is_err() {
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        let ended = std::panic::catch_unwind(|| panic!("the elephant left"));
        assert!(ended.is_err());
        log::flush();
        std::process::exit(7);
    }
    let own = std::env::current_exe().unwrap();
    let script = format!(
        "echo before; stty -a > $D/before\nRUST_BACKTRACE=0 {PANICS}=$D/go {} --exact terminal::a_panic_gives_the_terminal_back --nocapture\n\
         code=$?; stty -a > $D/after; echo \"ended with $code\"",
        own.display()
    );
    let Some(tmux) = Tmux::start((80, 24), &script) else { return };
    tmux.until(&["A title", "This session has no events yet."]);
    assert_eq!(tmux.fact("alternate_on"), "1");
    assert!(!tmux.screen().contains("a line of the log"), "{}", tmux.screen());
    fs::write(tmux.path("go"), "").unwrap();
    given_back(&tmux, "ended with 7");
    tmux.until(&["the elephant left", "a line of the log"]);
}

/// Exit code, standard output and standard error without a terminal.
fn piped(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailspan"));
    let output = command.env_clear().env("TZ", "UTC").arg("replay").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn without_a_terminal_every_event_is_printed_with_its_whole_texts() {
    let side = Side::new();
    let address = side.address().to_string();
    let ask = |arguments: &[&str]| piped(&[arguments, &["--listen", &address]].concat());
    let (code, out, _) = ask(&[&MADE[..8]]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("Count the zebras  made\n"), "{out}");
    assert!(out.contains("2026-03-01 12:00:31  turn 1  "), "{out}");
    for told in [
        "❯ Prompt #0\n",
        "- let zebras = 1;\n+ let zebras = 2;\n",
        "3 passed; 0 failed\n",
        "a quokka\n",
        "All animals are counted.\n",
    ] {
        assert!(out.contains(told), "{told}: {out}");
    }
    assert_eq!(out.matches("Call Grep #").count(), 40);
    assert!(!out.contains('\u{1b}'));
    let (_, out, _) = ask(&[&MADE[..8], "--at", "2026-03-01T12:00:31Z", "--color", "always"]);
    assert!(out.contains("\u{1b}[31mdeploy: no such zoo\u{1b}[0m") && !out.contains("Prompt #0"), "{out}");
    let (_, out, _) = ask(&[HOSTILE]);
    let is_harmless =
        |letter: char| letter == '\n' || !letter.is_control() && !"\u{202e}\u{2066}\u{200f}".contains(letter);
    assert!(out.chars().all(is_harmless), "{out:?}");
    assert!(out.contains("⟨202E⟩gnp.exe") && out.contains("<script>window.pwned=1</script>"), "{out}");
    let (code, _, why) = ask(&["feedbeef"]);
    assert_eq!((code, why.contains("no session has an id that begins with `feedbeef`")), (Some(1), true), "{why}");
    let (code, _, why) = ask(&["--tz", "Mars/Olympus"]);
    assert_eq!((code, why.contains("expected a time zone")), (Some(2), true), "{why}");
}

#[test]
fn arguments_that_fit_nothing_are_said_in_their_own_words() {
    let side = Side::new();
    let address = side.address().to_string();
    let ask = |arguments: &[&str]| piped(&[arguments, &["--listen", &address]].concat());
    // An id is found as a program shows it that likes large letters.
    let (code, out, _) = ask(&[&MADE[..8].to_uppercase()]);
    assert_eq!((code, out.starts_with("Count the zebras  made\n")), (Some(0), true), "{out}");
    for (arguments, exit, told) in [
        (vec![MADE, "--event", "9999"], 1, "there is no event 9999, counted from 0: the session has "),
        (
            vec![MADE, "--at", "2030-01-01"],
            1,
            "nothing happened at 2030-01-01T00:00:00.000Z or later: the session has ",
        ),
        (vec![""], 2, "give the id of a session, its beginning, or latest"),
        (vec!["0dd"], 2, "SESSION takes a session id or at least its first 4 characters, not `0dd`"),
        (vec!["--scan", "--projects", "/nonexist"], 1, "there is no folder /nonexist; "),
    ] {
        let (code, out, why) = ask(&arguments);
        assert_eq!((code, out.as_str()), (Some(exit), ""), "{arguments:?}: {why}");
        assert!(why.contains(told), "{arguments:?}: {why}");
    }
    // A screen has the last event then.
    let Some(tmux) = shown(&side, (80, 24), &format!("{MADE} --event 9999")) else { return };
    tmux.until(&["All animals are counted.", "there is no event 9999, counted from 0: the session has "]);
    tmux.press(&["q"]);
    given_back(&tmux, "ended with 0");
}
