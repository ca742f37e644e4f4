//! What the tests of this folder share.

pub(crate) mod account;
pub(crate) mod calls;
pub(crate) mod counters;
mod crash;
pub(crate) mod follower;
pub(crate) mod lived;
pub(crate) mod plan;
pub(crate) mod runs;
pub(crate) mod searched;
pub(crate) mod settings;
pub(crate) mod shapes;

#[path = "../../support/database.rs"]
pub(crate) mod database;
#[path = "../../support/fuzz_config.rs"]
pub(crate) mod fuzz_config;
#[path = "../../support/fuzz_cursor.rs"]
pub(crate) mod fuzz_cursor;
#[path = "../../support/fuzz_fold.rs"]
pub(crate) mod fuzz_fold;
#[path = "../../support/fuzz_lines.rs"]
pub(crate) mod fuzz_lines;
#[path = "../../support/fuzz_query.rs"]
pub(crate) mod fuzz_query;
#[path = "../../support/span_rules.rs"]
pub(crate) mod span_rules;
#[path = "../../support/sums.rs"]
pub(crate) mod sums;
#[path = "../../support/world.rs"]
pub(crate) mod world;
