//! The steps of a thread: each request with what its response called.

use crate::transcript::time::Timestamp;
use crate::views::analytics::critical_path::stretch::PathUnit;
use crate::views::analytics::work::{WorkCall, WorkResponse};

/// A call with what is known of its end.
pub(super) struct Made<'a> {
    pub(super) call: &'a WorkCall,
    /// When its result came; without one, when the last of its sub-agents ended; `None` if that is not known either.
    pub(super) end: Option<Timestamp>,
    /// The sub-agents that it waits for.
    pub(super) agents: Vec<PathUnit<'a>>,
}

/// A response and its calls, or calls whose response has no usable time.
pub(super) struct Step<'a> {
    pub(super) start: Timestamp,
    /// When the next step begins, or the thread ends.
    pub(super) until: Timestamp,
    pub(super) response: Option<&'a WorkResponse>,
    /// By when they were made.
    pub(super) calls: Vec<Made<'a>>,
    /// When the last of it ended, as far as that is known.
    finish: Timestamp,
}

/// The time of a thread.
#[derive(Clone, Copy)]
pub(super) struct ThreadTime {
    pub(super) start: Timestamp,
    /// Not before `start`.
    pub(super) end: Timestamp,
}

impl ThreadTime {
    pub(super) fn clip(self, time: Timestamp) -> Timestamp {
        time.clamp(self.start, self.end)
    }
}

impl<'a> Step<'a> {
    fn new(start: Timestamp, finish: Timestamp, response: Option<&'a WorkResponse>) -> Self {
        Self { start, until: start, response, calls: Vec::new(), finish }
    }

    fn add(&mut self, made: Made<'a>, thread: ThreadTime) {
        self.finish = self.finish.max(made.end.map_or(self.finish, |end| thread.clip(end)));
        self.calls.push(made);
    }
}

/// Puts the calls to the responses that made them. Both are in order of time.
///
/// A call that was made when the next request had begun already, or whose response has no usable time, belongs to what
/// was going on then; and if nothing was, it is a step of its own.
pub(super) fn steps<'a>(responses: &[&'a WorkResponse], calls: Vec<Made<'a>>, thread: ThreadTime) -> Vec<Step<'a>> {
    let start = |response: &WorkResponse| thread.clip(response.start);
    let mut steps: Vec<Step<'a>> =
        responses.iter().map(|one| Step::new(start(one), thread.clip(one.end), Some(one))).collect();
    let next: Vec<Option<Timestamp>> = responses.iter().skip(1).map(|one| Some(start(one))).chain([None]).collect();
    let mut by_id: Vec<(u64, usize)> = responses.iter().map(|response| response.id).zip(0..).collect();
    by_id.sort_unstable();
    let mut left = Vec::new();
    for made in calls {
        let at = thread.clip(made.call.at);
        let end = made.end.map_or(at, |end| thread.clip(end));
        let found = by_id.binary_search_by_key(&made.call.response, |(id, _)| *id).ok();
        let own = found.and_then(|found| by_id.get(found)).map(|(_, own)| *own);
        let in_time = |own: &usize| next.get(*own).copied().flatten().is_none_or(|next| at < next || end <= next);
        match own.filter(in_time).and_then(|own| steps.get_mut(own)) {
            Some(step) => step.add(made, thread),
            None => left.push(made),
        }
    }
    if !left.is_empty() {
        steps = with_others(steps, left, thread);
    }
    let next: Vec<Timestamp> = steps.iter().skip(1).map(|step| step.start).chain([thread.end]).collect();
    steps.iter_mut().zip(next).for_each(|(step, next)| step.until = next);
    steps
}

/// The steps with further calls, in order of time.
fn with_others<'a>(steps: Vec<Step<'a>>, calls: Vec<Made<'a>>, thread: ThreadTime) -> Vec<Step<'a>> {
    let mut all: Vec<Step<'a>> = Vec::with_capacity(steps.len());
    let place = |all: &mut Vec<Step<'a>>, made: Made<'a>| {
        let at = thread.clip(made.call.at);
        match all.last_mut().filter(|step| at < step.finish) {
            Some(step) => step.add(made, thread),
            None => {
                let mut step = Step::new(at, at, None);
                step.add(made, thread);
                all.push(step);
            }
        }
    };
    let mut calls = calls.into_iter().peekable();
    for step in steps {
        while let Some(made) = calls.next_if(|made| thread.clip(made.call.at) < step.start) {
            place(&mut all, made);
        }
        all.push(step);
    }
    calls.for_each(|made| place(&mut all, made));
    // A step has its calls by when they were made, whichever way they came to it.
    for step in &mut all {
        step.calls.sort_by_key(|made| (made.call.at, made.call.id));
    }
    all
}
