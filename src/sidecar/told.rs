//! The log lines of the start: which folders are read, where the state is kept, what is served and sent where, and
//! which setting said so.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::Uri;

use crate::config::{Config, HistorySince, SetAt};
use crate::tail::{self, RootEnv};
use crate::transcript::scrub::scrub;

/// Writes one log line for each of these.
pub(super) fn tell(config: &Config, env: &RootEnv, address: SocketAddr) {
    let places = &config.places;
    let given = |place: &Option<SetAt>| place.as_ref().map_or_else(|| "default".to_owned(), SetAt::to_string);
    let roots = tail::session_roots(&[], &config.projects, env);
    let of_client = env.claude_config_dir.is_some() && places.projects.is_none();
    let whence = if of_client { "environment variable CLAUDE_CONFIG_DIR".to_owned() } else { given(&places.projects) };
    tracing::info!("reading session files in {} ({whence})", folders(&roots));
    if let Ok(state) = config.state() {
        tracing::info!("keeping the state in {} ({})", state.display(), given(&places.state));
    }
    match config.archive_directory() {
        Ok(directory) if config.archive.enabled => {
            let after = config.archive.after;
            tracing::info!("copying session files that were quiet for {after:?} to {}", directory.display());
        }
        _ => tracing::info!("copying no session files (archive.enabled is not set)"),
    }
    tracing::info!("serving http://{address} ({})", given(&places.listen));
    for otlp in &config.otlp {
        let name = if config.otlp.len() > 1 { format!("endpoint {}, ", otlp.name) } else { String::new() };
        tracing::info!(
            "sending traces to {} ({name}{}), history: {}",
            shown(&otlp.endpoint),
            otlp.place,
            history(config)
        );
    }
    if config.otlp.is_empty() {
        let why = if config.is_export_disabled {
            "environment variable OTEL_SDK_DISABLED"
        } else {
            "set --otlp-endpoint, or otlp.endpoint in the configuration"
        };
        tracing::info!("sending traces nowhere ({why})");
    }
    if let Some(push) = &config.push {
        let seconds = push.interval.as_secs();
        tracing::info!("pushing metrics to {} every {seconds} s ({})", shown(&push.otlp.endpoint), push.otlp.place);
    }
}

fn folders(roots: &[PathBuf]) -> String {
    let folder = |root: &PathBuf| format!("{}{}", root.display(), if root.is_dir() { "" } else { " (not there yet)" });
    let folders: Vec<String> = roots.iter().map(folder).collect();
    if folders.is_empty() { "no folder: HOME is not set".to_owned() } else { folders.join(", ") }
}

fn history(config: &Config) -> String {
    let place = config.places.history_since.as_ref().map(SetAt::to_string).unwrap_or_default();
    match config.traces.history_since {
        HistorySince::Epoch => "none, what ends from now on (traces.history_since is not set)".to_owned(),
        HistorySince::All => format!("all ({place})"),
        HistorySince::Time(time) => format!("since {} ({place})", time.to_rfc3339()),
    }
}

/// A URL without its query, and without anything else in it that looks like a secret.
fn shown(uri: &Uri) -> String {
    let whole = uri.to_string();
    match whole.split_once('?') {
        Some((before, _)) => format!("{}?...", scrub(before)),
        None => scrub(&whole).into_owned(),
    }
}
