//! What an edit changes, line by line.

use super::paint::{Line, Style};

/// Most lines on either side that are held against each other; of longer ones the old text is shown before the new one.
const LINES_MAX: usize = 500;

/// Unchanged lines that are shown around a change.
const AROUND: usize = 3;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Same,
    Old,
    New,
}

/// The difference between two texts, with three lines around each change; with the numbers of lines if both texts are whole
/// files.
pub(super) fn difference(before: &str, after: &str, is_numbered: bool) -> Vec<Line> {
    let marked = marked(&split(before), &split(after));
    let changes: Vec<usize> =
        marked.iter().enumerate().filter(|(_, (mark, _))| *mark != Mark::Same).map(|(place, _)| place).collect();
    if changes.is_empty() {
        return vec![Line::of("no change", Style::DIM)];
    }
    let (mut made, mut was_shown, mut from) = (Vec::new(), false, 0);
    let (mut old, mut new) = (1, 1);
    for (place, (mark, line)) in marked.iter().enumerate() {
        while changes.get(from).is_some_and(|change| change + AROUND < place) {
            from += 1;
        }
        let is_shown = changes.get(from).is_some_and(|change| change.abs_diff(place) <= AROUND);
        if is_shown {
            if !was_shown && is_numbered {
                made.push(Line::of(&format!("@@ -{old} +{new} @@"), Style::MARK));
            } else if !was_shown && !made.is_empty() {
                made.push(Line::of("⋯", Style::DIM));
            }
            made.push(match mark {
                Mark::Same => Line::of(&format!("  {line}"), Style::PLAIN),
                Mark::Old => Line::of(&format!("- {line}"), Style::BAD),
                Mark::New => Line::of(&format!("+ {line}"), Style::GOOD),
            });
        }
        was_shown = is_shown;
        old += usize::from(*mark != Mark::New);
        new += usize::from(*mark != Mark::Old);
    }
    made
}

fn split(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.strip_suffix('\n').unwrap_or(text).split('\n').collect() }
}

fn marked<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(Mark, &'t str)> {
    let start = old.iter().zip(new).take_while(|(one, other)| one == other).count();
    let left = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(left).take_while(|(one, other)| one == other).count();
    let middle =
        |lines: &[&'t str]| -> Vec<&'t str> { lines.get(start..lines.len() - end).unwrap_or_default().to_vec() };
    let same = |lines: &[&'t str]| -> Vec<(Mark, &'t str)> { lines.iter().map(|line| (Mark::Same, *line)).collect() };
    let (x, y) = (middle(old), middle(new));
    let mut all = same(old.get(..start).unwrap_or_default());
    if x.len() > LINES_MAX || y.len() > LINES_MAX {
        all.extend(x.iter().map(|line| (Mark::Old, *line)));
        all.extend(y.iter().map(|line| (Mark::New, *line)));
    } else {
        common(&x, &y, &mut all);
    }
    all.extend(same(old.get(old.len() - end..).unwrap_or_default()));
    all
}

/// By the longest common sequence of lines.
fn common<'t>(x: &[&'t str], y: &[&'t str], all: &mut Vec<(Mark, &'t str)>) {
    let width = y.len() + 1;
    let mut longest = vec![0_u16; (x.len() + 1) * width];
    let at = |longest: &[u16], i: usize, j: usize| longest.get(i * width + j).copied().unwrap_or(0);
    for (i, one) in x.iter().enumerate().rev() {
        for (j, other) in y.iter().enumerate().rev() {
            let best = if one == other {
                at(&longest, i + 1, j + 1) + 1
            } else {
                at(&longest, i + 1, j).max(at(&longest, i, j + 1))
            };
            if let Some(place) = longest.get_mut(i * width + j) {
                *place = best;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    loop {
        match (x.get(i), y.get(j)) {
            (Some(one), Some(other)) if one == other => {
                all.push((Mark::Same, one));
                (i, j) = (i + 1, j + 1);
            }
            (Some(one), Some(_)) if at(&longest, i + 1, j) >= at(&longest, i, j + 1) => {
                all.push((Mark::Old, one));
                i += 1;
            }
            (_, Some(other)) => {
                all.push((Mark::New, other));
                j += 1;
            }
            (Some(one), None) => {
                all.push((Mark::Old, one));
                i += 1;
            }
            (None, None) => return,
        }
    }
}
