//! The way from one page to the others. It is relative, so that it holds behind any proxy and below any path.

use crate::http::route::request::Request;

/// What leads from the path of a request to that of the first page: `../` for each folder.
pub(super) fn up_from(request: &Request) -> String {
    "../".repeat(request.path.matches('/').count().saturating_sub(1))
}
