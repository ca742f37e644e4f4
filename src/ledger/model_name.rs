//! One name per model: every spelling that clients, clouds and gateways use, reduced to the id of the price table.
//!
//! ```text
//! us.anthropic.claude-opus-4-1-20250805-v1:0   claude-opus-4-1    regional
//! anthropic/claude-opus-4.5                    claude-opus-4-5
//! claude-4-5-haiku                             claude-haiku-4-5
//! claude-opus-5[1m]                            claude-opus-5
//! azure_ai/claude-opus-5-5-fast                claude-opus-5-5    fast
//! ```
//!
//! Point releases differ in price, so nothing here guesses: a name that the rules do not reduce to a known id stays
//! unknown.

use std::sync::Arc;

/// Longest canonical id in bytes; a longer one is cut.
const ID_BYTES_MAX: usize = 64;
/// How many bytes of a name are looked at.
const NAME_BYTES_MAX: usize = 512;
/// Bedrock prefixes of geographic endpoints, which cost more than the global one.
const GEO_PREFIXES: [&str; 6] = ["us", "eu", "apac", "au", "jp", "ca"];

/// The name of a model, reduced to its canonical id, and what else the name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelName {
    /// Canonical id: lower case, at most 64 bytes, not empty. Unknown models have one too.
    pub id: Arc<str>,
    /// The name ended in `-fast`: the response ran in fast mode.
    pub fast: bool,
    /// The name had a Bedrock geography prefix (`us.`, `eu.`, `apac.`, `au.`, `jp.`, `ca.`).
    pub regional: bool,
}

/// Reduces a name to its canonical id; `None` for an empty name and for names such as `<synthetic>`, which are no
/// model's.
#[must_use]
pub fn normalize(raw: &str) -> Option<ModelName> {
    canonical(raw).map(|name| ModelName { id: Arc::from(name.text), fast: name.fast, regional: name.regional })
}

/// A [`ModelName`] whose id is an own text.
pub(crate) struct CanonicalName {
    pub(crate) text: String,
    pub(crate) fast: bool,
    pub(crate) regional: bool,
}

/// [`normalize`] without a shared id, for a caller that looks up the id in a table.
pub(crate) fn canonical(raw: &str) -> Option<CanonicalName> {
    let name = raw.trim();
    if name.is_empty() || (name.starts_with('<') && name.ends_with('>')) {
        return None;
    }
    let last_part = name.rsplit('/').next().unwrap_or(name);
    let lower = first_bytes(last_part, NAME_BYTES_MAX).to_lowercase();
    let regional = has_geo_prefix(&lower);
    let from_vendor = lower.find("claude-").and_then(|start| lower.get(start..)).unwrap_or(&lower);
    let (stem, fast) = without_suffixes(from_vendor);
    let dashed = stem.replace('.', "-");
    let mut text = family_before_version(&dashed).unwrap_or(dashed);
    if text.is_empty() {
        text = first_bytes(name, NAME_BYTES_MAX).to_lowercase();
    }
    text.truncate(first_bytes(&text, ID_BYTES_MAX).len());
    Some(CanonicalName { text, fast, regional })
}

/// The longest start of `text` that has at most `bytes_max` bytes.
fn first_bytes(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or("")
}

/// True if the name begins with a Bedrock geography, as in `us.anthropic.…`, alone or at the end of an ARN.
fn has_geo_prefix(lower: &str) -> bool {
    let Some((head, _)) = lower.split_once(".anthropic.") else { return false };
    let prefix = head.rsplit(':').next().unwrap_or(head);
    GEO_PREFIXES.contains(&prefix)
}

/// Cuts dates, versions and markers off the end, in any order; the flag is true if `-fast` was among them.
fn without_suffixes(mut text: &str) -> (&str, bool) {
    let mut fast = false;
    loop {
        text = text.trim_end();
        let (shorter, is_fast) = match text.strip_suffix("-fast") {
            Some(rest) => (Some(rest), true),
            None => (without_suffix(text), false),
        };
        match shorter {
            Some(rest) if !rest.is_empty() => text = rest,
            _ => return (text, fast),
        }
        fast |= is_fast;
    }
}

/// Cuts one date, version or marker off the end; `None` if there is none.
fn without_suffix(text: &str) -> Option<&str> {
    let marker = || text.strip_suffix(']')?.rsplit_once('[').map(|(rest, _)| rest);
    let word = || ["-latest", "-thinking", "-think"].iter().find_map(|word| text.strip_suffix(word));
    let part = |separator: &str, accepts: fn(&str) -> bool| {
        text.rsplit_once(separator).filter(|(_, tail)| accepts(tail)).map(|(rest, _)| rest)
    };
    marker()
        .or_else(|| part("@", is_vertex_version))
        .or_else(|| part("-v", is_bedrock_version))
        .or_else(word)
        .or_else(|| part("-", is_compact_date))
        .or_else(|| without_dashed_date(text))
}

/// True for `default`, `latest` and a date.
fn is_vertex_version(text: &str) -> bool {
    matches!(text, "default" | "latest") || is_compact_date(text)
}

/// True for the part of `-v1`, `-v1:0` or `-v1:0:200k` behind the `v`.
fn is_bedrock_version(text: &str) -> bool {
    let mut parts = text.split(':');
    let major = parts.next().is_some_and(is_digits);
    let minor = parts.next().is_none_or(is_digits);
    let window = parts.next().is_none_or(|part| part.strip_suffix('k').is_some_and(is_digits));
    major && minor && window && parts.next().is_none()
}

/// True for `YYYYMMDD` from the year 2000 to 2099.
fn is_compact_date(text: &str) -> bool {
    text.len() == 8 && text.starts_with("20") && is_digits(text)
}

/// Cuts `-YYYY-MM-DD` off the end.
fn without_dashed_date(text: &str) -> Option<&str> {
    let (before_day, day) = text.rsplit_once('-')?;
    let (before_month, month) = before_day.rsplit_once('-')?;
    let (rest, year) = before_month.rsplit_once('-')?;
    let is_date = [year.len(), month.len(), day.len()] == [4, 2, 2]
        && year.starts_with("20")
        && [year, month, day].iter().all(|part| is_digits(part));
    is_date.then_some(rest)
}

/// The name with family and version in the order of its id: `claude-<family>-<version>` from version 4 on,
/// `claude-<version>-<family>` for version 3, without a minor version 0. `None` if the text has no such parts.
fn family_before_version(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.strip_prefix("claude-")?.splitn(4, '-').collect();
    let (family, major, minor, family_first) = match *parts.as_slice() {
        [family, major] if is_family(family) => (family, major, None, true),
        [major, family] if is_family(family) => (family, major, None, false),
        [family, major, minor] if is_family(family) => (family, major, Some(minor), true),
        [major, minor, family] if is_family(family) => (family, major, Some(minor), false),
        _ => return None,
    };
    if !is_version_number(major) || !minor.is_none_or(is_version_number) {
        return None;
    }
    let family_first = match major.parse::<u8>().ok()? {
        3 => false,
        4.. => true,
        _ => family_first,
    };
    let version = match minor {
        None | Some("0") => major.to_owned(),
        Some(minor) => format!("{major}-{minor}"),
    };
    Some(if family_first { format!("claude-{family}-{version}") } else { format!("claude-{version}-{family}") })
}

/// True for a word of small letters: `opus`.
fn is_family(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// True for one or two digits; more digits are a date or something else.
fn is_version_number(text: &str) -> bool {
    text.len() <= 2 && is_digits(text)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
