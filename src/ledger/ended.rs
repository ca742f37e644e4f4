//! Decides when a turn or a sub-agent is over, in one place for spans, metrics, the replay and Jaeger's API.
//!
//! ```text
//! end       what its rows tell: the model stopped, a person interrupted, the client gave up, the next prompt came
//! ended     the same, or nothing happened for long
//! of_agent  the end of a sub-agent, which the return of its call may bring
//! ```

use super::gist::Gist;
use super::unit::{ToldEnd, TurnEnd, Unit, UnitId};
use crate::transcript::record::Ending;
use crate::transcript::time::Timestamp;

/// The reason of a turn that its rows left open when the next prompt came.
const NEXT_PROMPT: &str = "next_prompt";

impl TurnEnd {
    /// The same end, moved to `last` if that is later: the last thing that happened in the turn or below it.
    #[must_use]
    pub fn not_before(self, last: Timestamp) -> Self {
        Self { at: self.at.max(last), ..self }
    }
}

impl Unit {
    /// Time of the last thing that happened in the unit: its prompt, a response, a result, a failure, an interrupt.
    #[must_use]
    pub fn activity_end(&self) -> Timestamp {
        self.activity_end_of(&self.gist())
    }

    pub(super) fn activity_end_of(&self, gist: &Gist) -> Timestamp {
        let start = self.prompt.as_ref().map_or(self.first, |prompt| prompt.time);
        // A unit without prompt and spans is a compaction between turns, and ends with it.
        let alone = self.told_end.filter(|_| gist.spans == 0 && self.prompt.is_none()).map(|end| end.time);
        gist.latest.into_iter().chain(self.interrupted).chain(alone).fold(start, Timestamp::max)
    }

    /// When and how the turn ended, as far as its rows tell; `None` if they do not.
    #[must_use]
    pub fn end(&self) -> Option<TurnEnd> {
        let gist = self.gist();
        let at = self.activity_end_of(&gist);
        // The model has to answer the text of a hook, so a stop before that text is not the end.
        let goes_on = |end: Timestamp| self.asked_again.is_some_and(|asked| asked >= end);
        let stopped = gist.response.is_some_and(|response| response.ends_turn && !goes_on(response.end));
        let told = self.told_end.filter(|told| told.time >= at && !goes_on(told.time));
        if self.interrupted.is_some() {
            Some(TurnEnd { at, reason: "interrupted" })
        } else if gist.gave_up.is_some_and(|(time, _)| time >= at) {
            Some(TurnEnd { at, reason: "api_error" })
        } else if stopped && gist.open == 0 {
            Some(TurnEnd { at, reason: "stop" })
        } else if let Some(told) = told {
            Some(TurnEnd { at, reason: told.why.name() })
        } else {
            self.superseded.map(|_| TurnEnd { at, reason: NEXT_PROMPT })
        }
    }

    /// The end that the unit has if the process which worked on it ended at `at`; `None` if it was over before, or went on
    /// later.
    pub(super) fn let_go(&self, at: Timestamp) -> Option<ToldEnd> {
        let is_later = |next: Timestamp| next > at;
        let was_open = match self.end() {
            None => true,
            Some(end) => end.reason == NEXT_PROMPT && self.superseded.is_some_and(is_later),
        };
        let goes_on = self.activity_end_with_below() > at;
        (was_open && !goes_on).then_some(ToldEnd { time: at, why: Ending::Exit })
    }

    /// Time of the last thing that happened in the unit, or in the sub-agents below it whose spans leave together with
    /// it.
    #[must_use]
    pub fn activity_end_with_below(&self) -> Timestamp {
        self.gist_with_below().latest.unwrap_or_else(|| self.activity_end())
    }
}

/// When and how a unit ended; `None` while it goes on. `last` is when something last happened in it or below it. If its
/// rows do not tell an end, it has ended once nothing has happened for `idle_ms` milliseconds before `now`.
#[must_use]
pub fn ended(unit: &Unit, last: Timestamp, now: Timestamp, idle_ms: u64) -> Option<TurnEnd> {
    let idle = || (now.since_ms(last) >= idle_ms).then_some(TurnEnd { at: last, reason: "idle" });
    unit.end().map(|end| end.not_before(last)).or_else(idle)
}

/// When and how a unit ended that is known to be over: if its rows do not tell, it ended at its last activity, as
/// `idle`.
#[must_use]
pub fn over(unit: &Unit) -> TurnEnd {
    let last = unit.activity_end_with_below();
    unit.end().map_or(TurnEnd { at: last, reason: "idle" }, |end| end.not_before(last))
}

/// The end of a turn as far as its rows tell. A turn without an end is `open` and ends at its last activity.
#[must_use]
pub fn so_far(unit: &Unit) -> TurnEnd {
    unit.end().unwrap_or_else(|| TurnEnd { at: unit.activity_end(), reason: "open" })
}

/// When and how a sub-agent ended; `None` while it runs. `find` returns the unit that holds its call.
#[must_use]
pub fn of_agent<'a>(unit: &Unit, find: &dyn Fn(UnitId) -> Option<&'a Unit>) -> Option<TurnEnd> {
    let agent = unit.agent.as_ref()?;
    let returned = || {
        let tool = find(agent.parent?)?.parts.tool(agent.call.as_deref()?)?;
        // When the call has returned, a sub-agent is over too, unless it runs in the background.
        (tool.result.is_some() && !agent.background).then(|| returned(unit))
    };
    unit.end().or_else(returned)
}

/// The end of a sub-agent whose rows tell no end and whose call has returned.
#[must_use]
pub fn returned(unit: &Unit) -> TurnEnd {
    TurnEnd { at: unit.activity_end(), reason: "returned" }
}
