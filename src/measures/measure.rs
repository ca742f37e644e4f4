//! The measures: everything that can be counted.

use super::dimensions::Dimension;

/// The unit of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeasureUnit {
    /// A number of things.
    Count,
    /// Tokens.
    Tokens,
    /// Money in picodollars (10^-12 US dollars).
    Picodollars,
    /// Time in milliseconds.
    Milliseconds,
    /// Bytes.
    Bytes,
    /// A moment, in milliseconds since 1970-01-01 UTC.
    Moment,
}

/// How amounts of a measure are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeasureKind {
    /// They are added up.
    Sum,
    /// They are not added up: each is one size, observed when it is final, for a distribution.
    Size,
    /// They are not added up: the greatest counts.
    Latest,
}

/// The dimensions of measures of a turn or sub-agent (`Unit`), of a session as a whole (`Session`) or of a run (`Run`, which
/// may hold several sessions), and further ones.
macro_rules! with_surroundings {
    (Unit $($more:ident),*) => {
        with_surroundings!(Session Agent, AgentType $(, $more)*)
    };
    (Run $($more:ident),*) => {
        &[$(Dimension::$more),*]
    };
    (Session $($more:ident),*) => {
        &[
            Dimension::Session,
            Dimension::Project,
            Dimension::Branch,
            Dimension::Entrypoint,
            $(Dimension::$more),*
        ]
    };
}

/// Defines every measure once: variant, name, kind, unit, dimensions and help.
macro_rules! measures {
    ($($variant:ident $name:literal $kind:ident $unit:ident $of:ident [$($dimension:ident),*] $help:literal;)*) => {
        /// Something that can be counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Measure {
            $(#[doc = $help] $variant),*
        }

        impl Measure {
            /// Every measure.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in questions and answers.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// How its amounts are combined.
            #[must_use]
            pub const fn kind(self) -> MeasureKind {
                match self { $(Self::$variant => MeasureKind::$kind),* }
            }

            /// The unit of its amounts.
            #[must_use]
            pub const fn unit(self) -> MeasureUnit {
                match self { $(Self::$variant => MeasureUnit::$unit),* }
            }

            /// What it counts, as a sentence.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),* }
            }

            /// The dimensions that its observations may have.
            #[must_use]
            pub const fn dimensions(self) -> &'static [Dimension] {
                match self { $(Self::$variant => with_surroundings!($of $($dimension),*)),* }
            }
        }
    };
}

measures! {
    Responses "responses" Sum Count Unit [Model] "Distinct API responses, at the model that answered.";
    ResponseDuration "response_duration" Size Milliseconds Unit [Model]
        "Time from the request to the last row of its response, retries included.";
    TimeToFirstChunk "time_to_first_chunk" Size Milliseconds Unit [Model]
        "Time from the request to the first piece of its response, where a stream with partial messages tells.";
    Unidentified "responses_without_identity" Sum Count Unit [Model]
        "Responses without an id that the API gave them.";
    UnreadableUsage "unreadable_usage" Sum Count Unit [Model, Reason]
        "Responses of which no row tells in numbers what they used.";
    Tokens "tokens" Sum Tokens Unit [Model, TokenKind] "Billed tokens. The kinds do not overlap.";
    Cost "cost" Sum Picodollars Unit [Model] "List price of API responses.";
    UnpricedTokens "unpriced_tokens" Sum Tokens Unit [Model] "Tokens of models without a known price: what the cost leaves out.";
    ToolCalls "tool_calls" Sum Count Unit [Tool] "Distinct tool calls, at the time of the call.";
    ToolResults "tool_results" Sum Count Unit [Tool, Outcome] "Results of tool calls, at the time of the result.";
    ToolFailures "tool_failures" Sum Count Unit [Tool, Outcome, Reason]
        "Tool calls that failed, were refused, or were interrupted.";
    ToolDuration "tool_duration" Size Milliseconds Unit [Tool, Outcome] "Time from a tool call to its result.";
    PermissionWait "permission_wait" Size Milliseconds Unit [Tool, Outcome]
        "Time from the question whether a call may run to the answer, where a stream shows it.";
    ResultBytes "result_bytes" Sum Bytes Unit [Tool, Outcome] "Bytes of the texts of tool results.";
    LinesChanged "lines_changed" Sum Count Unit [Tool, Outcome, LineChange] "Lines of files that tools added or removed.";
    ApiErrors "api_errors" Sum Count Unit [Reason] "Failed API attempts, retried ones included.";
    Compactions "compactions" Sum Count Unit [Trigger] "Compactions of a conversation.";
    Turns "turns" Sum Count Unit [Origin] "Prompts that reached the model, at the time of the prompt.";
    TurnDuration "turn_duration" Size Milliseconds Unit [Origin] "Time from a prompt to the end of its turn.";
    TurnCost "turn_cost" Size Picodollars Unit [Origin] "List price of a turn with its sub-agents; none if a part has no price.";
    Subagents "subagents" Sum Count Unit [] "Sub-agents that were started.";
    Sessions "sessions" Sum Count Session [] "Sessions, at the time of their first row.";
    ClientReported "client_reported_cost" Sum Picodollars Session [] "Cost by the client's own account.";
    Unattributed "unattributed_cost" Sum Picodollars Session [] "What the client reports beyond what the session files show.";
    WorkflowRuns "workflow_runs" Sum Count Run [Workflow, RunOutcome] "Runs that have ended, at the time of their end.";
    WorkflowCost "workflow_cost" Sum Picodollars Run [Workflow] "List price of runs that have ended.";
    WorkflowDuration "workflow_run_duration" Size Milliseconds Run [Workflow] "Time from the beginning of a run to its end.";
    WorkflowLastRun "workflow_last_run" Latest Moment Run [Workflow] "When the last run ended.";
}

impl Measure {
    /// The dimension along which one item has several amounts of this measure, one for each
    /// [`part`](super::Slot::part); `None` if it has one amount.
    #[must_use]
    pub const fn split(self) -> Option<Dimension> {
        match self {
            Self::Tokens => Some(Dimension::TokenKind),
            Self::LinesChanged => Some(Dimension::LineChange),
            _ => None,
        }
    }
}
