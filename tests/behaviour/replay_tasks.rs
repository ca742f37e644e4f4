//! The list of tasks in the state of a step, held against what the client itself told the model.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::replay_steps::{ALL, events, sessions};
use crate::support::analytics::{World, answer, prompt, result, text};

/// Id, subject and status of each task of a list, which the client names otherwise in each of its tools.
fn tasks(list: &Value, subject: &str) -> Vec<(Option<String>, String, String)> {
    let list = list.as_array().unwrap().iter();
    list.map(|task| {
        let id = task["id"].as_str().map(str::to_owned);
        (id, text(&task[subject]).to_owned(), text(&task["status"]).to_owned())
    })
    .collect()
}

#[test]
fn the_list_is_the_one_that_the_client_told() {
    // What a call returned, in the words of the client.
    let mut told: BTreeMap<String, Value> = BTreeMap::new();
    for row in ALL.rows().iter().filter(|row| row["type"] == "user") {
        if let Some(call) = row["message"]["content"][0]["tool_use_id"].as_str() {
            told.insert(call.to_owned(), row["toolUseResult"].clone());
        }
    }
    let mut lists = BTreeMap::new();
    for session in sessions(&ALL) {
        for event in events(&ALL, &session, "&context=true&kind=tool_result") {
            let told = told.get(text(&event["tool_call_id"])).unwrap_or(&Value::Null);
            let (list, subject) = match event["tool"].as_str() {
                Some("TaskList") if told["tasks"].is_array() => (&told["tasks"], "subject"),
                Some("TodoWrite") if told["newTodos"].is_array() => (&told["newTodos"], "content"),
                _ => continue,
            };
            assert_eq!(tasks(&event["state"]["tasks"], "subject"), tasks(list, subject), "{event}");
            assert_eq!(event["state"]["tasks_total"], list.as_array().unwrap().len());
            assert_eq!(event["state"]["tasks_incomplete"], false);
            *lists.entry(subject).or_insert(0) += list.as_array().unwrap().len();
        }
    }
    assert!(lists["subject"] >= 2 && lists["content"] >= 2, "{lists:?}");
}

/// A call in the given second, and its result in the next one.
fn call(second: u32, tool: &str, input: &Value, said: &Value) -> [Value; 2] {
    let id = format!("toolu_{second}");
    let blocks = json!([{"type": "tool_use", "id": id, "name": tool, "input": input}]);
    [answer("made", second, &format!("msg_{second}"), blocks), result("made", second + 1, &id, said.clone())]
}

/// A made session with these rows, and its states after each result.
fn states(rows: Vec<[Value; 2]>) -> Vec<Value> {
    let mut world = World::empty();
    let all: Vec<Value> = std::iter::once(prompt("made", 0, "go")).chain(rows.into_iter().flatten()).collect();
    world.write("made", &all);
    world.count();
    let events = events(&world, "made", "&context=true&kind=tool_result");
    events.into_iter().map(|mut event| event["state"].take()).collect()
}

fn created(second: u32, id: u32, subject: &str) -> [Value; 2] {
    call(second, "TaskCreate", &json!({"subject": subject}), &json!(format!("Task #{id} created successfully: x")))
}

#[test]
fn tasks_are_added_changed_and_removed_by_calls_that_ended_well() {
    let updated =
        |second, input: Value| call(second, "TaskUpdate", &input, &json!([{"type": "text", "text": "Updated"}]));
    let mut failed = created(9, 4, "never");
    failed[1]["message"]["content"][0]["is_error"] = true.into();
    let mut unknown = updated(11, json!({"taskId": "1", "status": "pending"}));
    unknown[1]["toolUseResult"] = json!({"success": false, "taskId": "1"});
    let states = states(vec![
        created(1, 1, "first"),
        created(3, 2, "second"),
        updated(5, json!({"taskId": "1", "status": "completed"})),
        updated(7, json!({"taskId": "2", "subject": "other", "status": "in_progress"})),
        failed,
        unknown,
        updated(13, json!({"taskId": "1", "status": "deleted"})),
        call(15, "TodoWrite", &json!({"todos": [{"content": "all", "status": "pending"}]}), &json!("ok")),
    ]);
    let short = |state: &Value| {
        let list = tasks(&state["tasks"], "subject");
        let each = list.iter().map(|(id, subject, status)| {
            format!("{}{subject}:{status}", id.as_ref().map_or(String::new(), |id| format!("{id} ")))
        });
        each.collect::<Vec<_>>().join(", ")
    };
    let both = "1 first:completed, 2 other:in_progress";
    let expected = [
        "1 first:pending",
        "1 first:pending, 2 second:pending",
        "1 first:completed, 2 second:pending",
        both,
        both,
        both,
        "2 other:in_progress",
        "all:pending",
    ];
    assert_eq!(states.iter().map(short).collect::<Vec<_>>(), expected);
}

#[test]
fn a_list_of_very_many_calls_says_that_it_is_incomplete() {
    let states = states((1..=201).map(|number| created(2 * number, number, "x")).collect());
    let of = |state: &Value| {
        let shown = state["tasks"].as_array().unwrap();
        assert_eq!(shown.len() as u64, state["tasks_total"].as_u64().unwrap().min(50));
        (state["tasks_total"].as_u64().unwrap(), text(&shown[0]["id"]).to_owned(), state["tasks_incomplete"].clone())
    };
    assert_eq!(of(&states[49]), (50, "1".to_owned(), json!(false)));
    assert_eq!(of(&states[199]), (200, "151".to_owned(), json!(false)));
    assert_eq!(of(&states[200]), (200, "152".to_owned(), json!(true)));
}
