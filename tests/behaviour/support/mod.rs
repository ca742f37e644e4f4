//! What the tests of this folder share.

pub(crate) mod analytics;
pub(crate) mod calls;
pub(crate) mod costs;
pub(crate) mod daemon;
pub(crate) mod dashboards;
pub(crate) mod database;
pub(crate) mod day;
pub(crate) mod giant;
pub(crate) mod history;
pub(crate) mod http;
pub(crate) mod jaeger;
pub(crate) mod jaeger_forms;
pub(crate) mod json_schema;
pub(crate) mod outbox;
pub(crate) mod panels;
pub(crate) mod past;
pub(crate) mod privileges;
pub(crate) mod promql;
pub(crate) mod queue;
pub(crate) mod receiver;
pub(crate) mod rule_files;
pub(crate) mod scraper;
pub(crate) mod serving;
pub(crate) mod shim;
pub(crate) mod sink;
pub(crate) mod spans;
pub(crate) mod spending;
pub(crate) mod units;
pub(crate) mod vocabulary;

#[path = "../../support/span_rules.rs"]
pub(crate) mod span_rules;
#[path = "../../support/sums.rs"]
pub(crate) mod sums;
#[path = "../../support/world.rs"]
pub(crate) mod world;
