//! Sessions that run away: they spend, call tools or fail far faster than they did before, or than the configuration allows.
//!
//! ```text
//! settings   from where on a session runs away
//! pace       what a session did in the last hour, in slots of ten seconds
//! reason     what a session does too fast
//! detector   which sessions run away now, and when that began and ended
//! ```
//!
//! Two rules, each for cost, calls and failures of the last minute:
//!
//! ```text
//! absolute   as much as the configuration says, whatever the session did before
//! relative   two thirds of that, and `times` as much as its own usual minute: the mean of the minutes of the last hour in
//!            which it did anything, of which there must be ten. A younger session is held against the usual minute of all
//!            others, of which thirty must be known
//! cost       the two dearest responses of the minute do not count, and there must be five: a long context that is cached anew
//!            costs dollars at once and is no runaway
//! failures   calls that failed or were refused, if they are at least half of the calls of the minute. The same call (tool and
//!            input) failing again counts twice, three times and so on up to six times. Interrupted
//!            calls and failed requests to the API do not count: the one is a person, the other has an alert of its own
//! ```
//!
//! A runaway has ended when the last minute came to less than half of what gave it away for two minutes.

pub mod detector;
mod pace;
pub mod reason;
pub mod settings;
