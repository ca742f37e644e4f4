//! What a request asks for: table, format, rows.

use crate::http::api::analytics::cells::HasCells;
use crate::http::api::analytics::questions::{TZ, filter_of};
use crate::http::route::parameter::{OneOf, Parameter, ParameterKind, Schema, Text};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::transcript::time::Timestamp;
use crate::views::analytics::cells::Window;
use crate::views::analytics::period::{Day, Zone};
use crate::views::tables::around::Asked;
use crate::views::tables::table::Table;
use crate::views::tables::text::TextForm;

/// A format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text(TextForm),
    Parquet,
}

/// A context that knows the name of its machine.
pub trait HasHost: HasCells {
    /// What rows have in the column `host`.
    fn host(&self) -> &str;
}

const JSON: Format = Format::Text(TextForm::Json);
const NDJSON: Format = Format::Text(TextForm::Ndjson);
const CSV: Format = Format::Text(TextForm::Csv);

/// Every file, as a path names it.
const FILES: [(&str, (Table, Format)); 20] = [
    ("sessions.json", (Table::Sessions, JSON)),
    ("sessions.ndjson", (Table::Sessions, NDJSON)),
    ("sessions.csv", (Table::Sessions, CSV)),
    ("sessions.parquet", (Table::Sessions, Format::Parquet)),
    ("turns.json", (Table::Turns, JSON)),
    ("turns.ndjson", (Table::Turns, NDJSON)),
    ("turns.csv", (Table::Turns, CSV)),
    ("turns.parquet", (Table::Turns, Format::Parquet)),
    ("messages.json", (Table::Messages, JSON)),
    ("messages.ndjson", (Table::Messages, NDJSON)),
    ("messages.csv", (Table::Messages, CSV)),
    ("messages.parquet", (Table::Messages, Format::Parquet)),
    ("tools.json", (Table::Tools, JSON)),
    ("tools.ndjson", (Table::Tools, NDJSON)),
    ("tools.csv", (Table::Tools, CSV)),
    ("tools.parquet", (Table::Tools, Format::Parquet)),
    ("costs.json", (Table::Costs, JSON)),
    ("costs.ndjson", (Table::Costs, NDJSON)),
    ("costs.csv", (Table::Costs, CSV)),
    ("costs.parquet", (Table::Costs, Format::Parquet)),
];

pub(super) const FILE: Parameter<OneOf<(Table, Format)>> =
    Parameter::path("file", OneOf(&FILES), "The table and the format, as the name of a file.");
pub(super) const DAY: Parameter<DayOfRow> =
    Parameter::query("day", DayOfRow, "Only rows of this day in the time zone: of sessions, those that started on it.");
pub(super) const HOST: Parameter<Text> =
    Parameter::query("host", Text, "What the column `host` says; the name of the machine if it is not given.");

/// A day of the calendar.
#[derive(Debug, Clone, Copy)]
pub(super) struct DayOfRow;

impl ParameterKind for DayOfRow {
    type Value<'a> = Day;

    fn read(&self, text: &str) -> Option<Day> {
        Day::parse(text)
    }

    fn takes(&self) -> String {
        "a date (2026-01-31)".to_owned()
    }

    fn schema(&self) -> Schema {
        Schema::Date
    }
}

/// What a request asks for.
pub(super) struct Wanted {
    pub(super) table: Table,
    pub(super) format: Format,
    /// The name of the file.
    pub(super) file: &'static str,
    pub(super) rows: Asked,
    /// When sessions must have started, of the table of sessions.
    pub(super) started: Window,
}

impl Wanted {
    /// What a request asks for. Fails if a parameter is bad.
    pub(super) fn of<C: HasHost>(context: &C, request: &Request) -> Result<Self, Problem> {
        let (table, format) = request.value(&FILE)?;
        let zone = request.value(&TZ)?;
        let mut filter = filter_of(request, zone)?;
        let day = request.given(&DAY)?.map(|day| window_of(day, zone)).transpose()?.unwrap_or_default();
        if table != Table::Sessions {
            filter.window = both(filter.window, day);
        }
        let host = request.given(&HOST)?.unwrap_or_else(|| context.host()).into();
        let file = FILES.iter().find(|(_, known)| *known == (table, format)).map_or("", |(file, _)| file);
        let rows = Asked { filter, zone, host, scope: context.span_rules().scope };
        Ok(Self { table, format, file, rows, started: day })
    }
}

fn window_of(day: Day, zone: Zone) -> Result<Window, Problem> {
    let midnight = |day: Option<Day>| day.and_then(|day| zone.midnight(day));
    let beyond = || Problem::bad_request(format!("{day} is beyond the calendar"));
    let bound = |time: Option<Timestamp>| time.ok_or_else(beyond).map(Some);
    Ok(Window { since: bound(midnight(Some(day)))?, until: bound(midnight(day.next()))? })
}

/// What lies in both.
fn both(a: Window, b: Window) -> Window {
    let until = [a.until, b.until].into_iter().flatten().min();
    Window { since: a.since.max(b.since), until }
}

impl Format {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Text(TextForm::Json) => crate::http::route::description::JSON,
            Self::Text(TextForm::Ndjson) => NDJSON_TYPE,
            Self::Text(TextForm::Csv) => CSV_TYPE,
            Self::Parquet => PARQUET_TYPE,
        }
    }
}

pub(super) const PARQUET_TYPE: &str = "application/vnd.apache.parquet";
pub(super) const NDJSON_TYPE: &str = "application/x-ndjson";
pub(super) const CSV_TYPE: &str = "text/csv; charset=utf-8; header=present";
