//! What the keys do: the same as on the page, as far as a page has them.

use std::time::Duration;

use super::key::Key;
use super::layout::Layout;
use super::paint::Style;
use super::viewer::{Mode, Viewer};
use super::wish::Wish;
use crate::views::text::find::query::Query;

/// Events that page up and page down pass.
const LEAP: usize = 10;

/// Lines of a text that `d` and `u` pass.
const HALF_PAGE: isize = 10;

/// Longest words that are looked for.
const WORDS_LETTERS_MAX: usize = 500;

/// What the program has to do after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Go on.
    Stay,
    /// End.
    Leave,
    /// Give the terminal back, and stop until somebody says to go on.
    Suspend,
    /// Draw everything again.
    Redraw,
}

/// The keys, and what they do.
pub(super) const HELP: [(&str, &str); 14] = [
    ("← → ↑ ↓ h l k j", "the event before, the next one"),
    ("page up, page down", "ten events"),
    ("home, end, g G", "the first event, the last"),
    ("space", "play and pause; gaps over 3 s are shortened to 3 s"),
    ("+ -", "faster, slower"),
    ("/", "find words from here on"),
    ("n N", "find the next, the one before"),
    ("e E", "next, previous error"),
    ("t T", "next, previous tool call"),
    ("] [", "next, previous turn"),
    ("f", "follow a session that goes on"),
    ("d u, tab", "scroll the text; tab gives it all keys"),
    ("enter", "all of a text that was cut"),
    ("q, Ctrl-C, Esc", "leave; Esc first ends a search, its marks or a message"),
];

impl Viewer {
    /// Does what a key means. An escape waits a moment for what it may be the beginning of.
    pub fn key(&mut self, key: Key, now: Duration) -> Act {
        let keys = self.cut.take(key, now);
        self.keys(keys, now)
    }

    /// Does what is due: escapes of which nothing more comes, and play.
    pub fn tick(&mut self, now: Duration) -> Act {
        let keys = self.cut.rest(now);
        let act = self.keys(keys, now);
        self.forget_hint(now);
        self.go_on(now);
        act
    }

    fn keys(&mut self, keys: Vec<Key>, now: Duration) -> Act {
        let mut all = keys.into_iter().map(|key| self.one(key, now));
        all.find(|act| *act != Act::Stay).unwrap_or(Act::Stay)
    }

    fn one(&mut self, key: Key, now: Duration) -> Act {
        match key {
            Key::Interrupt => return Act::Leave,
            Key::Suspend => return Act::Suspend,
            Key::Redraw => return Act::Redraw,
            _ => {}
        }
        if key == Key::Escape && self.mode == Mode::Events {
            return if self.clear() { Act::Stay } else { Act::Leave };
        }
        self.notice = None;
        match std::mem::replace(&mut self.mode, Mode::Events) {
            Mode::Find(words) => self.key_of_words(key, words, now),
            Mode::Help(first) => match key {
                Key::Up | Key::PageUp => self.mode = Mode::Help(first.saturating_sub(1)),
                Key::Down | Key::PageDown => self.mode = Mode::Help((first + 1).min(HELP.len() - 1)),
                // Any other key leads back.
                _ => {}
            },
            Mode::Text => {
                self.mode = Mode::Text;
                if !self.key_of_text(key) {
                    return self.key_of_events(key, now);
                }
            }
            Mode::Events => return self.key_of_events(key, now),
        }
        Act::Stay
    }

    fn key_of_events(&mut self, key: Key, now: Duration) -> Act {
        match key {
            Key::Letter('q') => return Act::Leave,
            Key::Up | Key::Left | Key::Letter('k' | 'h') => self.go(self.at.saturating_sub(1), now),
            Key::Down | Key::Right | Key::Letter('j' | 'l') => self.go(self.at.saturating_add(1), now),
            Key::PageUp => self.go(self.at.saturating_sub(LEAP), now),
            Key::PageDown => self.go(self.at.saturating_add(LEAP), now),
            Key::Home | Key::Letter('g') => self.go(0, now),
            Key::End | Key::Letter('G') => self.go(usize::MAX, now),
            Key::Letter(' ') => self.toggle(),
            Key::Letter('+' | '=') => self.speed(true),
            Key::Letter('-') => self.speed(false),
            Key::Letter('/') => self.mode = Mode::Find(String::new()),
            Key::Letter('n' | 'N') if self.words.is_empty() => self.mode = Mode::Find(String::new()),
            Key::Letter('n') => self.find(true),
            Key::Letter('N') => self.find(false),
            Key::Letter('e') => self.seek(true, "error"),
            Key::Letter('E') => self.seek(false, "error"),
            Key::Letter('t') => self.seek(true, "tool"),
            Key::Letter('T') => self.seek(false, "tool"),
            Key::Letter(']') => self.seek(true, "prompt"),
            Key::Letter('[') => self.seek(false, "prompt"),
            Key::Letter('f') => self.follow(now),
            Key::Letter('?') => self.mode = Mode::Help(0),
            Key::Letter('d') => self.scroll_by(HALF_PAGE),
            Key::Letter('u') => self.scroll_by(-HALF_PAGE),
            Key::Tab => self.mode = Mode::Text,
            Key::Enter => self.wants_rest = true,
            Key::Letter(_) | Key::Backspace => self.hint("? shows the keys", now),
            Key::Escape | Key::Interrupt | Key::Suspend | Key::Redraw => {}
        }
        Act::Stay
    }

    /// Whether the text takes the key.
    fn key_of_text(&mut self, key: Key) -> bool {
        let page = isize::try_from(Layout::of(self.size).pane.rows.saturating_sub(1)).unwrap_or(1).max(1);
        match key {
            Key::Up | Key::Letter('k') => self.scroll_by(-1),
            Key::Down | Key::Letter('j') => self.scroll_by(1),
            Key::PageUp => self.scroll_by(-page),
            Key::PageDown => self.scroll_by(page),
            Key::Home | Key::Letter('g') => self.scroll = 0,
            Key::End | Key::Letter('G') => self.scroll = self.body.len(),
            Key::Tab | Key::Escape => self.mode = Mode::Events,
            _ => return false,
        }
        true
    }

    fn key_of_words(&mut self, key: Key, mut words: String, now: Duration) {
        match key {
            Key::Escape => return,
            Key::Enter => {
                words.truncate(words.trim_end().len());
                if !words.is_empty() {
                    self.words = words;
                }
                if !self.words.is_empty() {
                    self.find(true);
                }
                return;
            }
            Key::Backspace if words.is_empty() => return,
            Key::Backspace => drop(words.pop()),
            Key::Letter(letter) if words.chars().count() < WORDS_LETTERS_MAX => words.push(letter),
            // The events can be walked through meanwhile.
            Key::Up | Key::Down | Key::PageUp | Key::PageDown => drop(self.key_of_events(key, now)),
            _ => {}
        }
        self.mode = Mode::Find(words);
    }

    /// Goes to an event by hand.
    fn go(&mut self, index: usize, now: Duration) {
        self.play.pause();
        self.sought = None;
        // Who looks back wants to stay there.
        if index < self.at {
            self.follows = false;
        }
        self.select(index, now);
    }

    /// Ends a search that goes on, and takes marks and messages away; whether there was any of these.
    fn clear(&mut self) -> bool {
        let had = self.sought.take().is_some() | self.notice.take().is_some() | self.marks.is_some();
        self.mark(None);
        had
    }

    fn toggle(&mut self) {
        self.sought = None;
        if self.play.is_on() { self.play.pause() } else { self.play.start() }
    }

    fn speed(&mut self, is_faster: bool) {
        self.play.faster(is_faster);
        self.say(&format!("speed {}", self.play.told()), Style::PLAIN);
    }

    fn seek(&mut self, is_next: bool, what: &'static str) {
        self.play.pause();
        self.follows &= is_next;
        self.sought = Some(Wish::Seek { from: self.at, is_next, what });
    }

    fn find(&mut self, is_next: bool) {
        self.play.pause();
        self.follows &= is_next;
        let words = self.words.clone();
        self.say(&format!("looking for “{words}” …"), Style::DIM);
        // What cannot be read as a question is refused with words.
        self.mark(Query::parse(&words).ok());
        self.sought = Some(match is_next {
            true => Wish::Find { from: self.at.saturating_add(1), words },
            false => Wish::FindBack { from: 0, to: self.at, words, found: None },
        });
    }

    fn follow(&mut self, now: Duration) {
        if !self.about.can_grow {
            return self.say("nothing to follow: no sidecar reads this session", Style::WARN);
        }
        // The last key counts, also if one before it waits for somebody to answer.
        self.sought = None;
        self.follows = !self.follows;
        if self.follows && !self.play.is_on() {
            self.select(usize::MAX, now);
        }
        self.say(if self.follows { "following" } else { "not following any more" }, Style::PLAIN);
    }

    fn scroll_by(&mut self, lines: isize) {
        self.scroll = self.scroll.saturating_add_signed(lines);
    }
}
