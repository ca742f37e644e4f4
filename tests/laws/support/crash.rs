//! A process that dies without a word, in a world that tests drive step by step.

use std::fs;

use super::world::{World, copy_folder};

impl World {
    /// The process dies: everything since the last flush is lost.
    pub(crate) fn crash(&mut self) {
        self.engine = None;
        self.reader = None;
        self.outbox = None;
        fs::remove_dir_all(&self.state).unwrap();
        copy_folder(&self.saved, &self.state);
        self.start();
    }
}
