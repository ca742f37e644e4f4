//! A whole session as one file: its events in order, each with its whole texts.
//!
//! ```text
//! form        the names of the forms, and what each is called in headers and files
//! entry       what a form is given: the head of the session, then event after event
//! level       how much of the texts is written
//! hide        takes secrets out of everything that a form is given
//! shown       words that several forms share: what an event is called, times, amounts
//! escape      texts that stay texts in Markdown and HTML
//! colours     colours of terminals
//! diff        what a call is given, and what it changes in a file
//! references  what GitHub would link, or call a person by
//! prose       answers, which are Markdown already
//! markdown    Markdown as GitHub shows it
//! html        one page without scripts
//! json        one document of JSON
//! perfetto    a trace of Perfetto
//! terminal    events as a terminal shows them
//! asciicast   a recording of a terminal
//! ```
//!
//! A form is written while events are read, so it never has more than one event in memory. It knows no clock: the same
//! session gives the same bytes.

mod asciicast;
mod colours;
mod diff;
pub mod entry;
pub mod escape;
pub mod form;
pub mod hide;
mod html;
pub mod json;
pub mod level;
mod markdown;
mod perfetto;
mod prose;
mod references;
mod shown;
mod terminal;
