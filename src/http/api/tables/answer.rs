//! The route of exports.

use std::io::{self, Write};

use http::header::{CONTENT_DISPOSITION, HeaderName, HeaderValue};

pub use super::asked::HasHost;
use super::asked::{CSV_TYPE, DAY, FILE, Format, HOST, NDJSON_TYPE, PARQUET_TYPE, Wanted};
use super::forms::TableForm;
use super::parquet::ParquetTable;
use super::read::{TableRows, TakeRows, sessions};
use crate::http::api::analytics::questions::{
    AGENT, BRANCH, ENTRYPOINT, MODEL, ORIGIN, PROJECT, SESSION, SINCE, TOOL, TZ, UNTIL, WORKFLOW,
};
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::views::tables::SCHEMA_VERSION;
use crate::views::tables::column::Row;
use crate::views::tables::text::TextTable;

/// Description of [`answer`].
pub static EXPORT: Description = Description {
    summary: "Exports a table of rows as a file: sessions, turns, messages, tool calls or costs.",
    parameters: &[
        &FILE,
        &TZ,
        &SINCE,
        &UNTIL,
        &DAY,
        &PROJECT,
        &BRANCH,
        &MODEL,
        &AGENT,
        &TOOL,
        &WORKFLOW,
        &ORIGIN,
        &SESSION,
        &ENTRYPOINT,
        &HOST,
    ],
    answers: &[
        AnswerForm::json::<TableForm>("Table", "All rows of the table."),
        AnswerForm::of(NDJSON_TYPE, "A row on each line, as an object of JSON."),
        AnswerForm::of(CSV_TYPE, "A line with the names of the columns, then a line for each row."),
        AnswerForm::of(PARQUET_TYPE, "A Parquet file, compressed with zstd."),
    ],
    refusal: PROBLEM,
};

/// The header that says which version of the columns an answer has.
const VERSION: HeaderName = HeaderName::from_static("tailspan-schema-version");

/// Bytes of rows that are passed on at once.
const PIECE_BYTES: usize = 16 * 1024;

/// After so many sessions without any row it is looked whether somebody still reads.
const PAUSES: u32 = 256;

/// Answers with a table. Fails if a parameter is bad or the state cannot be read; a state that cannot be read later breaks
/// the answer off.
pub fn answer<C: HasHost>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let Wanted { table, format, file, rows: asked, started } = Wanted::of(context, request)?;
    let cells = context.cells().now(context.reader())?;
    if let Some(answer) = cells.not_modified(request, "") {
        return Ok(answer);
    }
    // Rows are told of while they are made: sums that are still being made after an upgrade may lack sessions.
    if !cells.is_complete() {
        return Err(Problem::unavailable("what sessions have rows is still being worked out after an upgrade"));
    }
    let sessions = sessions(&cells, table, &asked, started, context.now());
    let rows = TableRows { reader: context.reader().clone(), table, asked, sessions };
    let answer = Answer::stream(format.content_type(), move |sink| match format {
        Format::Text(form) => {
            let mut writer = TextWriter { table: TextTable::of(form, table), sink, pauses: 0 };
            // The head of the answer goes out with the first piece, before rows are searched for.
            writer.pass_on(0)?;
            writer.sink.flush()?;
            rows.each(&mut writer)?;
            writer.table.end();
            writer.pass_on(0)
        }
        Format::Parquet => {
            let mut writer = ParquetTable::of(table, sink)?;
            writer.pause()?;
            rows.each(&mut writer)?;
            writer.end()
        }
    })?;
    let answer = if format == Format::Parquet { answer.as_it_is() } else { answer };
    let name = HeaderValue::from_str(&format!("attachment; filename=\"tailspan-{file}\""));
    let answer = answer.with_header(VERSION, HeaderValue::from(SCHEMA_VERSION));
    let answer = match name {
        Ok(name) => answer.with_header(CONTENT_DISPOSITION, name),
        Err(_) => answer,
    };
    Ok(cells.tagged(answer, ""))
}

/// Passes a table on as text.
struct TextWriter<'s> {
    table: TextTable,
    sink: &'s mut dyn Write,
    pauses: u32,
}

impl TextWriter<'_> {
    /// Passes on what is written, if it is more than so many bytes.
    fn pass_on(&mut self, bytes: usize) -> io::Result<()> {
        if self.table.out.len() > bytes {
            self.sink.write_all(&self.table.out)?;
            self.table.out.clear();
            self.pauses = 0;
        }
        Ok(())
    }
}

impl TakeRows for TextWriter<'_> {
    fn row(&mut self, row: &dyn Row) -> io::Result<()> {
        self.table.row(row);
        self.pass_on(PIECE_BYTES)
    }

    fn pause(&mut self) -> io::Result<()> {
        self.pauses += 1;
        if self.pauses < PAUSES {
            return Ok(());
        }
        self.pauses = 0;
        self.pass_on(0)?;
        self.sink.flush()
    }
}
