//! What rows and totals of costs say, for all reports that have some.

use serde_json::Value;

use super::args::GroupKey;
use super::asker::Asker;
use super::draw::document::{Cell, Column, Fact, Tone};
use super::titles::short_id;
use crate::cli::ask::answer::{self, count, text, tokens};
use crate::ledger::money::Money;
use crate::transcript::time::Timestamp;
use crate::views::analytics::figures::{change, counted, grouped, money, percent, short};
use crate::views::analytics::period::Day;

/// The exact total of an answer about costs.
pub(super) fn total(answer: &Value) -> Money {
    answer::money(answer, "/total/cost_usd").unwrap_or(Money::ZERO)
}

/// What a row spent, for people. Nothing is not what tokens without a price cost.
pub(super) fn cost_cell(row: &Value) -> Cell {
    let cost = answer::money(row, "/cost_usd").unwrap_or(Money::ZERO);
    let is_unpriced = count(row, "/unpriced_tokens").is_some_and(|tokens| tokens > 0);
    if cost == Money::ZERO && is_unpriced { Cell::toned(Tone::Warn, "no price") } else { Cell::of(money(cost)) }
}

/// A total in words.
pub(super) fn spent(answer: &Value) -> String {
    let Some(all) = answer.pointer("/total") else { return "-".to_owned() };
    let of = |place| count(all, place).unwrap_or(0);
    format!(
        "{} for {} tokens: {} in {} of {}",
        money(total(answer)),
        short(tokens(all).unwrap_or(0)),
        counted(of("/messages"), "response"),
        counted(of("/turns"), "turn"),
        counted(of("/sessions"), "session"),
    )
}

/// How a total differs from that of the time before; `when` says how long that is.
pub(super) fn compared(now: Money, before: Money, when: &str) -> Fact {
    let difference = now - before;
    if difference == Money::ZERO {
        return Fact::new("before", format!("{} {when} as well", money(before)));
    }
    let ratio = if before > Money::ZERO {
        let ratio = difference.to_f64() / before.to_f64();
        let sign = if ratio > 0.0 { "+" } else { "-" };
        format!(" ({sign}{})", percent(ratio.abs()))
    } else {
        String::new()
    };
    let tone = tone_of_change(difference);
    let text = format!("{} {when}: {}{ratio} since", money(before), change(difference));
    Fact::new("before", text).toned(tone)
}

/// Spending more is something to look at, and spending less is not.
pub(super) fn tone_of_change(difference: Money) -> Tone {
    match difference.cmp(&Money::ZERO) {
        std::cmp::Ordering::Greater => Tone::Warn,
        std::cmp::Ordering::Less => Tone::Good,
        std::cmp::Ordering::Equal => Tone::Plain,
    }
}

/// The columns of [`sums`].
pub(super) const SUMS: [Column; 4] = [
    Column::number("turns").rank(2),
    Column::number("sessions").rank(5),
    Column::number("responses").rank(6),
    Column::number("tokens").rank(4),
];

/// Turns, sessions, responses and tokens of a row.
pub(super) fn sums(row: &Value) -> [Cell; 4] {
    let counted = |place| Cell::or_dash(count(row, place).map(grouped));
    [counted("/turns"), counted("/sessions"), counted("/messages"), Cell::or_dash(tokens(row).map(short))]
}

/// The value of a key as people read it.
pub(super) fn key_cell(asker: &Asker<'_>, key: GroupKey, row: &Value) -> Cell {
    let Some(value) = text(row, &format!("/{}", key.name())) else { return Cell::toned(Tone::Dim, "(none)") };
    let time = || Timestamp::parse(value).map(|time| asker.present.clock(time));
    Cell::of(match key {
        GroupKey::Day => day_name(asker, value),
        GroupKey::Hour | GroupKey::Block => time().unwrap_or_else(|| value.to_owned()),
        GroupKey::Session => short_id(value),
        _ => value.to_owned(),
    })
}

/// `2026-11-24` with the day of the week before it.
pub(super) fn day_name(asker: &Asker<'_>, name: &str) -> String {
    let start = Day::parse(name).and_then(|day| asker.present.zone.midnight(day));
    start.map_or_else(|| name.to_owned(), |start| asker.present.day(start))
}
