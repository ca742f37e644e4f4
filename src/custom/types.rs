//! Types of expressions and values.

use std::borrow::Cow;
use std::fmt;

/// The type of an expression, as far as it is known before anything is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A number with a fraction.
    Double,
    /// Text.
    Text,
    /// A list of elements of a type.
    List(Box<Type>),
    /// A map from text or numbers to values of a type.
    Map(Box<Type>),
    /// `null`.
    Null,
    /// Known only when it is evaluated: the fields of `input`.
    Dyn,
}

impl Type {
    /// The type of something that may be of this type or of another.
    pub(super) fn or(self, other: Self) -> Self {
        if self == other { self } else { Self::Dyn }
    }

    pub(super) const fn may_be_bool(&self) -> bool {
        matches!(self, Self::Bool | Self::Dyn)
    }

    pub(super) const fn may_be_text(&self) -> bool {
        matches!(self, Self::Text | Self::Dyn)
    }

    pub(super) const fn may_be_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double | Self::Dyn)
    }

    /// True if two values of these types can be equal, or ordered.
    pub(super) fn compares_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn | Self::Null, _) | (_, Self::Dyn | Self::Null) => true,
            (Self::Int | Self::Double, Self::Int | Self::Double) => true,
            (Self::List(_), Self::List(_)) | (Self::Map(_), Self::Map(_)) => true,
            (this, other) => this == other,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Bool => "true or false (bool)",
            Self::Int => "a whole number (int)",
            Self::Double => "a number (double)",
            Self::Text => "text (string)",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Null => "null",
            Self::Dyn => "of any type",
        })
    }
}

/// A single value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar<'a> {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
    /// Text.
    Text(Cow<'a, str>),
}

impl<'a> From<&'a str> for Scalar<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<bool> for Scalar<'_> {
    fn from(is: bool) -> Self {
        Self::Bool(is)
    }
}

impl From<u64> for Scalar<'_> {
    fn from(count: u64) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Scalar<'_> {
    fn from(count: u32) -> Self {
        Self::Int(i64::from(count))
    }
}

impl From<i32> for Scalar<'_> {
    fn from(count: i32) -> Self {
        Self::Int(i64::from(count))
    }
}

impl From<f64> for Scalar<'_> {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}
