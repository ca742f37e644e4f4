//! Colours, as a terminal is told them.

use super::document::Tone;

/// The text in the colour of its tone; without codes if `colours` is false.
pub(super) fn painted(text: &str, tone: Tone, colours: bool) -> String {
    let code = match tone {
        Tone::Plain => "",
        Tone::Strong => "1",
        Tone::Dim => "2",
        Tone::Good => "32",
        Tone::Warn => "33",
        Tone::Bad => "31",
    };
    if !colours || code.is_empty() || text.trim().is_empty() {
        return text.to_owned();
    }
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// The text as a link that terminals open (OSC 8), blanks at its ends left out; without codes if `colours` is false.
pub(in crate::cli) fn linked(text: &str, page: &str, colours: bool) -> String {
    let inner = text.trim();
    if !colours || inner.is_empty() {
        return text.to_owned();
    }
    let link = format!("\u{1b}]8;;{page}\u{1b}\\{inner}\u{1b}]8;;\u{1b}\\");
    text.replacen(inner, &link, 1)
}

/// The text in the colour of bars.
pub(super) fn painted_bar(text: &str, colours: bool) -> String {
    if colours && !text.is_empty() { format!("\u{1b}[36m{text}\u{1b}[0m") } else { text.to_owned() }
}
