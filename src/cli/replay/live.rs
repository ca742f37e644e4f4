//! The replay on a terminal: waits for what happens, and draws what changed.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::asker::Asker;
use super::error::ReplayError;
use super::frame::frame;
use super::keys::Act;
use super::screen::{self, Means, Screen};
use super::viewer::Viewer;
use super::watch::{self, Happening};
use crate::cli::ask::source::Source;
use crate::sidecar::log;

/// Longest wait for anything.
const LONGEST: Duration = Duration::from_secs(60);

/// How the replay ends.
enum End {
    /// The user leaves.
    Left,
    /// A signal, by its number.
    Signal(i32),
    /// It cannot go on, and why.
    Broken(&'static str),
}

/// Shows the replay until it is left. Fails if the terminal does.
pub(super) fn run(source: Source, mut viewer: Viewer, means: Means) -> Result<(), ReplayError> {
    let (sender, happenings) = channel();
    watch::signals(sender.clone()).map_err(ReplayError::Terminal)?;
    let mut screen = Screen::open(means).map_err(ReplayError::Terminal)?;
    let asker = Asker::start(source, viewer.about.session.clone(), sender.clone()).map_err(ReplayError::Terminal)?;
    watch::keys(sender).map_err(ReplayError::Terminal)?;
    let ended = show(&mut screen, &mut viewer, &asker, &happenings);
    drop(screen);
    asker.end();
    match ended {
        Ok(End::Left) => Ok(()),
        Ok(End::Signal(signal)) => {
            log::flush();
            watch::end_by(signal);
            Ok(())
        }
        Ok(End::Broken(why)) => Err(ReplayError::Broken(why)),
        Err(error) => Err(ReplayError::Terminal(error)),
    }
}

fn show(screen: &mut Screen, viewer: &mut Viewer, asker: &Asker, happenings: &Receiver<Happening>) -> io::Result<End> {
    let began = Instant::now();
    loop {
        let now = began.elapsed();
        if viewer.tick(now) == Act::Leave {
            return Ok(End::Left);
        }
        viewer.fit(screen.size()?);
        if let Some(wish) = viewer.wish(now) {
            asker.ask(wish);
        }
        screen.draw(frame(viewer, now))?;
        let wait =
            viewer.wakes_at(now).map_or(LONGEST, |at| at.saturating_sub(now)).clamp(Duration::from_millis(1), LONGEST);
        let mut next = match happenings.recv_timeout(wait) {
            Ok(happening) => Some(happening),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(End::Broken("nothing can happen any more")),
        };
        // Everything that has happened meanwhile is drawn once.
        while let Some(happening) = next {
            if let Some(end) = react(screen, viewer, happening, began.elapsed())? {
                return Ok(end);
            }
            next = happenings.try_recv().ok();
        }
    }
}

fn react(screen: &mut Screen, viewer: &mut Viewer, happening: Happening, now: Duration) -> io::Result<Option<End>> {
    match happening {
        Happening::Key(key) => match viewer.key(key, now) {
            Act::Stay => {}
            Act::Leave => return Ok(Some(End::Left)),
            Act::Suspend => suspend(screen)?,
            Act::Redraw => screen.forget()?,
        },
        Happening::Resized => screen.forget()?,
        Happening::Signal(signal) if watch::is_end(signal) => return Ok(Some(End::Signal(signal))),
        Happening::Signal(signal) if watch::is_continuation(signal) => screen.enter()?,
        Happening::Signal(_) => suspend(screen)?,
        Happening::Answer(answer) => viewer.told(answer, now),
        Happening::Broken(why) => return Ok(Some(End::Broken(why))),
    }
    Ok(None)
}

/// Gives the terminal back and stops; goes on here when the process is continued.
fn suspend(screen: &mut Screen) -> io::Result<()> {
    screen::close();
    watch::stop();
    screen.enter()
}
