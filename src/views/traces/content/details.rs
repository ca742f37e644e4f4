//! Attributes that say what a tool was asked to do, for tools whose input is known.

use serde_json::Value as Json;

use super::cut::readable;
use super::level::text;
use crate::views::traces::attributes as name;
use crate::views::traces::span::Attribute;

/// Attributes, the tools that have them, and the member of the input that each comes from. Only tools of the client
/// itself are here: the input of an MCP tool may be anything.
const MEMBERS: &[(&str, &[&str], &str)] = &[
    (name::TOOL_COMMAND, &["Bash", "PowerShell", "Monitor"], "command"),
    (name::TOOL_DESCRIPTION, &["Bash", "PowerShell", "Monitor", "Agent", "Task"], "description"),
    (name::TOOL_PATTERN, &["Grep", "Glob"], "pattern"),
    (name::TOOL_URL, &["WebFetch"], "url"),
    (name::TOOL_QUERY, &["WebSearch", "ToolSearch"], "query"),
];

/// The tools whose input has a path, and the member that it comes from.
const PATHS: &[(&[&str], &str)] = &[
    (&["Read", "Write", "Edit", "MultiEdit"], "file_path"),
    (&["NotebookEdit", "NotebookRead"], "notebook_path"),
    (&["Grep", "Glob", "LS"], "path"),
];

pub(super) fn of(tool: &str, input: &Json, folders: &[&str]) -> Vec<Attribute> {
    let member = |key: &str| input.get(key).and_then(Json::as_str).filter(|value| !value.is_empty());
    let texts = MEMBERS.iter().filter(|(_, tools, _)| tools.contains(&tool));
    let texts = texts.filter_map(|(key, _, from)| Some(text(key, readable(member(from)?))));
    let paths = PATHS.iter().filter(|(tools, _)| tools.contains(&tool));
    let paths = paths.filter_map(|(_, from)| Some(text(name::TOOL_FILE, readable(relative(member(from)?, folders)))));
    texts.chain(paths).collect()
}

pub(super) fn known(tool: &str) -> bool {
    MEMBERS
        .iter()
        .map(|(_, tools, _)| *tools)
        .chain(PATHS.iter().map(|(tools, _)| *tools))
        .any(|tools| tools.contains(&tool))
}

/// A path relative to the folder that it lies below; of any other absolute path, only the last component.
fn relative<'a>(path: &'a str, folders: &[&str]) -> &'a str {
    let path = path.trim();
    let below = |folder: &&str| match path.strip_prefix(folder.trim_end_matches('/'))? {
        "" => Some("."),
        rest => rest.strip_prefix('/'),
    };
    let inside = folders.iter().filter(|folder| !folder.is_empty()).find_map(below).unwrap_or(path);
    let is_elsewhere = inside.starts_with(['/', '~', '\\', '$']) || inside.contains(':') || inside.contains("..");
    if is_elsewhere { inside.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or_default() } else { inside }
}
