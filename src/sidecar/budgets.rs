//! The thread that looks at the budgets once a minute. A scrape shows what it saw last: the first look loads what all
//! sessions have spent, which takes seconds where there are very many, and no scrape may wait for that.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::http::App;
use crate::http::context::Context;
use crate::sidecar::error::RunError;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(60);
/// Time between two tries to look for the first time: the first scan may still go on.
const FIRST_EVERY: Duration = Duration::from_millis(250);

/// Starts the thread; `None` if there are no budgets. The thread ends after the sender is dropped.
pub(super) fn start(app: Arc<App<Context>>, has_budgets: bool) -> Result<Option<mpsc::Sender<()>>, RunError> {
    if !has_budgets {
        return Ok(None);
    }
    let (sender, ended) = mpsc::channel();
    let body = move || {
        let mut pause = FIRST_EVERY;
        while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(pause) {
            if app.context.look_at_budgets() {
                pause = EVERY;
            }
        }
    };
    let thread = thread::Builder::new().name("budgets".to_owned()).spawn(body);
    thread.map(|_| Some(sender)).map_err(|source| RunError::System { what: "the thread of budgets", source })
}
