//! Who may import whom: the table of `src/lib.rs`, with every part that has a row of its own. Lists of what is not so yet can
//! only shrink.

/// A room, and what it may import: another room, or a part of one. A part that has a row of its own is a room as well.
pub(crate) const ROOMS: &[(&str, &[&str])] = &[
    ("transcript", &[]),
    ("ledger", &["transcript"]),
    ("measures", &["ledger", "transcript"]),
    ("custom", &["measures", "ledger", "transcript"]),
    ("views", &[]),
    ("views::analytics", WING),
    ("views::metrics", &["views::traces::ids", "custom", "measures", "ledger", "transcript"]),
    ("views::sessions", WING_OF_TIME),
    ("views::traces", WING_OF_TIME),
    ("views::text", WING),
    // A transcript is made of the events of a session and their texts.
    (
        "views::transcripts",
        &["views::sessions", "views::text::pictures", "views::text::pieces", "ledger", "transcript"],
    ),
    // Tables are asked for as sums are.
    (
        "views::tables",
        &[
            "views::analytics::cells",
            "views::analytics::filter",
            "views::analytics::period",
            "views::analytics::session_cells",
            "views::traces::ids",
            "measures",
            "ledger",
            "transcript",
        ],
    ),
    ("text", &[]),
    ("vitals", &["views::metrics", "views::analytics::runaway", "transcript"]),
    (
        "config",
        &[
            "custom",
            "views::metrics::labels",
            "views::metrics::rules",
            "views::metrics::custom",
            "views::traces",
            "views::analytics",
            "ledger::prices",
            "ledger::money",
            "transcript",
            "text",
        ],
    ),
    ("tail", &["transcript", "text"]),
    ("archive", &["tail", "transcript", "text"]),
    ("store", &["views", "ledger", "transcript", "text"]),
    ("streams", &["vitals", "transcript", "text"]),
    ("export", &["store", "views::traces", "views::metrics", "transcript", "text"]),
    ("index", &["store::StoreReader", "store::StoreError", "views::text", "tail::reread", "archive", "transcript"]),
    (
        "http",
        &[
            "store",
            "index",
            "views",
            "vitals",
            "ledger",
            "transcript",
            "tail::client",
            "tail::reread",
            "archive::Archive",
            "archive::OpenFiles",
            "text",
            "export::ExportCounters",
            "export::DropReason",
            "export::FailureReason",
            "streams",
        ],
    ),
    // The server hands requests to functions that it does not know.
    ("http::server", &["http::route", "transcript", "text"]),
    ("engine", &["store", "custom", "measures", "views", "ledger", "transcript", "tail", "archive", "text", "vitals"]),
    (
        "audit",
        &[
            "store::StoreReader",
            "store::FileRow",
            "store::StoreError",
            "vitals",
            "tail",
            "custom",
            "measures",
            "views",
            "ledger",
            "transcript",
            "text",
        ],
    ),
    ("sidecar", BELOW),
    (
        "cli",
        &[
            "sidecar",
            "config",
            "audit",
            "engine",
            "http",
            "export",
            "index",
            "store",
            "streams",
            "archive",
            "tail",
            "vitals",
            "custom",
            "measures",
            "views",
            "ledger",
            "transcript",
            "text",
        ],
    ),
    ("main", &["cli", "sidecar", "config"]),
    ("lib", &[]),
];

/// The wings of `views` do not know each other; ids of traces and spans are a public contract.
const WING: &[&str] = &["views::traces::ids", "measures", "ledger", "transcript"];

/// A wing that tells what turns waited for, as analytics works it out.
const WING_OF_TIME: &[&str] = &[
    "views::analytics::critical_path",
    "views::analytics::work",
    "views::traces::ids",
    "measures",
    "ledger",
    "transcript",
];

/// Everything that the sidecar puts together.
const BELOW: &[&str] = &[
    "config",
    "audit",
    "engine",
    "http",
    "export",
    "index",
    "store",
    "streams",
    "archive",
    "tail",
    "vitals",
    "custom",
    "measures",
    "views",
    "ledger",
    "transcript",
    "text",
];

/// Who imports what he should not, and why he still does.
pub(crate) const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Rooms that touch nothing outside the program.
pub(crate) const PURE: &[&str] = &["transcript", "ledger", "measures", "custom", "views"];

/// What a pure room must not name.
pub(crate) const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time",
    "std::sync::atomic",
    "std::sync::mpsc",
    "std::sync::Barrier",
    "std::sync::Condvar",
    "std::sync::LazyLock",
    "std::sync::Mutex",
    "std::sync::Once",
    "std::sync::OnceLock",
    "std::sync::RwLock",
    "chrono::Local",
    "chrono::Utc::now",
];

/// Macros that a pure room must not call.
pub(crate) const IMPURE_MACROS: &[&str] = &["print", "println", "eprint", "eprintln", "thread_local"];

/// Every dependency, and the rooms that may name it.
pub(crate) const CRATES: &[(&str, &[&str])] = &[
    ("anyhow", &["main"]),
    ("bytes", &["export", "http"]),
    ("cel", &["custom"]),
    ("chrono", &["transcript", "views", "config", "export"]),
    ("chrono_tz", &["views"]),
    ("clap", &["cli", "main"]),
    ("crossterm", &["cli"]),
    ("fearless_simd", &["transcript"]),
    ("flate2", &["export", "http"]),
    ("http", &["config", "export", "http", "sidecar"]),
    ("http_body_util", &["http"]),
    ("hyper", &["export", "http"]),
    ("hyper_rustls", &["export"]),
    ("hyper_util", &["export", "http"]),
    ("indicatif", &["sidecar"]),
    ("memchr", &["transcript", "views::text", "tail", "archive", "streams", "index", "audit", "cli"]),
    ("notify", &["tail"]),
    ("opentelemetry", &["export"]),
    ("opentelemetry_http", &["export"]),
    ("opentelemetry_otlp", &["export"]),
    ("opentelemetry_proto", &["export"]),
    ("opentelemetry_sdk", &["export"]),
    ("parquet", &["http"]),
    ("percent_encoding", &["text", "archive"]),
    ("postcard", &["store", "index", "audit"]),
    ("prometheus", &["http"]),
    ("prost", &["export", "views::transcripts"]),
    ("pulldown_cmark", &["views::transcripts"]),
    ("regex", &["custom", "views::text"]),
    ("regex_syntax", &["views::text"]),
    ("rustix", &["tail", "archive", "store", "index", "http", "sidecar", "cli"]),
    ("rustls", &["export"]),
    ("rustls_native_certs", &["export"]),
    ("schemars", &["ledger", "views", "http"]),
    ("serde", &["transcript", "ledger", "views", "archive", "store", "index", "streams", "export", "http", "cli"]),
    (
        "serde_json",
        &[
            "transcript",
            "ledger",
            "custom",
            "views",
            "tail",
            "archive",
            "store",
            "streams",
            "export",
            "http",
            "audit",
            "cli",
        ],
    ),
    ("sha2", &["views::traces::ids"]),
    ("signal_hook", &["cli"]),
    ("sled", &["store"]),
    ("strsim", &["config", "custom", "http"]),
    ("thiserror", &["config", "custom", "tail", "archive", "store", "streams", "export", "http", "sidecar", "cli"]),
    ("tikv_jemallocator", &["main"]),
    ("tokio", &["store", "export", "http", "sidecar"]),
    ("toml", &["config"]),
    ("tracing", &["tail", "archive", "store", "index", "export", "http", "engine", "audit", "sidecar", "cli", "main"]),
    ("tracing_subscriber", &["sidecar"]),
    ("unicode_width", &["views::transcripts", "cli"]),
    (
        "xxhash_rust",
        &[
            "transcript",
            "ledger",
            "measures",
            "custom",
            "views",
            "tail",
            "archive",
            "store",
            "streams",
            "index",
            "engine",
            "cli",
        ],
    ),
    ("zstd", &["tail"]),
];

/// Files that import each other in a loop, and why they still do.
pub(crate) const CIRCLES: &[(&[&str], &str)] = &[];
