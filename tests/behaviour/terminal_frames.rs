//! What the terminal replay shows and asks, key by key, with a session that is made up and a clock that the test turns.

use std::time::Duration;

use serde_json::{Value, json};
use tailspan::cli::replay::frame::frame;
use tailspan::cli::replay::key::Key;
use tailspan::cli::replay::keys::Act;
use tailspan::cli::replay::layout::Size;
use tailspan::cli::replay::play::Play;
use tailspan::cli::replay::viewer::{About, Viewer};
use tailspan::cli::replay::wish::{Failure, Wish};
use tailspan::views::analytics::period::Zone;

/// A replay of a session of so many events, five seconds from each to the next. Event 7 failed, event 12 is an interrupt after
/// a day and 16 hours, event 30 says "needle".
struct Replay {
    viewer: Viewer,
    now: Duration,
    total: usize,
    size: Size,
    /// Every question that was asked.
    asked: Vec<Wish>,
    /// What event 3 says.
    text: String,
}

impl Replay {
    fn of(total: usize, can_grow: bool) -> Self {
        let about = About {
            session: "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f".into(),
            title: "Title".into(),
            project: "project".into(),
            can_grow,
            zone: Zone::UTC,
        };
        let viewer = Viewer::new(about, (0, total), Play::of("10", false));
        let size = Size { columns: 80, rows: 24 };
        Self { viewer, now: Duration::ZERO, total, size, asked: Vec::new(), text: "three".into() }
    }

    fn event(&self, index: usize) -> Value {
        let text = match index {
            3 => self.text.clone(),
            30 => "the needle".into(),
            _ => format!("text {index}"),
        };
        let second = index * 5;
        json!({"index": index, "at": format!("2026-03-01T12:{:02}:{:02}.000Z", second / 60 % 60, second % 60), "kind": if index == 12 { "interrupt" } else { "tool_result" },
            "tool": "Bash", "outcome": if index == 7 { "failed" } else { "ok" }, "gap_seconds": match index { 0 => Value::Null, 12 => json!(145_380.0), _ => json!(5.0) },
            "depth": 0, "turn": 1 + index / 10, "cost_usd_so_far": "0.5", "content": [{"type": "tool_result", "text": text,
            "bytes": text.len(), "truncated": index == 8}], "state": {"context_tokens": 45_200}})
    }

    fn answer(&self, wish: &Wish) -> Value {
        let page = |from: usize, count: usize| {
            let events: Vec<Value> = (from..self.total.min(from + count)).map(|index| self.event(index)).collect();
            json!({"total_events": self.total, "events": events})
        };
        match wish {
            Wish::Outline => {
                let stretches: Vec<Value> = (0..self.total)
                    .map(|from| json!({"from": from, "events": 1, "cost_usd": "0.1", "errors": usize::from(from == 7)}))
                    .collect();
                json!({"total_events": self.total, "stretches": stretches})
            }
            Wish::Page(number) => page(number * 50, 50),
            Wish::Event(index) => page(*index, 1),
            Wish::Find { from, words } if words == "needle" && *from <= 30 => page(30, 1),
            Wish::Find { .. } => json!({"total_events": self.total, "events": [], "next_from": null}),
            Wish::FindBack { from, words, .. } if words == "needle" && *from <= 30 => page(30, 1),
            // Answers with a part of what is asked for lead on: every page of these has two events.
            Wish::FindBack { from, words, .. } if words == "text" => {
                let mut told = page(*from, 2);
                told["next_from"] = if from + 2 < self.total { json!(from + 2) } else { Value::Null };
                told
            }
            Wish::FindBack { .. } => json!({"total_events": self.total, "events": [], "next_from": null}),
            Wish::Seek { from, is_next: true, .. } if *from < 7 => json!({"event": self.event(7)}),
            Wish::Seek { .. } => json!({"event": null}),
            Wish::File { .. } => unreachable!("no event changes a file"),
            Wish::Text { .. } => json!({"text": "all of it\n"}),
        }
    }

    /// Answers everything that is asked.
    fn settle(&mut self) {
        self.viewer.tick(self.now);
        self.viewer.fit(self.size);
        while let Some(wish) = self.viewer.wish(self.now) {
            let answer = self.answer(&wish);
            self.asked.push(wish);
            self.viewer.told(Ok(answer), self.now);
            self.viewer.fit(self.size);
        }
    }

    fn press(&mut self, keys: &[Key]) -> Act {
        let mut act = Act::Stay;
        for key in keys {
            act = self.viewer.key(*key, self.now);
            self.settle();
        }
        act
    }

    fn type_in(&mut self, words: &str) {
        self.press(&words.chars().map(Key::Letter).collect::<Vec<_>>());
    }

    /// The clock goes on to the next moment at which something is to be done, at most by so much.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.viewer.wakes_at(self.now).filter(|next| *next <= end) {
            self.now = next.max(self.now + Duration::from_millis(1));
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    fn screen(&self) -> Vec<String> {
        let line = |row: tailspan::cli::replay::frame::ScreenRow| {
            let beside = row.beside.map(|(_, line)| line.text()).unwrap_or_default();
            format!("{}{beside}", row.line.text()).trim_end().to_owned()
        };
        frame(&self.viewer, self.now).into_iter().map(line).collect()
    }

    fn status(&self) -> String {
        self.screen()[usize::from(self.size.rows >= 14)].clone()
    }

    fn at(&self) -> usize {
        let status = self.status();
        status.split('#').nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
    }
}

#[test]
fn a_screen_has_the_session_the_place_the_timeline_the_event_and_the_keys() {
    let mut replay = Replay::of(100, false);
    replay.settle();
    replay.press(&[Key::Down; 7]);
    let screen = replay.screen();
    assert_eq!(screen.len(), 24);
    assert_eq!(screen[0], "Title  project  5fb3d16f");
    assert_eq!(screen[1], " ‖ #7 · 100 events · turn 1 · $0.5000 · ctx 45.2k · 10× · 2026-03-01 12:00:35");
    assert_eq!(screen[9], "12:00:35   +5.0s ↩ Result Bash failed text 7                             $0.5000");
    assert_eq!(screen[10..15], ["↩ Result Bash #7 failed", "outcome failed · gap 5.0 s", "", "tool result", "text 7"]);
    assert_eq!(screen[23], "←→ step  space play  / find  e error  t tool  [ ] turn  f follow  ? keys  q quit");
    replay.size = Size { columns: 40, rows: 10 };
    replay.settle();
    let screen = replay.screen();
    assert_eq!((screen.len(), screen[0].as_str()), (10, " ‖ #7 · 100 events · turn 1 · $0.5000"));
    assert_eq!(screen[4..7], ["↩ Result Bash #7 failed", "outcome failed · gap 5.0 s", ""]);
    for columns in 1..150 {
        for rows in 1..40 {
            replay.size = Size { columns, rows };
            replay.settle();
            let shown = frame(&replay.viewer, replay.now);
            assert_eq!(shown.len(), rows, "{columns}x{rows}");
            for row in shown {
                let right = row.beside.map_or(0, |(from, line)| from + line.width());
                assert!(row.line.width() <= columns && right <= columns, "{columns}x{rows}: {}", row.line.text());
            }
        }
    }
}

#[test]
fn wide_letters_tabs_and_emoji_stay_within_their_columns() {
    let mut replay = Replay::of(5, false);
    replay.text = format!("日本語{}\t\u{1f468}\u{200d}\u{1f469} e\u{301}\u{202e}x\u{7}", "漢字".repeat(60));
    for columns in [11, 40, 80, 121] {
        replay.size = Size { columns, rows: 24 };
        replay.settle();
        replay.press(&[Key::Home, Key::Down, Key::Down, Key::Down]);
        assert!(frame(&replay.viewer, replay.now).iter().all(|row| row.line.width() <= columns));
    }
    let screen = replay.screen().join("\n");
    assert!(screen.contains("    \u{1f468}\u{1f469} e\u{301}⟨202E⟩x⟨7⟩"), "{screen}");
}

#[test]
fn a_session_is_read_by_pages_and_only_where_it_is_looked_at() {
    let mut replay = Replay::of(100_000, false);
    replay.settle();
    assert_eq!(replay.asked, [Wish::Page(0), Wish::Event(0), Wish::Outline]);
    replay.asked.clear();
    replay.press(&[Key::End]);
    assert_eq!(replay.asked, [Wish::Page(1999), Wish::Event(99_999)]);
    replay.asked.clear();
    replay.press(&[Key::Up, Key::Up]);
    assert_eq!(replay.asked, [Wish::Event(99_998), Wish::Event(99_997)]);
    // Who hurries through asks for what he sees in the end.
    replay.asked.clear();
    for _ in 0..20 {
        replay.viewer.key(Key::Up, replay.now);
    }
    replay.settle();
    assert_eq!((replay.at(), replay.asked.as_slice()), (99_977, [Wish::Event(99_977)].as_slice()));
}

#[test]
fn play_goes_at_its_speed_and_shortens_gaps_to_three_seconds() {
    let mut replay = Replay::of(100, false);
    replay.settle();
    // Ten times real time: 300 ms for gaps of five seconds, which count as three.
    replay.press(&[Key::Letter(' ')]);
    replay.pass(Duration::from_millis(299));
    assert_eq!(replay.at(), 0);
    replay.pass(Duration::from_millis(1));
    assert_eq!((replay.at(), replay.status().starts_with(" ▶ #1 · 100 events")), (1, true));
    replay.pass(Duration::from_millis(3010));
    assert_eq!(replay.at(), 11);
    // One event a second.
    replay.press(&[Key::Letter('-'); 9]);
    assert!(replay.status().contains("1 event/s"), "{}", replay.status());
    replay.pass(Duration::from_millis(5010));
    assert_eq!(replay.at(), 16);
    replay.press(&[Key::Letter(' ')]);
    replay.pass(Duration::from_secs(60));
    assert_eq!((replay.at(), replay.status().starts_with(" ‖")), (16, true));
    // A hundred times real time, to the end; a key that moves ends play.
    replay.press(&[Key::Letter('+'); 9]);
    assert!(replay.status().contains("100×"), "{}", replay.status());
    replay.press(&[Key::Letter(' ')]);
    replay.pass(Duration::from_secs(1));
    replay.press(&[Key::Up]);
    let at = replay.at();
    assert!((40..60).contains(&at), "{at}");
    replay.pass(Duration::from_secs(1));
    assert_eq!(replay.at(), at);
    replay.press(&[Key::Letter(' ')]);
    replay.pass(Duration::from_secs(10));
    assert_eq!((replay.at(), replay.screen()[23].as_str()), (99, "the end"));
}

#[test]
fn what_is_found_is_gone_to_and_what_is_not_is_said() {
    let mut replay = Replay::of(100, false);
    replay.settle();
    replay.press(&[Key::Letter('e')]);
    assert_eq!(replay.at(), 7);
    replay.press(&[Key::Letter('e')]);
    assert_eq!((replay.at(), replay.screen()[23].as_str()), (7, "there is no further error"));
    replay.type_in("/needlee");
    assert!(replay.screen()[23].starts_with("find: needlee"), "{:?}", replay.screen());
    replay.press(&[Key::Backspace, Key::Enter]);
    assert_eq!(replay.at(), 30);
    replay.press(&[Key::Letter('n')]);
    assert_eq!((replay.at(), replay.screen()[23].as_str()), (30, "“needle” is not said after event 30"));
    // Letters of words are no keys, and an escape from them leaves the replay as it is.
    replay.type_in("/q");
    assert_eq!(replay.press(&[Key::Escape]), Act::Stay);
    replay.pass(Duration::from_millis(50));
    assert_eq!(replay.press(&[Key::Letter('?'), Key::Letter('q')]), Act::Stay);
    assert_eq!(replay.press(&[Key::Letter('q')]), Act::Leave);
    assert_eq!(replay.press(&[Key::Letter('/'), Key::Interrupt]), Act::Leave);
}

#[test]
fn an_arrow_that_the_network_cut_is_no_escape() {
    let mut replay = Replay::of(100, false);
    replay.settle();
    for (letters, at) in [("[B", 1), ("OB", 2), ("[6~", 12), ("[A", 11), ("[H", 0)] {
        assert_eq!(replay.press(&[Key::Escape]), Act::Stay);
        replay.pass(Duration::from_millis(40));
        replay.type_in(letters);
        assert_eq!(replay.at(), at, "{letters}");
    }
    // Letters that are no such key are keys of their own, behind an escape of its own.
    assert_eq!(replay.press(&[Key::Escape, Key::Letter('j')]), Act::Leave);
    replay.press(&[Key::Escape]);
    assert_eq!(replay.viewer.tick(replay.now + Duration::from_millis(49)), Act::Stay);
    assert_eq!(replay.viewer.wakes_at(replay.now), Some(replay.now + Duration::from_millis(50)));
    assert_eq!(replay.viewer.tick(replay.now + Duration::from_millis(50)), Act::Leave);
}

#[test]
fn a_text_is_scrolled_and_the_rest_of_a_cut_one_is_asked_for() {
    let mut replay = Replay::of(20, false);
    replay.text = (0..100).map(|line| format!("line {line}\n")).collect();
    replay.settle();
    replay.press(&[Key::Down, Key::Down, Key::Down]);
    assert!(replay.screen().join("\n").contains("line 6\n") && !replay.screen().join("\n").contains("line 60\n"));
    replay.press(&[Key::Tab, Key::End]);
    assert!(replay.screen().join("\n").contains("line 99\n"), "{:?}", replay.screen());
    assert_eq!(replay.at(), 3);
    replay.press(&[Key::Home, Key::Tab, Key::Down]);
    assert_eq!(replay.at(), 4);
    replay.press(&[Key::Down, Key::Down, Key::Down, Key::Down]);
    assert!(replay.screen().join("\n").contains("bytes: enter shows the rest"), "{:?}", replay.screen());
    replay.press(&[Key::Enter]);
    assert_eq!(replay.asked.last(), Some(&Wish::Text { event: 8, part: 0 }));
    let screen = replay.screen().join("\n");
    assert!(screen.contains("all of it") && !screen.contains("enter shows"), "{screen}");
}

#[test]
fn a_session_that_goes_on_is_looked_at_and_followed() {
    let mut replay = Replay::of(10, true);
    replay.settle();
    replay.total = 12;
    replay.pass(Duration::from_secs(3));
    assert_eq!((replay.at(), replay.screen()[23].as_str()), (0, "12 events now"));
    replay.press(&[Key::Letter('f')]);
    assert_eq!(replay.at(), 11);
    replay.total = 15;
    replay.pass(Duration::from_secs(3));
    assert_eq!((replay.at(), replay.status().contains("following")), (14, true));
    // Any answer may be the first that tells of more.
    replay.press(&[Key::Up]);
    replay.viewer.key(Key::Letter('f'), replay.now);
    replay.total = 16;
    replay.settle();
    assert_eq!((replay.at(), replay.status().contains("following")), (15, true));
    // Who looks back stays there.
    replay.press(&[Key::Up]);
    replay.total = 20;
    replay.pass(Duration::from_secs(3));
    assert_eq!((replay.at(), replay.status().contains("following")), (14, false));
    let mut replay = Replay::of(10, false);
    replay.settle();
    replay.press(&[Key::Letter('f')]);
    assert_eq!(replay.screen()[23], "nothing to follow: no sidecar reads this session");
}

#[test]
fn who_does_not_answer_is_asked_again_and_keys_go_on() {
    let mut replay = Replay::of(100, true);
    replay.settle();
    replay.viewer.key(Key::Down, replay.now);
    assert_eq!(replay.viewer.wish(replay.now), Some(Wish::Event(1)));
    // Nothing else is asked meanwhile, and what is not there yet is said to be coming.
    replay.viewer.key(Key::Down, replay.now);
    assert_eq!(replay.viewer.wish(replay.now), None);
    replay.now += Duration::from_secs(1);
    assert_eq!(replay.screen()[10], "#2 …");
    replay.viewer.told(Err(Failure::Silent("the sidecar does not answer".into())), replay.now);
    assert_eq!(replay.screen()[23], "asking again: the sidecar does not answer");
    assert_eq!(replay.viewer.wish(replay.now), None);
    replay.pass(Duration::from_secs(3));
    assert_eq!((replay.at(), replay.screen()[10].as_str()), (2, "↩ Result Bash #2"));
    assert!(!replay.screen()[23].contains("asking again"), "{:?}", replay.screen());
}

#[test]
fn the_last_key_counts_when_somebody_answers_again() {
    let mut replay = Replay::of(100, true);
    replay.settle();
    replay.press(&[Key::Down; 2]);
    for last in [Key::Letter('f'), Key::End] {
        replay.press(&[Key::Home]);
        replay.viewer.key(Key::Letter('e'), replay.now);
        assert!(matches!(replay.viewer.wish(replay.now), Some(Wish::Seek { .. })));
        replay.viewer.told(Err(Failure::Silent("the sidecar does not answer".into())), replay.now);
        replay.viewer.key(last, replay.now);
        replay.pass(Duration::from_secs(5));
        assert_eq!(replay.at(), 99, "{last:?}");
    }
}

#[test]
fn who_does_not_answer_is_said_until_he_does_whatever_is_pressed() {
    let mut replay = Replay::of(100, true);
    replay.settle();
    replay.viewer.key(Key::Down, replay.now);
    replay.viewer.wish(replay.now);
    replay.viewer.told(Err(Failure::Silent("the sidecar does not answer".into())), replay.now);
    for key in [Key::Down, Key::Letter('f'), Key::Letter('+'), Key::Letter('t'), Key::Letter('x'), Key::Tab, Key::Tab] {
        replay.viewer.key(key, replay.now);
        assert_eq!(replay.screen()[23], "asking again: the sidecar does not answer", "{key:?}");
    }
    replay.pass(Duration::from_secs(3));
    assert!(!replay.screen()[23].contains("asking again"), "{:?}", replay.screen());
}

/// What is inverted below the timeline.
fn marked(replay: &Replay) -> Vec<String> {
    let rows: Vec<_> = frame(&replay.viewer, replay.now).into_iter().skip(10).take(12).collect();
    let spans = rows.iter().flat_map(|row| row.line.spans().iter());
    spans.filter(|span| span.style().inverse).map(|span| span.text().to_owned()).collect()
}

#[test]
fn what_is_found_is_marked_until_escape_which_only_then_leaves() {
    let mut replay = Replay::of(100, false);
    replay.settle();
    assert_eq!(marked(&replay), Vec::<String>::new());
    replay.type_in("/needle");
    replay.press(&[Key::Enter]);
    assert_eq!((replay.at(), marked(&replay)), (30, vec!["needle".to_owned()]));
    let escape = |replay: &mut Replay| {
        replay.press(&[Key::Escape]);
        replay.now += Duration::from_millis(50);
        let act = replay.viewer.tick(replay.now);
        replay.settle();
        act
    };
    replay.press(&[Key::Letter('n')]);
    assert_eq!(replay.screen()[23], "“needle” is not said after event 30");
    assert_eq!(escape(&mut replay), Act::Stay);
    assert_eq!((marked(&replay), replay.screen()[23].starts_with("←→ step")), (Vec::new(), true));
    assert_eq!(escape(&mut replay), Act::Leave);
    // Words in any case, in the middle of others and in lines that are folded, each place of them; what has a minus is none.
    replay.text = format!("{}Xyzzyness {} xyzZy", "word ".repeat(200), "word ".repeat(40));
    replay.type_in("/xyzzy -absent");
    replay.press(&[Key::Enter]);
    replay.press(&[Key::Home, Key::Down, Key::Down, Key::Down]);
    replay.press(&[Key::Tab, Key::End]);
    assert_eq!(
        marked(&replay).iter().filter(|text| text.to_lowercase() == "xyzzy").count(),
        2,
        "{:?}",
        marked(&replay)
    );
}

#[test]
fn the_one_before_is_found_too_page_by_page() {
    let mut replay = Replay::of(100, false);
    replay.settle();
    replay.type_in("/needle");
    replay.press(&[Key::Enter, Key::Letter('N')]);
    assert_eq!((replay.at(), replay.screen()[23].as_str()), (30, "“needle” is not said before event 30"));
    replay.press(&[Key::Down, Key::Down, Key::Letter('N')]);
    assert_eq!(replay.at(), 30);
    replay.type_in("/text");
    replay.press(&[Key::Enter, Key::PageDown, Key::Letter('h')]);
    let at = replay.at();
    replay.asked.clear();
    replay.press(&[Key::Letter('N')]);
    assert_eq!(replay.at(), at - 1);
    let pages = replay.asked.iter().filter(|wish| matches!(wish, Wish::FindBack { .. })).count();
    assert_eq!(pages, at.div_ceil(2), "{:?}", replay.asked);
}

#[test]
fn letters_that_other_programs_know_move_and_others_tell_of_the_keys() {
    let mut replay = Replay::of(100, false);
    replay.settle();
    for (letter, at) in [('G', 99), ('h', 98), ('l', 99), ('g', 0), ('l', 1)] {
        replay.press(&[Key::Letter(letter)]);
        assert_eq!(replay.at(), at, "{letter}");
    }
    replay.press(&[Key::Letter('x')]);
    assert_eq!(replay.screen()[23], "? shows the keys");
    replay.pass(Duration::from_secs(4));
    assert!(replay.screen()[23].starts_with("←→ step"), "{:?}", replay.screen());
}

#[test]
fn long_pauses_are_told_with_their_hours_and_wide_signs_stand_apart() {
    let mut replay = Replay::of(100, false);
    replay.settle();
    replay.press(&[Key::Down; 12]);
    let row = replay.screen().into_iter().find(|row| row.contains("Interrupt")).unwrap();
    assert!(row.starts_with("12:01:00  +1d16h ✋ Interrupt Bash text 12"), "{row}");
}
