//! Events as they are sent, and the clients that want them.

use bytes::Bytes;

use crate::store::EventPlace;
use crate::transcript::time::Timestamp;
use crate::views::analytics::filter::Filter;

/// The names of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventName {
    Message,
    ToolCall,
    ToolResult,
    Prompt,
    Turn,
    Session,
    Subagent,
    ApiError,
    Run,
}

impl EventName {
    pub(super) const NAMES: [(&'static str, Self); 9] = [
        ("message", Self::Message),
        ("tool_call", Self::ToolCall),
        ("tool_result", Self::ToolResult),
        ("prompt", Self::Prompt),
        ("turn", Self::Turn),
        ("session", Self::Session),
        ("subagent", Self::Subagent),
        ("api_error", Self::ApiError),
        ("run", Self::Run),
    ];

    pub(super) fn word(self) -> &'static str {
        Self::NAMES.iter().find(|(_, own)| *own == self).map_or("", |(word, _)| word)
    }
}

/// What events are filtered by.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    pub(super) session: String,
    pub(super) project: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) entrypoint: Option<String>,
    pub(super) origin: Option<String>,
    /// `main`, the type of a sub-agent, or `unknown`.
    pub(super) agent: Option<String>,
    /// Of a message.
    pub(super) model: Option<String>,
    /// Of a call or a result.
    pub(super) tool: Option<String>,
    pub(super) workflow: Option<String>,
}

/// An event as it is sent to everybody who wants it.
#[derive(Debug)]
pub(super) struct Frame {
    /// Its number in the log.
    pub(super) sequence: u64,
    pub(super) at: Timestamp,
    pub(super) name: EventName,
    pub(super) about: About,
    /// Empty for what the state does not know any more.
    pub(super) bytes: Bytes,
}

/// What a client wants.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) names: Vec<EventName>,
    pub(super) filter: Filter,
}

impl Wish {
    /// Whether an event is wanted.
    pub(super) fn takes(&self, frame: &Frame) -> bool {
        let Self { names, filter } = self;
        let any = |wanted: &[String], own: Option<&str>| {
            wanted.is_empty() || own.is_some_and(|own| wanted.iter().any(|wanted| wanted == own))
        };
        let About { session, project, branch, entrypoint, origin, agent, model, tool, workflow } = &frame.about;
        !frame.bytes.is_empty()
            && (names.is_empty() || names.contains(&frame.name))
            && filter.window.has(frame.at)
            && any(&filter.session, Some(session))
            && any(&filter.project, project.as_deref())
            && any(&filter.branch, branch.as_deref())
            && any(&filter.entrypoint, entrypoint.as_deref())
            && any(&filter.origin, origin.as_deref())
            && any(&filter.agent, agent.as_deref())
            && any(&filter.model, model.as_deref())
            && any(&filter.tool, tool.as_deref())
            && any(&filter.workflow, workflow.as_deref())
    }
}

/// A place in the log as clients are told it.
pub(super) fn id_of(place: EventPlace) -> String {
    format!("{}-{}", place.epoch, place.sequence)
}

/// Reads what [`id_of`] wrote; `None` if it did not.
pub(super) fn read_id(text: &str) -> Option<EventPlace> {
    let number = |digits: &str| digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let (epoch, sequence) = text.split_once('-')?;
    Some(EventPlace { epoch: number(epoch)?, sequence: number(sequence)? })
}

/// An event of the stream: its id, its name and its data, which is one line.
pub(super) fn framed(place: EventPlace, name: &str, data: &str) -> Bytes {
    format!("id: {}\nevent: {name}\ndata: {data}\n\n", id_of(place)).into()
}
