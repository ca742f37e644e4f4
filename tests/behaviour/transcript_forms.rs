//! Transcripts as Markdown and HTML, read back by somebody else's parser: every text is in them, and none is more than text.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use serde_json::{Value, json};

use crate::pages::{HOSTILE, hostile};
use crate::support::analytics::{World, answer, prompt, result, text};
use crate::transcript::{RECORDED, document, events, sessions, transcript};

const MADE: &str = "f0e5e551-0000-4000-8000-000000000001";

/// What GitHub reads.
fn parser(markdown: &str) -> Parser<'_> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES;
    Parser::new_ext(markdown, options | Options::ENABLE_TASKLISTS)
}

/// The words of a text, with a space between each two. What cannot be seen is written as transcripts write it.
fn words(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    // Colours and other sequences for terminals are no text.
    while let Some((before, behind)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = match behind.strip_prefix('[') {
            Some(codes) => {
                codes.trim_start_matches(|letter: char| (' '..='?').contains(&letter)).get(1..).unwrap_or("")
            }
            None => behind,
        };
    }
    plain.push_str(rest);
    let unseen = |letter: char| match letter {
        '\n' | '\t' | '\r' => " ".to_owned(),
        _ if letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
        {
            format!("\u{27e8}{:X}\u{27e9}", u32::from(letter))
        }
        _ => letter.to_string(),
    };
    plain.chars().map(unseen).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text of a document of Markdown as a reader sees it.
fn seen(markdown: &str) -> String {
    let mut text = String::new();
    // A space without width takes references apart, and does not show.
    let markdown = markdown.replace("&#8203;", "");
    for event in parser(&markdown) {
        match event {
            Event::Text(own) | Event::Code(own) | Event::Html(own) | Event::InlineHtml(own) => text.push_str(&own),
            Event::SoftBreak | Event::HardBreak | Event::End(_) | Event::Rule => text.push(' '),
            _ => {}
        }
    }
    words(&text)
}

/// Only letters and digits: what a mark of Markdown does to a text is no matter then.
fn letters(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).collect()
}

/// The text of a page as a reader sees it, its elements and its attributes.
fn read_page(html: &str) -> (String, BTreeSet<String>, BTreeSet<String>) {
    let body = &html[html.find("<body").unwrap()..];
    let (mut text, mut elements, mut attributes) = (String::new(), BTreeSet::new(), BTreeSet::new());
    let mut rest = body;
    while let Some((before, behind)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, after) = behind.split_once('>').expect("every element ends");
        let mut parts = tag.trim_start_matches('/').split([' ', '\n']);
        elements.insert(parts.next().unwrap().to_owned());
        // No value of an attribute has a quote or an angle in it.
        for pair in tag.split('"').step_by(2).flat_map(|names| names.split_whitespace()) {
            attributes.extend(pair.strip_suffix('=').map(str::to_owned));
        }
        if ["p", "h2", "h3", "li", "pre", "ins", "del", "br", "td", "dd", "summary"]
            .iter()
            .any(|block| tag.trim_start_matches('/').starts_with(block))
        {
            text.push(' ');
        }
        rest = after;
    }
    text.push_str(rest);
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    let text = named.iter().fold(text, |text, (name, letter)| text.replace(name, letter));
    (words(&text), elements, attributes)
}

/// Every text within a value.
fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(parts) => parts.iter().flat_map(leaves).collect(),
        Value::Object(members) => members.values().flat_map(leaves).collect(),
        _ => Vec::new(),
    }
}

/// The lines of what an event says, each of which a form must show.
fn told(event: &Value) -> Vec<String> {
    let pieces = event["content"].as_array().into_iter().flatten();
    let texts = pieces.filter_map(|piece| Some((text(&piece["type"]).to_owned(), piece["text"].as_str()?.to_owned())));
    let texts = texts.flat_map(|(kind, text)| match kind.as_str() {
        "tool_input" => leaves(&serde_json::from_str(&text).unwrap()),
        _ => vec![text],
    });
    texts.flat_map(|text| text.split(['\n', '\r']).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn every_text_of_every_recording_is_in_every_form() {
    let mut compared = 0;
    for session in sessions(&RECORDED) {
        let whole = document(&RECORDED, &session, "");
        let markdown = transcript(&RECORDED, &session, "format=md&scrub=false");
        let html = transcript(&RECORDED, &session, "format=html&scrub=false");
        let forms = [seen(markdown.text()), read_page(html.text()).0];
        for event in events(&whole) {
            let is_prose = ["message", "away_summary"].contains(&text(&event["kind"]));
            for line in told(event) {
                for (form, name) in forms.iter().zip(["md", "html"]) {
                    if is_prose {
                        assert!(letters(form).contains(&letters(&seen(&line))), "{name} {session}: {line}");
                    } else {
                        assert!(form.contains(&words(&line)), "{name} {session}: {line}");
                    }
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 1000, "{compared}");
}

#[test]
fn markdown_has_a_heading_for_each_turn_and_blocks_that_end() {
    for session in sessions(&RECORDED) {
        let turns = document(&RECORDED, &session, "")["turns"].as_array().unwrap().len();
        let markdown = transcript(&RECORDED, &session, "format=md");
        let (mut first, mut second) = (0, 0);
        for event in parser(markdown.text()) {
            match event {
                Event::Start(Tag::Heading { level: HeadingLevel::H1, .. }) => first += 1,
                Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) => second += 1,
                _ => {}
            }
        }
        assert_eq!((first, second), (1, turns), "{session}");
    }
}

/// Headings, pieces of HTML, links and pictures of a document.
fn live(markdown: &str) -> (Vec<String>, BTreeSet<String>, BTreeSet<String>) {
    let (mut headings, mut tags, mut links) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let mut within = None;
    for event in parser(markdown) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => within = Some((level, String::new())),
            Event::End(TagEnd::Heading(_)) => {
                headings.extend(within.take().map(|(level, text)| format!("{} {text}", level as usize)));
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                assert!(within.is_none(), "HTML in a heading: {html}");
                tags.insert(html.trim().to_owned());
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                assert!(within.is_none(), "a link in a heading: {dest_url}");
                links.insert(dest_url.to_string());
            }
            Event::Text(text) | Event::Code(text) => within.iter_mut().for_each(|(_, own)| own.push_str(&text)),
            _ => {}
        }
    }
    (headings, tags, links)
}

#[test]
fn whatever_stands_in_a_session_is_text() {
    let mut world = World::empty();
    world.write(HOSTILE, &hostile());
    world.count();
    let whole = document(&world, HOSTILE, "");
    let markdown = transcript(&world, HOSTILE, "format=md&scrub=false");
    let (headings, tags, links) = live(markdown.text());
    assert_eq!(headings.iter().filter(|heading| heading.starts_with("1 ")).count(), 1);
    assert_eq!(headings.iter().filter(|heading| heading.starts_with("2 Turn ")).count(), 1, "{headings:?}");
    let own = |tag: &String| {
        tag == "</details>" || tag.starts_with("<details><summary>") && tag.ends_with("</summary>") && tag.len() < 50
    };
    assert!(tags.iter().all(own), "{tags:?}");
    assert_eq!(links, BTreeSet::new(), "answers have none but what would run something");
    let html = transcript(&world, HOSTILE, "format=html&scrub=false");
    let (text, elements, attributes) = read_page(html.text());
    let known = [
        "body",
        "header",
        "h1",
        "main",
        "table",
        "caption",
        "tbody",
        "tr",
        "th",
        "td",
        "nav",
        "h2",
        "ol",
        "li",
        "a",
        "span",
        "section",
        "p",
        "article",
        "h3",
        "time",
        "blockquote",
        "div",
        "pre",
        "code",
        "details",
        "summary",
        "dl",
        "dt",
        "dd",
        "ins",
        "del",
        "html",
        // Of answers, which are Markdown.
        "br",
        "strong",
    ];
    let unknown: Vec<&String> = elements.iter().filter(|element| !known.contains(&element.as_str())).collect();
    assert_eq!(unknown, Vec::<&String>::new());
    let expected = ["aria-labelledby", "class", "datetime", "href", "id", "scope", "value"];
    assert_eq!(attributes.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert!(!html.text().contains("<img") && !html.text().contains("<script"));
    let seen = seen(markdown.text());
    let mut compared = 0;
    for event in events(&whole).iter().filter(|event| ["prompt", "tool_result"].contains(&self::text(&event["kind"]))) {
        for line in told(event).iter().filter(|line| !line.contains('\u{1b}')) {
            assert!(text.contains(&words(line)), "html: {line}");
            assert!(seen.contains(&words(line)), "md: {line}");
            compared += 1;
        }
    }
    assert!(compared >= 30, "{compared}");
}

fn said(text: &str) -> Value {
    json!([{"type": "text", "text": text}])
}

#[test]
fn answers_stay_markdown_and_swallow_nothing() {
    let mut world = World::empty();
    let rows = [
        prompt(MADE, 0, "  indented\n# no heading\n\n1. no list\n> no quote\n```\nno fence"),
        answer(
            MADE,
            2,
            "m1",
            said(
                "# Top\n\nSee [the page](https://example.org/a) and `<b>` and **this**.\n\nBelow\n=====\n\n- one\n- two",
            ),
        ),
        answer(
            MADE,
            3,
            "m2",
            said(
                "Look: ![p](http://evil.example/p.png) <img src=x> [y](javascript:alert(1))\n\n<!-- never\n\n# seen -->",
            ),
        ),
        answer(MADE, 4, "m3", said("Left open:\n\n````text\nwithout an end")),
        answer(MADE, 5, "m4", json!([{"type": "tool_use", "id": "c1", "name": "Bash", "input": {"command": "x"}}])),
        result(MADE, 6, "c1", json!("````\n# out\n```````\n</details><b>")),
        prompt(MADE, 100, "Second"),
    ];
    world.write(MADE, &rows);
    world.count();
    let markdown = transcript(&world, MADE, "format=md");
    let (headings, tags, links) = live(markdown.text());
    let expected = [
        format!("1 {MADE}"),
        "2 Turn 1: indented # no heading 1. no list > no quote ``` no fence".to_owned(),
        "4 Top".to_owned(),
        "4 Below".to_owned(),
        "4 seen -->".to_owned(),
        "2 Turn 2: Second".to_owned(),
    ];
    assert_eq!(headings, expected, "{}", markdown.text());
    let expected = ["</details>", "<details><summary>All sums</summary>"].map(str::to_owned);
    assert_eq!(tags, BTreeSet::from(expected));
    let expected = ["https://example.org/a", "http://evil.example/p.png"].map(str::to_owned);
    assert_eq!(links, BTreeSet::from(expected));
    let pictures = parser(markdown.text()).filter(|event| matches!(event, Event::Start(Tag::Image { .. }))).count();
    assert_eq!(pictures, 0, "a picture is a link");
    let html = transcript(&world, MADE, "format=html");
    let page = html.text();
    assert!(page.contains("<h4>Top</h4>") && page.contains("<a href=\"https://example.org/a\">the page</a>"), "{page}");
    assert!(
        page.contains("<code>&lt;b&gt;</code>")
            && page.contains("<strong>this</strong>")
            && page.contains("<li>one</li>")
    );
    assert!(page.contains("![p](http://evil.example/p.png)") && page.contains("&lt;img src=x&gt;"), "{page}");
    assert!(page.contains("````\n# out\n```````\n&lt;/details&gt;&lt;b&gt;</pre>"));
    assert!(
        !page.contains("href=\"javascript")
            && page.contains("<blockquote class=\"prompt\">  indented\n# no heading\n\n1. no list")
    );
}

/// The texts of Markdown as GitHub looks for references in them: not in code, and not in links.
fn searched(markdown: &str) -> Vec<String> {
    let (mut texts, mut code, mut links) = (vec![String::new()], 0, 0);
    for event in parser(markdown) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => code += 1,
            Event::End(TagEnd::CodeBlock) => code -= 1,
            Event::Start(Tag::Link { .. }) => links += 1,
            Event::End(TagEnd::Link) => links -= 1,
            Event::Text(text) if code == 0 && links == 0 => texts.last_mut().unwrap().push_str(&text),
            _ => texts.push(String::new()),
        }
    }
    texts
}

#[test]
fn nobody_is_called_and_nothing_is_linked_by_a_word_of_the_session() {
    let mut world = World::empty();
    let words =
        "@alice #12 o/r#34 GH-56 gh-7 0123abc 0123456789abcdef0123456789abcdef01234567 o/r@89abcde &#64;bob \\@carol";
    let rows = [
        json!({"type": "custom-title", "sessionId": MADE, "customTitle": words}),
        prompt(MADE, 0, words),
        answer(
            MADE,
            2,
            "m1",
            said(&format!(
                "{words}\n\n- **@dave** `@code` <https://a.example/@eve> https://b.example/@fay\n\n```\n#99\n```"
            )),
        ),
        answer(MADE, 3, "m2", said("<script>alert(1)</script> see #34, [link](https://example.com)")),
    ];
    world.write(MADE, &rows);
    world.count();
    let markdown = transcript(&world, MADE, "format=md");
    let pattern = r"(?i)[@#]\w|gh-\d|(?:^|[^\w.\u{2d}])[0-9a-f]{7,40}(?:[^\w\u{2d}]|$)";
    let reference = regex::Regex::new(pattern).unwrap();
    let address = regex::Regex::new(r"https://\S+").unwrap();
    for text in searched(markdown.text()) {
        let text = address.replace_all(&text, "");
        assert!(!reference.is_match(&text), "{text}\n{}", markdown.text());
    }
    let shown = seen(markdown.text());
    let (short, whole) = words.split_at(words.find(" 0123456789").unwrap());
    assert_eq!((shown.matches(short).count(), shown.matches(whole.split(" &#64;").next().unwrap()).count()), (4, 3));
    assert!(shown.contains("https://b.example/@fay"), "{shown}");
    let code = parser(markdown.text()).any(|event| matches!(event, Event::Code(code) if &*code == "@code"));
    assert!(code && markdown.text().contains("\n#99\n") && markdown.text().contains("https://b.example/@fay"));
    // The rest of a line that begins with HTML is Markdown in both forms.
    assert!(markdown.text().contains("[link](https://example.com)"), "{}", markdown.text());
    let html = transcript(&world, MADE, "format=html");
    let line = "<p>&lt;script&gt;alert(1)&lt;/script&gt; see #34, <a href=\"https://example.com\">link</a></p>";
    assert!(html.text().contains(line), "{}", html.text());
}

#[test]
fn edits_are_differences_and_everything_else_of_a_call_stands_beside() {
    let mut world = World::empty();
    let call =
        |id: &str, name: &str, input: Value| json!([{"type": "tool_use", "id": id, "name": name, "input": input}]);
    let old = "fn main() {\n    one();\n    two();\n}\n";
    let new = "fn main() {\n    one();\n    three();\n}\n";
    let edits = json!([{"old_string": "a", "new_string": "b"}, {"old_string": "c", "new_string": "d"}]);
    let rows = [
        prompt(MADE, 0, "Edit."),
        answer(
            MADE,
            1,
            "m1",
            call(
                "c1",
                "Edit",
                json!({"file_path": "/a.rs", "old_string": old, "new_string": new, "replace_all": true}),
            ),
        ),
        answer(
            MADE,
            2,
            "m2",
            call("c2", "Write", json!({"file_path": "/b.rs", "content": "x\ny\n", "mode": "new\nmode"})),
        ),
        answer(MADE, 3, "m3", call("c3", "MultiEdit", json!({"file_path": "/c.rs", "edits": edits}))),
        answer(MADE, 4, "m4", call("c4", "Bash", json!({"command": "cargo test", "timeout": 5, "env": {"A": "1"}}))),
    ];
    world.write(MADE, &rows);
    world.count();
    let markdown = transcript(&world, MADE, "format=md");
    for part in [
        "- file_path: `/a.rs`\n- replace_all: `true`\n\n```diff\n fn main() {\n     one();\n-    two();\n+    three();\n }\n```\n",
        "- file_path: `/b.rs`\n\n```diff\n+x\n+y\n```\n\nmode:\n\n```\nnew\nmode\n```\n",
        "```diff\n-a\n+b\n```\n\n```diff\n-c\n+d\n```\n",
        "- env: `{\"A\":\"1\"}`\n- timeout: `5`\n\n```bash\ncargo test\n```\n",
    ] {
        assert!(markdown.text().contains(part), "{part}\n{}", markdown.text());
    }
    let html = transcript(&world, MADE, "format=html");
    let change = "<span>     one();</span><del>-    two();</del><ins>+    three();</ins><span> }</span>";
    assert!(html.text().contains(change), "{}", html.text());
}

#[test]
fn sub_agents_are_marked_where_they_are() {
    let session = "4a8d9d51-618e-4f13-8ae2-76a6fe6d5a51";
    let markdown = transcript(&RECORDED, session, "format=md");
    let text = markdown.text();
    let begin = "\n↳ sub-agent `general-purpose 1 (a2a8fd7b8bfc6125f)` · **Sub-agent begins** `general-purpose`";
    assert!(text.contains(begin), "{text}");
    assert!(text.contains("\n↳ sub-agent `Explore 2` · **"), "{text}");
    for id in ["a2a8fd7b8bfc6125f", "a872edc623525376c"] {
        let headings = text.lines().filter(|line| line.starts_with('↳') && line.contains(id));
        assert_eq!(headings.count(), 1, "an id stands where its agent begins: {text}");
    }
    let html = transcript(&RECORDED, session, "format=html");
    assert!(html.text().contains("<article id=\"event-2\" class=\"depth-1\">"));
    assert!(html.text().contains("<p class=\"about\">sub-agent Explore 2 · <time"));
}

#[test]
fn an_answer_without_words_stands_with_its_first_call() {
    let mut world = World::empty();
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "Bash", "input": {"command": id}});
    let rows = [
        prompt(MADE, 0, "Go."),
        answer(MADE, 2, "m1", json!([call("c1"), call("c2")])),
        result(MADE, 3, "c1", json!("one")),
        result(
            MADE,
            4,
            "c2",
            json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}]),
        ),
        answer(MADE, 5, "m2", json!([{"type": "text", "text": "Words."}, call("c3")])),
        answer(MADE, 7, "m3", json!([])),
        prompt(MADE, 9, "End."),
    ];
    world.write(MADE, &rows);
    world.count();
    let markdown = transcript(&world, MADE, "format=md");
    let lines: Vec<&str> = markdown.text().lines().filter(|line| line.starts_with("**")).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line.split("**").nth(1).unwrap()).collect();
    let expected =
        ["Prompt", "Call", "Call", "Result", "Result", "Answer", "Call", "Answer", "Prompt"].map(str::to_owned);
    assert_eq!(kinds, expected, "{}", markdown.text());
    let model = lines[5].split('`').nth(1).unwrap();
    let has_cost: Vec<bool> = lines.iter().map(|line| line.contains(model) && line.contains(" tokens in, ")).collect();
    assert_eq!(has_cost, [false, true, false, false, false, true, false, true, false], "{}", markdown.text());
    assert!(lines[3].contains(" · 3 bytes") && !lines[4].contains("bytes"), "{lines:?}");
    // Without a title the session is named once, and what few look for is folded.
    assert_eq!(markdown.text().matches(MADE).count(), 1);
    let (sums, rest) = markdown.text().split_once("<details><summary>All sums</summary>").unwrap();
    assert!(sums.contains("| Turns | 2 |") && rest.contains("| Tokens written to the cache for 5 minutes |"));
}
