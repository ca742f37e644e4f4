//! `client_reported` of one session: the client's own account beside ours, by model, and why the two differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tailspan::ledger::money::Money;

use crate::support::analytics::{World, answer, at, prompt, result, text};

const SONNET: &str = "claude-sonnet-4-5";
const TOKENS: [&str; 5] = ["input", "output", "cache_read", "cache_write", "web_searches"];

fn money(value: &Value) -> Money {
    Money::parse_usd(text(value)).unwrap()
}

/// `client_reported` of a session, after a look at what holds for every one.
fn account(world: &World, session: &str) -> Value {
    let one = world.json(&format!("/{session}"));
    let account = one["client_reported"].clone();
    if account.is_null() {
        return account;
    }
    let rest = |of: &Value| money(&of["unattributed_usd"]) - money(&of["unreported_usd"]);
    let unattributed = [&account["unattributed_usd"], &one["session"]["unattributed_usd"]];
    assert_eq!(unattributed[0], unattributed[1], "{session}: as everywhere else");
    assert_eq!(account["cost_usd"], one["session"]["client_reported_usd"], "{session}");
    if let Some(models) = account["models"].as_object() {
        assert_eq!(models.values().map(rest).sum::<Money>(), rest(&account), "{session}: {account}");
        let cost = models.values().map(|model| money(&model["cost_usd"])).sum::<Money>();
        assert_eq!(cost, money(&account["cost_usd"]), "{session}: {account}");
        for (name, model) in models {
            let ours = one["models"].get(name).map_or(Money::ZERO, |ours| money(&ours["cost_usd"]));
            assert_eq!(money(&model["cost_usd"]) - ours, rest(model), "{session} {name}: {account}");
        }
        let differs = models.values().any(|model| {
            let tokens = ["unattributed_tokens", "unreported_tokens"].map(|side| &model[side]);
            rest(model) != Money::ZERO || tokens.iter().any(|side| TOKENS.iter().any(|kind| side[kind] != 0))
        });
        assert_eq!(account["reasons"].as_array().unwrap().is_empty(), !differs, "{session}: {account}");
    }
    account
}

/// The words of the reasons, each with its models.
fn reasons(account: &Value) -> Vec<(String, Vec<String>)> {
    let texts = |list: &Value| list.as_array().unwrap().iter().map(|name| text(name).to_owned()).collect();
    let reason = |reason: &Value| {
        assert!(text(&reason["explanation"]).ends_with('.'), "{reason}");
        (text(&reason["reason"]).to_owned(), texts(&reason["models"]))
    };
    account["reasons"].as_array().unwrap().iter().map(reason).collect()
}

fn words(account: &Value) -> Vec<String> {
    reasons(account).into_iter().map(|(word, _)| word).collect()
}

/// Five counts as they are listed in [`TOKENS`].
fn counts(side: &Value) -> [u64; 5] {
    TOKENS.map(|kind| side[kind].as_u64().unwrap())
}

/// The sessions of these files whose account differs from ours: amounts, tokens of the model, and reasons.
fn rests(world: &World) -> BTreeMap<String, String> {
    let mut rests = BTreeMap::new();
    for session in world.json("?limit=1000")["sessions"].as_array().unwrap() {
        let id = text(&session["id"]);
        let account = account(world, id);
        if account.is_null() || reasons(&account).is_empty() {
            continue;
        }
        let told = reasons(&account).into_iter().map(|(word, models)| format!("{word} of {}", models.join(" ")));
        let told: Vec<String> = told.collect();
        let models = account["models"].as_object().unwrap().values();
        let tokens: Vec<_> =
            models.map(|model| [&model["unattributed_tokens"], &model["unreported_tokens"]].map(counts)).collect();
        let amounts = ["unattributed_usd", "unreported_usd"].map(|side| text(&account[side]));
        rests.insert(id[..8].to_owned(), format!("+{} -{} {tokens:?} {}", amounts[0], amounts[1], told.join(", ")));
    }
    rests
}

/// What the API served and what it was for is in `truth.json` of each recording.
#[test]
fn every_rest_of_a_recording_has_its_true_reason() {
    let told = rests(&World::of(&["1.0.128", "2.0.77", "2.1.330", "2.1.332"]));
    let none = [0; 5];
    let expected = [
        // i2_sigint_stream: interrupted before the first block had ended, no row is left.
        ("2d7835f5", "+0.0002625 -0", [[5, 2, 100, 50, 0], none], "interrupted_response"),
        // i2_sigint_stream of 2.1.332: after the first block.
        ("c895575b", "+0.00003 -0", [[0, 2, 0, 0, 0], none], "interrupted_response"),
        // j1_kill9_tool: the killed process had one response, 5 + 30 + 100 + 50.
        ("4c23bf58", "+0 -0.0006825", [none, [5, 30, 100, 50, 0]], "killed_process"),
        // k1_compact_manual: the request of the route `compact`, 40 + 500 + 9000.
        ("5336dafe", "+0.01032 -0", [[40, 500, 9000, 0, 0], none], "compaction"),
        // ba_parallel_resume: what the first of the two processes did.
        ("7b1b7857", "+0 -0.00204", [none, [10, 130, 200, 0, 0]], "parallel_processes"),
        // bq_partial_retry: a stream that was cut after a block.
        ("9a8d1473", "+0.00009 -0", [[0, 6, 0, 0, 0], none], "cut_response"),
    ];
    let of_sonnet =
        expected.map(|(id, amounts, tokens, word)| (id, format!("{amounts} {:?} {word} of {SONNET}", [tokens])));
    // z1_big_transcript: two requests of the route `compact`, 40 + 500 + 9000 each.
    let opus = (
        "a66c7e74",
        "+0.0344 -0 [[[80, 1000, 18000, 0, 0], [0, 0, 0, 0, 0]]] compaction of claude-opus-4-8".to_owned(),
    );
    let expected = of_sonnet.into_iter().chain([opus]).map(|(id, told)| (id.to_owned(), told));
    assert_eq!(told, expected.collect());
}

/// A world of the session files of a fixture, and the id of its session.
fn of_fixture(name: &str) -> (World, String) {
    let mut world = World::empty();
    let projects = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).join("projects");
    let project = fs::read_dir(projects).unwrap().next().unwrap().unwrap().path();
    let file = fs::read_dir(project).unwrap().next().unwrap().unwrap().path();
    let rows = fs::read_to_string(&file).unwrap();
    let id = file.file_stem().unwrap().to_str().unwrap().to_owned();
    world.write(&id, &rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>());
    world.count();
    (world, id)
}

#[test]
fn what_the_real_client_asked_without_rows_has_its_true_reason() {
    // What the API served of each: a search inside a search (700 + 30, a cent), a page that is read (900 + 33), a judge.
    for (name, word, rest, tokens) in [
        ("a-web-search-asks-without-rows", "web_search", "0.01255", [700, 30, 0, 0, 1]),
        ("a-fetched-page-is-read-without-rows", "web_fetch", "0.003195", [900, 33, 0, 0, 0]),
        ("a-goal-is-judged-without-rows", "goal", "0.003195", [900, 33, 0, 0, 0]),
    ] {
        let (world, id) = of_fixture(name);
        let account = account(&world, &id);
        assert_eq!(reasons(&account), [(word.to_owned(), vec![SONNET.to_owned()])], "{name}");
        let model = &account["models"][SONNET];
        assert_eq!(
            (text(&account["unattributed_usd"]), counts(&model["unattributed_tokens"])),
            (rest, tokens),
            "{name}"
        );
    }
    let (world, id) = of_fixture("a-model-that-nobody-knows-has-the-price-of-another");
    let account = account(&world, &id);
    assert_eq!(reasons(&account), [("unpriced_model".to_owned(), vec!["claude-opus-9".to_owned()])]);
    assert_eq!(account["unattributed_usd"], "0.00104", "as Opus 5.5: 5 x 4 + 50 x 20 + 100 x 0.2");
    assert_eq!(counts(&account["models"]["claude-opus-9"]["unattributed_tokens"]), [0; 5]);
}

/// A `cost-state` row with what the client counted for each model: dollars, input, output, searches.
fn cost_state(session: &str, models: &[(&str, f64, [u64; 3])]) -> Value {
    let usd: f64 = models.iter().map(|(_, usd, _)| usd).sum();
    let usage = |(name, usd, [input, output, searches]): &(&str, f64, [u64; 3])| {
        let usage = json!({"inputTokens": input, "outputTokens": output, "cacheReadInputTokens": 0,
            "cacheCreationInputTokens": 0, "webSearchRequests": searches, "costUSD": usd});
        ((*name).to_owned(), usage)
    };
    let usage: serde_json::Map<String, Value> = models.iter().map(usage).collect();
    json!({"type": "cost-state", "sessionId": session, "totalCostUSD": usd, "startTime": 1, "modelUsage": usage})
}

/// A prompt and its answer of 10 + 20 tokens of Sonnet 4.5: $0.00033.
fn turn(session: &str, second: u32) -> [Value; 2] {
    let mut answer =
        answer(session, second + 1, &format!("msg_{session}{second:0>20}"), json!([{"type": "text", "text": "Yes."}]));
    answer["message"]["stop_reason"] = "end_turn".into();
    [prompt(session, second, &format!("prompt {second}")), answer]
}

/// `client_reported` of a session with these rows.
fn told(rows: impl IntoIterator<Item = Value>) -> Value {
    let mut world = World::empty();
    world.write("made", &rows.into_iter().collect::<Vec<_>>());
    world.count();
    account(&world, "made")
}

#[test]
fn two_accounts_that_are_equal_need_no_reason() {
    let same = told(turn("made", 0).into_iter().chain([cost_state("made", &[(SONNET, 0.00033, [10, 20, 0])])]));
    let model = json!({"cost_usd": "0.00033", "unattributed_usd": "0", "unreported_usd": "0",
        "unattributed_tokens": {"input": 0, "output": 0, "cache_read": 0, "cache_write": 0, "web_searches": 0},
        "unreported_tokens": {"input": 0, "output": 0, "cache_read": 0, "cache_write": 0, "web_searches": 0}});
    let expected = json!({"cost_usd": "0.00033", "unattributed_usd": "0", "unreported_usd": "0",
        "models": {SONNET: model}, "reasons": []});
    assert_eq!(same, expected);
    // Other spellings of the model are the same model.
    let names =
        [("claude-sonnet-4-5[1m]", 0.0003, [5, 19, 0]), ("us.anthropic.claude-sonnet-4-5-v1:0", 0.00003, [5, 1, 0])];
    assert_eq!(told(turn("made", 0).into_iter().chain([cost_state("made", &names)])), expected);
}

#[test]
fn what_no_row_tells_of_is_unknown() {
    let one = [(SONNET, 0.00033, [10, 20, 0]), ("claude-haiku-4-5", 0.0005, [300, 40, 0])];
    let account = told(turn("made", 0).into_iter().chain([cost_state("made", &one)]));
    assert_eq!(reasons(&account), [("unknown".to_owned(), vec!["claude-haiku-4-5".to_owned()])]);
    assert_eq!(counts(&account["models"]["claude-haiku-4-5"]["unattributed_tokens"]), [300, 40, 0, 0, 0]);
    // Responses that the client did not count, though it reported after them, and nothing says why.
    let less = told(
        turn("made", 0)
            .into_iter()
            .chain(turn("made", 5))
            .chain([cost_state("made", &[(SONNET, 0.00033, [10, 20, 0])])]),
    );
    assert_eq!((words(&less), &less["unreported_usd"]), (vec!["unknown".to_owned()], &"0.00033".into()));
    // A page that could not be fetched was not read.
    let call =
        answer("made", 1, "msg_1", json!([{"type": "tool_use", "id": "toolu_1", "name": "WebFetch", "input": {}}]));
    let mut failed = result("made", 2, "toolu_1", "Unable to fetch".into());
    failed["message"]["content"][0]["is_error"] = true.into();
    let rest = cost_state("made", &[(SONNET, 0.00063, [110, 20, 0])]);
    assert_eq!(words(&told([prompt("made", 0, "fetch"), call.clone(), failed, rest.clone()])), ["unknown"]);
    let fetched = result("made", 2, "toolu_1", "A page".into());
    assert_eq!(words(&told([prompt("made", 0, "fetch"), call, fetched, rest])), ["web_fetch"]);
}

#[test]
fn the_same_tokens_at_another_cost_are_priced_otherwise() {
    let dearer = told(turn("made", 0).into_iter().chain([cost_state("made", &[(SONNET, 0.0005, [10, 20, 0])])]));
    assert_eq!((words(&dearer), &dearer["unattributed_usd"]), (vec!["other_prices".to_owned()], &"0.00017".into()));
    let cheaper = told(turn("made", 0).into_iter().chain([cost_state("made", &[(SONNET, 0.0003, [10, 20, 0])])]));
    assert_eq!((words(&cheaper), &cheaper["unreported_usd"]), (vec!["other_prices".to_owned()], &"0.00003".into()));
}

#[test]
fn what_a_sum_of_floats_loses_is_no_other_price() {
    // 66 million tokens of output are $990, of which the last place of a float is $0.0000000000001.
    let of = |usd: f64| {
        let [asked, mut answered] = turn("made", 0);
        answered["message"]["usage"] = json!({"input_tokens": 0, "output_tokens": 66_000_000});
        told([asked, answered, cost_state("made", &[(SONNET, usd, [0, 66_000_000, 0])])])
    };
    assert_eq!(words(&of(990.0)), Vec::<String>::new());
    assert_eq!(words(&of(990.000_000_000_001)), ["rounding"]);
    assert_eq!(words(&of(990.000_000_001)), ["other_prices"]);
}

#[test]
fn a_session_that_goes_on_has_not_been_reported_yet() {
    let reported = [cost_state("made", &[(SONNET, 0.00033, [10, 20, 0])])];
    let running = told(turn("made", 0).into_iter().chain(reported).chain(turn("made", 60)));
    assert_eq!(reasons(&running), [("not_reported_yet".to_owned(), vec![SONNET.to_owned()])]);
    assert_eq!((&running["cost_usd"], &running["unreported_usd"]), (&"0.00033".into(), &"0.00033".into()));
}

#[test]
fn a_compaction_after_the_account_explains_nothing_before() {
    let boundary = |second| {
        json!({"type": "system", "subtype": "compact_boundary", "uuid": format!("boundary-{second}"), "sessionId": "made",
            "timestamp": at(second), "cwd": "/home/dev/made",
            "compactMetadata": {"trigger": "manual", "preTokens": 100, "postTokens": 10, "durationMs": 5}})
    };
    let rest = || cost_state("made", &[(SONNET, 0.00133, [110, 66, 0])]);
    let before = told(turn("made", 0).into_iter().chain([boundary(5), rest()]));
    assert_eq!(reasons(&before), [("compaction".to_owned(), vec![SONNET.to_owned()])]);
    let after = told(turn("made", 0).into_iter().chain([rest(), boundary(5)]));
    assert_eq!(words(&after), ["unknown"]);
    // It was asked of the model of the conversation, which may have been changed for it if that does not go on.
    let other = cost_state("made", &[(SONNET, 0.00033, [10, 20, 0]), ("claude-haiku-4-5", 0.0005, [300, 40, 0])]);
    let goes_on = [(SONNET, 0.00066, [20, 40, 0]), ("claude-haiku-4-5", 0.0005, [300, 40, 0])];
    let between = turn("made", 0).into_iter().chain([boundary(5)]).chain(turn("made", 9));
    let of_haiku = |word: &str| [(word.to_owned(), vec!["claude-haiku-4-5".to_owned()])];
    assert_eq!(reasons(&told(between.chain([cost_state("made", &goes_on)]))), of_haiku("unknown"));
    assert_eq!(reasons(&told(turn("made", 0).into_iter().chain([boundary(5), other]))), of_haiku("compaction"));
}

#[test]
fn a_tool_that_was_interrupted_leaves_no_response_out() {
    let call = answer("made", 1, "msg_1", json!([{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}]));
    let mut stopped = result("made", 2, "toolu_1", "The user doesn't want to proceed with this tool use.".into());
    (stopped["message"]["content"][0]["is_error"], stopped["toolDenialKind"]) = (true.into(), "user-rejected".into());
    let mut interrupt = prompt("made", 3, "[Request interrupted by user for tool use]");
    interrupt["message"]["content"] = json!([{"type": "text", "text": "[Request interrupted by user for tool use]"}]);
    let rest = || cost_state("made", &[(SONNET, 0.00063, [110, 20, 0])]);
    let in_call = told([prompt("made", 0, "run"), call.clone(), stopped, interrupt.clone(), rest()]);
    assert_eq!(words(&in_call), ["unknown"]);
    let ran = result("made", 2, "toolu_1", "done".into());
    assert_eq!(words(&told([prompt("made", 0, "run"), call, ran, interrupt, rest()])), ["interrupted_response"]);
}

/// Without figures by model only what happened for certain is told, of no model.
#[test]
fn an_account_without_models_is_compared_as_a_whole() {
    let total = |usd: f64| json!({"type": "cost-state", "sessionId": "made", "totalCostUSD": usd});
    let unknown = told(turn("made", 0).into_iter().chain([total(0.001)]));
    assert_eq!((&unknown["models"], &unknown["unattributed_usd"]), (&Value::Null, &"0.00067".into()));
    assert_eq!(reasons(&unknown), [("unknown".to_owned(), vec![])]);
    // One figure that no client can mean, and none is believed.
    let mut broken = cost_state("made", &[(SONNET, 0.00033, [10, 20, 0]), ("claude-haiku-4-5", 0.0, [1, 1, 0])]);
    broken["modelUsage"]["claude-haiku-4-5"]["costUSD"] = (-1.0).into();
    let whole = told(turn("made", 0).into_iter().chain([broken]));
    assert_eq!((&whole["models"], &whole["reasons"]), (&Value::Null, &json!([])));
}

#[test]
fn a_process_that_told_nothing_was_killed() {
    // The client restores the figures of a session and the time from which they count. It found none here.
    let second = |second: i64| 1_772_366_400_000 + second * 1000;
    let of = |started: i64| {
        let mut account = cost_state("made", &[(SONNET, 0.00033, [10, 20, 0])]);
        account["startTime"] = started.into();
        told(turn("made", 0).into_iter().chain(turn("made", 60)).chain([account]))
    };
    assert_eq!(reasons(&of(second(59))), [("killed_process".to_owned(), vec![SONNET.to_owned()])]);
    assert_eq!(words(&of(second(-1))), ["unknown"]);
}

#[test]
fn a_title_that_the_client_made_up_was_asked_for() {
    let title = |kind: &str, key: &str| json!({"type": kind, "sessionId": "made", key: "Trees"});
    let of = |title: Value| {
        let rest = cost_state("made", &[(SONNET, 0.00136, [310, 29, 0])]);
        words(&told(turn("made", 0).into_iter().chain([title, rest])))
    };
    assert_eq!(of(title("ai-title", "aiTitle")), ["title"]);
    assert_eq!(of(title("custom-title", "customTitle")), ["unknown"]);
}

/// The account stands in the file of the main thread, whose last row is older than the first one of the sub-agent.
#[test]
fn a_sub_agent_is_interrupted_before_the_account() {
    let mut world = World::empty();
    let call = json!([{"type": "tool_use", "id": "toolu_1", "name": "Agent", "input": {"subagent_type": "Explore"}}]);
    let rest = cost_state("made", &[(SONNET, 0.00063, [110, 20, 0])]);
    let path = world.write("made", &[prompt("made", 0, "look"), answer("made", 1, "msg_1", call), rest]);
    let of_agent = |mut row: Value| {
        (row["agentId"], row["isSidechain"]) = ("a1".into(), true.into());
        row
    };
    let mut interrupt = prompt("made", 9, "");
    interrupt["message"]["content"] = json!([{"type": "text", "text": "[Request interrupted by user]"}]);
    let rows = [of_agent(prompt("made", 2, "look around")), of_agent(interrupt)];
    let folder = path.with_extension("").join("subagents");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("agent-a1.jsonl"), rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    world.count();
    assert_eq!(words(&account(&world, "made")), ["interrupted_response"]);
}
