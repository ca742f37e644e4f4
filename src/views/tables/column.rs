//! A column of a table.

use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::transcript::time::Timestamp;
use crate::views::analytics::period::Day;

/// A column, whatever its table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The name, the same in every format.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Whether a row may be without a value.
    pub optional: bool,
    /// What a value tells, in one sentence.
    pub meaning: &'static str,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text in UTF-8.
    Text,
    /// A number of things, from 0.
    Count,
    /// A number of tokens, from 0.
    Tokens,
    /// A number of bytes, from 0.
    Bytes,
    /// A whole number, which may be negative.
    Whole,
    /// A length of time in seconds, exact to the millisecond.
    Seconds,
    /// An exact amount of US dollars.
    Money,
    /// A moment.
    Time,
    /// A day of the calendar.
    Day,
    /// Yes or no.
    Truth,
}

impl Kind {
    /// The unit; empty where there is none.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
            Self::Money => "US dollars",
            Self::Time => "UTC",
            Self::Text | Self::Count | Self::Whole | Self::Day | Self::Truth => "",
        }
    }

    /// The type in JSON and CSV.
    #[must_use]
    pub const fn as_text(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Count | Self::Tokens | Self::Bytes | Self::Whole => "whole number",
            Self::Seconds => "number",
            Self::Money => "decimal as text",
            Self::Time => "RFC 3339",
            Self::Day => "date",
            Self::Truth => "true or false",
        }
    }

    /// The type in Parquet, as SQL engines name it.
    #[must_use]
    pub const fn in_parquet(self) -> &'static str {
        match self {
            Self::Text => "VARCHAR",
            Self::Count | Self::Tokens | Self::Bytes | Self::Whole => "BIGINT",
            Self::Seconds => "DOUBLE",
            Self::Money => "DECIMAL(38,12)",
            Self::Time => "TIMESTAMP WITH TIME ZONE",
            Self::Day => "DATE",
            Self::Truth => "BOOLEAN",
        }
    }
}

/// The value of a row in a column. Its form fits the [`Kind`] of the column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'r> {
    /// There is none.
    None,
    /// Of [`Kind::Text`].
    Text(&'r str),
    /// Of [`Kind::Count`], [`Kind::Tokens`] and [`Kind::Bytes`].
    Count(u64),
    /// Of [`Kind::Whole`].
    Whole(i64),
    /// Of [`Kind::Seconds`], in milliseconds.
    Milliseconds(u64),
    /// Of [`Kind::Money`].
    Money(Money),
    /// Of [`Kind::Time`].
    Time(Timestamp),
    /// Of [`Kind::Day`].
    Day(Day),
    /// Of [`Kind::Truth`].
    Truth(bool),
}

impl<'r> Value<'r> {
    /// A text; [`Value::None`] if there is none.
    pub fn text<T: AsRef<str> + ?Sized>(text: Option<&'r T>) -> Self {
        text.map_or(Self::None, |text| Self::Text(text.as_ref()))
    }

    /// What `value` makes of something; [`Value::None`] if there is nothing.
    pub fn some<T>(value: Option<T>, make: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::None, make)
    }
}

/// A column of a table whose rows are `R`.
pub struct Column<R> {
    pub(super) about: About,
    pub(super) value: fn(&R) -> Value<'_>,
}

impl<R> Column<R> {
    /// A column in which every row has a value.
    pub(super) const fn of(name: &'static str, kind: Kind, meaning: &'static str, value: fn(&R) -> Value<'_>) -> Self {
        Self { about: About { name, kind, optional: false, meaning }, value }
    }

    /// A column in which rows may be without a value.
    pub(super) const fn some(
        name: &'static str,
        kind: Kind,
        meaning: &'static str,
        value: fn(&R) -> Value<'_>,
    ) -> Self {
        Self { about: About { name, kind, optional: true, meaning }, value }
    }
}

/// Takes the values of a row, one by one.
pub trait TakeCells {
    /// Takes the value of the column at a position.
    fn cell(&mut self, position: usize, column: &About, value: Value<'_>);
}

/// A row of any table.
pub trait Row {
    /// Gives the value of every column, in order.
    fn cells(&self, take: &mut dyn TakeCells);
}

/// Gives the value of every column of a table, in order.
pub(super) fn cells<R>(columns: &[Column<R>], row: &R, take: &mut dyn TakeCells) {
    for (position, column) in columns.iter().enumerate() {
        take.cell(position, &column.about, (column.value)(row));
    }
}

/// What was used and what it costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Tokens.
    pub tokens: Tokens,
    /// List price.
    pub cost: Money,
    /// Tokens without a known price.
    pub unpriced: u64,
}

impl Used {
    /// Adds what else was used.
    pub(super) fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.cost += other.cost;
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
    }
}
