//! A session as one page that needs nothing else: no script, no file beside it, no network.
//!
//! The page forbids all of that itself, so that a text that would not stay text could load nothing. Pictures of results stand
//! in it: at most [`PICTURE_BYTES_MAX`] each and [`PICTURES_BYTES_MAX`] together; of others it is said how large they are.

use super::colours::{self, Look};
use super::diff::{Part, parts};
use super::entry::{Entry, Form, Head, Piece, TurnHead};
use super::escape::{html, lines, push_html};
use super::prose;
use super::shown::{Agents, Line, Row, details, other, sums, title, turn_facts, untold};
use crate::views::sessions::event::Detail;
use crate::views::sessions::kinds::EventKind;
use crate::views::text::pictures::Picture;

/// Most bytes of a picture.
const PICTURE_BYTES_MAX: usize = 4 << 20;

/// Most bytes of all pictures.
const PICTURES_BYTES_MAX: usize = 32 << 20;

/// A result with more lines, or more bytes, is folded.
const OPEN_LINES_MAX: usize = 12;
const OPEN_BYTES_MAX: usize = 1200;

/// Nesting of sub-agents that is shown.
const DEPTH_MAX: usize = 4;

/// What the page may load: its own style and its own pictures.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// The style of a transcript beside that of the pages.
const STYLE: &str = "
.transcript { max-width: 60rem; margin: 0 auto; padding: .8rem; } .transcript pre { max-height: none; }
.transcript article { border-top: 1px solid var(--line); padding: .3rem 0 .3rem .5rem; border-left: 3px solid transparent; }
.transcript h3 { font-size: .9rem; margin: .1rem 0; } .transcript h3 a { color: var(--soft); font-weight: normal; }
.transcript h4, .transcript h5, .transcript h6 { font-size: .95rem; margin: .6rem 0 .2rem; }
.transcript article:target { background: var(--mark); } .transcript article.failed { border-left-color: var(--bad); }
.transcript article[class*=depth-] { border-left-color: var(--line); } .depth-1 { margin-left: .8rem; } .depth-2 { margin-left: 1.6rem; }
.depth-3 { margin-left: 2.4rem; } .depth-4 { margin-left: 3.2rem; } .transcript article[class*=depth-] { padding-left: .5rem; }
blockquote.prompt { margin: .3rem 0; padding: .3rem .6rem; background: var(--mark); white-space: pre-wrap; unicode-bidi: plaintext; }
.transcript td { white-space: normal; max-width: none; } .transcript tbody th { min-width: 0; width: 14rem; color: var(--soft); }
.transcript summary { cursor: pointer; font-size: .85rem; color: var(--soft); } .transcript dl { margin: .2rem 0; font-size: .85rem; }
.transcript dt { color: var(--soft); float: left; clear: left; margin-right: .5rem; } .transcript dd { margin: 0; } .turns { font-size: .9rem; }
.prose pre code { font: inherit; }
@media (max-width: 700px) { .transcript { padding: .4rem; } .transcript tbody th { width: 7rem; } }
";

/// Writes HTML.
#[derive(Debug)]
pub(super) struct Html {
    /// The style of the pages.
    style: &'static str,
    is_in_turn: bool,
    agents: Agents,
    picture_bytes: usize,
}

impl Html {
    pub(super) fn new(style: &'static str) -> Self {
        Self { style, is_in_turn: false, agents: Agents::default(), picture_bytes: 0 }
    }
}

impl Form for Html {
    fn pause(&self) -> &'static [u8] {
        b"\n"
    }

    fn takes_pictures(&self) -> bool {
        true
    }

    fn begin(&mut self, head: &Head, out: &mut Vec<u8>) {
        let (title, style) = (html(title(head)), self.style);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>{title} · tailspan</title>\n<style>\n{style}{STYLE}</style>\n</head>\n\
             <body class=\"transcript\">\n<header>\n<h1>{title}</h1>\n</header>\n<main>\n\
             "
        );
        push_table("The session in sums", &sums(head), &mut page);
        page.push_str("<details><summary>All sums</summary>\n");
        push_table("More of the session", &details(head), &mut page);
        page.push_str("</details>\n");
        if !head.turns.is_empty() {
            page.push_str("<nav class=\"turns\" aria-labelledby=\"turns\">\n<h2 id=\"turns\">Turns</h2>\n<ol>\n");
            head.turns.iter().for_each(|turn| push_link(turn, &mut page));
            page.push_str("</ol>\n</nav>\n");
        }
        out.extend_from_slice(page.as_bytes());
    }

    fn entry(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        let mut page = String::new();
        if let Some(turn) = entry.turn {
            page.push_str(if self.is_in_turn { "</section>\n" } else { "" });
            self.is_in_turn = true;
            push_turn(turn, &mut page);
        }
        push_line(entry, self.agents.name(entry), &mut page);
        let kind = entry.event.detail.kind();
        for piece in entry.texts.pieces() {
            self.push_piece(kind, entry, piece, &mut page);
        }
        page.push_str("</article>\n");
        out.extend_from_slice(page.as_bytes());
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let section = if self.is_in_turn { "</section>\n" } else { "" };
        out.extend_from_slice(format!("{section}</main>\n</body>\n</html>\n").as_bytes());
    }
}

impl Html {
    fn push_piece(&mut self, kind: EventKind, entry: &Entry<'_>, piece: &Piece, page: &mut String) {
        match (&piece.text, kind) {
            (None, _) => self.push_other(piece, page),
            (Some(own), EventKind::ToolCall) => match &piece.input {
                Some(_) => push_input(entry, piece, page),
                None => push_code(own, page),
            },
            (Some(own), EventKind::ToolResult) => push_result(own, page),
            (Some(own), _) if piece.kind == "thinking" => {
                page.push_str("<details><summary>Thinking</summary>\n");
                push_code(own, page);
                page.push_str("</details>\n");
            }
            (Some(own), EventKind::Message | EventKind::AwaySummary) => {
                page.push_str("<div class=\"prose\">\n");
                prose::push_html(own, page);
                page.push_str("</div>\n");
            }
            (Some(own), _) => {
                page.push_str("<blockquote class=\"prompt\">");
                push_lines(own, page);
                page.push_str("</blockquote>\n");
            }
        }
    }

    /// Something that is no text: a picture, if it is one and there is room for it.
    fn push_other(&mut self, piece: &Piece, page: &mut String) {
        let size = html(&other(piece));
        let fits = |bytes: usize| bytes <= PICTURE_BYTES_MAX && self.picture_bytes + bytes <= PICTURES_BYTES_MAX;
        match &piece.picture {
            Some(picture) if fits(picture.bytes.len()) => {
                self.picture_bytes += picture.bytes.len();
                page.push_str(&format!("<figure>{}<figcaption>{size}</figcaption></figure>\n", image(picture)));
            }
            Some(_) => page.push_str(&format!("<p class=\"part\">{size}, left out for its size</p>\n")),
            None => page.push_str(&format!("<p class=\"part\">{size}, not text</p>\n")),
        }
    }
}

/// The line of a turn in the table of contents.
fn push_link(turn: &TurnHead, page: &mut String) {
    let title = if turn.title.is_empty() { "(no text)".to_owned() } else { html(&turn.title) };
    let cost = html(&super::shown::usd(&turn.cost_usd));
    let index = turn.index;
    page.push_str(&format!(
        "<li value=\"{index}\"><a href=\"#turn-{index}\">{title}</a> <span class=\"about\">{cost}</span></li>\n"
    ));
}

fn push_turn(turn: &TurnHead, page: &mut String) {
    let (index, title) = (turn.index, html(&turn.title));
    let facts: Vec<String> = turn_facts(turn).iter().map(|fact| html(fact)).collect();
    let colon = if title.is_empty() { "" } else { ": " };
    page.push_str(&format!(
        "<section aria-labelledby=\"turn-{index}\">\n<h2 id=\"turn-{index}\">Turn {index}{colon}{title}</h2>\n\
         <p class=\"about\">{}</p>\n",
        facts.join(" · ")
    ));
}

fn push_table(caption: &str, rows: &[Row], page: &mut String) {
    page.push_str(&format!("<table>\n<caption>{caption}</caption>\n<tbody>\n"));
    for (what, value) in rows {
        page.push_str(&format!("<tr><th scope=\"row\">{what}</th><td>{}</td></tr>\n", html(value)));
    }
    page.push_str("</tbody>\n</table>\n");
}

/// What stands above the texts of an event; the article is left open. `agent` is what its sub-agent is called.
fn push_line(entry: &Entry<'_>, agent: Option<String>, page: &mut String) {
    let Line { what, name, mut facts, failed, .. } = Line::of(entry);
    let (index, depth) = (entry.event.index, entry.event.depth.min(DEPTH_MAX));
    facts.extend(untold(entry.texts));
    let mut classes: Vec<String> = Vec::new();
    classes.extend((depth > 0).then(|| format!("depth-{depth}")));
    classes.extend(failed.then(|| "failed".to_owned()));
    let class = if classes.is_empty() { String::new() } else { format!(" class=\"{}\"", classes.join(" ")) };
    let name = name.map(|name| format!(" {}", html(&name))).unwrap_or_default();
    let agent = agent.map(|agent| format!("sub-agent {} · ", html(&agent))).unwrap_or_default();
    let facts: Vec<String> = facts.iter().map(|fact| html(fact)).collect();
    page.push_str(&format!(
        "<article id=\"event-{index}\"{class}>\n<h3><span class=\"kind\">{what}</span>{name} \
         <a href=\"#event-{index}\">event {index}</a></h3>\n<p class=\"about\">{agent}<time datetime=\"{}\">{}</time></p>\n",
        entry.event.at.to_rfc3339(),
        facts.join(" · ")
    ));
}

fn push_input(entry: &Entry<'_>, piece: &Piece, page: &mut String) {
    let (Detail::ToolCall { tool, .. }, Some(input)) = (&entry.event.detail, &piece.input) else { return };
    for part in parts(tool, input) {
        match part {
            Part::Short(name, value) => {
                page.push_str(&format!("<dl><dt>{}</dt><dd><code>{}</code></dd></dl>\n", html(name), html(&value)));
            }
            Part::Long(name, language, value) => {
                if language != "bash" {
                    page.push_str(&format!("<p class=\"part\">{}</p>", html(name)));
                }
                push_code(&value, page);
            }
            Part::Change(change) => {
                page.push_str("<pre class=\"diff\">");
                for line in change {
                    let (sign, own) = line.parts();
                    let element = match sign {
                        '+' => "ins",
                        '-' => "del",
                        _ => "span",
                    };
                    page.push_str(&format!("<{element}>{sign}{}</{element}>", html(own)));
                }
                page.push_str("</pre>\n");
            }
        }
    }
}

/// The text of a result, in its colours, folded if it is long.
fn push_result(own: &str, page: &mut String) {
    let count = lines(own).count();
    let is_long = count > OPEN_LINES_MAX || own.len() > OPEN_BYTES_MAX;
    let open = if is_long { "" } else { " open" };
    let plural = if count == 1 { "" } else { "s" };
    page.push_str(&format!("<details{open}><summary>{count} line{plural}</summary>\n<pre>"));
    colours::stretches(own, |look, text| {
        let class = classes(look);
        if class.is_empty() {
            push_lines(text, page);
        } else {
            page.push_str(&format!("<span class=\"{class}\">"));
            push_lines(text, page);
            page.push_str("</span>");
        }
    });
    page.push_str("</pre>\n</details>\n");
}

/// The classes of the style for a look.
fn classes(look: Look) -> String {
    let Look { colour, bold, dim, italic, underline, inverse } = look;
    let named =
        [(bold, "t-bold"), (dim, "t-dim"), (italic, "t-italic"), (underline, "t-underline"), (inverse, "t-inverse")];
    let mut classes: Vec<String> = named.iter().filter(|(is, _)| *is).map(|(_, name)| (*name).to_owned()).collect();
    classes.extend(colour.map(|colour| format!("t-c{colour}")));
    classes.join(" ")
}

fn push_code(own: &str, page: &mut String) {
    page.push_str("<pre>");
    push_lines(own, page);
    page.push_str("</pre>\n");
}

/// A text with the line ends of HTML. A browser drops the first one of a block, so one is put before it.
fn push_lines(text: &str, page: &mut String) {
    if text.starts_with(['\n', '\r']) && page.ends_with("<pre>") {
        page.push('\n');
    }
    push_html(&text.replace("\r\n", "\n").replace('\r', "\n"), page);
}

fn image(picture: &Picture) -> String {
    let Picture { content_type, bytes } = picture;
    format!("<img alt=\"Picture of the result\" src=\"data:{content_type};base64,{}\">", base64(bytes))
}

/// Bytes as base64 in the alphabet of RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |place: usize| group.get(place).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).ok().and_then(|digit| DIGITS.get(digit));
            text.push(digit.filter(|_| place <= group.len()).map_or('=', |digit| char::from(*digit)));
        }
    }
    text
}
