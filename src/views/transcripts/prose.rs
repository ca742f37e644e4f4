//! Answers are Markdown already. Here they are put into a larger document, in which they stay what they are and nothing
//! more.
//!
//! ```text
//! headings   begin below those of the document
//! HTML       is text
//! pictures   are not loaded: what was a picture is a link
//! links      lead to pages and mailboxes; what would run something (`javascript:`) is text
//! names      call nobody, and numbers link no issue: see [`references`](super::references)
//! the end    what an answer leaves open (a block of code) is no part of what follows
//! ```

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use super::escape::{fenced, lines, seen};
use super::references::{BREAK, breaks};

/// How many levels the headings of an answer are lower in the document.
const LOWER: usize = 3;

/// How often an answer is looked at again after a change, because what is no HTML any more may be something else.
const ROUNDS_MAX: usize = 8;

/// A paragraph of its own, which stands behind an answer that leaves nothing open.
const BEHIND: &str = "behind";

/// An answer within a document of Markdown.
pub(super) fn within_markdown(text: &str) -> String {
    let text = lines(text).map(seen).collect::<Vec<_>>().join("\n");
    tamed(&text).unwrap_or_else(|| fenced("markdown", &text))
}

fn tamed(text: &str) -> Option<String> {
    let plain = without_html(text.to_owned(), Links::Tamed)?;
    let lowered = without_html(edited(&plain, headings(&plain)), Links::Tamed)?;
    let told = edited(&lowered, references(&lowered));
    leaves_nothing_open(&told).then(|| told + "\n")
}

/// What becomes of pictures and links.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    /// They stay.
    Kept,
    /// Pictures are links, and links lead to pages.
    Tamed,
}

/// A text whose HTML is text; `None` if there is always more of it.
fn without_html(mut text: String, links: Links) -> Option<String> {
    for _ in 0..ROUNDS_MAX {
        let mut edits = Vec::new();
        for (event, range) in parser(&text) {
            match event {
                Event::Html(_) | Event::InlineHtml(_) => {
                    let own = text.get(range.clone()).unwrap_or_default();
                    let places = own.match_indices('<').map(|(place, _)| range.start + place);
                    edits.extend(places.map(|place| (place, 1, "&lt;".to_owned())));
                }
                Event::Start(_) if links == Links::Kept => {}
                Event::Start(Tag::Image { .. }) => edits.push((range.start, 0, "\\".to_owned())),
                Event::Start(Tag::Link { dest_url, .. }) if runs(&dest_url) => {
                    edits.push((range.start, 0, "\\".to_owned()));
                }
                _ => {}
            }
        }
        if edits.is_empty() {
            return Some(text);
        }
        text = edited(&text, edits);
    }
    None
}

/// What makes the headings of a text lower. One with a line below it becomes one with signs before it.
fn headings(text: &str) -> Vec<(usize, usize, String)> {
    let mut edits = Vec::new();
    for (event, range) in parser(text) {
        let Event::Start(Tag::Heading { level, .. }) = event else { continue };
        let signs = "#".repeat((level as usize + LOWER).min(6));
        let own = text.get(range.clone()).unwrap_or_default();
        if own.starts_with('#') {
            edits.push((range.start, own.len() - own.trim_start_matches('#').len(), signs));
        } else if let Some((_, below)) = own.trim_end().rsplit_once('\n') {
            let below = own.trim_end().len() - below.len();
            let is_short = own.get(..below).is_some_and(|above| above.trim_end().lines().count() == 1);
            // A heading of several lines stays a paragraph.
            edits.extend(is_short.then(|| (range.start, 0, format!("{signs} "))));
            edits.push((range.start + below, own.len() - below, String::new()));
        }
    }
    edits
}

/// What takes references apart that are neither code nor within a link.
fn references(text: &str) -> Vec<(usize, usize, String)> {
    let (mut edits, mut is_code, mut links) = (Vec::new(), false, 0_usize);
    for (event, range) in parser(text) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => is_code = true,
            Event::End(TagEnd::CodeBlock) => is_code = false,
            Event::Start(Tag::Link { .. }) => links += 1,
            Event::End(TagEnd::Link) => links = links.saturating_sub(1),
            Event::Text(told) if !is_code && links == 0 => {
                let own = text.get(range.clone()).unwrap_or_default();
                if own == &*told {
                    // The letter behind tells whether a sign at the end of this text is one of a reference.
                    let behind = text.get(range.end..).and_then(|behind| behind.chars().next());
                    let own = text.get(range.start..range.end + behind.map_or(0, char::len_utf8)).unwrap_or_default();
                    let places = breaks(own).into_iter().filter(|place| !is_address(own, *place));
                    edits.extend(places.map(|place| (range.start + place, 0, BREAK.to_owned())));
                } else if told.ends_with(['@', '#']) {
                    // An entity.
                    edits.push((range.end, 0, BREAK.to_owned()));
                }
            }
            _ => {}
        }
    }
    edits
}

/// Whether a place is within an address that is a link as a whole. Beyond some length nothing is taken for one.
fn is_address(text: &str, place: usize) -> bool {
    const CHARS_MAX: usize = 512;
    let before = text.get(..place).unwrap_or_default();
    let mut word = before.char_indices().rev().take(CHARS_MAX).take_while(|(_, letter)| !letter.is_whitespace());
    let word = word.by_ref().last().and_then(|(begin, _)| before.get(begin..)).unwrap_or_default();
    let word = word.trim_start_matches(['(', '*', '_', '~']);
    ["http://", "https://"].iter().any(|scheme| word.starts_with(scheme))
}

/// The text with other texts at some places, each given with the bytes that it replaces.
fn edited(text: &str, mut edits: Vec<(usize, usize, String)>) -> String {
    edits.sort_unstable();
    edits.dedup();
    let (mut out, mut done) = (String::with_capacity(text.len() + edits.len() * 4), 0);
    for (place, bytes, new) in edits {
        if place < done {
            continue;
        }
        out.push_str(text.get(done..place).unwrap_or_default());
        out.push_str(&new);
        done = place + bytes;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

fn leaves_nothing_open(text: &str) -> bool {
    let text = format!("{text}\n\n{BEHIND}\n");
    let (mut depth, mut last) = (0_usize, None);
    for (event, _) in parser(&text) {
        match event {
            Event::Start(tag) => {
                if depth == 0 {
                    last = Some((matches!(tag, Tag::Paragraph), String::new()));
                }
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Text(text) => last.iter_mut().for_each(|(_, told)| told.push_str(&text)),
            _ => {}
        }
    }
    last.is_some_and(|(is_paragraph, told)| is_paragraph && told == BEHIND)
}

fn parser(text: &str) -> impl Iterator<Item = (Event<'_>, std::ops::Range<usize>)> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES;
    Parser::new_ext(text, options).into_offset_iter()
}

/// An answer as HTML. It holds no element that is not made of Markdown, and loads nothing.
pub(super) fn push_html(text: &str, out: &mut String) {
    let text = lines(text).map(seen).collect::<Vec<_>>().join("\n");
    // What stands behind HTML in its line is Markdown again, as in the other form.
    let text = without_html(text.clone(), Links::Kept).unwrap_or(text);
    // What leads to a page, or `None` for what is no link in the document: its address is told behind its text.
    let mut targets: Vec<Option<CowStr<'_>>> = Vec::new();
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let events = Parser::new_ext(&text, options).map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        // An entity may stand for a character that cannot be seen.
        Event::Text(text) => Event::Text(seen(&text).into()),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Heading { level, .. }) => {
            Event::Start(Tag::Heading { level: lower(level), id: None, classes: Vec::new(), attrs: Vec::new() })
        }
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(lower(level))),
        Event::Start(Tag::Image { dest_url, .. }) => {
            targets.push(Some(dest_url));
            Event::Text("![".into())
        }
        Event::Start(Tag::Link { ref dest_url, .. }) if !is_page(dest_url) => {
            targets.push(Some(dest_url.clone()));
            Event::Text("[".into())
        }
        Event::Start(Tag::Link { link_type, dest_url, id, .. }) => {
            targets.push(None);
            Event::Start(Tag::Link { link_type, dest_url, title: "".into(), id })
        }
        Event::End(end @ (TagEnd::Link | TagEnd::Image)) => match targets.pop().flatten() {
            Some(target) => Event::Text(format!("]({target})").into()),
            None => Event::End(end),
        },
        other => other,
    });
    html::push_html(out, events);
}

const fn lower(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H4,
        HeadingLevel::H2 => HeadingLevel::H5,
        _ => HeadingLevel::H6,
    }
}

/// Whether a link leads to something else than pages, mailboxes and places nearby: `javascript:`, `data:`, `file:`.
fn runs(target: &str) -> bool {
    let scheme = target.split(['/', '?', '#']).next().unwrap_or_default();
    scheme.contains(':') && !is_page(target)
}

/// Whether a link leads to a page or a mailbox.
fn is_page(target: &str) -> bool {
    ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme))
}
