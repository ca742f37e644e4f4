//! Label values: reduces what session files say to a bounded set of harmless words.
//!
//! Names that users choose (of tools, sub-agents, entry points) become `other` unless they are known. Session ids,
//! paths and text never become labels. Names of folders do, without their secrets and invisible letters. Labels whose
//! values are not known before (models, projects, workflows, listed MCP servers, kinds of lines) are bounded by the limit of
//! series in [`crate::views::metrics::totals`].

use std::collections::BTreeSet;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::rules::CustomRules;
use crate::transcript::scrub::scrub;
use crate::transcript::shown::{shown, shown_name};
use crate::transcript::time::Timestamp;

/// The value for everything that has no value of its own.
pub const OTHER: &str = "other";
/// The value for rows that do not have the name: clients before 2.1 write no entry point.
pub const UNKNOWN: &str = "unknown";
/// The value for runs without a workflow.
const NO_WORKFLOW: &str = "none";
/// Longest name of a workflow that becomes a label value, in bytes.
const WORKFLOW_BYTES_MAX: usize = 128;
/// Most workflows with a value of their own if none are listed in `metrics.workflows`; further ones are added to `other`.
pub const WORKFLOWS_MAX: usize = 50;
/// The value for tools of MCP servers that are not listed in `metrics.mcp_servers`.
const MCP: &str = "mcp";

/// Tools whose series exist at 0 from the start, with those of their failures and durations.
///
/// They are not all built-in tools: a histogram is twenty lines of every scrape, and most tools are never used.
pub const CORE_TOOLS: &[&str] = &[
    "Agent",
    "Bash",
    "Edit",
    "Glob",
    "Grep",
    "Read",
    "Skill",
    "Task",
    "ToolSearch",
    "WebFetch",
    "WebSearch",
    "Write",
    MCP,
    OTHER,
];

/// Names of the client's own tools, of all versions.
pub const BUILT_IN_TOOLS: &[&str] = &[
    "Agent",
    "AgentOutputTool",
    "AskUserQuestion",
    "Bash",
    "BashOutput",
    "CronCreate",
    "CronDelete",
    "CronList",
    "Edit",
    "EnterPlanMode",
    "EnterWorktree",
    "ExitPlanMode",
    "ExitWorktree",
    "Glob",
    "Grep",
    "KillBash",
    "KillShell",
    "LS",
    "LSP",
    "ListAgents",
    "ListMcpResourcesTool",
    "Monitor",
    "MultiEdit",
    "NotebookEdit",
    "NotebookRead",
    "PowerShell",
    "PushNotification",
    "Read",
    "ReadMcpResourceTool",
    "RemoteTrigger",
    "ReportFindings",
    "ScheduleWakeup",
    "SendMessage",
    "Skill",
    "SlashCommand",
    "StructuredOutput",
    "Task",
    "TaskCreate",
    "TaskGet",
    "TaskList",
    "TaskOutput",
    "TaskStop",
    "TaskUpdate",
    "TeamCreate",
    "TeamDelete",
    "TodoRead",
    "TodoWrite",
    "ToolSearch",
    "WebFetch",
    "WebSearch",
    "Workflow",
    "Write",
];

/// The client's own types of sub-agents, of all versions.
pub const AGENT_TYPES: &[&str] = &[
    "Bash",
    "Explore",
    "Plan",
    "Warmup",
    "claude",
    "claude-code-guide",
    "fork",
    "general-purpose",
    "output-style-setup",
    "statusline-setup",
    "workflow-subagent",
    OTHER,
];

/// How the client was started.
pub const ENTRYPOINTS: &[&str] = &[
    "claude-code-github-action",
    "claude-desktop",
    "claude-vscode",
    "cli",
    "local-agent",
    "mcp",
    "remote",
    "sdk-cli",
    "sdk-py",
    "sdk-ts",
    UNKNOWN,
    OTHER,
];

/// Longest model id, kind of line, or name of an MCP server that becomes a label value, in bytes.
const WORD_BYTES_MAX: usize = 64;
/// What the `project` label holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProjectLabel {
    /// The last component of the working directory.
    #[default]
    Name,
    /// The first 8 hexadecimal digits of the name's XXH3-64 hash: it does not show the name, but whoever knows a name
    /// can compare.
    Hash,
    /// There are no metrics by project.
    Off,
}

/// Settings of labels (`metrics.*` in the configuration).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelRules {
    /// Most series of one metric; further ones are added to `other`.
    pub series_max: usize,
    /// Most projects with a value of their own; further ones are added to `other`.
    pub projects_max: usize,
    /// What the `project` label holds.
    pub project: ProjectLabel,
    /// MCP servers with a value of their own.
    pub mcp_servers: BTreeSet<String>,
    /// Workflows with a value of their own, whatever others there are; `None`: the first [`WORKFLOWS_MAX`].
    pub workflows: Option<BTreeSet<String>>,
    /// The rules of custom metrics.
    pub custom: CustomRules,
}

impl Default for LabelRules {
    /// The defaults of the configuration.
    fn default() -> Self {
        Self {
            series_max: 500,
            projects_max: 50,
            project: ProjectLabel::default(),
            mcp_servers: BTreeSet::new(),
            workflows: None,
            custom: CustomRules::default(),
        }
    }
}

impl LabelRules {
    /// The same rules, with custom metrics that count from when `seen` says that each rule was first seen; it gets the
    /// name and fingerprint of each. A rule that shows projects is another rule when these are shown differently.
    ///
    /// # Errors
    ///
    /// Fails like `seen`.
    pub fn seen<E>(mut self, seen: impl FnOnce(&[(String, u64)]) -> Result<Vec<Timestamp>, E>) -> Result<Self, E> {
        let told = self.custom.rules().all().iter().map(|rule| {
            let shown = if rule.shows_project() { self.project as u64 + 1 } else { 0 };
            (rule.text.name.clone(), rule.fingerprint.rotate_left(1) ^ shown)
        });
        let told: Vec<_> = told.collect();
        self.custom = self.custom.since(seen(&told)?);
        Ok(self)
    }

    /// The value of the label `tool` for a tool's own name.
    #[must_use]
    pub fn tool(&self, name: &str) -> Arc<str> {
        if let Some(known) = known(BUILT_IN_TOOLS, name) {
            return known.into();
        }
        let Some(rest) = name.strip_prefix("mcp__") else { return OTHER.into() };
        // A server's name may itself hold two underscores, so the longest listed name that fits is taken.
        let listed = self.mcp_servers.iter().filter(|server| {
            is_word(server) && rest.strip_prefix(server.as_str()).is_some_and(|tool| tool.starts_with("__"))
        });
        let server = listed.max_by_key(|server| server.len());
        server.map_or_else(|| MCP.into(), |server| format!("mcp__{server}").into())
    }

    /// The value of the label `project` for the project of a working directory; `None` if there are no metrics by
    /// project.
    #[must_use]
    pub fn project(&self, name: Option<&str>) -> Option<Arc<str>> {
        match (self.project, name) {
            (ProjectLabel::Off, _) => None,
            (_, None) => Some(UNKNOWN.into()),
            (ProjectLabel::Hash, Some(name)) => Some(format!("{:08x}", xxh3_64(name.as_bytes()) >> 32).into()),
            (ProjectLabel::Name, Some(name)) => {
                let name = shown_name(name);
                Some(if name.is_empty() { UNKNOWN.into() } else { name.into() })
            }
        }
    }

    /// The value of the label `workflow` for the workflow of a run.
    #[must_use]
    pub fn workflow(&self, name: Option<&str>) -> Arc<str> {
        let Some(name) = name.map(shown).filter(|name| !name.is_empty()) else { return NO_WORKFLOW.into() };
        if self.shows_workflow(&name) { name.into() } else { OTHER.into() }
    }

    /// True if a stored value of `workflow` may be shown under these rules.
    #[must_use]
    pub fn shows_workflow(&self, value: &str) -> bool {
        let is_word = value == OTHER || value == NO_WORKFLOW;
        is_word
            || value.len() <= WORKFLOW_BYTES_MAX && self.workflows.as_ref().is_none_or(|names| names.contains(value))
    }

    /// True if a stored value of `project` may be shown under these rules. Names are not shown if hashes are
    /// configured, and names that an earlier version stored with a secret are never shown.
    #[must_use]
    pub fn shows_project(&self, value: &str) -> bool {
        match self.project {
            ProjectLabel::Off => false,
            ProjectLabel::Name => shown_name(value) == value,
            ProjectLabel::Hash => {
                value == OTHER
                    || value == UNKNOWN
                    || (value.len() == 8 && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
            }
        }
    }
}

/// The value of the label `model` for a canonical model id.
#[must_use]
pub fn model(id: &str) -> Arc<str> {
    let fits = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    let valid = (1..=WORD_BYTES_MAX).contains(&id.len()) && id.bytes().all(fits);
    if valid { id.into() } else { OTHER.into() }
}

/// The value of the label `agent_type` for a type of sub-agent.
#[must_use]
pub fn agent_type(name: Option<&str>) -> &'static str {
    name.and_then(|name| known(AGENT_TYPES, name)).unwrap_or(OTHER)
}

/// The value of the label `entrypoint` for the way in which the client was started.
#[must_use]
pub fn entrypoint(name: Option<&str>) -> &'static str {
    name.map_or(UNKNOWN, |name| known(ENTRYPOINTS, name).unwrap_or(OTHER))
}

/// The value of the label `kind` for a line of an unknown type.
#[must_use]
pub fn record_kind(kind: &str) -> Arc<str> {
    // Digits are not allowed, because they could be an id.
    let fits = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_' | b'/');
    let valid = (1..=WORD_BYTES_MAX).contains(&kind.len()) && kind.bytes().all(fits) && scrub(kind) == kind;
    if valid { kind.into() } else { OTHER.into() }
}

fn known(values: &'static [&'static str], name: &str) -> Option<&'static str> {
    values.iter().copied().find(|value| *value == name)
}

fn is_word(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=WORD_BYTES_MAX).contains(&name.len()) && name.bytes().all(fits)
}
