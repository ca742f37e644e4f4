//! Rows as Parquet: pages of zstd, money as DECIMAL(38,12), times as microseconds in UTC, a row group for every 100,000
//! rows.
//!
//! A row group lies column by column in the file, and rows come one by one. So every column is encoded and compressed into
//! memory of its own, page by page, and joined when the row group is full: what is in memory is a compressed row group.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::column::page::{CompressedPage, PageWriteSpec, PageWriter};
use parquet::column::writer::{ColumnWriter, get_column_writer};
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{ColumnDescPtr, Type, TypePtr};

use super::read::TakeRows;
use crate::ledger::money::Money;
use crate::views::analytics::period::Day;
use crate::views::tables::SCHEMA_VERSION;
use crate::views::tables::column::{About, Kind, Row, TakeCells, Value};
use crate::views::tables::table::Table;

/// Rows of a row group.
const GROUP_ROWS: usize = 100_000;

/// Values of a column that are encoded at once.
const BATCH: usize = 1024;

/// Bytes of a decimal of 38 digits.
const DECIMAL_BYTES: i32 = 16;

/// How many rows a file has; `None` if it is no whole Parquet file.
#[must_use]
pub fn rows_of(path: &Path) -> Option<i64> {
    let reader = SerializedFileReader::new(File::open(path).ok()?).ok()?;
    Some(reader.metadata().file_metadata().num_rows())
}

/// Memory that two owners write to and take from: the library wants to own what it writes to.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps the pages of one column.
struct Pages(TrackedWrite<Shared>);

impl PageWriter for Pages {
    fn write_page(&mut self, page: CompressedPage) -> ParquetResult<PageWriteSpec> {
        SerializedPageWriter::new(&mut self.0).write_page(page)
    }

    fn close(&mut self) -> ParquetResult<()> {
        Ok(())
    }
}

/// Values of a column that are not encoded yet.
enum Values {
    Text(Vec<ByteArray>),
    Int64(Vec<i64>),
    Int32(Vec<i32>),
    Double(Vec<f64>),
    Decimal(Vec<FixedLenByteArray>),
    Truth(Vec<bool>),
}

/// One column of a row group.
struct ColumnPart {
    writer: ColumnWriter<'static>,
    pages: Shared,
    values: Values,
    /// For each row 1 if it has a value and else 0, if rows may be without.
    levels: Option<Vec<i16>>,
    /// The text of the row before, which most often is that of the next row too.
    last: Option<ByteArray>,
}

/// Writes a table as Parquet.
pub(super) struct ParquetTable<'s> {
    file: SerializedFileWriter<Shared>,
    written: Shared,
    sink: &'s mut dyn Write,
    columns: Vec<&'static About>,
    properties: WriterPropertiesPtr,
    parts: Vec<ColumnPart>,
    /// 1970-01-01, from which days are counted.
    epoch: Option<Day>,
    rows: usize,
}

impl<'s> ParquetTable<'s> {
    /// A table without rows yet.
    pub(super) fn of(table: Table, sink: &'s mut dyn Write) -> io::Result<Self> {
        let said = [("schema_version", SCHEMA_VERSION.to_string()), ("table", table.name().to_owned())];
        let said = said.map(|(key, value)| KeyValue::new(key.to_owned(), value));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(said.to_vec()))
            .build();
        let properties = Arc::new(properties);
        let columns = table.columns();
        let schema = schema(table, &columns).map_err(io::Error::other)?;
        let written = Shared::default();
        let file = SerializedFileWriter::new(written.clone(), schema, Arc::clone(&properties));
        let file = file.map_err(io::Error::other)?;
        let epoch = Day::parse("1970-01-01");
        let mut made = Self { file, written, sink, columns, properties, parts: Vec::new(), epoch, rows: 0 };
        made.pass_on()?;
        Ok(made)
    }

    /// Ends the file.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.end_group()?;
        self.file.finish().map_err(io::Error::other)?;
        self.pass_on()
    }

    fn begin_group(&mut self) {
        let columns = self.columns.iter().zip(self.file.schema_descr().columns());
        self.parts = columns.map(|(about, told)| ColumnPart::of(about, told, &self.properties)).collect();
    }

    /// Joins the columns of the rows so far.
    fn end_group(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let parts = std::mem::take(&mut self.parts);
        let mut group = self.file.next_row_group().map_err(io::Error::other)?;
        for part in parts {
            let (bytes, closed) = part.end().map_err(io::Error::other)?;
            group.append_column(&bytes, closed).map_err(io::Error::other)?;
            // What is passed on here is not in memory twice.
            self.sink.write_all(&self.written.take())?;
        }
        group.close().map_err(io::Error::other)?;
        self.rows = 0;
        self.pass_on()
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.sink.write_all(&self.written.take())
    }
}

impl TakeRows for ParquetTable<'_> {
    fn row(&mut self, row: &dyn Row) -> io::Result<()> {
        if self.rows == 0 {
            self.begin_group();
        }
        let mut cells = Cells { parts: &mut self.parts, epoch: self.epoch };
        row.cells(&mut cells);
        self.rows += 1;
        if self.rows.is_multiple_of(BATCH) {
            self.parts.iter_mut().try_for_each(ColumnPart::encode).map_err(io::Error::other)?;
        }
        if self.rows >= GROUP_ROWS { self.end_group() } else { Ok(()) }
    }

    fn pause(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

struct Cells<'p> {
    parts: &'p mut [ColumnPart],
    epoch: Option<Day>,
}

impl TakeCells for Cells<'_> {
    fn cell(&mut self, position: usize, _: &About, value: Value<'_>) {
        let Some(part) = self.parts.get_mut(position) else { return };
        if let Some(levels) = &mut part.levels {
            levels.push(i16::from(value != Value::None));
        }
        match (&mut part.values, value) {
            (_, Value::None) => {}
            (Values::Text(values), Value::Text(text)) => {
                let known = part.last.take().filter(|known| known.data() == text.as_bytes());
                let bytes = known.unwrap_or_else(|| ByteArray::from(text));
                part.last = Some(bytes.clone());
                values.push(bytes);
            }
            (Values::Int64(values), Value::Count(number)) => values.push(i64::try_from(number).unwrap_or(i64::MAX)),
            (Values::Int64(values), Value::Whole(number)) => values.push(number),
            (Values::Int64(values), Value::Time(at)) => values.push(at.0.saturating_mul(1000)),
            (Values::Double(values), Value::Milliseconds(number)) => {
                values.push(crate::transcript::time::seconds(number));
            }
            (Values::Decimal(values), Value::Money(money)) => values.push(decimal(money)),
            (Values::Int32(values), Value::Day(day)) => {
                let days = self.epoch.map_or(0, |epoch| day.since(epoch));
                values.push(i32::try_from(days).unwrap_or(0));
            }
            (Values::Truth(values), Value::Truth(is_so)) => values.push(is_so),
            (_, value) => {
                unreachable!("{value:?} in a column of another kind: every value fits the kind of its column")
            }
        }
    }
}

/// An amount in picodollars, which is that of dollars with twelve decimals, as the bytes of a whole number, the greatest
/// first.
fn decimal(money: Money) -> FixedLenByteArray {
    ByteArray::from(money.picousd().to_be_bytes().to_vec()).into()
}

impl ColumnPart {
    fn of(about: &About, told: &ColumnDescPtr, properties: &WriterPropertiesPtr) -> Self {
        let pages = Shared::default();
        let kept = Box::new(Pages(TrackedWrite::new(pages.clone())));
        let writer = get_column_writer(Arc::clone(told), Arc::clone(properties), kept);
        let values = match about.kind {
            Kind::Text => Values::Text(Vec::new()),
            Kind::Count | Kind::Tokens | Kind::Bytes | Kind::Whole | Kind::Time => Values::Int64(Vec::new()),
            Kind::Seconds => Values::Double(Vec::new()),
            Kind::Money => Values::Decimal(Vec::new()),
            Kind::Day => Values::Int32(Vec::new()),
            Kind::Truth => Values::Truth(Vec::new()),
        };
        Self { writer, pages, values, levels: about.optional.then(Vec::new), last: None }
    }

    /// Encodes the values so far.
    fn encode(&mut self) -> ParquetResult<()> {
        let levels = self.levels.as_deref();
        match (&mut self.writer, &mut self.values) {
            (ColumnWriter::ByteArrayColumnWriter(writer), Values::Text(values)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (ColumnWriter::Int64ColumnWriter(writer), Values::Int64(values)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (ColumnWriter::Int32ColumnWriter(writer), Values::Int32(values)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (ColumnWriter::DoubleColumnWriter(writer), Values::Double(values)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (ColumnWriter::FixedLenByteArrayColumnWriter(writer), Values::Decimal(values)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (ColumnWriter::BoolColumnWriter(writer), Values::Truth(values)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            _ => return Err(ParquetError::General("values of another type than their column".to_owned())),
        }
        if let Some(levels) = &mut self.levels {
            levels.clear();
        }
        Ok(())
    }

    /// The pages of the column, and what the library knows of them.
    fn end(mut self) -> ParquetResult<(Bytes, parquet::column::writer::ColumnCloseResult)> {
        self.encode()?;
        let closed = self.writer.close()?;
        Ok((self.pages.take().into(), closed))
    }
}

fn schema(table: Table, columns: &[&About]) -> ParquetResult<TypePtr> {
    let fields: ParquetResult<Vec<TypePtr>> = columns.iter().map(|column| field(column).map(Arc::new)).collect();
    Type::group_type_builder(table.name()).with_fields(fields?).build().map(Arc::new)
}

fn field(column: &About) -> ParquetResult<Type> {
    let repetition = if column.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let (physical, logical) = match column.kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Count | Kind::Tokens | Kind::Bytes | Kind::Whole => (Physical::INT64, None),
        Kind::Seconds => (Physical::DOUBLE, None),
        Kind::Money => (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::decimal(12, 38))),
        Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        Kind::Day => (Physical::INT32, Some(LogicalType::Date)),
        Kind::Truth => (Physical::BOOLEAN, None),
    };
    let field = Type::primitive_type_builder(column.name, physical).with_repetition(repetition);
    let field = match column.kind {
        Kind::Money => field.with_length(DECIMAL_BYTES).with_precision(38).with_scale(12),
        _ => field,
    };
    field.with_logical_type(logical).build()
}
