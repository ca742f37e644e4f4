//! What the replay knows and shows: where it is, what it was told, and what it wants to be told next. Keys, answers and the
//! time are arguments, so that everything here can be asked without a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::cut::CutKeys;
use super::detail;
use super::event::Row;
use super::layout::{Layout, Size};
use super::marks;
use super::outline::Outline;
use super::pages::{PAGE, Pages};
use super::paint::{Line, Style};
use super::play::Play;
use super::wish::{Failure, Hunt, Wish, landmark};
use crate::cli::ask::answer::{count, list, text};
use crate::views::analytics::period::Zone;
use crate::views::text::find::query::Query;

/// Pause between two looks at whether the session has gone on.
const LOOK: Duration = Duration::from_secs(2);

/// The same while the session is followed.
const LOOK_CLOSELY: Duration = Duration::from_millis(500);

/// Pause after a question without an answer.
const AGAIN: Duration = Duration::from_secs(2);

/// How long an event stays on the screen while the next one is asked for.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long a hint is said.
const MOMENT: Duration = Duration::from_secs(3);

/// What the keys go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    /// The events.
    Events,
    /// The text of the event.
    Text,
    /// Words that are being typed.
    Find(String),
    /// The keys are shown, from one of them on.
    Help(usize),
}

/// What is known from the start.
#[derive(Debug, Clone)]
pub struct About {
    /// The whole id.
    pub session: String,
    pub title: String,
    pub project: String,
    /// Whether somebody reads on in the session files.
    pub can_grow: bool,
    /// The zone in which times are shown.
    pub zone: Zone,
}

/// The replay.
#[derive(Debug)]
pub struct Viewer {
    pub(super) about: About,
    pub(super) size: Size,
    /// How many events there are.
    pub(super) total: usize,
    /// The event that is chosen.
    pub(super) at: usize,
    /// The first row of the timeline that is seen.
    pub(super) top: usize,
    pub(super) pages: Pages,
    pub(super) outline: Option<Outline>,
    /// The event that was told last.
    pub(super) event: Option<Value>,
    /// Its texts, folded to the width of the screen.
    pub(super) body: Vec<Line>,
    /// The first line of them that is seen.
    pub(super) scroll: usize,
    pub(super) play: Play,
    pub(super) follows: bool,
    pub(super) mode: Mode,
    /// What was looked for last.
    pub(super) words: String,
    /// What is said in the last line until the next key.
    pub(super) notice: Option<(String, Style)>,
    /// When that is said no more, even without a key.
    notice_ends: Option<Duration>,
    /// Why nobody answers, until somebody does.
    pub(super) silence: Option<String>,
    /// What is marked in the texts.
    pub(super) marks: Option<Query>,
    /// The first line of the texts with a mark.
    marked_line: Option<usize>,
    /// A search or a jump that goes on.
    pub(super) sought: Option<Wish>,
    /// Whether the rest of a cut text is wanted.
    pub(super) wants_rest: bool,
    /// Keys that are not known yet.
    pub(super) cut: CutKeys,
    /// Whether the text is to be scrolled to the words that were found.
    shows_words: bool,
    whole: BTreeMap<usize, String>,
    /// The path of the file that the event changes, until it is known what the session knew of it.
    changes: Option<String>,
    /// The whole text of that file before, if the session knew it.
    before: Option<String>,
    /// Counts how often the session went on.
    version: u64,
    event_version: Option<u64>,
    /// The question that is being answered.
    asked: Option<Wish>,
    /// Since when the event that is shown is not the one that is chosen.
    stale_since: Option<Duration>,
    /// Until when nobody is asked, because nobody answered.
    silent_until: Option<Duration>,
    look_at: Duration,
    folded_to: Option<usize>,
}

impl Viewer {
    /// The replay of a session with `total` events, at one of them.
    #[must_use]
    pub fn new(about: About, (at, total): (usize, usize), play: Play) -> Self {
        Self {
            about,
            size: Size { columns: 80, rows: 24 },
            total,
            at: at.min(total.saturating_sub(1)),
            top: 0,
            pages: Pages::default(),
            outline: None,
            event: None,
            body: Vec::new(),
            scroll: 0,
            play,
            follows: false,
            mode: Mode::Events,
            words: String::new(),
            notice: None,
            notice_ends: None,
            silence: None,
            marks: None,
            marked_line: None,
            sought: None,
            wants_rest: false,
            cut: CutKeys::default(),
            shows_words: false,
            whole: BTreeMap::new(),
            changes: None,
            before: None,
            version: 0,
            event_version: None,
            asked: None,
            stale_since: None,
            silent_until: None,
            look_at: Duration::ZERO,
            folded_to: None,
        }
    }

    /// Goes to an event; beyond the ends, to the nearest.
    pub(super) fn select(&mut self, index: usize, now: Duration) {
        let index = index.min(self.total.saturating_sub(1));
        if index != self.at {
            self.at = index;
            self.stale_since = Some(now);
            self.wants_rest = false;
            self.shows_words = false;
            // Another event may be the answer by now.
            self.whole.clear();
        }
    }

    /// Whether the event that is shown is the chosen one.
    pub(super) fn is_current(&self) -> bool {
        self.event.as_ref().and_then(|event| count(event, "/index")) == u64::try_from(self.at).ok()
    }

    /// Whether the event is so long in coming that the one before should not stand there any more.
    pub(super) fn is_late(&self, now: Duration) -> bool {
        !self.is_current() && self.stale_since.is_none_or(|since| now >= since + PATIENCE)
    }

    /// The question that is to be asked now, if any; one at a time, so that who hurries through asks for what is seen in the
    /// end.
    pub fn wish(&mut self, now: Duration) -> Option<Wish> {
        if self.asked.is_some() || self.silent_until.is_some_and(|until| now < until) {
            return None;
        }
        let wish = self.next_wish(now)?;
        self.asked = Some(wish.clone());
        Some(wish)
    }

    fn next_wish(&self, now: Duration) -> Option<Wish> {
        if self.sought.is_some() {
            return self.sought.clone();
        }
        let is_looking = self.outline.is_none() || self.about.can_grow && now >= self.look_at;
        if self.total == 0 {
            return is_looking.then_some(Wish::Outline);
        }
        let page_of = |index: usize| Some(index / PAGE).filter(|page| !self.pages.is_known(*page, self.version));
        if let Some(page) = page_of(self.at) {
            return Some(Wish::Page(page));
        }
        let next = (self.at + 1).min(self.total - 1);
        if let Some(page) = page_of(next).filter(|_| self.play.is_on()) {
            return Some(Wish::Page(page));
        }
        if !self.is_current() || self.event_version != Some(self.version) {
            return Some(Wish::Event(self.at));
        }
        // The first event has nothing before it.
        if let Some((path, at)) = self.changes.clone().zip(self.at.checked_sub(1)) {
            return Some(Wish::File { path, at });
        }
        let last = (self.top + Layout::of(self.size).list.rows).min(self.total).saturating_sub(1);
        if let Some(page) = page_of(self.top).or_else(|| page_of(last)) {
            return Some(Wish::Page(page));
        }
        let rest =
            self.event.as_ref().filter(|_| self.wants_rest).and_then(|event| detail::cut_piece(event, &self.whole));
        if let Some(part) = rest {
            return Some(Wish::Text { event: self.at, part });
        }
        is_looking.then_some(Wish::Outline)
    }

    /// When something is to be done although nothing happens.
    #[must_use]
    pub fn wakes_at(&self, now: Duration) -> Option<Duration> {
        let late =
            self.stale_since.filter(|_| !self.is_current()).map(|since| since + PATIENCE).filter(|late| *late > now);
        let look = (self.about.can_grow && self.asked.is_none()).then(|| self.silent_until.unwrap_or(self.look_at));
        let silent = self.silent_until.filter(|_| self.asked.is_none());
        [self.play.due(), self.cut.due(), self.notice_ends, late, look, silent].into_iter().flatten().min()
    }

    /// Takes the answer to the question that was asked.
    pub fn told(&mut self, answer: Result<Value, Failure>, now: Duration) {
        let Some(wish) = self.asked.take() else { return };
        match answer {
            Ok(answer) => {
                (self.silent_until, self.silence) = (None, None);
                self.take(wish, &answer, now);
            }
            Err(Failure::Silent(why)) => {
                self.silence = Some(format!("asking again: {why}"));
                self.silent_until = Some(now + AGAIN);
            }
            // Then the edit is shown as its call tells it.
            Err(Failure::Refused(_)) if matches!(wish, Wish::File { .. }) => self.changes = None,
            Err(Failure::Refused(why)) => {
                if self.sought.as_ref() == Some(&wish) {
                    self.sought = None;
                    self.say(&why, Style::BAD);
                } else {
                    self.silence = Some(why);
                    self.wants_rest = false;
                    self.silent_until = Some(now + AGAIN);
                }
            }
        }
    }

    fn take(&mut self, wish: Wish, answer: &Value, now: Duration) {
        match wish {
            Wish::Outline => self.outlined(answer, now),
            Wish::Page(page) => {
                let rows = list(answer, "/events").iter().filter_map(|event| Row::of(event, self.about.zone)).collect();
                self.pages.keep(page, self.version, rows);
                self.counted(answer, now);
            }
            Wish::Event(_) => {
                self.counted(answer, now);
                if let Some(event) = list(answer, "/events").first() {
                    self.show(event.clone());
                }
            }
            Wish::Seek { is_next, what, .. } if self.sought.as_ref() == Some(&wish) => {
                self.sought = None;
                match count(answer, "/event/index").and_then(|index| usize::try_from(index).ok()) {
                    Some(index) => self.select(index, now),
                    None => {
                        let way = if is_next { "further" } else { "earlier" };
                        self.say(&format!("there is no {way} {}", landmark(what)), Style::WARN);
                    }
                }
            }
            Wish::Find { .. } | Wish::FindBack { .. } if self.sought.as_ref() == Some(&wish) => {
                self.sought = None;
                match wish.after(answer, self.at) {
                    Hunt::Found(index) => self.found(index, now),
                    Hunt::Further(wish, said) => {
                        self.say(&said, Style::DIM);
                        self.sought = Some(wish);
                    }
                    Hunt::Nothing(said) => self.say(&said, Style::WARN),
                }
            }
            // Given up meanwhile.
            Wish::Seek { .. } | Wish::Find { .. } | Wish::FindBack { .. } => {}
            Wish::File { path, at } => {
                if self.changes.as_ref() == Some(&path) && at + 1 == self.at && self.is_current() {
                    self.changes = None;
                    let is_whole = text(answer, "/known") == Some("whole");
                    self.before = text(answer, "/text").filter(|_| is_whole).map(str::to_owned);
                    self.folded_to = None;
                }
            }
            Wish::Text { event, part } => {
                if event == self.at && self.is_current() {
                    self.whole.insert(part, text(answer, "/text").unwrap_or_default().to_owned());
                    self.folded_to = None;
                }
            }
        }
    }

    /// Takes how many events there are; any answer may be the first that tells of more.
    fn counted(&mut self, answer: &Value, now: Duration) {
        let Some(total) = count(answer, "/total_events").and_then(|total| usize::try_from(total).ok()) else { return };
        let has_grown = total > self.total;
        self.total = total;
        self.at = self.at.min(total.saturating_sub(1));
        if !has_grown {
            return;
        }
        if !self.follows {
            self.say(&format!("{total} events now"), Style::DIM);
        } else if !self.play.is_on() {
            self.select(total - 1, now);
        }
    }

    fn show(&mut self, event: Value) {
        let is_another = self.event.as_ref().and_then(|event| count(event, "/index")) != count(&event, "/index");
        if is_another {
            self.scroll = 0;
            self.whole.clear();
        }
        (self.changes, self.before) = (detail::changed_file(&event), None);
        self.event = Some(event);
        self.event_version = Some(self.version);
        self.folded_to = None;
        if self.is_current() {
            self.stale_since = None;
        }
    }

    fn outlined(&mut self, answer: &Value, now: Duration) {
        self.look_at = now + if self.follows { LOOK_CLOSELY } else { LOOK };
        let outline = Outline::of(answer);
        let has_changed = self.outline.as_ref().is_some_and(|known| *known != outline);
        self.outline = Some(outline);
        if has_changed {
            // Events that came may stand before others that are known.
            self.version += 1;
        }
        self.counted(answer, now);
    }

    fn found(&mut self, index: usize, now: Duration) {
        self.notice = None;
        self.select(index, now);
        self.shows_words = true;
    }

    /// Says something in the last line.
    pub(super) fn say(&mut self, text: &str, look: Style) {
        self.notice = Some((text.to_owned(), look));
        self.notice_ends = None;
    }

    /// Says something in the last line for a moment.
    pub(super) fn hint(&mut self, text: &str, now: Duration) {
        self.say(text, Style::DIM);
        self.notice_ends = Some(now + MOMENT);
    }

    /// Ends what is said for a moment, if that is over.
    pub(super) fn forget_hint(&mut self, now: Duration) {
        if self.notice_ends.is_some_and(|ends| ends <= now) {
            (self.notice, self.notice_ends) = (None, None);
        }
    }

    /// Goes on with play, if it is time.
    pub(super) fn go_on(&mut self, now: Duration) {
        if !self.play.is_on() {
            return;
        }
        let next = self.at + 1;
        if next >= self.total {
            if !self.follows {
                self.play.pause();
                self.say("the end", Style::DIM);
            }
            return;
        }
        let Some(gap) = self.pages.row(next).map(|row| row.gap) else { return };
        if self.play.is_due(gap, now) {
            self.select(next, now);
            // From now on the one behind it is waited for.
            if let Some(gap) = self.pages.row(next + 1).map(|row| row.gap) {
                self.play.is_due(gap, now);
            }
        }
    }

    /// Marks what a question finds in texts from now on; with `None`, nothing.
    pub(super) fn mark(&mut self, query: Option<Query>) {
        self.marks = query;
        self.folded_to = None;
    }

    /// Makes everything fit to the screen: what is folded, and what is seen of lists and texts.
    pub fn fit(&mut self, size: Size) {
        self.size = size;
        let layout = Layout::of(size);
        if self.folded_to != Some(layout.pane.columns)
            && let Some(event) = &self.event
        {
            let lines = detail::body(event, &self.whole, self.before.as_deref());
            (self.body, self.marked_line) = marks::folded(lines, layout.pane.columns, self.marks.as_ref());
            self.folded_to = Some(layout.pane.columns);
        }
        if self.shows_words && self.is_current() {
            self.shows_words = false;
            self.scroll = self.marked_line.map_or(0, |line| line.saturating_sub(1));
        }
        let rows = layout.list.rows.max(1);
        if self.at < self.top || self.at >= self.top + rows {
            self.top = self.at.saturating_sub(rows / 2);
        }
        self.top = self.top.min(self.total.saturating_sub(rows));
        self.scroll = self.scroll.min(self.body.len().saturating_sub(layout.pane.rows));
    }
}
