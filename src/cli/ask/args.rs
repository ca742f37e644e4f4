//! Who is to answer, as arguments.

use std::path::PathBuf;

use crate::config::Flags;

/// Who is to answer.
#[derive(Debug, Default, clap::Args)]
pub struct SourceArgs {
    /// Read the session files once, and ask neither sidecar nor state
    #[arg(long)]
    pub scan: bool,
    /// Session root for --scan, repeatable [default: where Claude Code keeps its projects]
    #[arg(long, value_name = "DIR")]
    projects: Vec<PathBuf>,
    /// Directory of the state, read if no sidecar answers [default: as for `run`]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Address of the sidecar [default: 127.0.0.1:9719]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
}

impl SourceArgs {
    /// What the arguments say about the configuration; `common` is what every command takes.
    #[must_use]
    pub fn flags(&self, common: Flags) -> Flags {
        Flags {
            projects: self.projects.clone(),
            state: self.state.clone(),
            listen: self.listen.clone(),
            offline: true,
            ..common
        }
    }
}
