//! Reads values as people write them: durations, sizes, times, addresses, percent-encoded pairs. Each function returns
//! `None` for text that is not valid.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;

use crate::text::percent_decoded;
use crate::transcript::time::Timestamp;

use super::settings::HistorySince;

/// A number in decimals, like `6` or `2.5`.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|number: &f64| is_plain && number.is_finite())
}

/// A duration of one or several whole numbers with units `ms s m h d`: `250ms`, `30m`, `1h30m`.
pub(super) fn duration(text: &str, allowed: RangeInclusive<Duration>) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total_ms = None;
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(unit_end)?;
        let unit_ms = match unit.trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total_ms = Some(number.checked_mul(unit_ms)?.checked_add(total_ms.unwrap_or(0u64))?);
        rest = next;
    }
    total_ms.map(Duration::from_millis).filter(|duration| allowed.contains(duration))
}

/// [`duration`] of any length.
pub(crate) fn any_duration(text: &str) -> Option<Duration> {
    duration(text, Duration::ZERO..=Duration::MAX)
}

/// A size in bytes: a whole number, alone or with a decimal (`kB MB GB TB`) or binary (`KiB MiB GiB TiB`) unit, in
/// upper or lower case.
pub(super) fn size(text: &str, allowed: RangeInclusive<u64>) -> Option<u64> {
    let (number, unit) = leading_number(text.trim())?;
    let unit_bytes: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit_bytes).filter(|bytes| allowed.contains(bytes))
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

pub(super) fn count(text: &str, allowed: RangeInclusive<usize>) -> Option<usize> {
    text.trim().parse().ok().filter(|count| allowed.contains(count))
}

/// A path in which a leading `~` is the home directory, because no shell replaces it in configuration files and systemd
/// units; `None` if the path is empty, or if it begins with `~` and there is no home directory.
pub(super) fn path(path: &Path, home: Option<&Path>) -> Option<PathBuf> {
    if path.as_os_str().is_empty() {
        return None;
    }
    match path.strip_prefix("~") {
        Ok(rest) => home.map(|home| home.join(rest)),
        Err(_) => Some(path.to_owned()),
    }
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

pub(super) fn history_since(text: &str) -> Option<HistorySince> {
    match text.trim() {
        "all" => Some(HistorySince::All),
        time => Timestamp::parse(time).map(HistorySince::Time),
    }
}

/// An address to listen on, sorted by whether only this machine can reach it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listen {
    Loopback(SocketAddr),
    Elsewhere,
}

/// `ADDR:PORT`; `localhost` is 127.0.0.1, and no other name is looked up.
pub(super) fn listen(text: &str) -> Option<Listen> {
    let text = text.trim();
    if let Ok(address) = text.parse::<SocketAddr>() {
        // An IPv4 address that is written as IPv6 (::ffff:127.0.0.1) is judged as the IPv4 address.
        let loopback = address.ip().to_canonical().is_loopback();
        return Some(if loopback { Listen::Loopback(address) } else { Listen::Elsewhere });
    }
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse::<u16>().ok()?;
    if host.eq_ignore_ascii_case("localhost") {
        return Some(Listen::Loopback(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)));
    }
    (host.is_empty() || host_name(host).is_some()).then_some(Listen::Elsewhere)
}

/// A name as a `Host` header carries it, in lower case, without port.
pub(super) fn host_name(text: &str) -> Option<String> {
    let text = text.trim();
    let is_name = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let is_ipv6 = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    (is_name || is_ipv6).then(|| text.to_ascii_lowercase())
}

/// Most bytes of the address of the pages: it is part of every span.
const PAGE_URL_BYTES_MAX: usize = 512;

/// The address under which people reach the pages, without slashes at its end: a URL of `http` or `https` that has
/// neither a user name nor a query nor a fragment.
pub(super) fn page_url(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    let is_plain = text.len() <= PAGE_URL_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"@?#\"'<>\\^`{|}".contains(&byte));
    let uri = text.parse::<Uri>().ok().filter(|_| is_plain)?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority()?;
    let has_port = authority.as_str().len() > authority.host().len();
    let is_there = !authority.host().is_empty() && (!has_port || authority.port_u16().is_some());
    (is_web && is_there).then(|| text.to_owned())
}

/// A user's name or number as it stands in `/etc/passwd`, or `*`.
pub(super) fn user_name(text: &str) -> Option<String> {
    let text = text.trim();
    let is_name =
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || ":/,".contains(c));
    is_name.then(|| text.to_owned())
}

/// `name=value,...` with percent-encoded names and values, as `OTEL_RESOURCE_ATTRIBUTES` and `..._HEADERS` have it.
pub(super) fn pairs(text: &str) -> Option<BTreeMap<String, String>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=')?;
            let name = percent_decoded(name.trim())?;
            (!name.is_empty()).then_some((name, percent_decoded(value.trim())?))
        })
        .collect()
}
