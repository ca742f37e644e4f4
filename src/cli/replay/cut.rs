//! Keys that a slow network cut in two. An arrow comes as an escape and two letters; if these come a moment later, the escape
//! is no key of its own, and must not end the replay.

use std::time::Duration;

use super::key::Key;

/// How long the rest of a key may take.
const REST: Duration = Duration::from_millis(50);

/// An escape whose meaning is not known yet, with what came behind it.
#[derive(Debug, Default)]
pub(super) struct CutKeys {
    begun: Option<(Duration, String)>,
}

impl CutKeys {
    /// The keys that are known with this one.
    pub(super) fn take(&mut self, key: Key, now: Duration) -> Vec<Key> {
        match (self.begun.take(), key) {
            (None, Key::Escape) => {
                self.begun = Some((now, String::new()));
                Vec::new()
            }
            (None, key) => vec![key],
            (Some((_, mut seen)), Key::Letter(letter)) => {
                seen.push(letter);
                if let Some(whole) = whole(&seen) {
                    return vec![whole];
                }
                if is_begin(&seen) {
                    self.begun = Some((now, seen));
                    return Vec::new();
                }
                apart(&seen)
            }
            (Some((_, seen)), key) => {
                let mut keys = apart(&seen);
                if key == Key::Escape {
                    self.begun = Some((now, String::new()));
                } else {
                    keys.push(key);
                }
                keys
            }
        }
    }

    /// When an escape becomes a key of its own.
    pub(super) fn due(&self) -> Option<Duration> {
        self.begun.as_ref().map(|(since, _)| since.saturating_add(REST))
    }

    /// The keys of which no rest comes any more.
    pub(super) fn rest(&mut self, now: Duration) -> Vec<Key> {
        match self.due() {
            Some(due) if due <= now => self.begun.take().map(|(_, seen)| apart(&seen)).unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

/// The key that these letters are behind an escape.
fn whole(seen: &str) -> Option<Key> {
    Some(match seen {
        "[A" | "OA" => Key::Up,
        "[B" | "OB" => Key::Down,
        "[C" | "OC" => Key::Right,
        "[D" | "OD" => Key::Left,
        "[H" | "OH" | "[1~" | "[7~" => Key::Home,
        "[F" | "OF" | "[4~" | "[8~" => Key::End,
        "[5~" => Key::PageUp,
        "[6~" => Key::PageDown,
        _ => return None,
    })
}

/// Whether such a key begins so.
fn is_begin(seen: &str) -> bool {
    matches!(seen, "[" | "O" | "[1" | "[4" | "[5" | "[6" | "[7" | "[8")
}

/// An escape, and the letters behind it as keys of their own.
fn apart(seen: &str) -> Vec<Key> {
    std::iter::once(Key::Escape).chain(seen.chars().map(Key::Letter)).collect()
}
