//! Refuses requests that a page on another site made a browser send.
//!
//! The server has no password on loopback, so a browser on the same machine can be used to attack it. Two attacks are
//! refused:
//!
//! ```text
//! DNS rebinding   evil.example resolves to 127.0.0.1, so that its page reads answers as same-origin. → The Host header
//!                 must be the address that was connected to, a loopback address, or a configured name.
//! Cross-origin    a form on another site posts to http://127.0.0.1:9719. → Methods that change something need an
//! writes          Origin equal to the Host, or no Origin at all (then the client is not a browser).
//! ```
//!
//! Cross-origin reads are not refused: there are no CORS headers, so the browser keeps the answer from the page.

use std::net::IpAddr;

use http::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use http::request::Parts;
use http::{Method, Version};

use crate::http::route::problem::Problem;

/// Longest path with query, in bytes. It is half of the header limit, so that there is room for a browser's headers.
pub(in crate::http) const ADDRESS_BYTES_MAX: usize = 8 * 1024;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks the head of a request; `local` is the address on which the connection arrived. Fails if the request is
/// refused.
pub(in crate::http) fn check(head: &Parts, local: IpAddr, allowed_hosts: &[String]) -> Result<(), Problem> {
    if head.uri.path_and_query().is_some_and(|path| path.as_str().len() > ADDRESS_BYTES_MAX) {
        return Err(Problem::address_too_long(ADDRESS_BYTES_MAX));
    }
    let host = host_header(&head.headers, head.version)?;
    let target = head.uri.authority().map(http::uri::Authority::as_str);
    for named in host.into_iter().chain(target) {
        check_host(named, local, allowed_hosts)?;
    }
    let harmless = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&head.method);
    if harmless || is_same_site(&head.headers, target.or(host)) {
        Ok(())
    } else {
        Err(Problem::forbidden(format!("a {} from another site is refused", head.method)))
    }
}

fn host_header(headers: &HeaderMap, version: Version) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(HOST).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => {
            value.to_str().map(Some).map_err(|_| Problem::bad_request("the Host header is not text"))
        }
        (Some(_), Some(_)) => Err(Problem::bad_request("there is more than one Host header")),
        // No browser speaks HTTP/1.0, so nothing was rebound.
        (None, _) if version < Version::HTTP_11 => Ok(None),
        (None, _) => Err(Problem::bad_request("there is no Host header")),
    }
}

fn check_host(named: &str, local: IpAddr, allowed_hosts: &[String]) -> Result<(), Problem> {
    let Some((host, _)) = split_port(named) else {
        return Err(Problem::bad_request(format!("`{named}` is not a host with an optional port")));
    };
    let configured = |allowed: &String| split_port(allowed).is_some_and(|(name, _)| same_name(name, host));
    let fine = match host.parse::<IpAddr>() {
        // A host that is an IP address cannot be rebound: the browser connected to that very address.
        Ok(ip) if ip.to_canonical().is_loopback() || ip.to_canonical() == local.to_canonical() => true,
        _ => same_name(host, "localhost") || allowed_hosts.iter().any(configured),
    };
    if fine {
        Ok(())
    } else {
        let detail = format!("the Host header names `{host}`, which is not configured as a name of this server");
        Err(Problem::forbidden(detail))
    }
}

/// Whether two host names are equal; upper and lower case, and a dot at the end, make no difference.
fn same_name(one: &str, other: &str) -> bool {
    let bare = |name: &'_ str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    bare(one) == bare(other)
}

/// The host without brackets, and the port; `None` if the text is not a host with an optional port.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    if host.is_empty() || host.contains(['@', '/', ' ']) {
        return None;
    }
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Some((host, None)),
        Some("") => Some((host, None)),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some((host, Some(port.parse().ok()?))),
        _ => None,
    }
}

/// Whether a request comes from a page of this server, or not from a browser. Browsers state the origin of every
/// request that is not a plain read, so a request without one does not come from a browser.
fn is_same_site(headers: &HeaderMap, host: Option<&str>) -> bool {
    // `same-site` means another port or another name of the same domain, which may be another program.
    let site_fine =
        headers.get_all(SEC_FETCH_SITE).iter().all(|site| ["same-origin", "none"].iter().any(|fine| site == fine));
    let origin_fine = |origin: &str| host.is_some_and(|host| is_origin_of(origin, host));
    site_fine && headers.get_all(ORIGIN).iter().all(|origin| origin.to_str().is_ok_and(origin_fine))
}

fn is_origin_of(origin: &str, host: &str) -> bool {
    let (authority, default_port) = match (origin.strip_prefix("http://"), origin.strip_prefix("https://")) {
        (Some(authority), _) => (authority, 80),
        (_, Some(authority)) => (authority, 443),
        _ => return false,
    };
    match (split_port(authority), split_port(host)) {
        (Some((from, from_port)), Some((to, to_port))) => {
            same_name(from, to) && from_port.unwrap_or(default_port) == to_port.unwrap_or(default_port)
        }
        _ => false,
    }
}
