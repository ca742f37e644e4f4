//! What a report says, without any form. Texts in it may be foreign; whoever draws them makes them harmless.

use super::glyphs::Spark;

/// A whole report.
#[derive(Debug, Clone, Default)]
pub(in crate::cli::report) struct Document {
    pub(in crate::cli::report) title: String,
    pub(in crate::cli::report) parts: Vec<Part>,
}

/// A part of a report.
#[derive(Debug, Clone)]
pub(in crate::cli::report) enum Part {
    /// A sentence or two.
    Text(Tone, String),
    /// Names with what there is to say of each.
    Facts(Vec<Fact>),
    Table(Table),
    /// What could be done better.
    Advice(Vec<Advice>),
}

/// A name, and what there is to say of it.
#[derive(Debug, Clone)]
pub(in crate::cli::report) struct Fact {
    pub(in crate::cli::report) name: &'static str,
    /// Amounts that are drawn as a row of small bars before the text; mostly none.
    pub(in crate::cli::report) spark: Spark,
    pub(in crate::cli::report) text: String,
    pub(in crate::cli::report) tone: Tone,
}

impl Fact {
    pub(in crate::cli::report) fn new(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, spark: Spark::default(), text: text.into(), tone: Tone::Plain }
    }

    pub(in crate::cli::report) fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }
}

/// One thing that could be done better.
#[derive(Debug, Clone)]
pub(in crate::cli::report) struct Advice {
    pub(in crate::cli::report) title: String,
    pub(in crate::cli::report) tone: Tone,
    /// How much weight it has, and what it would save.
    pub(in crate::cli::report) weight: String,
    pub(in crate::cli::report) finding: String,
    pub(in crate::cli::report) recommendation: String,
    /// Where it was seen.
    pub(in crate::cli::report) evidence: Vec<Seen>,
}

/// Where something was seen.
#[derive(Debug, Clone)]
pub(in crate::cli::report) struct Seen {
    pub(in crate::cli::report) text: String,
    /// The address of a page about it.
    pub(in crate::cli::report) page: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(in crate::cli::report) struct Table {
    pub(in crate::cli::report) columns: Vec<Column>,
    pub(in crate::cli::report) rows: Vec<Row>,
    /// A sentence below the table.
    pub(in crate::cli::report) note: Option<String>,
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli::report) struct Column {
    pub(in crate::cli::report) head: &'static str,
    pub(in crate::cli::report) align: Align,
    pub(in crate::cli::report) cut: Cut,
    /// Where there is no room, columns of the highest rank are left out first; those of rank 0 never are.
    pub(in crate::cli::report) rank: u8,
}

impl Column {
    /// Text, which is cut at its end where there is no room.
    pub(in crate::cli::report) const fn text(head: &'static str) -> Self {
        Self { head, align: Align::Left, cut: Cut::End, rank: 0 }
    }

    /// A name whose beginning and end tell most, such as that of a model.
    pub(in crate::cli::report) const fn name(head: &'static str) -> Self {
        Self { cut: Cut::Middle, ..Self::text(head) }
    }

    /// Text that is never cut.
    pub(in crate::cli::report) const fn fixed(head: &'static str) -> Self {
        Self { cut: Cut::Never, ..Self::text(head) }
    }

    /// Numbers.
    pub(in crate::cli::report) const fn number(head: &'static str) -> Self {
        Self { head, align: Align::Right, cut: Cut::Never, rank: 0 }
    }

    /// Bars, which take the room that others leave.
    pub(in crate::cli::report) const fn bar() -> Self {
        Self { head: "", align: Align::Left, cut: Cut::Bar, rank: 1 }
    }

    /// The same column, left out where there is no room.
    pub(in crate::cli::report) const fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::report) enum Align {
    Left,
    Right,
}

/// What is done with cells that do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::report) enum Cut {
    Never,
    Middle,
    End,
    /// They are bars, and fit any width.
    Bar,
}

#[derive(Debug, Clone)]
pub(in crate::cli::report) struct Row {
    pub(in crate::cli::report) cells: Vec<Cell>,
    pub(in crate::cli::report) tone: Tone,
}

impl Row {
    pub(in crate::cli::report) const fn of(cells: Vec<Cell>) -> Self {
        Self { cells, tone: Tone::Plain }
    }

    /// A row of sums.
    pub(in crate::cli::report) const fn total(cells: Vec<Cell>) -> Self {
        Self { cells, tone: Tone::Strong }
    }
}

#[derive(Debug, Clone)]
pub(in crate::cli::report) enum Cell {
    Text(Tone, String),
    /// A text, and the address of a page about it.
    Link(String, String),
    /// A part of a whole.
    Bar {
        part: u128,
        whole: u128,
    },
}

impl Cell {
    pub(in crate::cli::report) fn of(text: impl Into<String>) -> Self {
        Self::Text(Tone::Plain, text.into())
    }

    pub(in crate::cli::report) fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self::Text(tone, text.into())
    }

    /// The text, or a dash if there is none.
    pub(in crate::cli::report) fn or_dash(text: Option<String>) -> Self {
        text.map_or_else(|| Self::toned(Tone::Dim, "-"), Self::of)
    }

    /// The text, or a dash if there is none, with the address of a page about it if that is known.
    pub(in crate::cli::report) fn linked(text: Option<String>, page: Option<&str>) -> Self {
        match (text, page.filter(|page| is_address(page))) {
            (Some(text), Some(page)) => Self::Link(text, page.to_owned()),
            (text, _) => Self::or_dash(text),
        }
    }

    pub(in crate::cli::report) const fn empty() -> Self {
        Self::Text(Tone::Plain, String::new())
    }
}

/// Whether an answer tells an address that may be made a link: a URL of the web without anything that could end it early.
pub(in crate::cli) fn is_address(text: &str) -> bool {
    let is_web = text.starts_with("http://") || text.starts_with("https://");
    is_web && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'()<>[]\\^`{|}".contains(&byte))
}

/// How a text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::cli::report) enum Tone {
    #[default]
    Plain,
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
}
