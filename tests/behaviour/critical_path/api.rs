//! What one session and its replay say of what its turns waited for.

use serde_json::{Value, json};

use crate::support::analytics::{World, answer, prompt, result, text};

fn ms(value: &Value) -> u64 {
    let ms = value.as_f64().unwrap_or_else(|| panic!("not a number: {value}")) * 1000.0;
    assert!((ms - ms.round()).abs() < 1e-6, "{value} is no whole number of milliseconds");
    ms.round() as u64
}

fn parts(turn: &Value) -> &Vec<Value> {
    turn["critical_path"].as_array().unwrap()
}

/// `kind name seconds slack_seconds if_halved_seconds` of each part.
fn told(turn: &Value) -> Vec<String> {
    let part = |part: &Value| {
        let (kind, name) = (text(&part["kind"]), text(&part["name"]));
        format!("{kind} {name} {} {} {}", part["seconds"], part["slack_seconds"], part["if_halved_seconds"])
    };
    parts(turn).iter().map(part).collect()
}

#[test]
fn the_parts_of_a_turn_add_up_to_its_duration() {
    let world = World::of(&["2.1.330", "1.0.128"]);
    let list = world.json("?limit=1000");
    let mut turns = 0;
    for session in list["sessions"].as_array().unwrap() {
        let detail = world.json(&format!("/{}", text(&session["id"])));
        for turn in detail["turns"].as_array().unwrap() {
            let sum: u64 = parts(turn).iter().map(|part| ms(&part["seconds"])).sum();
            if !turn["duration_seconds"].is_null() {
                assert_eq!(sum, ms(&turn["duration_seconds"]), "{turn}");
            }
            let shares: f64 = parts(turn).iter().map(|part| part["share"].as_f64().unwrap()).sum();
            assert!(sum == 0 || (shares - 1.0).abs() < 1e-4, "{turn}");
            turns += 1;
        }
    }
    assert!(turns > 60, "only {turns} turns");
}

#[test]
fn the_replay_marks_the_messages_and_results_that_were_waited_for() {
    let mut world = World::empty();
    let call = |id: &str, name: &str| json!({"type": "tool_use", "id": id, "name": name, "input": {}});
    let rows = [
        prompt("s", 0, "go"),
        answer("s", 4, "m1", json!([call("t1", "Bash")])),
        answer("s", 5, "m1", json!([call("t2", "Read")])),
        result("s", 7, "t2", json!("short")),
        result("s", 20, "t1", json!("long")),
        answer("s", 23, "m2", json!([call("t3", "Edit")])),
    ];
    world.write("s", &rows);
    world.count();
    // The prompt at 0 is answered from 4 on: Bash 4-20 is waited for, and Read 5-7 could have taken 13 seconds more. The
    // next response is there at 23, with a call that nobody has answered: the turn goes on.
    // With the model at half, Bash begins at 2 and the second response takes 1.5: 3.5 are saved. With Bash at half it
    // ends at 12, still after Read.
    let turn = &world.json("/s")["turns"][0];
    assert_eq!((&turn["duration_seconds"], &turn["end"]), (&Value::Null, &Value::Null));
    let expected = ["tool Bash 16.0 0.0 8.0", "model claude-sonnet-4-5 7.0 0.0 3.5", "tool Read 0.0 13.0 0.0"];
    assert_eq!(told(turn), expected);
    assert_eq!(parts(turn)[0]["share"].as_f64(), Some(0.695_652));
    let replay = world.json("/s/replay");
    let events = replay["events"].as_array().unwrap().iter();
    let mut marked: Vec<_> = events.filter(|event| event.get("critical_path_seconds").is_some()).collect();
    marked.sort_by_key(|event| text(&event["at"]).to_owned());
    let told = |event: &&Value| {
        let id = event.get("tool_call_id").or_else(|| event.get("message_id")).unwrap();
        format!("{} {} {}", text(&event["kind"]), text(id), event["critical_path_seconds"])
    };
    let expected = ["message m1 4.0", "tool_result t1 16.0", "message m2 3.0"];
    assert_eq!(marked.iter().map(told).collect::<Vec<_>>(), expected);
}

#[test]
fn a_sub_agent_is_told_instead_of_its_call() {
    let world = World::of(&["2.1.330/e6_subagent_sync"]);
    let turn = &world.json("/4a8d9d51")["turns"][0];
    // Two sub-agents at once, each with a call of Bash: only the one that ended last counts, and the calls that started
    // them only before and after it.
    let expected = [
        "idle idle 1.606 0.815 0.803",
        "tool Bash 1.196 0.815 0.598",
        "model claude-sonnet-4-5 0.354 0.815 0.177",
        "tool Agent 0.221 0.815 0.11",
    ];
    assert_eq!(told(turn), expected);
}
