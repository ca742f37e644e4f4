//! When and how much people work, as the answer about patterns tells it.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::place::{Place, Sought};
use crate::ledger::money::Money;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::cells::Window;
use crate::views::analytics::patterns::finding::Step;
use crate::views::analytics::patterns::usage::{EditedFile, Edits, Extent, HourSum, Usage};
use crate::views::analytics::sketch::Sketch;

/// The weekdays, as rows name them.
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsagePatterns")]
pub(super) struct UsageForm {
    /// What was done on each weekday, from Monday on.
    week: Vec<WeekdayForm>,
    /// Time from the first row to the last of sessions that began in the range.
    session_seconds: QuantilesForm,
    /// Turns of these sessions.
    turns_per_session: QuantilesForm,
    /// What was spent in the ten projects that cost most.
    projects: Vec<ShareForm>,
    /// What was spent on the ten branches that cost most.
    branches: Vec<ShareForm>,
    /// What was changed in files of each extension, by the most calls first.
    languages: Vec<LanguageForm>,
    /// The ten files that were changed by the most calls. Their names are not kept; the event shows them.
    files: Vec<FileForm>,
    /// What was done in the range.
    total: ExtentForm,
    /// The same length of time before it.
    previous: Option<PreviousForm>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageWeekday")]
struct WeekdayForm {
    /// The weekday, `Monday` for example.
    weekday: &'static str,
    /// Its 24 hours, from midnight on.
    hours: Vec<HourForm>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageHour")]
struct HourForm {
    /// The hour, from 0 to 23.
    hour: usize,
    /// Turns whose prompts came in it.
    turns: u64,
    /// Distinct responses.
    messages: u64,
    /// List price.
    cost_usd: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageQuantiles")]
struct QuantilesForm {
    /// How many sessions there are.
    count: u64,
    /// Half of them have at most so much; `null` without sessions.
    p50: Option<u32>,
    /// 90 of a hundred have at most so much.
    p90: Option<u32>,
    /// The most.
    max: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageShare")]
struct ShareForm {
    /// The project or branch; `null` if none is told.
    name: Option<String>,
    /// What was spent.
    cost_usd: String,
    /// Its share of all that was spent, from 0 to 1; `null` if nothing was.
    share: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageLanguage")]
struct LanguageForm {
    /// The extension of the files, in lower case; `null` if they have none.
    extension: Option<String>,
    /// Files that were changed.
    files: u64,
    /// Calls that changed lines.
    calls: u64,
    /// Lines that they added.
    lines_added: u64,
    /// Lines that they removed.
    lines_removed: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageFile")]
struct FileForm {
    /// The extension of the file, in lower case; `null` if it has none.
    extension: Option<String>,
    /// Calls that changed lines.
    calls: u64,
    /// Lines that they added.
    lines_added: u64,
    /// Lines that they removed.
    lines_removed: u64,
    /// The session of the last of these calls.
    #[schemars(with = "String")]
    session: SessionId,
    /// Its turn, from 1.
    turn: Option<usize>,
    /// Position in the replay of the event at which it ended, from 0.
    event: Option<usize>,
    /// When it was made.
    at: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageExtent")]
struct ExtentForm {
    /// Sessions with a response or a prompt.
    sessions: u64,
    /// Turns.
    turns: u64,
    /// Distinct responses.
    messages: u64,
    /// Billed tokens.
    tokens: u64,
    /// List price.
    cost_usd: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageBefore")]
struct PreviousForm {
    /// When it begins.
    since: Option<String>,
    /// The first moment after it.
    until: Option<String>,
    /// What was done in it.
    #[serde(flatten)]
    extent: ExtentForm,
    /// By how much more was spent in the range than in it, as a share of it; `null` if nothing was spent in it.
    cost_change: Option<f64>,
}

impl UsageForm {
    pub(super) fn of(usage: &Usage, places: &HashMap<Sought, Place>) -> Self {
        let week = WEEKDAYS.into_iter().zip(&usage.week).map(|(weekday, hours)| WeekdayForm {
            weekday,
            hours: hours.iter().enumerate().map(|(hour, sum)| HourForm::of(hour, sum)).collect(),
        });
        let share = |(name, cost): &(Option<String>, Money)| ShareForm {
            name: name.clone(),
            cost_usd: cost.to_string(),
            share: ratio(*cost, usage.now.cost),
        };
        Self {
            week: week.collect(),
            session_seconds: QuantilesForm::of(&mut usage.session_seconds.clone()),
            turns_per_session: QuantilesForm::of(&mut usage.turns_per_session.clone()),
            projects: usage.projects.iter().map(share).collect(),
            branches: usage.branches.iter().map(share).collect(),
            languages: usage.languages.iter().map(LanguageForm::of).collect(),
            files: usage.files.iter().map(|file| FileForm::of(file, places)).collect(),
            total: ExtentForm::of(&usage.now),
            previous: usage.before.as_ref().map(|(window, extent)| PreviousForm::of(*window, extent, &usage.now)),
        }
    }
}

impl HourForm {
    fn of(hour: usize, sum: &HourSum) -> Self {
        Self { hour, turns: sum.turns, messages: sum.messages, cost_usd: sum.cost.to_string() }
    }
}

impl QuantilesForm {
    fn of(sketch: &mut Sketch) -> Self {
        let [p50, p90, max] = sketch.quantiles([50, 90, 100]).map_or([None; 3], |all| all.map(Some));
        Self { count: sketch.count(), p50, p90, max }
    }
}

impl LanguageForm {
    fn of((extension, edits): &(Option<String>, Edits)) -> Self {
        let Edits { calls, lines_added, lines_removed, files } = *edits;
        Self { extension: extension.clone(), files, calls, lines_added, lines_removed }
    }
}

impl FileForm {
    fn of(file: &EditedFile, places: &HashMap<Sought, Place>) -> Self {
        let (session, sought) = sought_of(file);
        let place = places.get(&sought);
        let Edits { calls, lines_added, lines_removed, .. } = file.edits;
        Self {
            extension: file.extension.clone(),
            calls,
            lines_added,
            lines_removed,
            session,
            turn: place.and_then(|place| place.turn),
            event: place.and_then(|place| place.event),
            at: file.at.to_rfc3339(),
        }
    }
}

/// The last call that changed a file.
pub(super) fn sought_of(file: &EditedFile) -> (SessionId, Sought) {
    let Step { is_call, mark, end } = file.step;
    (file.session.clone(), Sought { unit: file.unit, is_call, mark, end })
}

impl ExtentForm {
    fn of(extent: &Extent) -> Self {
        let Extent { sessions, turns, messages, tokens, cost } = *extent;
        Self { sessions, turns, messages, tokens, cost_usd: cost.to_string() }
    }
}

impl PreviousForm {
    fn of(window: Window, before: &Extent, now: &Extent) -> Self {
        Self {
            since: window.since.map(Timestamp::to_rfc3339),
            until: window.until.map(Timestamp::to_rfc3339),
            extent: ExtentForm::of(before),
            cost_change: ratio(now.cost - before.cost, before.cost),
        }
    }
}

/// A part of a whole; `None` if there is no whole.
fn ratio(part: Money, whole: Money) -> Option<f64> {
    (whole > Money::ZERO).then(|| part.to_f64() / whole.to_f64())
}
