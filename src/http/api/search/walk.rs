//! Walks through sessions and their events in the order that is asked for, and ends with the page or when its time is up.
//!
//! ```text
//! queue    sessions by their nearest end, events of opened sessions, texts that match: what comes first is taken first
//! session  its files are looked through for lines that may match; if there are any, its next event goes into the queue
//! event    its rows are read and compared; texts that match go into the queue, and so does the next event
//! text     goes onto the page
//! ```
//!
//! So the page is in order over all sessions, and as many sessions are open as ran at the same time. A page whose time is
//! up ends behind the last place that was taken, and every page takes one at least: a search that goes on from page to page
//! comes to its end, however little time a page has.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

use super::files::{Reading, SearchError};
use super::known::KnownFiles;
use super::open::OpenSession;
use super::question::{Listed, Place, SearchQuestion};
use crate::archive::Archive;
use crate::index::catalogue::SearchIndex;
use crate::store::StoreReader;
use crate::transcript::shown::shown_name;
use crate::transcript::time::Timestamp;
use crate::views::analytics::session_cells::UNKNOWN_AGENT;
use crate::views::sessions::event::{Detail, Event};
use crate::views::sessions::events::PlacedEvent;
use crate::views::text::find::found::Snippet;
use crate::views::text::find::texts::TextKind;

/// A page of texts that match.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) found: Vec<Found>,
    pub(super) searched_bytes: u64,
    pub(super) searched_sessions: u64,
    /// True if its time was up.
    pub(super) cut_short: bool,
    /// Where the next page begins; `None` if this is the last one.
    pub(super) next: Option<Place>,
}

/// A text that matches.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) listed: Arc<Listed>,
    pub(super) at: Timestamp,
    pub(super) kind: TextKind,
    pub(super) snippet: Snippet,
    /// What a text of an event has and a title has not.
    pub(super) of_event: Option<OfEvent>,
}

/// Where a text stands.
#[derive(Debug)]
pub(super) struct OfEvent {
    pub(super) event: usize,
    pub(super) turn: Option<usize>,
    pub(super) tool: Option<String>,
    pub(super) agent: String,
    pub(super) project: Option<String>,
}

/// Something in the queue.
enum Item {
    Session(Arc<Listed>),
    Title(Arc<Listed>),
    /// An event of a session that goes on behind it.
    Event(Box<(OpenSession, PlacedEvent)>),
    Text(Box<Found>),
}

/// An item by its place.
struct Queued(Place, Item);

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl Page {
    /// The page with what was found after it was cut short.
    pub(super) fn followed_by(mut self, more: Self) -> Self {
        self.found.extend(more.found);
        self.searched_bytes += more.searched_bytes;
        self.searched_sessions += more.searched_sessions;
        Self { cut_short: more.cut_short, next: more.next, ..self }
    }
}

/// A search under way.
pub(super) struct Walk<'w> {
    reader: &'w StoreReader,
    known: &'w KnownFiles,
    question: &'w SearchQuestion,
    reading: Reading<'w>,
    queue: BinaryHeap<Reverse<Queued>>,
    /// An id that comes before all others.
    nobody: Arc<str>,
    page: Page,
}

impl<'w> Walk<'w> {
    /// A search through these sessions. `is_wanted` tells whether somebody still waits for the answer.
    pub(super) fn new(
        (reader, archive): (&'w StoreReader, &Archive),
        (known, index): (&'w KnownFiles, Option<&'w SearchIndex>),
        question: &'w SearchQuestion,
        sessions: &[Arc<Listed>],
        is_wanted: &'w mut dyn FnMut() -> bool,
    ) -> Self {
        let (reading, page) = (Reading::new((reader, archive), index, &question.hint, is_wanted), Page::default());
        let mut walk = Self { reader, known, question, reading, queue: BinaryHeap::new(), nobody: "".into(), page };
        sessions.iter().for_each(|listed| walk.list(Arc::clone(listed)));
        walk
    }

    /// Puts a session into the queue, and its title if that matches.
    fn list(&mut self, listed: Arc<Listed>) {
        let Self { question, queue, nobody, .. } = self;
        let (near, far) = if question.newest { (listed.last, listed.first) } else { (listed.first, listed.last) };
        if question.after.as_ref().is_some_and(|after| question.towards(far.max(listed.first)) < after.time) {
            return;
        }
        let title = question.place(&listed, listed.first, None);
        if listed.wanted.title && listed.title.is_some() && question.is_within(listed.first) {
            queue.push(Reverse(Queued(title, Item::Title(Arc::clone(&listed)))));
        }
        // Before everything else of the same time.
        let place = Place { session: Arc::clone(nobody), kind: 0, ..question.place(&listed, near, None) };
        queue.push(Reverse(Queued(place, Item::Session(listed))));
    }

    /// The page. Fails if the state cannot be read, or if nobody waits for the page any more.
    pub(super) fn page(mut self) -> Result<Page, SearchError> {
        let began = Instant::now();
        let mut last = self.question.after.clone();
        let mut went_on = false;
        while let Some(Reverse(Queued(place, item))) = self.queue.pop() {
            let is_new = last.as_ref().is_none_or(|last| place > *last);
            if self.page.found.len() >= self.question.limit
                || (went_on && is_new && began.elapsed() >= self.question.patience)
            {
                self.page.cut_short = self.page.found.len() < self.question.limit;
                self.page.next = last;
                break;
            }
            self.reading.check()?;
            // A session that was open where the page before ended is opened again, and counted there.
            let is_behind = self.question.after.as_ref().is_none_or(|after| place > *after);
            self.page.searched_sessions += u64::from(is_behind && matches!(item, Item::Session(_)));
            self.take(&place, item)?;
            if is_new {
                went_on = true;
                last = Some(place);
            }
        }
        self.page.searched_bytes = self.reading.bytes;
        Ok(self.page)
    }

    fn take(&mut self, place: &Place, item: Item) -> Result<(), SearchError> {
        match item {
            Item::Session(listed) => {
                let state = (self.reader, self.known);
                if let Some(open) = OpenSession::open(state, &mut self.reading, listed, self.question)? {
                    self.go_on(open)?;
                }
            }
            Item::Title(listed) => self.compare_title(place, &listed),
            Item::Event(event) => {
                let (open, placed) = *event;
                self.compare(place, &open.listed, &placed)?;
                self.go_on(open)?;
            }
            Item::Text(found) => {
                if self.question.after.as_ref().is_none_or(|after| place > after) {
                    self.page.found.push(*found);
                }
            }
        }
        Ok(())
    }

    /// Puts the next event of a session into the queue.
    fn go_on(&mut self, mut open: OpenSession) -> Result<(), SearchError> {
        if let Some((place, event)) = open.next(self.reader, self.question)? {
            self.queue.push(Reverse(Queued(place, Item::Event(Box::new((open, event))))));
        }
        Ok(())
    }

    fn compare_title(&mut self, place: &Place, listed: &Arc<Listed>) {
        let Some(title) = listed.title.as_ref().filter(|_| self.question.takes(TextKind::Title, None, None)) else {
            return;
        };
        if let Some(snippet) = self.question.query.find(&[title]) {
            let (listed, at) = (Arc::clone(listed), listed.first);
            self.found(place, Found { listed, at, kind: TextKind::Title, snippet, of_event: None });
        }
    }

    /// Compares the texts of an event.
    fn compare(&mut self, place: &Place, listed: &Arc<Listed>, placed: &PlacedEvent) -> Result<(), SearchError> {
        let event = &placed.event;
        let Some((source, plain)) = event.source.as_ref().zip(kind_of(&event.detail)) else { return Ok(()) };
        let Some(texts) = self.reading.texts(source, plain)? else { return Ok(()) };
        let (model, tool) = (model_of(event), tool_of(event));
        for (kind, pieces) in texts {
            if !self.question.takes(kind, model.as_deref(), tool.as_deref()) {
                continue;
            }
            let Some(snippet) = self.question.query.find(&pieces) else { continue };
            let agent = placed.agent.as_ref().map_or("main", |told| told.as_deref().unwrap_or(UNKNOWN_AGENT));
            let project = placed.cwd.as_deref().and_then(crate::ledger::session::project_of);
            let of_event = Some(OfEvent {
                event: event.index,
                turn: event.turn,
                tool: tool.clone(),
                agent: shown_name(agent),
                project: project.map(shown_name),
            });
            self.found(place, Found { listed: Arc::clone(listed), at: event.at, kind, snippet, of_event });
        }
        Ok(())
    }

    /// Puts a text that matches into the queue, at the place of its kind.
    fn found(&mut self, event: &Place, found: Found) {
        let number = TextKind::NAMES.iter().position(|(_, kind)| *kind == found.kind).unwrap_or_default();
        let kind = u8::try_from(number).unwrap_or_default() + 1;
        let place = Place { kind, ..event.clone() };
        self.queue.push(Reverse(Queued(place, Item::Text(Box::new(found)))));
    }
}

/// What the text of an event is, if it is not of a kind of its own; `None` for an event without text.
pub(in crate::http::api) const fn kind_of(detail: &Detail) -> Option<TextKind> {
    match detail {
        Detail::Prompt { .. } | Detail::SubagentStart { .. } | Detail::QueuedPrompt { .. } => Some(TextKind::Prompt),
        Detail::Message { .. } | Detail::AwaySummary { .. } => Some(TextKind::Answer),
        Detail::ToolCall { .. } => Some(TextKind::ToolInput),
        Detail::ToolResult { .. } | Detail::TaskEnd { .. } => Some(TextKind::ToolResult),
        Detail::ApiError { .. }
        | Detail::ModelChange { .. }
        | Detail::Compaction { .. }
        | Detail::Hook { .. }
        | Detail::PullRequest { .. }
        | Detail::PlanMode { .. }
        | Detail::ServerTool { .. }
        | Detail::Interrupt
        | Detail::SubagentEnd { .. } => None,
    }
}

fn model_of(event: &Event) -> Option<String> {
    if let Detail::Message { model, .. } = &event.detail { Some(shown_name(model)) } else { None }
}

fn tool_of(event: &Event) -> Option<String> {
    match &event.detail {
        Detail::ToolCall { tool, .. } => Some(shown_name(tool)),
        Detail::ToolResult { tool: Some(tool), .. } => Some(shown_name(tool)),
        _ => None,
    }
}
