//! What happens while the replay is open: keys, signals, answers.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use serde_json::Value;
use signal_hook::consts::{
    SIGABRT, SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGPROF, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU,
};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::key::Key;
use super::screen;
use super::wish::Failure;

/// After a signal to end, the process ends so late even if it is not finished, and with its terminal given back.
const LAST: Duration = Duration::from_secs(3);

/// The signals that end a process which does not listen to them.
const ENDS: [i32; 11] =
    [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGALRM, SIGPROF, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU];

/// How long the terminal may take to be given back then: nobody may be reading it.
const GIVING_BACK: Duration = Duration::from_millis(500);

/// Something to react to.
#[derive(Debug)]
pub(super) enum Happening {
    Key(Key),
    /// The terminal has another size.
    Resized,
    /// The number of a signal.
    Signal(i32),
    Answer(Result<Value, Failure>),
    /// The replay cannot go on, and why.
    Broken(&'static str),
}

/// Sends keys from here on. Fails if the system gives no thread.
pub(super) fn keys(happenings: Sender<Happening>) -> io::Result<()> {
    let body = move || {
        loop {
            let happening = match event::read() {
                Ok(Event::Key(pressed)) => key(pressed).map(Happening::Key),
                Ok(Event::Resize(..)) => Some(Happening::Resized),
                Ok(_) => None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
                Err(_) => Some(Happening::Broken("the terminal is gone")),
            };
            let is_last = matches!(happening, Some(Happening::Broken(_)));
            let is_heard = happening.is_none_or(|happening| happenings.send(happening).is_ok());
            if is_last || !is_heard {
                return;
            }
        }
    };
    thread::Builder::new().name("keys".to_owned()).spawn(body).map(drop)
}

/// Sends signals from here on, instead of what they do usually. Fails if the system does not give them, or no thread.
pub(super) fn signals(happenings: Sender<Happening>) -> io::Result<()> {
    let mut signals = Signals::new(ENDS.into_iter().chain([SIGTSTP, SIGCONT]))?;
    let body = move || {
        for signal in signals.forever() {
            let is_heard = happenings.send(Happening::Signal(signal)).is_ok();
            if is_end(signal) {
                // Somebody who does not read what is drawn must not keep the process.
                if is_heard {
                    thread::sleep(LAST);
                }
                give_back();
                drop(emulate_default_handler(signal));
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(body).map(drop)
}

/// Gives the terminal back, as far as that is possible without waiting for somebody to read what was drawn: the modes in any
/// case, and the other screen if it can be left at once.
fn give_back() {
    screen::cook();
    let (done, closed) = channel();
    let close = move || {
        screen::close();
        done.send(())
    };
    if thread::Builder::new().name("close".to_owned()).spawn(close).is_ok() {
        // Whether it is done in time or not, the process ends now.
        closed.recv_timeout(GIVING_BACK).unwrap_or_default();
    }
}

/// Whether a signal asks the process to end.
pub(super) fn is_end(signal: i32) -> bool {
    ENDS.contains(&signal)
}

/// Stops the process until somebody says to go on.
pub(super) fn stop() {
    // It cannot fail: the signal can be stopped by.
    drop(emulate_default_handler(SIGTSTP));
}

/// Ends the process by a signal, as if nobody had listened to it.
pub(super) fn end_by(signal: i32) {
    drop(emulate_default_handler(signal));
}

/// Whether a signal says that the process goes on.
pub(super) const fn is_continuation(signal: i32) -> bool {
    signal == SIGCONT
}

/// What a key is; `None` for those that nothing is done with.
fn key(pressed: KeyEvent) -> Option<Key> {
    if pressed.kind == KeyEventKind::Release {
        return None;
    }
    let with_control = pressed.modifiers.contains(KeyModifiers::CONTROL);
    Some(match pressed.code {
        KeyCode::Char('c') if with_control => Key::Interrupt,
        KeyCode::Char('z') if with_control => Key::Suspend,
        KeyCode::Char('l') if with_control => Key::Redraw,
        KeyCode::Char(letter) if !with_control => Key::Letter(letter),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Tab => Key::Tab,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    })
}
