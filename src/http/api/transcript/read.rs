//! The events of a session with their texts, and the passes over them.
//!
//! ```text
//! 1. learn   every text in order, so that a secret that is told with a name somewhere is known everywhere
//! 2. titles  the prompts, whose beginnings are the titles of turns
//! 3. write   every event that the level tells
//! ```
//!
//! Events are read in pages, and the texts of one event at a time are in memory. The first pass is left out if secrets are
//! wanted.

use std::io::{self, Write};
use std::sync::Arc;

use crate::archive::Archive;
use crate::http::api::content::{ContentPage, Hidden};
use crate::http::api::reel::Reel;
use crate::http::api::transcript::turns::turns;
use crate::store::{StoreError, StoreReader};
use crate::views::sessions::event::Event;
use crate::views::text::pictures::picture;
use crate::views::text::pieces::whole_pieces;
use crate::views::transcripts::entry::{Entry, ForkPlace, Form, Head, Piece, Texts, TurnHead, title_of};
use crate::views::transcripts::hide::Hide;
use crate::views::transcripts::level::Level;

/// Events of a page.
const PAGE_EVENTS: usize = 256;

/// Bytes of a form that are passed on at once.
const PASSED_ON_BYTES: usize = 16 << 10;

/// Bytes of texts that are learned between two pauses.
const PAUSE_BYTES: usize = 32 << 20;

/// A session that is read.
pub(super) struct Session {
    pub(super) reader: StoreReader,
    pub(super) archive: Archive,
    pub(super) reel: Arc<Reel>,
}

impl Session {
    /// Writes a session in a form. `head` has its secrets, and no turns. Fails if the state cannot be read, or if the sink
    /// takes no more.
    pub(super) fn write(&self, head: Head, form: &mut dyn Form, sink: &mut dyn Write) -> io::Result<()> {
        let hide = if head.scrubbed { self.learned(&head, form.pause(), sink)? } else { Hide::nothing() };
        let head = self.head(head, &hide).map_err(io::Error::other)?;
        let mut out = Vec::new();
        form.begin(&head, &mut out);
        let told: Vec<usize> = (0..head.total_events).filter(|position| self.is_told(*position, head.level)).collect();
        let mut texts = self.texts(form.takes_pictures());
        for positions in told.chunks(PAGE_EVENTS) {
            for (event, state) in self.reel.events(&self.reader, positions).map_err(io::Error::other)? {
                let told = match head.level.tells_texts(&event.detail) {
                    true => hidden(texts.of(&event).map_err(io::Error::other)?, &hide),
                    false => Texts::LeftOut,
                };
                let event = hide.event(event);
                let agent_type = self.agent_type(event.index).map(|name| hide.text(name));
                let (agent_type, context_tokens) = (agent_type.as_deref(), state.context_tokens);
                let turn = turn_at(&head.turns, event.index);
                form.entry(&Entry { event: &event, agent_type, turn, context_tokens, texts: &told }, &mut out);
                if out.len() > PASSED_ON_BYTES {
                    sink.write_all(&out)?;
                    out.clear();
                }
            }
        }
        form.end(&mut out);
        sink.write_all(&out)
    }

    /// Learns the secrets of a session. Where that takes long, `pause` is written now and then: as often for the same
    /// session, so that its transcript stays the same. Fails if the state cannot be read, or if the sink takes no more.
    fn learned(&self, head: &Head, pause: &[u8], sink: &mut dyn Write) -> io::Result<Hide> {
        let mut hide = Hide::secrets();
        head.session.title.iter().for_each(|title| hide.learn_text(title));
        let mut texts = self.texts(false);
        let (all, mut learned): (Vec<usize>, _) = ((0..head.total_events).collect(), 0);
        for positions in all.chunks(PAGE_EVENTS) {
            let learn = |_: &Event, told: Texts| {
                hide.learn(told.pieces());
                learned += told.pieces().iter().map(|piece| piece.bytes).sum::<usize>();
            };
            self.each_text(positions, &mut texts, learn).map_err(io::Error::other)?;
            if learned >= PAUSE_BYTES {
                learned = 0;
                sink.write_all(pause)?;
                sink.flush()?;
            }
        }
        Ok(hide)
    }

    /// The head without its secrets, with the turns.
    fn head(&self, head: Head, hide: &Hide) -> Result<Head, StoreError> {
        let (mut turns, errors) = turns(&self.reader, &self.reel)?;
        let prompts: Vec<usize> = turns.iter().map(|turn| turn.event).collect();
        let mut titles = turns.iter_mut().peekable();
        self.each_text(&prompts, &mut self.texts(false), |event, told| {
            while titles.next_if(|turn| turn.event < event.index).is_some() {}
            if let Some(turn) = titles.next_if(|turn| turn.event == event.index)
                && head.level.tells_texts(&event.detail)
            {
                turn.title = title_of(&hidden(told, hide));
            }
        })?;
        let without = |place: ForkPlace| ForkPlace { session: hide.text(&place.session).into_owned(), ..place };
        Ok(Head {
            session: hide.summary(head.session),
            turns,
            errors,
            left_source: head.left_source.map(without),
            forks: head.forks.into_iter().map(without).collect(),
            ..head
        })
    }

    /// Reads the texts of the events at these positions, with their secrets.
    fn each_text(
        &self,
        positions: &[usize],
        texts: &mut EventTexts<'_>,
        mut take: impl FnMut(&Event, Texts),
    ) -> Result<(), StoreError> {
        for positions in positions.chunks(PAGE_EVENTS) {
            for placed in self.reel.placed_events(&self.reader, positions)? {
                take(&placed.event, texts.of(&placed.event)?);
            }
        }
        Ok(())
    }

    fn is_told(&self, position: usize, level: Level) -> bool {
        let look = self.reel.timeline.look(position);
        look.is_some_and(|look| level.tells(look.kind, self.reel.nesting.id(look.unit).is_none()))
    }

    /// The type of the sub-agent that an event happened in.
    fn agent_type(&self, position: usize) -> Option<&str> {
        self.reel.nesting.named(self.reel.timeline.look(position)?.unit)?.1
    }

    fn texts(&self, pictures: bool) -> EventTexts<'_> {
        EventTexts { session: self, page: ContentPage::new(&self.reader, &self.archive), pictures }
    }
}

/// Reads texts of events. Files stay open from one event to the next.
struct EventTexts<'s> {
    session: &'s Session,
    page: ContentPage<'s>,
    pictures: bool,
}

impl EventTexts<'_> {
    /// The whole texts of an event, with their secrets. Fails if the state cannot be read.
    fn of(&mut self, event: &Event) -> Result<Texts, StoreError> {
        let Some(source) = &event.source else { return Ok(Texts::Told(Vec::new())) };
        let rows = match self.page.rows(source)? {
            // A page of the replay has a limit; here the next one begins.
            Err(Hidden::PageFull) => {
                self.page = ContentPage::new(&self.session.reader, &self.session.archive);
                self.page.rows(source)?
            }
            rows => rows,
        };
        let rows = match rows {
            Ok(rows) => rows,
            Err(hidden) => return Ok(Texts::Missing(hidden.reason())),
        };
        let pieces = (0..).zip(whole_pieces(&rows, &source.expected)).map(|(part, piece)| {
            let (kind, text, bytes) = piece.into_parts();
            let input = text.as_ref().filter(|_| kind == "tool_input").and_then(|text| serde_json::from_str(text).ok());
            let is_picture = self.pictures && kind == "image";
            let picture = is_picture.then(|| picture(&rows, &source.expected, part)).flatten();
            Piece { kind, text, bytes, input, picture }
        });
        Ok(Texts::Told(pieces.collect()))
    }
}

fn hidden(texts: Texts, hide: &Hide) -> Texts {
    match texts {
        Texts::Told(pieces) => Texts::Told(hide.pieces(pieces)),
        other => other,
    }
}

/// The turn that begins with the event at a position.
fn turn_at(turns: &[TurnHead], event: usize) -> Option<&TurnHead> {
    turns.binary_search_by_key(&event, |turn| turn.event).ok().and_then(|found| turns.get(found))
}
