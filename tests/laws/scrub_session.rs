//! Secrets that are planted all over a session, and what is left of them.
//!
//! The keys are made here from what their issuers publish about their forms, not from what the program looks for. Each is
//! planted as its issuer's users write it, in one of the places of [`places`], among texts that have nothing to do with it.

mod dice;
mod families;
mod forms;
mod places;

use std::collections::HashSet;

use dice::Dice;
use families::{FAMILIES, Planted};
use places::PLACES;
use tailspan::transcript::scrub::session::SessionScrubber;

/// Bytes of a secret that must not be left in a row.
const LEFT_BYTES_MAX: usize = 12;

/// The texts of a session without secrets.
const ORDINARY: &[&str] = &[
    "Please look at src/main.rs and tell me why the second request is slow.",
    "    12→use std::collections::HashMap;\n    13→\n    14→fn main() {\n",
    "commit 4f3a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a\nAuthor: Ann <ann@example.com>\n",
    "The test passed in 3.2 s; I will run the others now.",
    "mcp__tracker__list_issues",
    "{\"file_path\":\"/home/dev/shop/checkout.py\",\"offset\":20}",
    "total 24\ndrwxr-xr-x 2 ann ann 4096 Nov 29 10:00 .\n-rw-r--r-- 1 ann ann 220 Nov 29 10:00 notes.md\n",
    "Done.",
];

/// A session in which every family is planted once, each in a place that the dice say.
struct Session {
    texts: Vec<String>,
    planted: Vec<(&'static str, &'static str, Planted)>,
}

fn session(seed: u64) -> Session {
    let mut dice = Dice::new(seed);
    let mut session = Session { texts: Vec::new(), planted: Vec::new() };
    for (family, make) in FAMILIES {
        let planted = make(&mut dice);
        let (place, plant) = PLACES[dice.below(PLACES.len())];
        for _ in 0..dice.below(3) {
            session.texts.push(ORDINARY[dice.below(ORDINARY.len())].to_owned());
        }
        session.texts.extend(plant(&planted, &mut dice));
        session.planted.push((family, place, planted));
    }
    session
}

fn scrubbed(texts: &[String]) -> (SessionScrubber, Vec<String>) {
    let mut scrubber = SessionScrubber::default();
    texts.iter().for_each(|text| scrubber.learn(text));
    let scrubbed = texts.iter().map(|text| scrubber.scrub(text).into_owned()).collect();
    (scrubber, scrubbed)
}

/// The forms of a secret that must not be left, each with how many bytes of it must not.
fn forms(secret: &str) -> Vec<(String, usize)> {
    let mut forms = vec![(secret.to_owned(), LEFT_BYTES_MAX), (places::hex(secret), 2 * LEFT_BYTES_MAX)];
    for before in ["", "-", "--"] {
        let whole = places::base64(&format!("{before}{secret}"));
        // Without what the bytes before and behind it have a share in.
        let inner = whole.get(4 * usize::from(!before.is_empty())..whole.len() - 4).unwrap_or_default();
        forms.push((inner.to_owned(), 4 * LEFT_BYTES_MAX / 3));
    }
    forms
}

/// Every part of a text of some length.
fn parts(text: &str, length: usize) -> impl Iterator<Item = &[u8]> {
    text.as_bytes().windows(length)
}

/// What is left of a secret: a part of one of its [`forms`], and a text with it.
fn left<'t>(planted: &Planted, texts: &'t [String], all: &[HashSet<&[u8]>]) -> Option<(String, &'t String)> {
    let all_forms: Vec<(String, usize)> = planted.secrets.iter().flat_map(|secret| forms(secret)).collect();
    for (form, length) in &all_forms {
        let found = if form.len() < *length {
            texts.iter().find(|text| form.len() >= 8 && text.contains(form.as_str())).map(|_| form.as_bytes())
        } else {
            parts(form, *length).find(|part| all.iter().any(|known| known.contains(*part)))
        };
        if let Some(part) = found.map(|part| String::from_utf8_lossy(part).into_owned()) {
            let text = texts.iter().find(|text| text.contains(&part)).unwrap();
            return Some((part, text));
        }
    }
    None
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |number| number.parse().unwrap());
    let first = number("TAILSPAN_TEST_FIRST_SEED", 1);
    first..first + number("TAILSPAN_TEST_SEEDS", 10)
}

#[test]
fn no_planted_secret_leaves_a_session() {
    let mut planted = 0;
    let mut leaks = Vec::new();
    for seed in seeds() {
        let session = session(seed);
        let (_, texts) = scrubbed(&session.texts);
        let lengths = [LEFT_BYTES_MAX, 4 * LEFT_BYTES_MAX / 3, 2 * LEFT_BYTES_MAX];
        let all = lengths.map(|length| texts.iter().flat_map(|text| parts(text, length)).collect::<HashSet<&[u8]>>());
        for (family, place, secret) in &session.planted {
            planted += 1;
            if let Some((part, text)) = left(secret, &texts, &all) {
                leaks.push(format!(
                    "\n  seed {seed}: {family} in {place}: {part:?} in {text:?}\n    of {:?}",
                    secret.text
                ));
            }
        }
    }
    println!("{planted} secrets of {} families in {} places, {} left", FAMILIES.len(), PLACES.len(), leaks.len());
    assert!(FAMILIES.len() >= 40 && planted >= 1_000, "{planted} secrets of {} families", FAMILIES.len());
    assert!(leaks.is_empty(), "{} of {planted} left: {}", leaks.len(), leaks.concat());
}

#[test]
fn no_secret_of_a_published_form_leaves_a_text() {
    let mut leaks = Vec::new();
    let mut texts = 0;
    for seed in seeds() {
        let mut dice = Dice::new(seed);
        let keys = [64, 70, 76].map(|width| ("rows of a key", forms::rows(width, &mut dice)));
        let all = forms::FORMS
            .iter()
            .map(|(name, form, kind, length)| (*name, forms::planted(form, *kind, *length, &mut dice)));
        for (name, planted) in all.collect::<Vec<_>>().into_iter().chain(keys) {
            for text in forms::places(&planted.text) {
                texts += 1;
                let (scrubber, scrubbed) = scrubbed(&[text]);
                let is_left = |secret: &String| {
                    let length = LEFT_BYTES_MAX.min(secret.len());
                    parts(secret, length).any(|part| parts(&scrubbed[0], length).any(|other| part == other))
                };
                if planted.secrets.iter().any(is_left) {
                    leaks.push(format!("\n  seed {seed}: {name} in {:?}", scrubbed[0]));
                }
                assert_eq!(scrubber.scrub(&scrubbed[0]), scrubbed[0], "seed {seed}: {name}");
            }
        }
    }
    assert!(leaks.is_empty(), "{} of {texts} left: {}", leaks.len(), leaks.concat());
}

#[test]
fn a_session_is_scrubbed_once_and_its_ordinary_texts_stay() {
    for seed in seeds().take(20) {
        let session = session(seed);
        let (scrubber, texts) = scrubbed(&session.texts);
        for text in &texts {
            assert_eq!(scrubber.scrub(text), *text, "seed {seed}");
        }
        for text in ORDINARY {
            assert_eq!(scrubber.scrub(text), *text, "seed {seed}");
        }
    }
}

#[test]
fn a_session_of_broken_texts_is_scrubbed_once() {
    const SHARDS: &[&str] = &[
        "\u{1b}[",
        "\\",
        "\\u00",
        "%4",
        "%",
        "é",
        "🦀",
        "\n",
        "-----BEGIN ",
        "=",
        "[REDACTED]",
        "\0",
        "12→",
        "PRIVATE KEY-----",
    ];
    for seed in seeds() {
        let mut dice = Dice::new(seed);
        let cut = |text: &String, dice: &mut Dice| {
            let (one, two) = (dice.below(text.len() + 1), dice.below(text.len() + 1));
            text.get(one.min(two)..one.max(two)).unwrap_or_default().to_owned()
        };
        let whole = session(seed).texts;
        let broken = (0..200).map(|_| {
            let parts =
                (0..=dice.below(3)).map(|_| cut(&whole[dice.below(whole.len())], &mut dice)).collect::<Vec<_>>();
            parts.join(SHARDS[dice.below(SHARDS.len())])
        });
        let broken: Vec<String> = broken.collect();
        let (scrubber, texts) = scrubbed(&broken);
        for (text, broken) in texts.iter().zip(&broken) {
            assert_eq!(scrubber.scrub(text), *text, "seed {seed}, from {broken:?}");
        }
    }
}
