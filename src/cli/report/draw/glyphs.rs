//! The signs that tables are drawn with, and foreign text made harmless.

use crate::transcript::shown::shown;

/// Amounts that are drawn as a row of small bars.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Spark {
    pub(in crate::cli) amounts: Vec<u128>,
    /// What the highest bar stands for; the largest amount if there is none.
    pub(in crate::cli) most: Option<u128>,
    /// What stands in the place of the bars: the scale of those below.
    pub(in crate::cli) scale: &'static str,
}

/// A set of signs.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Glyphs {
    /// What stands where text was cut.
    pub(in crate::cli) ellipsis: &'static str,
    /// A bar of one column, from its smallest part to the whole.
    pub(in crate::cli) bar: &'static [char],
    /// Small bars, from the lowest to the highest.
    pub(in crate::cli) spark: &'static [char],
    /// Whether everything must be ASCII.
    is_ascii: bool,
}

impl Glyphs {
    pub(in crate::cli) const UNICODE: Self = Self {
        ellipsis: "…",
        bar: &['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'],
        spark: &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
        is_ascii: false,
    };

    pub(in crate::cli) const ASCII: Self =
        Self { ellipsis: "...", bar: &['#'], spark: &['_', '.', '-', '=', '#'], is_ascii: true };

    /// The signs that a locale can show: Unicode if the strongest variable that is set names UTF-8.
    pub(in crate::cli) fn of_locale(env: &crate::config::Env) -> Self {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env.get(name));
        let name = locale.map(|locale| locale.to_string_lossy().to_ascii_lowercase().replace('-', ""));
        if name.is_some_and(|name| name.contains("utf8")) { Self::UNICODE } else { Self::ASCII }
    }

    /// Whether there is more than ASCII.
    pub(in crate::cli) const fn has_unicode(self) -> bool {
        !self.is_ascii
    }

    /// Text that can do nothing to a terminal: without control and invisible characters, on one line. Where there is
    /// only ASCII, other letters are question marks.
    pub(in crate::cli) fn clean(self, text: &str) -> String {
        let line = without_escapes(text);
        let line: String = line.chars().map(|letter| if letter.is_whitespace() { ' ' } else { letter }).collect();
        let harmless = shown(&line);
        if !self.is_ascii {
            return harmless;
        }
        harmless.chars().map(|letter| if letter.is_ascii() { letter } else { '?' }).collect()
    }

    /// A bar of at most `width` columns. A part that is not zero is never drawn as nothing.
    pub(in crate::cli) fn bar(self, part: u128, whole: u128, width: usize) -> String {
        let steps = self.bar.len();
        let Some(full) = self.bar.last() else { return String::new() };
        let all = (width * steps) as u128;
        let drawn = part.min(whole).saturating_mul(all).checked_div(whole).unwrap_or(0);
        let drawn = usize::try_from(drawn).unwrap_or(0).max(usize::from(part > 0 && whole > 0));
        let mut bar: String = std::iter::repeat_n(full, drawn / steps).collect();
        bar.extend((drawn % steps).checked_sub(1).and_then(|rest| self.bar.get(rest)));
        bar
    }

    /// A row of small bars, one for each amount; zero is a blank.
    pub(in crate::cli) fn spark(self, Spark { amounts, most, scale }: &Spark) -> String {
        if !scale.is_empty() {
            return (*scale).to_owned();
        }
        let most = most.or_else(|| amounts.iter().copied().max()).unwrap_or(0);
        let steps = self.spark.len() as u128;
        let sign = |amount: u128| match amount.saturating_mul(steps).checked_div(most) {
            None => ' ',
            Some(_) if amount == 0 => ' ',
            Some(step) => {
                let step = usize::try_from(step.min(steps - 1)).unwrap_or(0);
                self.spark.get(step).copied().unwrap_or(' ')
            }
        };
        amounts.iter().map(|amount| sign(*amount)).collect()
    }
}

/// Text without the escape sequences of terminals (ECMA-48): colours, moves, titles of windows. What begins like one and
/// does not end goes to the end of the text.
fn without_escapes(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            // The second sign says how the sequence ends.
            '\u{1b}' => match letters.next() {
                Some('[') => drop(letters.find(|end| ('@'..='~').contains(end))),
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    let end = letters.find(|end| matches!(end, '\u{7}' | '\u{1b}' | '\u{9c}'));
                    // The end may have two signs.
                    if end == Some('\u{1b}') {
                        letters.next();
                    }
                }
                Some(_) | None => {}
            },
            '\u{9b}' => drop(letters.find(|end| ('@'..='~').contains(end))),
            letter => out.push(letter),
        }
    }
    out
}
