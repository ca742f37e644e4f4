//! The page at `/`, and the probes.

pub mod health;
pub mod landing;
