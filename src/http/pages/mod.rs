//! The page at `/`, and the probes; `status` is what they ask the context.

pub mod health;
pub mod landing;
pub(super) mod status;
