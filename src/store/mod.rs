//! The state, in a database of sled. No other room knows sled.
//!
//! [`open()`] returns one [`Writer`] (moved into the engine), one [`Outbox`] (whose readers are moved into the
//! exporters) and a [`StoreReader`] that can be cloned (for HTTP). So writing from a request handler does not compile.
//! The layout is described in `keys.rs`. What must survive the loss of the database (epoch, up to when traces have
//! left) is in the file `epoch.json` in the same folder.

mod batch;
mod cells;
mod changes;
mod codec;
mod commit;
mod compact;
mod database;
mod disk;
mod epoch;
mod error;
mod events;
mod extracts;
mod file;
mod handle;
mod kept;
mod keys;
mod layout;
mod limits;
mod lock;
mod marks;
mod meter;
mod open;
mod outbox;
mod pulse;
mod reader;
mod retire;
mod rows;
mod spans;
mod texts;
mod units;
mod writer;

pub use changes::{ChangedSessions, StateVersion};
pub use commit::{Commit, SectionChange, UnitChange};
pub use disk::probe;
pub use epoch::{Epoch, first_start};
pub use error::StoreError;
pub use events::{EventLimits, EventLog, EventPlace, EventRef, Told, ToldEvents, session_number, session_number_of};
pub use file::FileRow;
pub use kept::OpenStore;
pub(crate) use marks::has_left;
pub use marks::{Handed, Mark, MarkChange};
pub use meter::OutboxMeter;
pub use open::{Opened, exists, mark_damaged, open, open_again};
pub use outbox::{Outbox, OutboxReader};
pub use pulse::{Beat, Pulse};
pub use reader::StoreReader;
pub use retire::Due;
pub(crate) use rows::Rows;
pub use writer::{Recovered, Writer};
