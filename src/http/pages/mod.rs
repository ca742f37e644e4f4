//! The page at `/`, and the probes; `status` holds what they need to know of the context.

pub mod health;
pub mod landing;
pub(super) mod status;
