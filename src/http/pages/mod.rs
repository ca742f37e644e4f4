//! Pages for people, and the probes.
//!
//! ```text
//! landing  the page at `/`: how the sidecar is, and its sessions
//! session  the page of one session; its first window is readable without scripts
//! span     where the event of a span is shown
//! image    a picture of an event
//! assets   the scripts and the style of both, as they stand in `files/`
//! up       the way from one page to the others
//! escape   texts as HTML
//! health   probes
//! status   what pages and probes need to know of the context
//! ```
//!
//! Whatever a session file holds is text on these pages, never markup: Rust escapes it, the scripts put it into text nodes, and
//! the policy lets nothing run that is not a file of the program.

pub mod assets;
mod escape;
pub mod health;
pub mod image;
pub mod landing;
pub mod session;
pub mod span;
pub(super) mod status;
mod up;
