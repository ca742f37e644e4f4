//! Identities that no row has, computed from its content.

use xxhash_rust::xxh3::xxh3_64;

use super::keys::Identity;
use crate::transcript::ids::{AgentId, RUN, RowId, SessionId};
use crate::transcript::record::{Assistant, PullRequest, Row};

/// The id under which a run of the Workflow tool waits for its call and its sub-agents. It begins with a control
/// character, unlike the ids of sub-agents.
pub(super) fn workflow(run: &str) -> AgentId {
    AgentId(format!("{RUN}workflow {run}").into())
}

/// The run of the Workflow tool that a side file belongs to, told by its folder: `subagents/workflows/<run>/`.
pub(super) fn workflow_of(path: &[u8]) -> Option<&str> {
    let (_, below) = std::str::from_utf8(path).ok()?.rsplit_once("/subagents/workflows/")?;
    below.split_once('/').map(|(run, _)| run)
}

/// The two identities of a row whose response has an id that a gateway chose: one by its `uuid`, one by time and usage.
pub(super) fn names_of(row: &Row, assistant: &Assistant) -> [u64; 2] {
    let usage = xxh3_64(format!("{:?}", assistant.usage).as_bytes());
    let named = Identity::NamedUsage(&assistant.message, row.time.unwrap_or_default(), usage);
    [Identity::NamedRow(&assistant.message, row.id).hash(), named.hash()]
}

/// The id of a pull request. The client writes its row again and again without an id, so the content identifies it.
pub(super) fn pull_request_id(session: &SessionId, what: &PullRequest) -> RowId {
    let repository = what.repository.as_deref().unwrap_or(&what.url);
    RowId::of(&format!("pull request {} {repository} {}", what.number, session.0))
}

/// A hash of a row's id, by which rows of one response, or results of one session, are told apart.
pub(super) const fn hash_of(row: RowId) -> u64 {
    #[allow(clippy::cast_possible_truncation, reason = "the high half of the id")]
    let half = (row.0 >> 64) as u64;
    half
}
