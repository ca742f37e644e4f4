//! The span within which a run was called, as its caller tells it: `TRACEPARENT`, in the form of W3C Trace Context.
//!
//! Source: <https://www.w3.org/TR/trace-context/#traceparent-header>, sections 3.2.2 and 3.2.4.

use super::ids::{SpanAt, SpanId, TraceId};

/// Reads a `traceparent`; `None` if it is not valid. Of versions to come the four fields that are known now are read.
#[must_use]
pub fn caller(text: &str) -> Option<SpanAt> {
    let mut fields = text.trim().split('-');
    let (version, trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let is_known = hex(version, 2)? != 0xff && (version != "00" || fields.next().is_none());
    hex(flags, 2)?;
    let trace = hex(trace, 32).filter(|trace| *trace != 0)?;
    let span = hex(span, 16).and_then(|span| u64::try_from(span).ok()).filter(|span| *span != 0)?;
    is_known.then_some(SpanAt { trace: TraceId(trace), span: SpanId(span) })
}

/// A number of so many hexadecimal digits in lower case, which is all that the standard allows.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let fits = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}
