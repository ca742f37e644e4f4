//! The kinds of events, as questions name them.

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    Prompt,
    SubagentStart,
    ApiError,
    ModelChange,
    Message,
    ToolCall,
    ToolResult,
    Compaction,
    Hook,
    QueuedPrompt,
    TaskEnd,
    PullRequest,
    AwaySummary,
    PlanMode,
    ServerTool,
    Interrupt,
    SubagentEnd,
}

impl EventKind {
    /// Every kind with its name.
    pub const NAMES: [(&'static str, Self); 17] = [
        ("prompt", Self::Prompt),
        ("subagent_start", Self::SubagentStart),
        ("api_error", Self::ApiError),
        ("model_change", Self::ModelChange),
        ("message", Self::Message),
        ("tool_call", Self::ToolCall),
        ("tool_result", Self::ToolResult),
        ("compaction", Self::Compaction),
        ("hook", Self::Hook),
        ("queued_prompt", Self::QueuedPrompt),
        ("task_end", Self::TaskEnd),
        ("pull_request", Self::PullRequest),
        ("away_summary", Self::AwaySummary),
        ("plan_mode", Self::PlanMode),
        ("server_tool", Self::ServerTool),
        ("interrupt", Self::Interrupt),
        ("subagent_end", Self::SubagentEnd),
    ];

    /// The order of events in the same millisecond; the lowest comes first.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Prompt => 0,
            Self::SubagentStart => 1,
            Self::ApiError => 2,
            Self::ModelChange => 3,
            Self::Message => 4,
            Self::ToolCall => 5,
            Self::ToolResult => 6,
            Self::Compaction => 7,
            Self::Hook => 8,
            Self::QueuedPrompt
            | Self::TaskEnd
            | Self::PullRequest
            | Self::AwaySummary
            | Self::PlanMode
            | Self::ServerTool => 9,
            Self::Interrupt => 10,
            Self::SubagentEnd => 11,
        }
    }
}
