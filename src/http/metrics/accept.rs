//! Which of the two formats of `/metrics` an `Accept` header asks for.
//!
//! ```text
//! Prometheus 2   application/openmetrics-text;version=1.0.0,...;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1
//! Prometheus 3   application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,...,text/plain;version=0.0.4;...
//! curl, people   */*
//! ```
//!
//! - OpenMetrics is answered only to who names it: what people read in a browser stays the text format.
//! - It is answered in version 1.0.0 alone, and text in version 0.0.4: another version is another type.
//! - `escaping` says how to write names beyond ASCII. There are none, so every way is the same.
//! - Nothing is refused: a client that accepts neither gets text, as exporters have always done.

use crate::views::metrics::text::TextFormat;

/// Parts of a header that are looked at; the rest of a longer one is ignored.
const RANGES_MAX: usize = 64;

/// True if `accept` prefers OpenMetrics 1.0 to the text format 0.0.4, or likes both equally.
#[must_use]
pub fn wants_openmetrics(accept: &str) -> bool {
    let ranges: Vec<Range<'_>> = accept.split(',').take(RANGES_MAX).filter_map(Range::parse).collect();
    let is_open = |range: &&Range<'_>| range.is("application/openmetrics-text") && range.has_version("1.0.0");
    let open = ranges.iter().filter(is_open).map(|range| range.weight).max().unwrap_or(0);
    // The most specific range that fits is the one that counts.
    let is_text = |range: &Range<'_>| range.is("text/plain") && range.has_version("0.0.4");
    let text = [&is_text as &dyn Fn(&Range<'_>) -> bool, &|range| range.is("text/*"), &|range| range.is("*/*")];
    let best =
        |fits: &dyn Fn(&Range<'_>) -> bool| ranges.iter().filter(|range| fits(range)).map(|range| range.weight).max();
    open > 0 && open >= text.into_iter().find_map(best).unwrap_or(0)
}

/// The format that `accept` asks for.
pub(super) fn format_for(accept: &str) -> TextFormat {
    if wants_openmetrics(accept) { TextFormat::Open } else { TextFormat::Plain }
}

/// One part of the header.
struct Range<'a> {
    media_type: &'a str,
    version: Option<&'a str>,
    /// `q` in thousandths.
    weight: u32,
}

impl<'a> Range<'a> {
    /// `None` if its weight cannot be read: nobody knows how much it is wanted.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self { media_type: parts.next()?, version: None, weight: 1000 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name.eq_ignore_ascii_case("q") {
                range.weight = thousandths(value)?;
            } else if name.eq_ignore_ascii_case("version") {
                range.version = Some(value);
            }
        }
        Some(range)
    }

    fn is(&self, media_type: &str) -> bool {
        self.media_type.eq_ignore_ascii_case(media_type)
    }

    /// True if any version is welcome, or this one.
    fn has_version(&self, version: &str) -> bool {
        self.version.is_none_or(|own| own == version)
    }
}

/// A weight from 0 to 1 with up to three decimals, in thousandths.
fn thousandths(weight: &str) -> Option<u32> {
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    let is_number = whole.len() == 1 && decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let value: u32 = format!("{whole}{decimals:0<3}").parse().ok().filter(|_| is_number)?;
    (value <= 1000).then_some(value)
}
