//! The properties by which amounts are told apart. The values are raw, as in the session files: neither their number is
//! bounded nor are secrets hidden.

/// Defines every dimension once: its name and help, and the field that holds its value.
macro_rules! dimensions {
    ($($variant:ident $field:ident: $help:literal;)*) => {
        /// A property by which amounts are told apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Dimension {
            $(#[doc = $help] $variant),*
        }

        impl Dimension {
            /// Every dimension.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in questions and answers.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($field)),* }
            }

            /// What its values are, as a sentence.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),* }
            }
        }

        /// The value of each dimension of an observation; `None` if it does not have the dimension.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Dimensions<'a> {
            $(#[doc = $help] pub $field: Option<&'a str>),*
        }

        impl<'a> Dimensions<'a> {
            /// The value of a dimension; `None` if the observation has none.
            #[must_use]
            pub const fn get(&self, dimension: Dimension) -> Option<&'a str> {
                match dimension { $(Dimension::$variant => self.$field),* }
            }
        }
    };
}

dimensions! {
    Session session: "Id of the session.";
    Project project: "Last component of the working directory; of a worktree that the client made, that of its repository.";
    Branch branch: "Git branch at the first row of the turn, sub-agent or session.";
    Entrypoint entrypoint: "How the client was started.";
    Agent agent: "`main` for the main thread, `subagent` for a sub-agent.";
    AgentType agent_type: "Type of the sub-agent; none for the main thread, and where nobody tells.";
    Model model: "Canonical id of the model.";
    TokenKind kind: "`input`, `output`, `cache_read`, `cache_write_5m` or `cache_write_1h`.";
    Tool tool: "The tool's own name.";
    Outcome outcome: "How a tool call ended: `ok`, `error`, `denied` or `interrupted`.";
    Reason reason: "Why something failed.";
    Origin origin: "Who asked for a turn.";
    Trigger trigger: "What set a compaction off: `manual` or `auto`.";
    Workflow workflow: "Workflow of a run, as its caller names it; none without a name.";
    RunOutcome run_outcome: "How a run ended: `success`, `error_max_turns`, `error_during_execution`, `api_error`, `interrupted` or `killed`.";
    LineChange change: "Whether lines were `added` or `removed`.";
}

/// The main thread, as a value of [`Dimension::Agent`].
pub const MAIN: &str = "main";

/// A sub-agent, as a value of [`Dimension::Agent`].
pub const SUBAGENT: &str = "subagent";
