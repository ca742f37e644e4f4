//! The configuration, resolved once into valid types.
//!
//! ```text
//! weakest                                                          strongest
//! default < OTEL_* variables < --config FILE (TOML) < TAILSPAN_* variables < flags
//! ```
//!
//! A key is replaced as a whole: lists and tables of two sources are never joined. An empty variable counts as not set,
//! as the OpenTelemetry specification has it and as compose files need it. Unknown keys and `TAILSPAN_*` variables are
//! errors: a misspelt key that is ignored in silence costs more than a start that is refused.
//!
//! The environment is an argument ([`Env`]), so that the same arguments always give the same configuration.
//!
//! ```text
//! keys                          every key: its path, its form, what it takes in words
//! file, env, flags              the sources, each a layer; document is what is read from a file
//! merge                         layers on top of each other
//! standard                      the layer of the OTEL_* variables
//! text, prices, endpoints, otlp values as they are written, made into valid ones
//! push, build, settings         from layers to a Config, and what it holds
//! ```
//!
//! `deploy/tailspan.toml` shows every key with its default.

#![warn(missing_docs)]

mod build;
mod document;
mod endpoints;
mod env;
mod error;
mod file;
mod flags;
mod keys;
mod merge;
mod otlp;
mod prices;
mod push;
mod settings;
mod standard;
mod text;

pub use self::env::Env;
pub use self::error::{ConfigError, SetAt};
pub use self::flags::Flags;
pub use self::keys::known_keys;
pub use self::settings::{
    ClientTls, Compression, Config, ContentLevel, HistorySince, LogFormat, Metrics, OtlpSettings, OutboxSettings,
    PriceSettings, Profile, ProjectLabel, Push, Scan, ScanFormat, SetPlaces, Tls, TraceScope, TraceSettings, Web,
};
pub(crate) use self::text::any_duration as duration;
