//! What is known of a file's text is what the file has, whatever was read and written in whatever order; and what was told as a
//! whole stays known as a whole.
//!
//! The other side is a plain text that is changed as the client changes it, and read as the client reads it.

use tailspan::views::sessions::known_text::{Edit, Evidence, KnownText};

use crate::support::world::Dice;

const SEEDS: u64 = 400;
const STEPS: usize = 40;
const LINES: [&str; 9] = ["a", "ab", "b c", "", "fn a() {", "}", "ä b", "  a", "c"];

fn text_of(dice: &mut Dice, lines_max: usize) -> String {
    let lines: Vec<&str> = (0..1 + dice.below(lines_max)).map(|_| LINES[dice.below(LINES.len())]).collect();
    lines.join("\n")
}

/// A piece of a text, from one character to another, which is never empty.
fn piece_of(dice: &mut Dice, text: &str) -> Option<String> {
    let letters: Vec<char> = text.chars().collect();
    let start = dice.below(letters.len());
    let end = start + 1 + dice.below(6.min(letters.len().saturating_sub(start)));
    Some(letters.get(start..end.min(letters.len()))?.iter().collect()).filter(|piece: &String| !piece.is_empty())
}

/// A file, and what was told of it.
struct File {
    text: String,
    known: KnownText,
    /// True from when all was told.
    all_told: bool,
}

impl File {
    fn lines(&self) -> Vec<String> {
        self.text.split('\n').map(str::to_owned).collect()
    }

    /// The client's own edit: a text that is there once, or is replaced everywhere. It tells the text before, or not.
    fn edit(&mut self, dice: &mut Dice) {
        let mut edits = Vec::new();
        let original = dice.one_in(3).then(|| self.text.clone());
        for _ in 0..1 + dice.below(2) {
            let Some(old) = piece_of(dice, &self.text) else { continue };
            let everywhere = dice.one_in(4);
            // The client looks for overlaps too: it takes no text that begins in two places.
            let places =
                (0..self.text.len()).filter(|at| self.text.get(*at..).is_some_and(|rest| rest.starts_with(&old)));
            if !everywhere && places.count() != 1 {
                continue;
            }
            let new = if dice.one_in(4) { String::new() } else { text_of(dice, 3) };
            self.text = if everywhere { self.text.replace(&old, &new) } else { self.text.replacen(&old, &new, 1) };
            edits.push(Edit { old, new, everywhere });
        }
        self.all_told |= original.is_some();
        self.known.learn(&Evidence::Edited { original, edits }, false);
    }

    fn read(&mut self, dice: &mut Dice, tells_total: bool) {
        let lines = self.lines();
        let start = 1 + dice.below(lines.len());
        let end = (start + dice.below(lines.len())).min(lines.len());
        let total = tells_total.then_some(lines.len());
        let read = Evidence::Lines { start, lines: lines[start - 1..end].to_vec(), total };
        self.all_told |= read.tells_all();
        self.known.learn(&read, false);
    }

    /// Somebody else changes the file, and a later range of it is read.
    fn change(&mut self, dice: &mut Dice) {
        self.text = text_of(dice, 12);
        let lines = self.lines();
        let start = 1 + dice.below(lines.len());
        let read = Evidence::Lines { start, lines: lines[start - 1..].to_vec(), total: Some(lines.len()) };
        self.all_told = read.tells_all();
        self.known.learn(&read, true);
    }

    fn check(&self, said: &str) {
        let lines = self.lines();
        for (start, part) in self.known.parts() {
            for (number, line) in (start..).zip(part.split('\n')) {
                assert_eq!(
                    lines.get(number - 1).map(String::as_str),
                    Some(line),
                    "line {number} {said} of {:?}",
                    self.text
                );
            }
        }
        assert!(self.known.total().is_none_or(|total| total == lines.len()), "{said}");
        match self.known.whole() {
            Some(whole) => assert_eq!(whole, self.text, "{said}"),
            None => assert!(!self.all_told, "{said}: all was told"),
        }
    }
}

#[test]
fn what_is_known_of_a_text_is_what_it_is() {
    let (mut whole, mut partial) = (0, 0);
    for seed in 1..=SEEDS {
        let mut dice = Dice::new(seed);
        let mut file = File { text: text_of(&mut dice, 12), known: KnownText::default(), all_told: false };
        for step in 0..STEPS {
            let what = dice.below(12);
            match what {
                0 => {
                    file.text = text_of(&mut dice, 12);
                    file.known.learn(&Evidence::Whole(file.text.clone()), dice.one_in(2));
                    file.all_told = true;
                }
                1 => file.change(&mut dice),
                2 => {
                    file.known.learn(&Evidence::Changed, false);
                    file.all_told = false;
                }
                3 => file.known.learn(&Evidence::Unchanged, false),
                4..=7 => file.edit(&mut dice),
                _ => {
                    let tells_total = dice.one_in(2);
                    file.read(&mut dice, tells_total);
                }
            }
            file.check(&format!("after step {step} ({what}) of seed {seed}"));
            whole += usize::from(file.known.whole().is_some());
            partial += usize::from(file.known.whole().is_none() && !file.known.is_nothing());
        }
    }
    assert!(whole > 1000 && partial > 1000, "{whole} whole, {partial} in part");
}

#[test]
fn what_is_known_in_part_is_followed_where_it_can_be() {
    let lines = |from: usize, to: usize| (from..=to).map(|line| format!("line {line}")).collect::<Vec<_>>();
    let read = |start: usize, end: usize| Evidence::Lines { start, lines: lines(start, end), total: Some(300) };
    let edit = |old: &str, new: &str| Evidence::Edited {
        original: None,
        edits: vec![Edit { old: old.to_owned(), new: new.to_owned(), everywhere: false }],
    };
    let mut known = KnownText::default();
    known.learn(&read(100, 110), false);
    known.learn(&read(200, 201), false);
    known.learn(&edit("line 105\n", "one\ntwo\n"), false);
    let starts: Vec<(usize, usize)> =
        known.parts().iter().map(|(start, text)| (*start, text.split('\n').count())).collect();
    assert_eq!((starts, known.total()), (vec![(100, 12), (201, 2)], Some(301)), "what stands behind has moved");
    known.learn(&edit("line 17", "line seventeen"), false);
    assert_eq!(known.parts().len(), 2, "an edit elsewhere leaves all lines where they are");
    known.learn(&edit("line 250\n", ""), false);
    assert!(known.is_nothing(), "where a line less is cannot be told");
}
