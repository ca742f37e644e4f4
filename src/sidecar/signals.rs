//! Ends the sidecar on SIGTERM and SIGINT.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::sidecar::error::RunError;
use crate::sidecar::log;
use crate::sidecar::tailer::Shared;
use crate::store::Pulse;
use crate::tail::Hints;

/// The process ends this long after the first signal, even if something is not finished. It is less than the 10 seconds
/// or more after which supervisors kill.
const LAST: Duration = Duration::from_secs(8);

/// Installs the signal handlers. The receiver becomes true with the first signal, which also tells the threads to stop.
/// A second signal ends the process at once.
pub(super) fn asked_to_end(
    runtime: &Runtime,
    shared: Arc<Shared>,
    hints: Hints,
    pulse: Pulse,
) -> Result<watch::Receiver<bool>, RunError> {
    let _inside = runtime.enter();
    let failed = |source| RunError::System { what: "the signal handlers", source };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let (ask, asked) = watch::channel(false);
    runtime.spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping: what is in flight is finished first; a second signal ends it at once");
        shared.stop.store(true, Ordering::Release);
        pulse.end();
        hints.wake();
        ask.send_replace(true);
        end_after(LAST);
        either(&mut terminate, &mut interrupt).await;
        log::flush();
        // 128 plus 15, the number of SIGTERM: a shell reports a process that was ended by SIGTERM so.
        std::process::exit(143);
    });
    Ok(asked)
}

/// Ends the process with code 1 after `limit`, whatever its threads wait for.
fn end_after(limit: Duration) {
    let body = move || {
        thread::sleep(limit);
        tracing::error!("not finished {} seconds after the signal: this is the end", limit.as_secs());
        log::flush();
        std::process::exit(1);
    };
    if let Err(error) = thread::Builder::new().name("end".to_owned()).spawn(body) {
        tracing::error!(%error, "nothing will end the process if it does not end by itself");
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
