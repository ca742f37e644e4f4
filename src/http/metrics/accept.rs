//! Decides which of the two formats of `/metrics` an `Accept` header asks for.
//!
//! ```text
//! Prometheus 2   application/openmetrics-text;version=1.0.0,...;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1
//! Prometheus 3   application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,...,text/plain;version=0.0.4;...
//! curl, people   */*
//! ```
//!
//! - OpenMetrics is answered only to clients that name it, so that people get the text format in a browser.
//! - Only version 1.0.0 of OpenMetrics and version 0.0.4 of text are known; another version counts as another type.
//! - `escaping` says how to write names beyond ASCII. There are no such names, so it makes no difference.
//! - Nothing is refused: a client that accepts neither format gets text, as from other exporters.

use crate::views::metrics::text::TextFormat;

/// Most parts of a header that are read; the rest of a longer one is ignored.
const RANGES_MAX: usize = 64;

/// True if `accept` prefers OpenMetrics 1.0 to the text format 0.0.4, or likes both equally.
#[must_use]
pub fn wants_openmetrics(accept: &str) -> bool {
    let ranges: Vec<Range<'_>> = accept.split(',').take(RANGES_MAX).filter_map(Range::parse).collect();
    let is_open = |range: &&Range<'_>| range.is("application/openmetrics-text") && range.has_version("1.0.0");
    let open = ranges.iter().filter(is_open).map(|range| range.weight).max().unwrap_or(0);
    // The most specific range that fits counts, as RFC 9110 says.
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
    /// Reads one part; `None` if its weight cannot be read.
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

    /// True if the range has this version, or none.
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
