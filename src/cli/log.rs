//! Logs on stderr, as text or JSON. stdout belongs to the results. No colour codes: they end up in files and journals.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{ConfigError, LogFormat};

/// Libraries whose everyday messages say nothing about session files. A filter that names one of them decides for it.
const NOISY: [&str; 7] =
    ["hyper", "hyper_util", "notify", "opentelemetry", "opentelemetry_otlp", "opentelemetry_sdk", "sled"];

/// Sends logs to stderr from here on. A second call changes nothing.
///
/// # Errors
/// A part of `filter` is neither a level nor `target=level`.
pub fn init(filter: &str, format: LogFormat) -> Result<(), ConfigError> {
    let builder = tracing_subscriber::fmt().with_env_filter(parse(filter)?).with_writer(std::io::stderr);
    let result = match format {
        LogFormat::Text => builder.with_ansi(false).finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    };
    if let Err(error) = result {
        tracing::debug!(%error, "logs were already set up");
    }
    Ok(())
}

fn parse(filter: &str) -> Result<EnvFilter, ConfigError> {
    let refused = |part: &str| ConfigError::Filter { part: format!("{part:?}") };
    let mut everything = LevelFilter::OFF;
    let parts: Vec<&str> = filter.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Err(refused(filter));
    }
    for part in &parts {
        match part.parse::<LevelFilter>() {
            Ok(level) => everything = level,
            // A lone word would be taken for a target: `TAILSPAN_LOG=verbose` would silence everything.
            Err(_) if !part.contains(['=', '[']) || part.parse::<Directive>().is_err() => return Err(refused(part)),
            Err(_) => {}
        }
    }
    let cap = everything.min(LevelFilter::WARN);
    // Later directives replace earlier ones of the same target, so the user's come last.
    let capped = NOISY.iter().map(|target| format!("{target}={cap}"));
    let directives: Vec<String> = capped.chain(parts.into_iter().map(str::to_owned)).collect();
    EnvFilter::builder().parse(directives.join(",")).map_err(|_| refused(filter))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn libraries_are_capped_unless_the_filter_names_them() {
        let shown = |filter: &str| parse(filter).unwrap().to_string();
        let has = |filter: &str, directive: &str| shown(filter).split(',').any(|part| part == directive);
        assert!(has("info", "sled=warn") && has("info", "info"));
        assert!(has("error", "hyper=error"));
        assert!(has("info, tailspan=debug", "tailspan=debug"));
        assert!(has("debug,hyper=trace", "hyper=trace") && !has("debug,hyper=trace", "hyper=warn"));
        assert!(has("tailspan::tail=debug", "sled=off"));
        assert!(has("info,tailspan[step{file=1}]=trace", "info"));
    }

    #[test]
    fn a_part_that_is_no_directive_is_named() {
        for (filter, part) in
            [("", ""), ("verbose", "verbose"), ("info,tailspan=loud", "tailspan=loud"), ("info, debg", "debg")]
        {
            let error = parse(filter).err().unwrap().to_string();
            assert!(error.contains(&format!("{part:?}")), "{error}");
            assert!(error.contains("TAILSPAN_LOG"), "{error}");
        }
    }
}
