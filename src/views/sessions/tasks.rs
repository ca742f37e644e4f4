//! The list of tasks that the client keeps for the model, as the rows of calls tell it.
//!
//! ```text
//! TodoWrite    tells the whole list; its tasks have no ids
//! TaskCreate   adds a task; its result tells the id
//! TaskUpdate   changes the task of an id, or removes it
//! ```

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// A task of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Task {
    /// Its id in the list; `null` if it has none, as those of `TodoWrite`.
    pub id: Option<String>,
    /// What is to be done.
    pub subject: String,
    /// `pending`, `in_progress`, `completed`, or what else the client writes.
    pub status: String,
}

/// What a call did to the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskChange {
    Nothing,
    /// These are all tasks now.
    All(Vec<Task>),
    Created(Task),
    /// The task of this id has another subject or status now. The status `deleted` removes it.
    Updated {
        id: String,
        subject: Option<String>,
        status: Option<String>,
    },
}

/// What a call that ended well did to the list. `call` and `result` are the rows of its call and of its result, and `id` is
/// its `tool_use.id`.
#[must_use]
pub fn task_change(id: &str, call: &Value, result: &Value) -> TaskChange {
    let own = |row: &'_ Value, key: &str| -> Option<Value> {
        let blocks = row.pointer("/message/content")?.as_array()?;
        blocks.iter().find(|block| text(block, key).as_deref() == Some(id)).cloned()
    };
    let (Some(call), Some(block)) = (own(call, "id"), own(result, "tool_use_id")) else { return TaskChange::Nothing };
    let input = call.get("input").unwrap_or(&Value::Null);
    let changed = match call.get("name").and_then(Value::as_str) {
        Some("TodoWrite") => all(input),
        Some("TaskCreate") => created(input, &block),
        Some("TaskUpdate") => updated(input, result),
        _ => None,
    };
    changed.unwrap_or(TaskChange::Nothing)
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn all(input: &Value) -> Option<TaskChange> {
    let task = |todo: &Value| Some(Task { id: None, subject: text(todo, "content")?, status: text(todo, "status")? });
    Some(TaskChange::All(input.get("todos")?.as_array()?.iter().filter_map(task).collect()))
}

/// The id is in the result's text, `Task #1 created successfully: …`, which rows of several results have for each of them.
fn created(input: &Value, result: &Value) -> Option<TaskChange> {
    let said = match result.get("content")? {
        Value::String(said) => said.clone(),
        Value::Array(parts) => parts.iter().find_map(|part| text(part, "text"))?,
        _ => return None,
    };
    let id = said.strip_prefix("Task #")?.split_whitespace().next()?.to_owned();
    Some(TaskChange::Created(Task { id: Some(id), subject: text(input, "subject")?, status: "pending".to_owned() }))
}

fn updated(input: &Value, result: &Value) -> Option<TaskChange> {
    // There is no such task, which the client says in a result that is no error.
    if result.pointer("/toolUseResult/success").and_then(Value::as_bool) == Some(false) {
        return None;
    }
    let (subject, status) = (text(input, "subject"), text(input, "status"));
    Some(TaskChange::Updated { id: text(input, "taskId")?, subject, status })
}

/// Changes the list as a call did.
pub fn apply(list: &mut Vec<Task>, change: &TaskChange) {
    match change {
        TaskChange::Nothing => {}
        TaskChange::All(tasks) => list.clone_from(tasks),
        TaskChange::Created(task) => list.push(task.clone()),
        TaskChange::Updated { id, status: Some(status), .. } if status == "deleted" => {
            list.retain(|task| task.id.as_ref() != Some(id));
        }
        TaskChange::Updated { id, subject, status } => {
            let Some(task) = list.iter_mut().find(|task| task.id.as_ref() == Some(id)) else { return };
            if let Some(subject) = subject {
                task.subject.clone_from(subject);
            }
            if let Some(status) = status {
                task.status.clone_from(status);
            }
        }
    }
}
