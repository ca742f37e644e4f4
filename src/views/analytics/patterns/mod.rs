//! What could be done better, and what that would save.
//!
//! Each rule has a file of its own that tells what it sees, how its saving is worked out, and from where on it speaks up. A
//! rule either looks at single sessions, when they are loaded, or at all of history, when somebody asks.
//!
//! ```text
//! rule            what every rule says of itself
//! settings        which rules are on, and from where on they speak up
//! finding         what a rule found in a session, and how findings add up
//! seen            a session as its rules see it: threads of requests and calls
//! cache           prompts that were written to the cache again
//! session_rule    a rule that looks at single sessions
//! session_rules   all of them
//! history_rule    a rule that looks at all of history
//! history_rules   all of them
//! all             every rule by its name
//! markdown        the same as docs/patterns.md lists them
//! answer          the answer to a question
//! edits           which files were changed
//! usage           when and how much people work, beside the rules
//! ```

pub mod all;
pub mod answer;
mod cache;
pub mod edits;
pub mod files_deleted_soon;
pub mod finding;
pub mod history_rule;
pub mod history_rules;
pub mod markdown;
pub mod rule;
pub(super) mod seen;
pub mod session_rule;
pub mod session_rules;
pub mod settings;
pub mod usage;

mod budget_pace;
mod cache_expired;
mod cache_rebuilt;
mod call_fails_again;
mod carried_results;
mod compactions_in_a_row;
mod dear_model;
mod file_read_again;
mod long_context;
mod outside_hours;
mod retries;
mod serial_agents;
mod unattributed;
mod unpriced;
mod unreported;
mod unused_servers;
mod waiting_for_person;
mod warm_up;
