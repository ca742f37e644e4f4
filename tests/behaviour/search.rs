//! Search: what is found where, in which order, page by page, and by the command.

use std::fs;
use std::io::{self, Write};
use std::process::Command;

use serde_json::{Value, json};
use tailspan::archive::Archive;
use tailspan::index::catalogue::SearchIndex;

use crate::support::analytics::{World, answer, at, prompt, result, text};
use crate::support::http::get;

const FIRST: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const SECOND: &str = "bbbbbbbb-0000-4000-8000-000000000002";

/// Two sessions at the same time: one looks for a bug, the other writes of ships.
fn world() -> World {
    let mut world = World::empty();
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "Bash",
        "input": {"command": "grep -rn \"retryDelayMs\" src\ncargo test", "description": "Look for the delay"}});
    world.write(
        FIRST,
        &[
            prompt(FIRST, 0, "Why does the Deploy fail with a TIMEOUT?"),
            answer(FIRST, 10, "msg_1", json!([{"type": "thinking", "thinking": "The retry delay may be too long."}])),
            answer(FIRST, 11, "msg_1", json!([{"type": "text", "text": "I look for the retry delay."}])),
            answer(FIRST, 12, "msg_1", json!([call])),
            result(
                FIRST,
                20,
                "toolu_1",
                json!("src/deploy.rs:7: const retryDelayMs: u64 = 90_000;\n\u{1b}[31merror\u{1b}[0m"),
            ),
            answer(
                FIRST,
                30,
                "msg_2",
                json!([{"type": "text", "text": "It waits 90 s. Die Größe von ſtraight \"quotes\"."}]),
            ),
            json!({"type": "ai-title", "sessionId": FIRST, "aiTitle": "Deploy timeout"}),
        ],
    );
    world.write(
        SECOND,
        &[
            prompt(SECOND, 5, "Write of ships that deploy their sails."),
            answer(
                SECOND,
                15,
                "msg_3",
                json!([{"type": "text", "text": "Ships deploy sails in time, and out of it."}]),
            ),
        ],
    );
    world.count();
    world
}

/// `kind session event` of each hit.
fn outline(page: &Value) -> Vec<String> {
    let hits = page["hits"].as_array().unwrap().iter();
    hits.map(|hit| format!("{} {} {}", text(&hit["kind"]), &text(&hit["session"])[..1], hit["event"])).collect()
}

/// All hits: on a busy machine the time of a page may be up before it is full.
fn found(world: &World, query: &str) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.search(&format!("q={}{cursor}", encoded(query)));
        all.extend(outline(&page));
        let Some(next) = page["next_cursor"].as_str() else { return all };
        cursor = format!("&cursor={next}");
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn words_are_found_in_any_case_and_order_and_within_longer_words() {
    let world = world();
    assert_eq!(
        found(&world, "deploy"),
        ["tool_result a 3", "answer b 1", "prompt b 0", "prompt a 0", "title a null"],
        "the newest first, over both sessions"
    );
    assert_eq!(found(&world, "timeout fail"), ["prompt a 0"]);
    assert_eq!(found(&world, "DELAYms"), ["tool_result a 3", "tool_input a 2"]);
    assert_eq!(found(&world, "delay -retry"), Vec::<String>::new());
    assert_eq!(found(&world, "delay -retry kind"), Vec::<String>::new());
    assert_eq!(found(&world, "deploy -sails -title"), ["tool_result a 3", "prompt a 0", "title a null"]);
    assert_eq!(found(&world, "\"retry delay\""), ["answer a 1", "thinking a 1"]);
    assert_eq!(found(&world, "\"delay retry\""), Vec::<String>::new());
    assert_eq!(found(&world, "GRÖSSE"), Vec::<String>::new(), "one letter is never two");
    assert_eq!(found(&world, "gRÖße STRAIGHT"), ["answer a 4"]);
    assert_eq!(found(&world, "\"von \u{17f}t\" \"\\\"quotes\\\"\""), ["answer a 4"]);
    assert_eq!(found(&world, "/delay(Ms)? may/"), ["thinking a 1"]);
    assert_eq!(found(&world, "/DELAY MAY/i"), ["thinking a 1"]);
    assert_eq!(found(&world, "/DELAY MAY/"), Vec::<String>::new());
}

#[test]
fn texts_are_compared_as_they_are_and_not_as_they_are_written() {
    let world = world();
    assert_eq!(found(&world, "\"\\\"retryDelayMs\\\" src\ncargo\""), ["tool_input a 2"], "quotes and a new line");
    assert_eq!(found(&world, "\\n"), Vec::<String>::new());
    assert_eq!(found(&world, "u001b"), Vec::<String>::new());
    assert_eq!(found(&world, "sessionId"), Vec::<String>::new(), "names of fields are no text");
    assert_eq!(found(&world, "description"), Vec::<String>::new());
    assert_eq!(found(&world, "command"), Vec::<String>::new());
}

#[test]
fn a_line_of_nothing_but_escapes_is_one_line() {
    let mut world = World::empty();
    let path = world.write(FIRST, &[prompt(FIRST, 0, "PLACE")]);
    // Looked at anew for each of them, the line would be read 600,000 times.
    let escapes = ["\\u0061", "\\/"].map(|escape| escape.repeat(300_000)).concat();
    let row = fs::read_to_string(&path).unwrap().replace("PLACE", &escapes);
    fs::write(&path, row).unwrap();
    world.count();
    assert_eq!(found(&world, "aaaa"), ["prompt a 0"]);
    assert_eq!(found(&world, "a//"), ["prompt a 0"]);
    assert!(found(&world, "zzzz").is_empty());
}

#[test]
fn a_hit_tells_where_it_stands() {
    let world = world();
    let page = world.search("q=retrydelayms&kind=tool_input");
    let hit = &page["hits"][0];
    assert_eq!(hit["session"], FIRST);
    assert_eq!((&hit["event"], &hit["turn"], &hit["at"]), (&json!(2), &json!(1), &json!(at(12))));
    assert_eq!((&hit["tool"], &hit["agent"]), (&json!("Bash"), &json!("main")));
    assert_eq!((&hit["project"], &hit["title"]), (&json!("made"), &json!("Deploy timeout")));
    assert_eq!(
        (&hit["snippet"], &hit["matches"]),
        (&json!("grep -rn \"retryDelayMs\" src\ncargo test"), &json!([[10, 12]]))
    );
    assert_eq!((&page["complete"], &page["next_cursor"]), (&json!(true), &Value::Null));
    assert_eq!(page["searched_sessions"], 2);
    assert!(page["searched_bytes"].as_u64().unwrap() > 1000 && page["took_seconds"].as_f64().unwrap() < 60.0);
    let event = &world.json(&format!("/{FIRST}/replay"))["events"][2];
    assert_eq!((&event["kind"], &event["index"]), (&json!("tool_call"), &json!(2)));
    let title = &world.search("q=timeout&kind=title")["hits"][0];
    assert_eq!(
        (&title["event"], &title["turn"], &title["agent"], &title["at"]),
        (&Value::Null, &Value::Null, &Value::Null, &json!(at(0)))
    );
}

#[test]
fn a_snippet_is_around_the_first_match_in_characters() {
    let mut world = World::empty();
    let long = format!("{}NEEDLE{} needle {}", "ä".repeat(500), "ö".repeat(100), "ü".repeat(500));
    world.write(FIRST, &[prompt(FIRST, 0, &long)]);
    world.count();
    let hit = &world.search("q=needle")["hits"][0];
    let snippet = text(&hit["snippet"]);
    assert_eq!(snippet.chars().count(), 300);
    assert_eq!(hit["matches"], json!([[80, 6], [187, 6]]));
    let letters: String = snippet.chars().skip(187).take(6).collect();
    assert_eq!(letters, "needle");
}

#[test]
fn filters_are_those_of_all_questions() {
    let world = world();
    let of = |query: &str| outline(&world.search(&format!("q=deploy&{query}")));
    assert_eq!(of(&format!("session={SECOND}")), ["answer b 1", "prompt b 0"]);
    assert_eq!(of("kind=prompt&kind=title"), ["prompt b 0", "prompt a 0", "title a null"]);
    assert_eq!(of("tool=Bash"), ["tool_result a 3"]);
    assert_eq!(of("tool=Read"), Vec::<String>::new());
    assert_eq!(of("model=claude-sonnet-4-5"), ["answer b 1"]);
    assert_eq!(of("project=made").len(), 5);
    assert_eq!(of("project=other"), Vec::<String>::new());
    assert_eq!(of("agent=main"), ["tool_result a 3", "answer b 1", "prompt b 0", "prompt a 0"]);
    assert_eq!(of("agent=Explore"), Vec::<String>::new());
    assert_eq!(of(&format!("since={}", at(5))), ["tool_result a 3", "answer b 1", "prompt b 0"]);
    assert_eq!(of(&format!("until={}", at(15))), ["prompt b 0", "prompt a 0", "title a null"]);
    assert_eq!(of("sort=oldest"), ["title a null", "prompt a 0", "prompt b 0", "answer b 1", "tool_result a 3"]);
}

#[test]
fn pages_follow_one_another_however_little_time_there_is() {
    let world = world();
    for sort in ["newest", "oldest"] {
        let whole = outline(&world.search(&format!("q=deploy&sort={sort}")));
        assert_eq!(whole.len(), 5);
        type Ask<'w> = &'w dyn Fn(&str) -> Value;
        for ask in [&|query: &str| world.search(query) as Value, &|query: &str| world.search_impatiently(query)]
            as [Ask<'_>; 2]
        {
            let (mut all, mut cursor, mut cut) = (Vec::new(), String::new(), 0);
            for _ in 0..100 {
                let page = ask(&format!("q=deploy&limit=2&sort={sort}{cursor}"));
                all.extend(outline(&page));
                cut += usize::from(page["complete"] == false);
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(all, whole);
            let is_impatient = world.search_impatiently("q=deploy")["complete"] == false;
            assert!(is_impatient && (cut == 0 || cut > 3), "{cut} pages were cut short");
        }
    }
    let page = world.search("q=deploy&limit=1");
    let next = text(&page["next_cursor"]).to_owned();
    let reply = get(world.address(), &format!("/api/v1/analytics/search?q=deploy&sort=oldest&cursor={next}"));
    assert_eq!(reply.status, 400, "a cursor is of one order");
}

#[test]
fn a_page_goes_on_where_the_last_one_ended_though_earlier_events_are_found_meanwhile() {
    for sort in ["newest", "oldest"] {
        let mut world = World::empty();
        let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "Bash", "input": {"command": "make ship"}});
        let calls = json!([call("toolu_1"), call("toolu_2"), call("toolu_3")]);
        world.write(FIRST, &[prompt(FIRST, 5, "Go."), answer(FIRST, 10, "msg_1", calls)]);
        world.count();
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        for page in 0..4 {
            let found = world.search(&format!("q=ship&limit=1&sort={sort}{cursor}"));
            for hit in found["hits"].as_array().unwrap() {
                let replay = world.json(&format!("/{FIRST}/replay"));
                let index = usize::try_from(hit["event"].as_u64().unwrap()).unwrap();
                ids.push(text(&replay["events"][index]["tool_call_id"]).to_owned());
            }
            let Some(next) = found["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
            // Something that happened before: all events of the session get other numbers.
            let events = |world: &World| world.json(&format!("/{FIRST}/replay"))["events"].as_array().unwrap().len();
            let before = events(&world);
            let earlier = format!("dddddddd-0000-4000-8000-00000000000{page}");
            let said = [prompt(FIRST, 1 + page, "Wait."), answer(FIRST, 1 + page, &format!("msg_e{page}"), json!([]))];
            world.write(&earlier, &said);
            world.count();
            assert!(events(&world) > before);
        }
        ids.sort();
        assert_eq!(ids, ["toolu_1", "toolu_2", "toolu_3"], "{sort}: each once");
    }
}

#[test]
fn words_in_several_rows_of_an_answer_are_found_with_the_index_and_nothing_else_is_read() {
    // Longer than what counts as near.
    let long = "x".repeat(100_000);
    let said = |second, words: &str| answer(FIRST, second, "msg_1", json!([{"type": "text", "text": words}]));
    let mut world = World::empty();
    world.write(
        FIRST,
        &[
            prompt(FIRST, 0, "prompted"),
            said(10, "nearest"),
            said(11, "neighbour"),
            said(12, &long),
            said(13, "farthest"),
            prompt(FIRST, 40, "afterwards"),
        ],
    );
    world.count();
    let folder = tempfile::TempDir::new().unwrap();
    world.make_index(&folder.path().join("index"));
    assert_eq!(found(&world, "neighbour nearest").len(), 1);
    assert_eq!(found(&world, "farthest neighbour nearest").len(), 1);
    let read = |query: &str| world.search(&format!("q={}", encoded(query)))["searched_bytes"].as_u64().unwrap();
    assert!(read("prompted") > 0 && read("afterwards") > 0);
    assert_eq!(read("prompted afterwards"), 0, "no event has both");
    assert_eq!(read("/prompted.*afterwards/"), 0);
    assert_eq!(read("nearest elsewhere"), 0);
}

#[test]
fn an_index_that_is_opened_while_the_state_is_closed_stays() {
    let (world, folder) = (world(), tempfile::TempDir::new().unwrap());
    world.make_index(folder.path());
    let segments = || fs::read_dir(folder.path()).unwrap().count();
    let before = segments();
    assert!(before > 0);
    SearchIndex::open(folder.path(), &Archive::default(), |_| Err(io::Error::other("the state is closed")))
        .unwrap_err();
    assert_eq!(segments(), before);
    assert!(SearchIndex::open_for(folder.path(), &Archive::default(), world.reader()).unwrap().known_bytes() > 0);
    SearchIndex::open(folder.path(), &Archive::default(), |_| Ok(None)).unwrap();
    assert_eq!(segments(), 0, "without its files it is of no use");
}

/// Takes some writes, and then none.
struct Client {
    left: usize,
    written: usize,
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written += 1;
        if self.written > self.left { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_search_whose_client_has_gone_ends() {
    let mut world = World::empty();
    for number in 0..50 {
        let session = format!("aaaaaaaa-0000-4000-8000-0000000000{number:02}");
        world.write(&session, &[prompt(&session, number, "Write of ships.")]);
    }
    world.count();
    for query in ["q=sails", "q=/[st]hips/", "q=-ships"] {
        let mut patient = Client { left: usize::MAX, written: 0 };
        assert_eq!(world.search_into(query, &mut patient).unwrap(), 200);
        assert!(patient.written > 50, "{query}: a step for each session at least, of {}", patient.written);
        for left in [0, 1, 20] {
            let mut gone = Client { left, written: 0 };
            let ended = world.search_into(query, &mut gone).unwrap_err();
            assert_eq!((ended.to_string().as_str(), gone.written), ("the client has gone", left + 1), "{query}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let world = world();
    for (query, said) in [
        (" ", "`q` cannot be read at column 1: there is no word in it"),
        ("fail \"no end", "`q` cannot be read at column 6: a phrase has no closing quote"),
        ("fail /(/", "`q` cannot be read at column 6: the expression cannot be used: unclosed group"),
        ("\"\"", "`q` cannot be read at column 1: a phrase is empty"),
    ] {
        let reply = get(world.address(), &format!("/api/v1/analytics/search?q={}", encoded(query)));
        assert_eq!((reply.status, reply.json()["detail"].as_str()), (400, Some(said)), "{query}");
    }
    assert_eq!(found(&world, "/usr/bin --release"), Vec::<String>::new(), "words, not expressions, and no minus");
}

#[test]
fn a_session_that_is_gone_or_rewritten_is_not_found() {
    let mut world = world();
    assert_eq!(found(&world, "sails"), ["answer b 1", "prompt b 0"]);
    let path = world.write(SECOND, &[prompt(SECOND, 5, "Write of boats that deploy their oars.")]);
    assert_eq!(found(&world, "oars"), ["prompt b 0"], "the same row says it now");
    assert_eq!(found(&world, "sails"), Vec::<String>::new());
    fs::remove_file(path).unwrap();
    assert_eq!(found(&world, "deploy"), ["tool_result a 3", "prompt a 0", "title a null"]);
    world.count();
}

/// Exit code, standard output and standard error of `tailspan search` over the files of a world.
fn command(world: &World, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailspan"));
    command.env_clear().env("TZ", "UTC").env("HOME", world.projects.parent().unwrap());
    command.arg("search").args(arguments).args(["--scan", "--projects"]).arg(&world.projects);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_prints_what_is_found_and_says_by_its_code_whether_anything_was() {
    let world = world();
    let (code, out, _) = command(&world, &["retrydelayms", "--kind", "tool_input"]);
    let place = format!("Sun 2026-03-01 12:00  tool_input Bash  {} turn 1 event 2  made  Deploy timeout", &FIRST[..8]);
    assert_eq!((code, out), (Some(0), format!("{place}\n    grep -rn \"retryDelayMs\" src cargo test\n")));
    let (_, out, _) = command(&world, &["retrydelayms", "--kind", "tool_input", "--color", "always"]);
    assert!(out.contains("\"\u{1b}[1;31mretryDelayMs\u{1b}[0m\""), "{out:?}");
    let (_, out, _) = command(&world, &["error", "--kind", "tool_result"]);
    assert!(out.contains("[31merror") && !out.contains('\u{1b}'), "a text can do nothing to the terminal: {out:?}");
    let (code, out, _) = command(&world, &["deploy", "--not", "sails", "--kind", "prompt", "--json"]);
    assert_eq!((code, outline(&serde_json::from_str(&out).unwrap())), (Some(0), vec!["prompt a 0".to_owned()]));
    let (code, out, said) = command(&world, &["deploy", "--limit", "2", "--oldest"]);
    assert_eq!((code, out.lines().count()), (Some(0), 4));
    assert!(said.contains("there may be more than 2"), "{said}");
    let (code, out, said) = command(&world, &["nothing-has-this"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(said.ends_with("tailspan: nothing matches\n"), "{said}");
    let (code, _, said) = command(&world, &["/(/"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("column 1: the expression cannot be used: unclosed group"), "{said}");
}
