//! The client's own account of a session beside ours: what differs, by model, and why.
//!
//! Reasons follow from what rows tell ([`Clues`]) and from the kinds of tokens that differ, never from how large a
//! difference is. A request that has no rows would add prompt tokens, so output alone that is missing belongs to a
//! response that has rows; if no tokens differ, the prices do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::clues::{Clues, Reach};
use crate::ledger::account::{Account, AccountSource, ModelAccount};
use crate::ledger::money::Money;
use crate::ledger::run::{Run, RunOutcome, Spent};
use crate::ledger::session::{Reported, Session, Statement};
use crate::ledger::tally::{ModelTally, Tally};
use crate::transcript::record::TitleBy;
use crate::transcript::time::Timestamp;

/// The client's own account of a session, and where the session files tell something else. The client's cost minus
/// that of the files is `unattributed_usd` minus `unreported_usd`, of which at least one is 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ClientAccount {
    /// The last cost in US dollars that the client reported, without what a fork inherited.
    pub cost_usd: String,
    /// How many US dollars the client counted beyond what the session files show; 0 if none.
    pub unattributed_usd: String,
    /// How many US dollars the session files show beyond what the client counted; 0 if none.
    pub unreported_usd: String,
    /// The same for each model, by canonical model id; `null` if the client did not tell it, or if the account was read by
    /// a program that did not keep it.
    pub models: Option<BTreeMap<Arc<str>, ModelDifference>>,
    /// Why the two differ, as far as the session files tell; empty if they do not differ.
    pub reasons: Vec<Reason>,
}

/// What the client counted for one model, and where the session files tell something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ModelDifference {
    /// The cost in US dollars that the client reported, without what a fork inherited.
    pub cost_usd: String,
    /// How many US dollars the client counted beyond what the session files show; 0 if none.
    pub unattributed_usd: String,
    /// How many US dollars the session files show beyond what the client counted; 0 if none.
    pub unreported_usd: String,
    /// What the client counted beyond what the session files show, each number at least 0.
    pub unattributed_tokens: Counted,
    /// What the session files show beyond what the client counted, each number at least 0.
    pub unreported_tokens: Counted,
}

/// Numbers of tokens and of searches, as the client counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counted {
    /// Prompt tokens that were neither read from nor written to the cache.
    pub input: u64,
    /// Generated tokens, thinking included.
    pub output: u64,
    /// Prompt tokens read from the cache.
    pub cache_read: u64,
    /// Prompt tokens written to the cache, for 5 minutes or for 1 hour.
    pub cache_write: u64,
    /// Web searches that the API ran.
    pub web_searches: u64,
}

/// A likely reason of a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reason {
    pub reason: Why,
    /// The reason as a sentence.
    pub explanation: &'static str,
    /// The models whose figures differ for this reason; empty if the client did not tell its figures by model.
    pub models: Vec<Arc<str>>,
}

/// Why the client's account and the session files differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    Compaction,
    WebSearch,
    WebFetch,
    Goal,
    Title,
    InterruptedResponse,
    CutResponse,
    NotFinal,
    UnpricedModel,
    OtherPrices,
    Rounding,
    NotReportedYet,
    KilledProcess,
    ParallelProcesses,
    Unknown,
}

impl Why {
    const fn explanation(self) -> &'static str {
        match self {
            Self::Compaction => "The client writes no rows of the request that compacts a conversation.",
            Self::WebSearch => "The client writes no rows of the requests inside web searches.",
            Self::WebFetch => "The client writes no rows of the request in which a model reads a fetched page.",
            Self::Goal => "The client writes no rows of the requests that judge whether a /goal is reached.",
            Self::Title => "The client writes no rows of the request that makes up a title.",
            Self::InterruptedResponse => {
                "A response was interrupted while it came: the client counted it, but its rows are missing or incomplete."
            }
            Self::CutResponse => {
                "The rows of a response tell fewer output tokens than the client counted, as when its stream breaks off."
            }
            Self::NotFinal => {
                "A run goes on or has just ended: the session file may tell the rest, or what the client counted is taken for it."
            }
            Self::UnpricedModel => "No price of the model is known here, and the client takes that of another model.",
            Self::OtherPrices => "The client counted the same tokens at other prices.",
            Self::Rounding => "The client adds floating point numbers, which loses this much.",
            Self::NotReportedYet => "The client has reported nothing since; it does so when its process ends.",
            Self::KilledProcess => "A process ended without telling what it had requested, as one does that is killed.",
            Self::ParallelProcesses => {
                "Several processes ran the session at the same time, and each counted its own requests only."
            }
            Self::Unknown => {
                "Nothing in the session files or on a stream tells why: a question to the side (/btw) or a suggested prompt, \
                 for example, leaves no trace."
            }
        }
    }
}

/// The two sides that are compared.
struct Sides<'a> {
    statement: Statement<'a>,
    ours: Tally,
    clues: &'a Clues,
    /// Up to when the client's figures reach.
    reach: Reach,
    /// What the client had counted before the first run, by model, if only streams tell of the session.
    restored: BTreeMap<Arc<str>, ModelAccount>,
    /// True if nothing of what a stream or the session file lacks can come any more.
    is_final: bool,
    /// True if a run ended without a result.
    has_killed_run: bool,
    /// True if the client made up the title of the session.
    has_made_title: bool,
    /// The most that the client's floating point sums can lose.
    lost_max: Money,
}

/// What the client counted, of a model or in all, minus what the session files show.
#[derive(Default)]
struct Difference {
    cost: Money,
    /// What the client counted more and less; `None` if it did not tell.
    tokens: Option<(Counted, Counted)>,
    /// True if we know no price for some of the tokens.
    is_unpriced: bool,
}

/// The client's account of a session, compared with what the files show. `reported` is the client's figure, and
/// `statement` what that is made of; `runs` are those that the session is in.
#[must_use]
pub fn client_account(
    session: &Session,
    reported: Reported,
    statement: Statement<'_>,
    clues: &Clues,
    runs: &[Run],
) -> ClientAccount {
    let mut ours = session.tally.clone();
    statement.copied.iter().for_each(|copied| ours.add(copied));
    let cost = reported.cost - ours.cost();
    let unpriced = ours.models.values().any(|model| model.unpriced > 0);
    let (reach, lost_max) = (clues.reach(statement.last.after), lost_max(&statement, &ours));
    let has_made_title = session.title.is_some() && session.title_by == TitleBy::Client;
    let restored = restored(session, runs, lost_max);
    let sides = Sides {
        statement,
        ours,
        clues,
        reach,
        is_final: runs.iter().all(|run| run.settled),
        has_killed_run: runs.iter().any(|run| run.outcome() == RunOutcome::Killed),
        has_made_title,
        lost_max,
        restored: restored.clone().unwrap_or_default(),
    };
    let (models, reasons) = match restored.and_then(|_| sides.by_model()) {
        Some(differences) => {
            let reasons = sides.reasons(differences.iter().map(|(name, (_, difference))| (Some(name), difference)));
            let told = |(name, (client, difference)): (Arc<str>, (Money, Difference))| {
                let (unattributed_tokens, unreported_tokens) = difference.tokens.unwrap_or_default();
                let [unattributed_usd, unreported_usd] = both_ways(difference.cost);
                let cost_usd = client.to_string();
                let told = ModelDifference {
                    cost_usd,
                    unattributed_usd,
                    unreported_usd,
                    unattributed_tokens,
                    unreported_tokens,
                };
                (name, told)
            };
            (Some(differences.into_iter().map(told).collect()), reasons)
        }
        None => {
            let difference = Difference { cost, tokens: None, is_unpriced: unpriced };
            (None, sides.reasons([(None, &difference)].into_iter()))
        }
    };
    let [unattributed_usd, unreported_usd] = both_ways(cost);
    ClientAccount { cost_usd: reported.cost.to_string(), unattributed_usd, unreported_usd, models, reasons }
}

/// A difference as two amounts, of which at least one is 0.
fn both_ways(difference: Money) -> [String; 2] {
    [difference, Money::ZERO - difference].map(|amount| amount.max(Money::ZERO).to_string())
}

/// A sum of n floats is off by at most n times half a unit in the last place, each product of tokens and price by a few
/// more, and reading the sum as picodollars by one.
fn lost_max(statement: &Statement<'_>, ours: &Tally) -> Money {
    const OF_A_PRODUCT: u64 = 8;
    const HALF_PLACE: i128 = 1 << 53;
    let requests = i128::from(ours.messages() + OF_A_PRODUCT);
    Money::from_picousd(statement.last.cost.picousd().saturating_mul(requests) / HALF_PLACE + 1)
}

impl Sides<'_> {
    /// The client's cost of each model, and the difference; `None` if the client does not tell it by model.
    fn by_model(&self) -> Option<BTreeMap<Arc<str>, (Money, Difference)>> {
        let Statement { last, inherited, .. } = self.statement;
        let has_models = |account: &Account| !account.models.is_empty() || account.cost == Money::ZERO;
        if !has_models(last) || inherited.is_some_and(|before| !has_models(before)) {
            return None;
        }
        let names: BTreeSet<&Arc<str>> = last.models.keys().chain(self.ours.models.keys()).collect();
        let difference = |name: &Arc<str>| {
            let before = inherited.and_then(|before| before.models.get(name)).copied().unwrap_or_default();
            let restored = self.restored.get(name).copied().unwrap_or_default();
            let client = minus(minus(last.models.get(name).copied().unwrap_or_default(), before)?, restored)?;
            let ours = self.ours.models.get(name).cloned().unwrap_or_default();
            let tokens = self.tokens(name, &client, &ours);
            let difference =
                Difference { cost: client.cost - ours.cost, tokens: Some(tokens), is_unpriced: ours.unpriced > 0 };
            Some((Arc::clone(name), (client.cost, difference)))
        };
        names.into_iter().map(difference).collect()
    }

    /// What the client counted more and less than the rows tell.
    fn tokens(&self, name: &str, client: &ModelAccount, ours: &ModelTally) -> (Counted, Counted) {
        let tokens = &ours.tokens;
        let writes = tokens.cache_write_5m.saturating_add(tokens.cache_write_1h);
        let counts = |of: fn(u64, u64) -> u64| Counted {
            input: of(client.input, tokens.input),
            output: of(client.output, tokens.output),
            cache_read: of(client.cache_read, tokens.cache_read),
            cache_write: of(client.cache_write, writes),
            web_searches: of(client.web_searches, self.clues.searches_of(name)),
        };
        (counts(u64::saturating_sub), counts(|client, ours| ours.saturating_sub(client)))
    }

    fn reasons<'a>(&self, differences: impl Iterator<Item = (Option<&'a Arc<str>>, &'a Difference)>) -> Vec<Reason> {
        let mut reasons: BTreeMap<Why, BTreeSet<Arc<str>>> = BTreeMap::new();
        for (model, difference) in differences {
            for why in self.reasons_of(model.map(|model| &**model), difference) {
                reasons.entry(why).or_default().extend(model.cloned());
            }
        }
        let reason = |(reason, models): (Why, BTreeSet<_>)| {
            let models = models.into_iter().collect();
            Reason { reason, explanation: reason.explanation(), models }
        };
        reasons.into_iter().map(reason).collect()
    }

    fn reasons_of(&self, model: Option<&str>, difference: &Difference) -> Vec<Why> {
        let Difference { cost, tokens, is_unpriced } = difference;
        let nothing = Counted::default();
        let (more, less) = match tokens {
            Some((more, less)) => (*more != nothing, *less != nothing),
            None => (*cost > Money::ZERO, *cost < Money::ZERO),
        };
        let is_lost = *cost <= self.lost_max && Money::ZERO - *cost <= self.lost_max;
        if *cost == Money::ZERO && !more && !less {
            return Vec::new();
        }
        if is_lost && tokens.is_none_or(|(more, less)| more == nothing && less == nothing) {
            return vec![Why::Rounding];
        }
        let mut reasons = Vec::new();
        if more {
            let of_rows = |(more, less): (Counted, Counted)| less == nothing && is_output_alone(more);
            let found = match tokens.is_some_and(of_rows) {
                true if self.clues.interrupted(model, self.reach) => vec![Why::InterruptedResponse],
                true => vec![Why::CutResponse],
                false => self.requests_without_rows(model, tokens.map(|(more, _)| more)),
            };
            // What nothing else explains may be told yet.
            let is_early = !self.is_final && matches!(found[..], [Why::CutResponse | Why::Unknown]);
            reasons.extend(if is_early { vec![Why::NotFinal] } else { found });
        }
        if less {
            reasons.extend(self.uncounted_responses());
        }
        match is_unpriced {
            true => reasons.push(Why::UnpricedModel),
            false if reasons.is_empty() && tokens.is_some() => reasons.push(Why::OtherPrices),
            false => {}
        }
        if reasons.is_empty() { vec![Why::Unknown] } else { reasons }
    }

    /// Requests to a model that the client counted and of which it wrote no rows.
    fn requests_without_rows(&self, model: Option<&str>, more: Option<Counted>) -> Vec<Why> {
        let (clues, reach) = (self.clues, self.reach);
        let searched = more.map_or_else(|| clues.searched(reach), |more| more.web_searches > 0);
        let found = [
            (Why::Compaction, clues.compacted(model, reach)),
            (Why::WebSearch, searched),
            (Why::WebFetch, clues.fetched(reach)),
            (Why::Goal, clues.has_goal(reach)),
            (Why::Title, self.has_made_title),
            (Why::InterruptedResponse, clues.interrupted(model, reach)),
        ];
        or_unknown(found)
    }

    /// Responses that have rows and that the client did not count.
    fn uncounted_responses(&self) -> Vec<Why> {
        let last = self.statement.last;
        let started = last.started.and_then(|started| i64::try_from(started).ok()).map(Timestamp);
        or_unknown([
            (Why::NotReportedYet, self.clues.goes_on_after(last.after)),
            (Why::KilledProcess, self.clues.has_killed_process(started, self.has_killed_run)),
            (Why::ParallelProcesses, self.clues.has_parallel_processes()),
        ])
    }
}

/// The part of the client's figures that was counted before the first run of which a stream told, by model, if there is no
/// session file that tells what it was for. `None` if that is not known.
fn restored(session: &Session, runs: &[Run], lost_max: Money) -> Option<BTreeMap<Arc<str>, ModelAccount>> {
    let whole = session.restored();
    if whole == Money::ZERO {
        return Some(BTreeMap::new());
    }
    let told = runs.iter().filter_map(|run| run.session(&session.id)).filter(|told| told.last.is_some());
    let first = told.min_by_key(|told| told.first)?;
    let at = first.last.as_ref()?.at;
    let is_last = |account: &&Account| matches!(account.source, AccountSource::Result { at: told, .. } if told == at);
    let mut models = session.accounts.iter().find(is_last)?.models.clone();
    for (name, spent) in first.counted() {
        let account = models.get_mut(name)?;
        *account = minus(*account, account_of(spent))?;
    }
    // Nothing is lost between the models and the whole.
    let lost = whole - models.values().map(|model| model.cost).sum();
    let most = models.values_mut().max_by_key(|model| model.cost)?;
    most.cost += lost;
    (lost <= lost_max && Money::ZERO - lost <= lost_max && most.cost >= Money::ZERO).then_some(models)
}

/// What a run spent, as the client tells it in an account.
const fn account_of(spent: &Spent) -> ModelAccount {
    ModelAccount {
        cost: spent.cost,
        input: spent.input,
        output: spent.output,
        cache_read: spent.cache_read,
        cache_write: spent.cache_write_5m.saturating_add(spent.cache_write_1h),
        web_searches: spent.web_searches,
    }
}

fn or_unknown<const N: usize>(found: [(Why, bool); N]) -> Vec<Why> {
    let found: Vec<Why> = found.into_iter().filter(|(_, is_found)| *is_found).map(|(why, _)| why).collect();
    if found.is_empty() { vec![Why::Unknown] } else { found }
}

/// True if only output is counted. A request that has no rows would have a prompt.
const fn is_output_alone(counted: Counted) -> bool {
    let Counted { input, output, cache_read, cache_write, web_searches } = counted;
    output > 0 && input == 0 && cache_read == 0 && cache_write == 0 && web_searches == 0
}

/// What an account counts beyond an earlier one; `None` if it counts less, so that the two do not belong together.
fn minus(client: ModelAccount, before: ModelAccount) -> Option<ModelAccount> {
    Some(ModelAccount {
        cost: Some(client.cost - before.cost).filter(|cost| *cost >= Money::ZERO)?,
        input: client.input.checked_sub(before.input)?,
        output: client.output.checked_sub(before.output)?,
        cache_read: client.cache_read.checked_sub(before.cache_read)?,
        cache_write: client.cache_write.checked_sub(before.cache_write)?,
        web_searches: client.web_searches.checked_sub(before.web_searches)?,
    })
}
