//! What spans hold of the conversation at each level, and that nothing else leaves the session files.

use std::fs;
use std::path::Path;

use serde_json::{Value as Json, json};
use tailspan::views::traces::attributes as name;
use tailspan::views::traces::content::{self, ContentLevel, VALUE_BYTES_MAX};
use tailspan::views::traces::finish::SpanRules;
use tailspan::views::traces::span::{Attribute, Span, Value};

use crate::support::daemon::Daemon;
use crate::support::spans::{named, text, waiting};
use crate::support::stream_files::{put_run, run_id, streams_of};
use crate::support::world::{Dice, EVERYTHING, World, append, copy_folder, files_below, recordings};

const SESSION: &str = "0f000000-0000-4000-8000-000000000001";
const PROMPT: &str = "0f000000-0000-4000-8000-000000000002";
/// Texts of the session that must stay where they are unless the level says otherwise.
const ASKED: &str = "please find the walrus";
const THOUGHT: &str = "a walrus has tusks";
const ANSWERED: &str = "the walrus is in the kitchen";
const RESULT: &str = "kitchen/walrus.txt:1:tusk";
const MCP_INPUT: &str = "walrus-in-an-mcp-input";
const SECRET: &str = "hunter2hunter2";

fn rules(content: ContentLevel) -> SpanRules {
    SpanRules { content, ..SpanRules::default() }
}

/// A row of the session, `second` seconds after its beginning.
fn row(second: u32, more: &Json) -> Json {
    let mut row = json!({
        "sessionId": SESSION, "cwd": "/home/dev/project", "version": "2.1.330", "isSidechain": false,
        "timestamp": format!("2026-11-22T06:00:{second:02}.000Z"),
        "uuid": format!("0f000000-0000-4000-8000-0000000001{second:02}"),
    });
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

fn said(second: u32, message: &str, block: &Json, stop: &str) -> Json {
    let usage = json!({ "input_tokens": 5, "output_tokens": 5 });
    let message = json!({
        "id": message, "role": "assistant", "model": "claude-sonnet-4-5-20250929", "content": [block],
        "stop_reason": stop, "usage": usage,
    });
    row(second, &json!({ "type": "assistant", "requestId": "req_1", "message": message }))
}

fn answered(second: u32, call: &str, content: &Json) -> Json {
    let block = json!({ "type": "tool_result", "tool_use_id": call, "content": content, "is_error": false });
    row(second, &json!({ "type": "user", "promptId": "p1", "message": { "role": "user", "content": [block] } }))
}

fn call(id: &str, tool: &str, input: &Json) -> Json {
    json!({ "type": "tool_use", "id": id, "name": tool, "input": input })
}

fn conversation() -> String {
    let command = format!("export DB_PASSWORD={SECRET}\ngrep -r walrus /home/dev/project");
    let bash = json!({ "command": command, "description": "Look everywhere" });
    let prompt = json!({ "role": "user", "content": ASKED });
    let rows = [
        row(1, &json!({ "type": "user", "uuid": PROMPT, "promptId": "p1", "message": prompt })),
        said(2, "msg_1", &json!({ "type": "thinking", "thinking": THOUGHT }), "tool_use"),
        said(3, "msg_1", &call("toolu_1", "Bash", &bash), "tool_use"),
        said(4, "msg_1", &call("toolu_2", "Read", &json!({ "file_path": "/home/dev/project/src/a.rs" })), "tool_use"),
        said(5, "msg_1", &call("toolu_3", "Read", &json!({ "file_path": "/home/dev/.ssh/config" })), "tool_use"),
        said(
            6,
            "msg_1",
            &call("toolu_4", "mcp__zoo__find", &json!({ "password": SECRET, "q": MCP_INPUT })),
            "tool_use",
        ),
        answered(7, "toolu_1", &json!(RESULT)),
        answered(8, "toolu_2", &json!([{ "type": "text", "text": RESULT }])),
        answered(9, "toolu_3", &json!([{ "type": "text", "text": RESULT }, { "type": "image", "source": {} }])),
        answered(10, "toolu_4", &json!("x".repeat(5000))),
        said(11, "msg_2", &json!({ "type": "text", "text": ANSWERED }), "end_turn"),
    ];
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// A world that has read the conversation, and the spans that left it.
fn told(folder: &Path, rules: SpanRules) -> (World, Vec<Span>) {
    let mut world = World::shaped(folder, EVERYTHING, rules);
    append(&world.root.join(format!("-home-dev-project/{SESSION}.jsonl")), conversation().as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    let spans = spans_of(&mut world);
    (world, spans)
}

/// Children first, as they left.
fn spans_of(world: &mut World) -> Vec<Span> {
    waiting(world)
}

fn keys_beyond<'s>(spans: &'s [Span], others: &[Span]) -> Vec<(String, &'s str, &'s Value)> {
    let known = |span: &Span, attribute: &Attribute| {
        let other = others.iter().find(|other| other.id == span.id).unwrap();
        other.attributes.iter().any(|own| own.key == attribute.key)
    };
    let more = spans.iter().flat_map(|span| {
        span.attributes.iter().filter(|attribute| !known(span, attribute)).map(|attribute| {
            let key: &str = &attribute.key;
            (span.name.clone(), key, &attribute.value)
        })
    });
    more.collect()
}

#[test]
fn details_say_what_tools_were_asked_to_do_and_nothing_of_the_conversation() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (_, plain) = told(folders[0].path(), rules(ContentLevel::Off));
    let (_, detailed) = told(folders[1].path(), rules(ContentLevel::Details));
    let text = |text: &str| Value::Text(text.to_owned());
    let command = text("export DB_PASSWORD=[REDACTED]\ngrep -r walrus /home/dev/project");
    assert_eq!(
        keys_beyond(&detailed, &plain),
        [
            ("execute_tool Bash".to_owned(), name::TOOL_COMMAND, &command),
            ("execute_tool Bash".to_owned(), name::TOOL_DESCRIPTION, &text("Look everywhere")),
            ("execute_tool Read".to_owned(), name::TOOL_FILE, &text("src/a.rs")),
            ("execute_tool Read".to_owned(), name::TOOL_FILE, &text("config")),
        ]
    );
}

#[test]
fn content_says_prompt_answer_arguments_and_result() {
    let folder = tempfile::tempdir().unwrap();
    let (_, spans) = told(folder.path(), rules(ContentLevel::Content));
    let json = |span: &Span, key: &str| -> Json { serde_json::from_str(text(span, key).unwrap()).unwrap() };
    let root = named(&spans, "invoke_agent claude-code")[0];
    let part = |text: &str| json!({ "type": "text", "content": text });
    assert_eq!(json(root, name::INPUT_MESSAGES), json!([{ "role": "user", "parts": [part(ASKED)] }]));
    let answer = json!([{ "role": "assistant", "parts": [part(ANSWERED)], "finish_reason": "end_turn" }]);
    assert_eq!(json(root, name::OUTPUT_MESSAGES), answer);
    let chats = named(&spans, "chat claude-sonnet-4-5-20250929");
    let first = json(chats[0], name::OUTPUT_MESSAGES);
    assert_eq!(first[0]["parts"][0], json!({ "type": "reasoning", "content": THOUGHT }));
    assert_eq!(first[0]["parts"][4]["arguments"], json!({ "password": "[REDACTED]", "q": MCP_INPUT }));
    assert_eq!(json(chats[1], name::OUTPUT_MESSAGES), answer);
    let bash = named(&spans, "execute_tool Bash")[0];
    assert_eq!(text(bash, name::TOOL_RESULT), Some(RESULT));
    assert_eq!(json(bash, name::TOOL_ARGUMENTS)["description"], "Look everywhere");
    let reads = named(&spans, "execute_tool Read");
    assert_eq!(text(reads[0], name::TOOL_RESULT), Some(RESULT));
    assert_eq!(json(reads[1], name::TOOL_RESULT)[1]["type"], "image");
    let long = text(named(&spans, "execute_tool mcp__zoo__find")[0], name::TOOL_RESULT).unwrap();
    assert!(long.len() <= VALUE_BYTES_MAX && long.ends_with("x[TRUNCATED 2968]"), "{long}");
}

#[test]
fn prompts_of_turns_without_a_file_are_what_the_stream_repeats() {
    for (recording, repeated) in [("2.1.332/af_queued_prompts", Some("First prompt.")), ("2.1.330/b_tools", None)] {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::shaped(folder.path(), EVERYTHING, rules(ContentLevel::Content));
        let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings").join(recording);
        put_run(&world, &streams_of(&recording)[0], &run_id(1), &json!({}));
        world.read(&mut Dice::new(1), usize::MAX);
        // The turn of a stream waits for its file, and leaves once it is settled.
        (0..2).for_each(|_| drop(world.settle()));
        let spans = spans_of(&mut world);
        let root = spans.iter().find(|span| span.parent.is_none() && span.name.starts_with("invoke_agent")).unwrap();
        let asked = text(root, name::INPUT_MESSAGES);
        assert_eq!(asked.map(|asked| asked.contains(repeated.unwrap())), repeated.map(|_| true), "{root:?}");
        let missing = repeated.is_none().then_some("not told by the stream");
        assert_eq!(text(root, name::CONTENT_UNAVAILABLE), missing, "{root:?}");
    }
}

#[test]
fn what_the_level_keeps_in_is_nowhere_in_the_state() {
    let always = [SECRET];
    let unless_content = [ASKED, THOUGHT, ANSWERED, RESULT, MCP_INPUT];
    let unless_details = ["Look everywhere", "src/a.rs"];
    for (level, hidden) in [
        (ContentLevel::Off, [&always[..], &unless_content, &unless_details].concat()),
        (ContentLevel::Details, [&always[..], &unless_content].concat()),
        (ContentLevel::Content, always.to_vec()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (world, spans) = told(folder.path(), rules(level));
        assert!(spans.len() > 5);
        let state: Vec<Vec<u8>> = files_below(&world.state).iter().map(|file| fs::read(file).unwrap()).collect();
        let holds = |needle: &str| state.iter().any(|bytes| memchr::memmem::find(bytes, needle.as_bytes()).is_some());
        assert!(holds("execute_tool Bash"), "the outbox is not where this test looks");
        for needle in hidden {
            assert!(!holds(needle), "{needle:?} is in the state at {level:?}");
        }
    }
}

#[test]
fn no_text_is_in_the_log_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    append(&projects.join(format!("-home-dev-project/{SESSION}.jsonl")), conversation().as_bytes());
    append(&projects.join(format!("-home-dev-project/{SESSION}.jsonl")), format!("{{\"torn\": \"{ASKED}\n").as_bytes());
    // Nobody listens there: everything that is logged about sending is, and the spans wait.
    let config = folder.path().join("tailspan.toml");
    fs::write(&config, "log = \"trace\"\n[otlp]\nendpoint = \"http://127.0.0.1:9\"\n[traces]\ncontent = \"content\"\n")
        .unwrap();
    let more = ["--config", config.to_str().unwrap(), "--traces-history-since", "all"];
    let mut daemon = Daemon::start(&projects, &state, &more);
    daemon.wait_for_log("spans cannot be delivered now");
    daemon.signal("-TERM");
    daemon.wait_for_log("stopped");
    let log = daemon.said.join("\n");
    assert!(log.contains("a line could not be read"), "{log}");
    for needle in [SECRET, ASKED, THOUGHT, ANSWERED, RESULT, MCP_INPUT, "Look everywhere", "src/a.rs"] {
        assert!(!log.contains(needle), "{needle:?} is in the log: {log}");
    }
}

/// Texts of a recording that are long enough to be told from names.
fn texts_of(projects: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for file in files_below(projects).iter().filter(|file| file.extension().is_some_and(|ending| ending == "jsonl")) {
        for row in String::from_utf8_lossy(&fs::read(file).unwrap()).lines() {
            let Ok(row) = serde_json::from_str::<Json>(row) else { continue };
            match row.pointer("/message/content") {
                Some(Json::String(text)) => texts.push(text.clone()),
                Some(Json::Array(blocks)) => texts.extend(blocks.iter().flat_map(|block| {
                    ["text", "thinking", "content"].map(|key| block[key].as_str().unwrap_or_default().to_owned())
                })),
                _ => {}
            }
        }
    }
    texts.retain(|text| text.len() >= 24 && !text.starts_with('<'));
    texts
}

#[test]
fn no_text_of_any_recording_leaves_unless_it_is_wanted() {
    let mut told = 0;
    for recording in recordings() {
        let texts = texts_of(&recording.join("projects"));
        for level in [ContentLevel::Off, ContentLevel::Details, ContentLevel::Content] {
            let folder = tempfile::tempdir().unwrap();
            let mut world = World::shaped(folder.path(), EVERYTHING, rules(level));
            copy_folder(&recording.join("projects"), &world.root);
            world.read(&mut Dice::new(1), usize::MAX);
            world.settle();
            let spans = spans_of(&mut world);
            let wire = format!("{spans:?}");
            let leaked = texts.iter().find(|text| wire.contains(&format!("{text:?}").trim_matches('"')[..24]));
            let is_allowed = level == ContentLevel::Content;
            told += u32::from(leaked.is_some());
            assert!(leaked.is_none() || is_allowed, "{} at {level:?}: {leaked:?}", recording.display());
            for attribute in spans.iter().flat_map(|span| &span.attributes) {
                assert_ne!(attribute.key, name::CONTENT_UNAVAILABLE, "{}", recording.display());
                if let Value::Text(text) = &attribute.value {
                    assert!(text.len() <= VALUE_BYTES_MAX, "{}: {}", recording.display(), attribute.key);
                }
            }
        }
    }
    // The others say nothing but what was cut from them.
    assert!(told > 20, "with content, {told} recordings tell something");
}

#[test]
fn a_file_that_is_gone_costs_its_texts_and_no_span() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (_, all) = told(folders[0].path(), rules(ContentLevel::Content));
    let mut world = World::shaped(folders[1].path(), EVERYTHING, rules(ContentLevel::Content));
    let file = world.root.join(format!("-home-dev-project/{SESSION}.jsonl"));
    append(&file, conversation().as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    fs::remove_file(file).unwrap();
    world.settle();
    let spans = spans_of(&mut world);
    assert_eq!(spans.len(), all.len());
    for span in &spans {
        assert_eq!(text(span, name::CONTENT_UNAVAILABLE), Some("file is gone"), "{}", span.name);
    }
}

#[test]
fn a_file_that_was_rewritten_lends_nobody_the_wrong_text() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::shaped(folder.path(), EVERYTHING, rules(ContentLevel::Content));
    let file = world.root.join(format!("-home-dev-project/{SESSION}.jsonl"));
    append(&file, conversation().as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    fs::write(
        &file,
        conversation().replace("0f000000", "0e000000").replace("toolu_", "tools_").replace("msg_", "mag_"),
    )
    .unwrap();
    world.settle();
    for span in spans_of(&mut world) {
        assert_eq!(text(&span, name::CONTENT_UNAVAILABLE), Some("file was rewritten"), "{}", span.name);
        assert_eq!(text(&span, name::TOOL_RESULT), None);
    }
}

fn arguments(input: &Json) -> String {
    let attributes = content::call(ContentLevel::Content, "mcp__a__b", input, &[]);
    match &attributes[..] {
        [Attribute { value: Value::Text(text), .. }] => text.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn json_that_is_cut_stays_json_and_keeps_what_is_short() {
    let edit = json!({ "file_path": "src/a.rs", "old_string": "ä".repeat(4000), "new_string": "b\n\"".repeat(4000) });
    let many: Vec<u32> = (0..10_000).collect();
    let mut nested = json!("core");
    (0..200).for_each(|_| nested = json!([nested]));
    let wide: serde_json::Map<_, _> = (0..3000).map(|n| (format!("member {n}"), json!(n))).collect();
    for input in [edit.clone(), json!({ "list": many }), nested, Json::Object(wide), json!({ "k".repeat(9000): 1 })] {
        let text = arguments(&input);
        assert!(text.len() <= VALUE_BYTES_MAX, "{} bytes", text.len());
        serde_json::from_str::<Json>(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    }
    let text = arguments(&edit);
    let cut: Json = serde_json::from_str(&text).unwrap();
    assert!(text.len() > VALUE_BYTES_MAX * 9 / 10, "{} bytes are used", text.len());
    assert_eq!(cut["file_path"], "src/a.rs");
    for key in ["old_string", "new_string"] {
        let text = cut[key].as_str().unwrap();
        assert!(text.len() > 400 && text.contains("[TRUNCATED "), "{key}: {text}");
    }
}

#[test]
fn secrets_in_json_are_hidden_by_their_names_and_by_their_looks() {
    let input = json!({
        "password": "correct horse", "api_key": 1_234_567_890_u64, "Authorization": "whatever",
        "tokens_max": 4096, "token": "abc", "note": format!("use sk-ant-api03-{}", "aB3".repeat(30)),
        "env": [{ "name": "DB_PASSWORD", "value": SECRET }], "secrets": { "password": ["one-one", "two-two"] },
        "url": "https://ann:s3cr3t@host/path",
    });
    let shown: Json = serde_json::from_str(&arguments(&input)).unwrap();
    assert_eq!(
        shown,
        json!({
            "password": "[REDACTED]", "api_key": "[REDACTED]", "Authorization": "[REDACTED]",
            "tokens_max": 4096, "token": "[REDACTED]", "note": "use sk-ant-[REDACTED]",
            "env": [{ "name": "DB_PASSWORD", "value": "[REDACTED]" }],
            "secrets": { "password": ["[REDACTED]", "[REDACTED]"] },
            "url": "https://[REDACTED]@host/path",
        })
    );
}

#[test]
fn a_secret_at_the_cut_is_not_shown_in_half() {
    for before in (1900..2060).chain(16_300..16_500) {
        let text = format!("{} ghp_{}", "word ".repeat(before / 5) + &"x".repeat(before % 5), "16C7e42F".repeat(5));
        let shown = content::result(ContentLevel::Content, &json!(text));
        assert!(!format!("{shown:?}").contains("16C7"), "at {before}");
    }
    // What is hidden brings nearer what stands behind it: the key is cut at the end of what is looked at at all.
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", "MIIEvQ".repeat(2700));
    for before in 0..120 {
        let text = format!("{pem} {} ghp_{}", "x".repeat(before), "16C7e42F".repeat(5));
        let shown = format!("{:?}", content::result(ContentLevel::Content, &json!(text)));
        assert!(shown.contains("xxxx") || before < 4, "{shown}");
        assert!(!shown.contains("16C") && !shown.contains("MIIE"), "at {before}: {shown}");
    }
}

#[test]
fn text_that_looks_like_a_command_leaves_json_as_it_is() {
    for input in [
        json!({ "command": "mysql -u root -p", "description": "Open a shell" }),
        json!({ "content": "Set the password:\n\n1. Open the page", "status": "pending" }),
        json!({ "lines": ["-----BEGIN RSA PRIVATE KEY-----", "MIIE", "-----END RSA PRIVATE KEY-----"] }),
    ] {
        serde_json::from_str::<Json>(&arguments(&input)).unwrap_or_else(|error| panic!("{error}: {input}"));
    }
    let shown: Json = serde_json::from_str(&arguments(&json!({ "a": "mysql -u root -p", "b": "x" }))).unwrap();
    assert_eq!(shown, json!({ "a": "mysql -u root -p", "b": "x" }));
}

#[test]
fn the_name_of_a_secret_may_stand_around_beside_or_before_it() {
    for input in [
        json!({ "password": { "current": SECRET } }),
        json!({ "secret": [{ "v": SECRET }] }),
        json!({ "secrets": { "db": SECRET } }),
        json!({ "passwords": [SECRET] }),
        json!({ "api_keys": [SECRET] }),
        json!({ "args": ["--password", SECRET] }),
        json!({ "headers": [["X-Api-Key", SECRET]] }),
        json!([{ "value": SECRET, "variable": "DB_PASSWORD" }]),
        json!({ "header": "X-Api-Key", "content": SECRET }),
        json!({ "ParameterKey": "DBPassword", "ParameterValue": SECRET }),
        json!({ "name": "DB_PASSWORD", "type": "x".repeat(50), "value": SECRET }),
    ] {
        let shown = arguments(&input);
        assert!(!shown.contains(SECRET) && shown.contains("[REDACTED]"), "{shown}");
    }
}

#[test]
fn of_files_elsewhere_only_the_name_is_said() {
    let folder = "/home/dev/project";
    for (path, shown) in [
        ("/home/dev/project/src/a.rs", "src/a.rs"),
        ("src/a.rs", "src/a.rs"),
        ("/home/dev/project", "."),
        ("/home/dev/project-b/a.rs", "a.rs"),
        ("/home/dev/project/../other/secret.txt", "secret.txt"),
        ("sub/../../other/x", "x"),
        ("/home/dev/project//home/ann/x", "x"),
        ("C:/Users/ann/private/x.txt", "x.txt"),
        ("file:///home/ann/private/x", "x"),
        ("$HOME/private/x", "x"),
        (" /home/ann/private/x", "x"),
    ] {
        let attributes = content::call(ContentLevel::Details, "Read", &json!({ "file_path": path }), &[folder]);
        assert_eq!(attributes[0].value, Value::Text(shown.to_owned()), "{path}");
    }
}

#[test]
fn calls_of_one_row_say_each_its_own_arguments_and_result() {
    const CALLS: u32 = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let prompt = row(0, &json!({ "type": "user", "promptId": "p1", "message": { "role": "user", "content": ASKED } }));
    let blocks: Vec<Json> = (0..CALLS)
        .map(|number| call(&format!("t{number}"), "Bash", &json!({ "command": format!("echo {number}") })))
        .collect();
    let mut called = said(1, "m1", &Json::Null, "tool_use");
    called["message"]["content"] = blocks.into();
    let results = |number| json!({ "type": "tool_result", "tool_use_id": format!("t{number}"), "content": format!("it is {number}") });
    let results: Vec<Json> = (0..CALLS).map(results).collect();
    let returned =
        row(2, &json!({ "type": "user", "promptId": "p1", "message": { "role": "user", "content": results } }));
    let ended = said(3, "m2", &json!({ "type": "text", "text": ANSWERED }), "end_turn");
    let rows = [prompt, called, returned, ended].map(|row| format!("{row}\n")).concat();
    let mut world = World::shaped(folder.path(), EVERYTHING, rules(ContentLevel::Content));
    append(&world.root.join(format!("-home-dev-project/{SESSION}.jsonl")), rows.as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    let spans = spans_of(&mut world);
    let calls: Vec<&Span> = spans.iter().filter(|span| span.name == "execute_tool Bash").collect();
    assert_eq!(calls.len(), CALLS as usize);
    for span in calls {
        let said = format!("{:?}", span.attributes);
        let number = said.split("echo ").nth(1).unwrap().split(|digit: char| !digit.is_ascii_digit()).next().unwrap();
        assert!(said.contains(&format!("Text(\"t{number}\")")), "{said}");
        assert!(said.contains(&format!("it is {number}\"")), "{said}");
    }
}
