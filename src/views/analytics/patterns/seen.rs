//! A session as its rules see it: threads of requests, calls and compactions.

use std::borrow::Cow;
use std::collections::HashMap;

use super::finding::{Finding, Step};
use crate::ledger::prices::Prices;
use crate::ledger::tokens::Tokens;
use crate::transcript::hash::ById;
use crate::transcript::time::Timestamp;
use crate::views::analytics::cells::CellAgent;
use crate::views::analytics::names::{Name, Names};
use crate::views::analytics::session_cells::{SessionCells, StoredUnit};
use crate::views::analytics::session_work::{CubeCall, SessionWork, whose};
use crate::views::analytics::work::{WaitKind, Work, WorkCall, WorkOffer, WorkResponse, WorkWait};

/// A session.
pub(in crate::views::analytics) struct Seen<'a> {
    /// Its main thread, and a thread for each sub-agent.
    pub(super) threads: Vec<Thread<'a>>,
    /// Its units and turns.
    pub(super) cells: &'a SessionCells,
    /// Its calls and what its turns waited for, as answers know them.
    pub(super) work: &'a SessionWork,
    /// What tokens cost.
    pub(super) prices: &'a Prices,
    /// Calls of [`Seen::work`] by unit and the low half of their ids.
    calls: HashMap<(u32, u32), usize, ById>,
    /// The threads and positions of requests, by the ids of their responses.
    requests: HashMap<u64, (usize, usize), ById>,
    /// The responses that made calls, by the ids of the calls, with how many calls each made.
    callers: HashMap<u64, u64, ById>,
    calls_made: HashMap<u64, u32, ById>,
}

/// Requests that build on each other, with their calls.
#[derive(Default)]
pub(super) struct Thread<'a> {
    /// For a sub-agent its unit; `None` for the main thread.
    pub(super) agent: Option<u32>,
    /// For the main thread of a fork: when the source had its last row before it.
    pub(super) forked: Option<Timestamp>,
    /// For a sub-agent whose end its call waits for: that call.
    pub(super) waited_for_by: Option<u64>,
    /// In order of time.
    pub(super) requests: Vec<Request<'a>>,
    /// How many responses have no usable times, and are not among the requests.
    pub(super) undated: usize,
    /// In order of time.
    pub(super) calls: Vec<Called<'a>>,
    /// In order of their ends.
    pub(super) compactions: Vec<(u32, &'a WorkWait)>,
    /// What the model was told of MCP servers, in order of time.
    pub(super) offers: Vec<(u32, &'a WorkOffer)>,
}

/// One API request with its response.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    /// Its unit: a position in [`SessionCells::units`].
    pub(super) unit: u32,
    /// The response.
    pub(super) response: &'a WorkResponse,
}

/// One tool call.
#[derive(Clone, Copy)]
pub(super) struct Called<'a> {
    /// Its unit.
    pub(super) unit: u32,
    /// The call.
    pub(super) call: &'a WorkCall,
}

impl<'a> Seen<'a> {
    /// A session with its units, what each did, what answers know of it, and for a fork when its source had its last row
    /// before it.
    pub(in crate::views::analytics) fn of(
        stored: &[StoredUnit],
        works: &'a [Cow<'a, Work>],
        (cells, work): (&'a SessionCells, &'a SessionWork),
        prices: &'a Prices,
        forked: Option<Timestamp>,
    ) -> Self {
        let mut threads = vec![Thread { forked, ..Thread::default() }];
        for ((unit, did), position) in stored.iter().zip(works).zip(0u32..) {
            let whose = whose(unit);
            let is_agent = whose.is_some_and(|whose| whose.agent != CellAgent::Main);
            if is_agent {
                let waited_for_by = whose.and_then(|whose| whose.waited_for_by);
                let mut own = Thread { agent: Some(position), waited_for_by, ..Thread::default() };
                own.add(position, did);
                threads.push(own);
            } else if let Some(main) = threads.first_mut() {
                main.add(position, did);
            }
        }
        threads.iter_mut().for_each(Thread::sort);
        let calls = work.calls.iter().enumerate().map(|(at, call)| ((call.unit, call.mark), at)).collect();
        let (mut requests, mut callers, mut calls_made) = (HashMap::default(), HashMap::default(), HashMap::default());
        for (thread, own) in threads.iter().enumerate() {
            for Called { call, .. } in &own.calls {
                callers.insert(call.id, call.response);
                *calls_made.entry(call.response).or_default() += 1;
            }
            requests.extend(own.requests.iter().enumerate().map(|(at, request)| (request.response.id, (thread, at))));
        }
        Self { threads, cells, work, prices, calls, requests, callers, calls_made }
    }

    /// A call as answers know it.
    pub(super) fn known(&self, called: &Called<'_>) -> Option<&'a CubeCall> {
        let mark = Step::new(true, called.call.id, called.call.at).mark;
        self.calls.get(&(called.unit, mark)).and_then(|at| self.work.calls.get(*at))
    }

    /// The request with the response that has this id.
    pub(super) fn request(&self, id: u64) -> Option<&Request<'a>> {
        let (thread, at) = self.requests.get(&id)?;
        self.threads.get(*thread)?.requests.get(*at)
    }

    /// The request with the response that made a call, given by its id.
    pub(super) fn caller(&self, call: u64) -> Option<&Request<'a>> {
        self.request(*self.callers.get(&call)?)
    }

    /// How many calls a response made.
    pub(super) fn calls_made(&self, response: u64) -> u32 {
        self.calls_made.get(&response).copied().unwrap_or(0)
    }

    /// What other tokens would have cost in a request, premiums included, in picodollars; 0 if it has no price.
    pub(super) fn price(&self, response: &WorkResponse, tokens: &Tokens) -> u64 {
        let priced = response
            .picousd
            .and_then(|paid| self.prices.at_rates_of(&response.model, response.start, &response.tokens, paid, tokens));
        priced.unwrap_or(0)
    }

    /// The type of the sub-agent, or `main`, of a unit.
    pub(super) fn agent(&self, unit: u32) -> Name {
        self.cells.units.get(unit as usize).map_or(Name::NONE, |unit| unit.agent)
    }
}

impl<'a> Thread<'a> {
    fn add(&mut self, unit: u32, work: &'a Work) {
        self.undated += work.undated.len();
        self.requests.extend(work.responses.iter().map(|response| Request { unit, response }));
        self.calls.extend(work.calls.iter().map(|call| Called { unit, call }));
        let compactions = work.waits.iter().filter(|wait| matches!(wait.kind, WaitKind::Compaction(_)));
        self.compactions.extend(compactions.map(|wait| (unit, wait)));
        self.offers.extend(work.offers.iter().map(|offer| (unit, offer)));
    }

    fn sort(&mut self) {
        self.requests.sort_by_key(|Request { unit, response }| (response.start, response.end, *unit, response.id));
        self.calls.sort_by_key(|Called { unit, call }| (call.at, *unit, call.id));
        self.offers.sort_by_key(|(unit, offer)| (offer.at, *unit));
        self.compactions.sort_by_key(|(unit, wait)| (wait.end, *unit));
    }

    /// Whether the context was emptied after one time and not after another.
    pub(super) fn is_compacted_between(&self, from: Timestamp, to: Timestamp) -> bool {
        let after = self.compactions.partition_point(|(_, wait)| wait.end <= from);
        self.compactions.get(after).is_some_and(|(_, wait)| wait.end <= to)
    }

    /// Each request with the one before it, unless the context was emptied between them.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&Request<'a>, &Request<'a>)> {
        let pairs = self.requests.iter().zip(self.requests.iter().skip(1));
        pairs.filter(|(one, next)| !self.is_compacted_between(one.response.start, next.response.start))
    }
}

impl Request<'_> {
    /// A finding about this request that saves nothing yet.
    pub(super) fn finding(&self, names: &mut Names) -> Finding {
        let response = self.response;
        Finding {
            rule: 0,
            at: response.start,
            unit: self.unit,
            model: names.number(Some(&response.model)),
            name: Name::NONE,
            picousd: 0,
            ms: 0,
            amount: 0,
            step: Some(Step::new(false, response.id, response.end)),
        }
    }
}

impl Called<'_> {
    /// A finding about this call, by the name of its tool, that saves nothing yet.
    pub(super) fn finding(&self, names: &mut Names, model: Name) -> Finding {
        Finding {
            rule: 0,
            at: self.call.at,
            unit: self.unit,
            model,
            name: names.number(Some(&self.call.tool)),
            picousd: 0,
            ms: 0,
            amount: 0,
            step: Some(Step::new(true, self.call.id, self.call.end())),
        }
    }
}
