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
//! keys                          every key: its path, the type of its value, the words that messages use for it
//! file, env, flags              each reads one source into a layer; document reads the values of a file
//! merge                         puts layers on top of each other
//! standard                      reads the OTEL_* variables into a layer
//! text, prices, budgets, patterns, custom, endpoints, otlp
//!                               turn text into valid values
//! push, build                   make a Config from the layers
//! settings                      the Config and its parts
//! ```
//!
//! `deploy/tailspan.toml` shows every key with its default.

#![warn(missing_docs)]

mod budgets;
mod build;
mod custom;
mod document;
mod endpoints;
mod env;
mod error;
mod file;
mod flags;
mod keys;
mod merge;
mod otlp;
mod patterns;
mod prices;
mod push;
mod settings;
mod standard;
mod text;

pub use self::build::rules_of;
pub use self::env::Env;
pub use self::error::{ConfigError, SetAt};
pub use self::flags::Flags;
pub use self::keys::known_keys;
pub use self::settings::{
    ArchiveSettings, Budget, ClientTls, Compression, Config, ContentLevel, EventSettings, HistorySince, LogFormat,
    Metrics, OtlpSettings, OutboxSettings, PatternSettings, PriceSettings, Profile, ProjectLabel, Push, Retention,
    RunawaySettings, Scan, ScanFormat, SearchSettings, SetPlaces, Statusline, StreamSettings, Tls, TraceScope,
    TraceSettings, Web,
};
pub(crate) use self::text::any_duration as duration;
