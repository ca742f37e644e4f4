//! Secrets that are planted all over a session, and exported in every form: none leaves.

#[path = "../laws/scrub_session/dice.rs"]
mod dice;
#[path = "../laws/scrub_session/families.rs"]
mod families;
#[path = "../laws/scrub_session/places.rs"]
mod places;

use std::collections::HashSet;

use dice::Dice;
use families::{FAMILIES, Planted};
use places::PLACES;
use serde_json::{Value, json};

use crate::replay_steps::{ALL, sessions};
use crate::support::analytics::{World, answer, prompt, result};

/// Bytes of a secret that must not be left in a row.
const LEFT_BYTES_MAX: usize = 12;
const FORMATS: [&str; 5] = ["md", "html", "json", "perfetto", "asciicast"];

/// The session of a number.
fn id(number: u64) -> String {
    format!("5ec2e700-0000-4000-8000-{number:012}")
}

/// A row that tells a text as a prompt, an answer, a thought, the input of a call with its result, or a result.
fn rows(session: &str, second: u32, text: &str, kind: usize) -> Vec<Value> {
    // A message that two sessions have is counted, and told, in one of them.
    let (message, call) = (format!("m{second}-{session}"), format!("c{second}-{session}"));
    let calls = |input: Value| json!([{"type": "tool_use", "id": call, "name": "Bash", "input": input}]);
    let ends = |text: &str| result(session, second, &call, json!(text));
    match kind {
        0 => vec![prompt(session, second, text)],
        1 => vec![answer(session, second, &message, json!([{"type": "text", "text": text}]))],
        2 => vec![answer(session, second, &message, json!([{"type": "thinking", "thinking": text, "signature": ""}]))],
        3 => vec![answer(session, second, &message, calls(json!({"command": text}))), ends("ok")],
        _ => vec![answer(session, second, &message, calls(json!({"command": "ls"}))), ends(text)],
    }
}

/// A session in which every family is planted once.
fn write(world: &World, number: u64) -> Vec<(String, Planted)> {
    let (session, mut dice) = (id(number), Dice::new(900 + number));
    let (mut all, mut planted) = (Vec::new(), Vec::new());
    for (family, make) in FAMILIES {
        let secret = make(&mut dice);
        let (place, plant) = PLACES[dice.below(PLACES.len())];
        let texts = plant(&secret, &mut dice);
        // The input of a call stands between a result and the text before it, so nothing is split over them.
        let kinds = if texts.len() > 1 { 3 } else { 5 };
        for text in texts {
            let second = u32::try_from(all.len()).unwrap();
            all.extend(rows(&session, second, &text, dice.below(kinds)));
        }
        planted.push((format!("{family} in {place}"), secret));
    }
    world.write(&session, &all);
    planted
}

#[test]
fn no_planted_secret_leaves_an_export() {
    const SESSIONS: u64 = 9;
    let mut world = World::empty();
    let planted: Vec<_> = (0..SESSIONS).map(|number| write(&world, number)).collect();
    world.count();
    let (mut seen, mut leaks) = (0, Vec::new());
    for (number, planted) in (0..).zip(&planted) {
        for format in FORMATS {
            let ask = |rest: &str| world.ask(&format!("/{}/transcript?format={format}{rest}", id(number)));
            let export = ask("").body;
            let parts: HashSet<&[u8]> = export.windows(LEFT_BYTES_MAX).collect();
            let whole = ask("&scrub=false").body;
            assert!(whole.len() > 10_000, "{format}: {}", whole.len());
            for (what, secret) in planted {
                let mut forms = secret.secrets.iter().map(String::as_bytes);
                seen += 1;
                let is_left = forms.any(|form| {
                    form.windows(LEFT_BYTES_MAX).any(|part| parts.contains(part))
                        || (form.len() < LEFT_BYTES_MAX && export.windows(form.len()).any(|part| part == form))
                });
                if is_left {
                    leaks.push(format!("\n  {format} of {number}: {what}: {:?}", secret.text));
                }
            }
        }
    }
    assert_eq!(seen, FAMILIES.len() * FORMATS.len() * usize::try_from(SESSIONS).unwrap());
    assert!(FAMILIES.len() * usize::try_from(SESSIONS).unwrap() >= 1_000);
    assert!(leaks.is_empty(), "{} of {seen} left: {}", leaks.len(), leaks.concat());
}

#[test]
fn the_texts_of_recordings_stay_as_they_are() {
    let mut events = 0;
    for session in sessions(&ALL) {
        let told = |scrub: bool| {
            let reply = ALL.ask(&format!("/{session}/transcript?format=json&scrub={scrub}"));
            reply.json()["events"].as_array().unwrap().clone()
        };
        let (bare, whole) = (told(true), told(false));
        assert_eq!(bare, whole, "{session}");
        events += whole.len();
    }
    assert!(events > 500, "{events}");
}

#[test]
fn no_entity_brings_a_letter_that_turns_the_text_into_a_page() {
    let mut world = World::empty();
    let words = json!([{"type": "text", "text": "a &#x202e;b &lrm;c &#x9b;31m and \u{61c}d"}]);
    world.write("turn", &[prompt("turn", 0, "go"), answer("turn", 1, "msg_1", words)]);
    world.count();
    let page = world.ask("/turn/transcript?format=html").text().to_owned();
    assert!(!page.contains(['\u{202e}', '\u{200e}', '\u{9b}', '\u{61c}']), "{page}");
    assert!(page.contains("\u{27e8}202E\u{27e9}b"));
}
