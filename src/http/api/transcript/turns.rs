//! The turns of a session in short, without their titles.

use std::collections::HashMap;

use crate::http::api::reel::Reel;
use crate::store::{StoreError, StoreReader};
use crate::transcript::time::seconds;
use crate::views::sessions::kinds::EventKind;
use crate::views::sessions::moments::SoFar;
use crate::views::sessions::state::SessionState;
use crate::views::transcripts::entry::TurnHead;

/// What the events of a turn and of its sub-agents come to.
#[derive(Debug, Default)]
struct Sums {
    messages: u64,
    tool_calls: u64,
    errors: u64,
    used: SoFar,
}

/// The turns in order, and the number of errors of the whole session. Fails if the state cannot be read.
pub(super) fn turns(reader: &StoreReader, reel: &Reel) -> Result<(Vec<TurnHead>, u64), StoreError> {
    let (mut sums, mut begins): (HashMap<usize, Sums>, Vec<(usize, usize)>) = (HashMap::new(), Vec::new());
    let (mut state, mut errors) = (SessionState::default(), 0);
    for position in 0..reel.timeline.len() {
        let Some(look) = reel.timeline.look(position) else { break };
        let before = state.so_far;
        reel.timeline.go_on(&mut state, position);
        errors += u64::from(look.failed);
        let Some(turn) = reel.outline.turn(look.unit) else { continue };
        let own = sums.entry(turn).or_default();
        own.messages += u64::from(look.kind == EventKind::Message);
        own.tool_calls += u64::from(look.kind == EventKind::ToolCall);
        own.errors += u64::from(look.failed);
        own.used.tokens += state.so_far.tokens.minus(before.tokens);
        own.used.cost += state.so_far.cost - before.cost;
        if look.kind == EventKind::Prompt && reel.outline.numbered(turn) == Some(look.unit) {
            begins.push((turn, position));
        }
    }
    let mut turns = Vec::with_capacity(begins.len());
    for (index, event) in begins {
        let Some(unit) = reel.outline.numbered(index) else { continue };
        let Some(unit) = reader.unit(unit)? else { continue };
        let Some(prompt) = &unit.prompt else { continue };
        let (sums, end) = (sums.remove(&index).unwrap_or_default(), unit.end());
        let SoFar { tokens, cost } = sums.used;
        turns.push(TurnHead {
            index,
            event,
            title: String::new(),
            started_at: prompt.time,
            duration_seconds: end.map(|end| seconds(end.at.since_ms(prompt.time))),
            end: end.map(|end| end.reason),
            origin: prompt.origin.name(),
            messages: sums.messages,
            tool_calls: sums.tool_calls,
            errors: sums.errors,
            tokens,
            cost_usd: cost,
        });
    }
    Ok((turns, errors))
}
