//! What the rows of a call tell of the text of a file.

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::known_text::{Edit, Evidence};

/// What a tool does with files, and with the list of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileTool {
    /// It changes none.
    #[default]
    Harmless,
    /// It reads the file that it names.
    Read,
    /// It edits the file that it names.
    Edit,
    /// It writes the file that it names.
    Write,
    /// It may change any file.
    Any,
    /// It changes no file, but a task of the list.
    Task,
    /// It changes no file, but all of the list of tasks.
    Tasks,
}

/// Tools of the client that change no file. What any other tool does is not known.
const HARMLESS: [&str; 32] = [
    "Agent",
    "AskUserQuestion",
    "BashOutput",
    "CronCreate",
    "CronDelete",
    "CronList",
    "EnterPlanMode",
    "ExitPlanMode",
    "Glob",
    "Grep",
    "KillBash",
    "KillShell",
    "LS",
    "ListMcpResources",
    "ListMcpResourcesTool",
    "NotebookRead",
    "ReadMcpResource",
    "ReadMcpResourceTool",
    "SendMessage",
    "StructuredOutput",
    "Task",
    "TaskGet",
    "TaskList",
    "TaskOutput",
    "TaskStop",
    "TeamCreate",
    "TeamDelete",
    "TodoRead",
    "ToolSearch",
    "WebFetch",
    "WebSearch",
    "Workflow",
];

impl FileTool {
    /// What the tool of a name does. Sub-agents are no reason for doubt: their own calls are events too.
    #[must_use]
    pub fn of(tool: &str) -> Self {
        match tool {
            "Read" => Self::Read,
            "Edit" | "MultiEdit" | "NotebookEdit" => Self::Edit,
            "Write" => Self::Write,
            "TaskCreate" | "TaskUpdate" => Self::Task,
            "TodoWrite" => Self::Tasks,
            tool if HARMLESS.binary_search(&tool).is_ok() => Self::Harmless,
            _ => Self::Any,
        }
    }
}

/// The hash by which the state knows a path.
#[must_use]
pub fn path_hash(path: &str) -> u64 {
    xxh3_64(path.as_bytes())
}

/// What a call that ended well tells of its file. `call` and `result` are the rows of its call and of its result, and `id`
/// is its `tool_use.id`.
#[must_use]
pub fn evidence(id: &str, call: &Value, result: &Value) -> Evidence {
    let block = |row: &'_ Value, key: &str| -> Option<Value> {
        let blocks = row.pointer("/message/content")?.as_array()?;
        blocks.iter().find(|block| block.get(key).and_then(Value::as_str) == Some(id)).cloned()
    };
    let (Some(call), Some(block)) = (block(call, "id"), block(result, "tool_use_id")) else { return Evidence::Changed };
    // A row has one `toolUseResult`, which does not say to which of several results it belongs.
    let is_single =
        result.pointer("/message/content").and_then(Value::as_array).is_some_and(|blocks| blocks.len() == 1);
    let told = result.get("toolUseResult").filter(|_| is_single).unwrap_or(&Value::Null);
    let input = call.get("input").unwrap_or(&Value::Null);
    match call.get("name").and_then(Value::as_str) {
        Some("Read") => read(input, &block, told),
        Some("Write") => {
            text(told, "content").or_else(|| text(input, "content")).map_or(Evidence::Changed, Evidence::Whole)
        }
        Some("Edit" | "MultiEdit") => edited(input, told),
        _ => Evidence::Changed,
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn number(value: &Value, key: &str) -> Option<usize> {
    value.get(key).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok())
}

fn read(input: &Value, block: &Value, told: &Value) -> Evidence {
    if text(told, "type").as_deref() == Some("file_unchanged") {
        return Evidence::Unchanged;
    }
    if let Some((file, content)) = told.get("file").and_then(|file| Some((file, text(file, "content")?))) {
        let lines: Vec<String> = content.split('\n').map(str::to_owned).collect();
        let (start, total) = (number(file, "startLine").unwrap_or(1).max(1), number(file, "totalLines"));
        // A range that is cut by its size has fewer lines than it says.
        let total = total.filter(|total| *total >= start.saturating_add(lines.len()).saturating_sub(1));
        return Evidence::Lines { start, lines, total };
    }
    match block.get("content") {
        Some(Value::String(shown)) => numbered(shown, input),
        Some(Value::Array(parts)) => {
            let shown = parts.iter().find_map(|part| text(part, "text"));
            shown.map_or(Evidence::Changed, |shown| numbered(&shown, input))
        }
        _ => Evidence::Changed,
    }
}

/// The lines of a text with a number before each, as the model is shown it. That is all that a row of a sub-agent has.
fn numbered(shown: &str, input: &Value) -> Evidence {
    let line = |line: &str| {
        let (number, text) = line.split_once(['\u{2192}', '\t'])?;
        Some((number.trim().parse::<usize>().ok()?, text.to_owned()))
    };
    let mut lines = Vec::new();
    let mut start = None;
    for shown in shown.split('\n') {
        let Some((number, text)) = line(shown) else { break };
        if number != start.unwrap_or(number) + lines.len() {
            break;
        }
        start = start.or(Some(number));
        lines.push(text);
    }
    let Some(start) = start.filter(|start| *start > 0) else { return Evidence::Unchanged };
    // Without a range the client shows a file from its first line to its last, if it has no more than 2,000.
    let is_asked_for_whole = input.get("offset").is_none() && input.get("limit").is_none();
    let total = Some(lines.len()).filter(|total| is_asked_for_whole && start == 1 && *total < 2000);
    Evidence::Lines { start, lines, total }
}

fn edited(input: &Value, told: &Value) -> Evidence {
    // What a person changed before it was written is not in the call.
    if told.get("userModified").and_then(Value::as_bool) == Some(true) {
        return Evidence::Changed;
    }
    let edit = |value: &Value| {
        let everywhere = value.get("replace_all").and_then(Value::as_bool).unwrap_or(false);
        Some(Edit { old: text(value, "old_string")?, new: text(value, "new_string")?, everywhere })
    };
    let edits: Option<Vec<Edit>> = match input.get("edits").and_then(Value::as_array) {
        Some(edits) => edits.iter().map(edit).collect(),
        None => edit(input).map(|edit| vec![edit]),
    };
    let original = text(told, "originalFile");
    edits.map_or(Evidence::Changed, |edits| Evidence::Edited { original, edits })
}
