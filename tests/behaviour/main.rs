//! Behaviour: files, settings, questions and accidents in; numbers, spans, answers and messages out.
//!
//! Some tests ask the parts of the program, some the program itself as a child process. They are one program, so that those
//! that wait (for a disk, for a child, for a scrape) do so while others compute.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    reason = "a test stops at the first surprise, and says its seed; sums of whole numbers are exact"
)]

mod support;

// What a scan says of fixtures and recordings.
mod behaviours;
mod bottlenecks;
mod names;
mod recordings;

// What is read: settings, files, times, models, prices.
mod config;
mod config_endpoints;
mod config_pages;
mod model_names;
mod money;
mod prices;
mod tail;
mod times;

// What is counted, and how metrics show it.
mod claude_code_metrics;
mod custom_metrics;
mod measures;
mod metrics;
mod openmetrics;
mod otlp_metrics;
mod text_formats;

// Spans: their ids, their tree, their forms, what they hold, when they leave.
mod content;
mod ids;
mod native;
mod queue;
mod shipped;
mod span_forms;
mod spans;
mod traces;
mod turns;

// Spans on their way to collectors on loopback.
mod otlp;
mod otlp_again;
mod otlp_endpoints;
mod otlp_failures;
mod otlp_tls;

// The HTTP server and the answers of its APIs, and who gets them.
mod account_limits;
mod api;
mod api_replay;
mod archive;
mod archive_import;
mod budgets;
mod call_facts;
mod ccusage;
mod client_account;
mod costs;
mod costs_mixed;
mod critical_path;
mod events;
mod exact_waits;
mod export_files;
mod export_tables;
mod hooks;
mod hooks_live;
mod host_waits;
mod http;
mod http_load;
mod http_streams;
mod intake;
mod jaeger;
mod jaeger_settings;
mod openapi;
mod pages;
mod patterns;
mod projection;
mod readers;
mod replay_cursors;
mod replay_files;
mod replay_recordings;
mod replay_steps;
mod replay_tasks;
mod report;
mod search;
mod session_filters;
mod statusline;
mod terminal;
mod terminal_frames;
mod terminal_unread;
mod transcript;
mod transcript_asciicast;
mod transcript_command;
mod transcript_forms;
mod transcript_perfetto;
mod transcript_secrets;
mod watch;

// The sidecar at work: what it says, keeps, checks and sends again.
mod daemon;
mod history;
mod log;
mod offers;
mod readable;
mod retention;
mod runaway;
mod selfcheck;
mod start;
mod stream;
mod stream_handover;
mod streams_alone;
mod verify;

// What happens to it: kills, disks, limits of the system, states of earlier programs, sessions without end.
mod compaction;
mod disk;
mod giant;
mod huge;
mod limits;
mod links;
mod states;
mod tools_usage;
mod torture;
mod waiting;
mod wide;
mod workflows;
mod workflows_asked;
mod workflows_command;

// Beside a real Prometheus: the past as a file, dashboards, rules, a day of work.
mod backfill;
mod backfill_prometheus;
mod dashboard_queries;
mod dashboard_tables;
mod dashboards;
mod living_day;
mod panel_answers;
mod prometheus;
mod rules;

// Files to install it with.
mod deploy;
mod warehouse;
