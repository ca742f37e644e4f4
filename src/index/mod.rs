//! What search narrows by: which lines of a session file may have what is looked for.
//!
//! ```text
//! scan       reads a file and tells the places of such lines
//! grams      four and eight letters as rows of the table
//! segment    the table of 1024 columns: which runs of letters stand in which parts of files
//! catalogue  all segments, and which parts of which file they know
//! build      reads files and adds what is new of them
//! ```
//!
//! A column stands for about 48 KiB of lines, of one file or of several. A bit in a row says that some four or eight letters
//! stand somewhere in it; other letters may share the row, so a column can say "may have" wrongly, and "has not" only rightly.
//! A question looks at the rows of all runs of letters that it must have. Read are the parts that may have all of them: by
//! themselves, or, because an answer has several rows, together with what stands near them.
//!
//! The index lies in a folder beside the state. Rows are found with a key that is computed from the text of a session file
//! each time: whoever has the folder and not the session files cannot even ask whether a word may stand there.
//!
//! Nothing here is needed to answer: parts that the index does not know, and files that have changed since, are read as a
//! whole. What is damaged, or belongs to a file that is gone, is thrown away and made anew.

pub mod build;
pub mod catalogue;
mod grams;
pub mod scan;
mod segment;
pub mod standing;
