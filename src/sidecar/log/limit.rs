//! Keeps one fault that repeats itself from filling a disk: a message that comes a million times is written three
//! times, then counted.
//!
//! - Messages are of one *kind* if they come from the same line of the program, have the same text, and agree in the
//!   fields of [`ABOUT`], such as file and reason. Other fields, such as an offset, make no difference.
//! - The first [`FULL_MAX`] messages of a kind are written. After that, a message is written if none of its kind was
//!   written for [`PAUSE`] and none waits to be counted; all others are counted, and a line tells their number when
//!   [`PAUSE`] has passed since the last line of the kind.
//! - After [`FORGET`] without a message, a kind begins anew.
//! - Beyond [`KINDS_MAX`] kinds, all further messages of one line of the program are one kind: such lines are few.

use std::collections::HashMap;
use std::time::Duration;

/// Names of the fields that say what a message is about.
pub(super) const ABOUT: [&str; 7] = ["path", "reason", "endpoint", "route", "session", "root", "state"];

/// Messages of a kind that are written before the others are counted.
const FULL_MAX: u8 = 3;

/// Pause between two lines of a kind after the first [`FULL_MAX`].
const PAUSE: Duration = Duration::from_secs(60);

/// A kind without a message for this long begins anew.
const FORGET: Duration = Duration::from_secs(3600);

/// Kinds that are told apart, besides one for each line of the program.
const KINDS_MAX: usize = 256;

/// Longest description of a kind, in bytes. It and [`KINDS_MAX`] bound the memory of [`Limit`].
const TEXT_BYTES_MAX: usize = 1024;

/// File and line in the program that a message comes from.
pub(super) type CallSite = (&'static str, u32);

/// A message that may be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogEvent<'a> {
    pub(super) place: CallSite,
    pub(super) message: &'a str,
    /// Fields of [`ABOUT`] as `name=value`, with spaces between them.
    pub(super) about: &'a str,
}

/// Messages of one kind that were counted instead of written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeats {
    /// Number of these messages, at least one.
    pub(super) further: u64,
    /// Text and fields that they share.
    pub(super) like: String,
}

/// The kinds of messages that came lately.
#[derive(Debug, Default)]
pub(super) struct Limit {
    kinds: HashMap<(CallSite, String), MessageKind>,
}

#[derive(Debug)]
struct MessageKind {
    full: u8,
    /// Messages that were counted since the last line that was written.
    further: u64,
    said: Duration,
    came: Duration,
    /// Text and fields, as a [`Repeats`] tells them.
    like: String,
}

impl Limit {
    /// Whether this message is written; if not, it is counted. `now` counts from any moment and never runs backwards.
    pub(super) fn admits(&mut self, wanted: LogEvent<'_>, now: Duration) -> bool {
        let LogEvent { place, message, about } = wanted;
        let like = format!("{message} {about}");
        let mut key = (place, shortened(like.trim_end()).to_owned());
        if !self.kinds.contains_key(&key) && !self.has_room(now) {
            key = (place, String::new());
        }
        let like = if key.1.is_empty() { shortened(message) } else { &key.1 }.to_owned();
        let new = MessageKind { full: 0, further: 0, said: now, came: now, like };
        let kind = self.kinds.entry(key).or_insert(new);
        if now.saturating_sub(kind.came) >= FORGET {
            kind.full = 0;
        }
        kind.came = now;
        let is_said = kind.further == 0 && (kind.full < FULL_MAX || now.saturating_sub(kind.said) >= PAUSE);
        if is_said {
            kind.full = kind.full.saturating_add(1);
            kind.said = now;
        } else {
            kind.further = kind.further.saturating_add(1);
        }
        is_said
    }

    /// The counted messages of each kind whose last line is at least [`PAUSE`] old. Their counts begin at 0 again.
    pub(super) fn due(&mut self, now: Duration) -> Vec<Repeats> {
        self.sums(now, PAUSE)
    }

    /// All counted messages, at the end of the process.
    pub(super) fn rest(&mut self, now: Duration) -> Vec<Repeats> {
        self.sums(now, Duration::ZERO)
    }

    fn sums(&mut self, now: Duration, pause: Duration) -> Vec<Repeats> {
        let due = self.kinds.values_mut().filter(|kind| kind.further > 0 && now.saturating_sub(kind.said) >= pause);
        let sum = |kind: &mut MessageKind| {
            kind.said = now;
            Repeats { further: std::mem::take(&mut kind.further), like: kind.like.clone() }
        };
        let mut sums: Vec<Repeats> = due.map(sum).collect();
        sums.sort_by(|a, b| a.like.cmp(&b.like));
        sums
    }

    /// Whether one more kind can be told apart.
    fn has_room(&mut self, now: Duration) -> bool {
        if self.kinds.len() >= KINDS_MAX {
            self.kinds.retain(|_, kind| kind.further > 0 || now.saturating_sub(kind.came) < FORGET);
        }
        self.kinds.len() < KINDS_MAX
    }
}

/// The beginning of a text, at most [`TEXT_BYTES_MAX`] bytes long.
fn shortened(text: &str) -> &str {
    let end = (0..=TEXT_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: CallSite = ("here.rs", 1);

    fn bad(about: &str) -> LogEvent<'_> {
        LogEvent { place: HERE, message: "a line could not be read", about }
    }

    fn second(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_flood_is_three_lines_and_a_sum_a_minute() {
        let mut limit = Limit::default();
        let said = |limit: &mut Limit, at: u64, lines: usize| {
            (0..lines).filter(|_| limit.admits(bad("path=a reason=not_json"), second(at))).count()
        };
        assert_eq!(said(&mut limit, 0, 1000), 3);
        assert_eq!(limit.due(second(59)), []);
        let like = "a line could not be read path=a reason=not_json".to_owned();
        assert_eq!(limit.due(second(60)), [Repeats { further: 997, like: like.clone() }]);
        assert_eq!(limit.due(second(200)), [], "nothing came since");
        // A message that comes after a minute is written; those after it are counted again, and none is lost.
        assert_eq!(said(&mut limit, 200, 10), 1);
        assert_eq!(limit.rest(second(201)), [Repeats { further: 9, like }]);
        assert_eq!(said(&mut limit, 202 + 3600, 10), 3, "it was forgotten");
    }

    #[test]
    fn each_file_and_reason_has_its_own_lines() {
        let mut limit = Limit::default();
        for about in ["path=a reason=not_json", "path=b reason=not_json", "path=a reason=too_long"] {
            assert_eq!((0..5).filter(|_| limit.admits(bad(about), second(0))).count(), 3, "{about}");
        }
        assert_eq!(limit.rest(second(1)).len(), 3);
    }

    #[test]
    fn many_files_take_bounded_memory_and_are_summed_together() {
        let mut limit = Limit::default();
        let long = "x".repeat(10_000);
        let said = (0..50_000).filter(|n| limit.admits(bad(&format!("path={n}{long}")), second(0))).count();
        assert_eq!(said, KINDS_MAX + 3);
        assert_eq!(limit.kinds.len(), KINDS_MAX + 1);
        assert!(limit.kinds.iter().all(|((_, text), kind)| text.len() <= 1024 && kind.like.len() <= 1024));
        let sums = limit.due(second(60));
        assert_eq!(sums, [Repeats { further: 50_000 - 259, like: "a line could not be read".to_owned() }]);
        // A message from another line is still written, and after an hour there is room for new kinds.
        assert!(limit.admits(LogEvent { place: ("other.rs", 1), message: "m", about: "" }, second(61)));
        assert!(limit.admits(bad("path=new"), second(3601)));
        assert_eq!(limit.kinds.len(), 2);
    }
}
