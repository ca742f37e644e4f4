//! `tailspan hook`: the command of the client's hooks. It writes one line about what the client tells it on standard
//! input, prints nothing and always ends with 0, whatever is wrong: code 2 of a hook stops the client.
//!
//! It is run for each event, so it does nothing else: no log, no runtime, no configuration but the place of the state.

use std::env::{self, ArgsOs};
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use crate::config::{Config, Env, Flags};
use crate::hooks::{folder, line};
use crate::sidecar::clock;

/// Most bytes of standard input that are read: the input and the result of a tool may be large. What comes before is
/// taken also of more.
const INPUT_BYTES_MAX: u64 = 8 << 20;

/// What the command is given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HookArguments {
    state: Option<PathBuf>,
    config: Option<PathBuf>,
}

/// The arguments if the command is asked for, and not its help; `None` for any other command. Arguments that are not
/// known are passed over.
#[must_use]
pub fn asked(mut arguments: ArgsOs) -> Option<HookArguments> {
    arguments.next();
    let arguments: Vec<OsString> = arguments.collect();
    let is_help = |argument: &OsString| argument == "--help" || argument == "-h";
    (arguments.first()? == "hook" && !arguments.iter().any(is_help)).then(|| read(arguments))
}

fn read(arguments: Vec<OsString>) -> HookArguments {
    let mut read = HookArguments::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (&*text, None),
        };
        let place = match name {
            "--state" => &mut read.state,
            "--config" => &mut read.config,
            _ => continue,
        };
        *place = value.or_else(|| arguments.next()).map(PathBuf::from);
    }
    read
}

/// Writes the line. Nobody is told what is wrong.
pub fn run(arguments: HookArguments) {
    let at = clock::now();
    let mut stdin = io::stdin();
    if stdin.is_terminal() {
        return;
    }
    let mut input = Vec::new();
    // What was read before a fault is taken. All is read, or the client would find its pipe closed.
    drop(stdin.lock().take(INPUT_BYTES_MAX).read_to_end(&mut input));
    drop(io::copy(&mut stdin, &mut io::sink()));
    if let (Some(state), Some(line)) = (state(arguments), line::line_of(&input, at)) {
        drop(folder::append(&state, &line, at));
    }
}

/// The folder of the state: of the flag, the variable, the file that a flag names, or the usual place.
fn state(arguments: HookArguments) -> Option<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    if arguments.config.is_some() || is_in_home(arguments.state.as_deref().map(|path| path.as_os_str())) {
        return configured(arguments);
    }
    let given = arguments.state.or_else(|| variable("TAILSPAN_STATE").map(PathBuf::from));
    if is_in_home(given.as_deref().map(|path| path.as_os_str())) {
        return configured(HookArguments { state: given, config: None });
    }
    given.or_else(|| {
        let base = variable("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let base = base.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/state")));
        base.map(|base| base.join("tailspan"))
    })
}

/// True for a path that begins with `~`, which the configuration knows how to read.
fn is_in_home(path: Option<&OsStr>) -> bool {
    path.is_some_and(|path| path.as_encoded_bytes().first() == Some(&b'~'))
}

/// The folder of the state as every other command finds it.
fn configured(arguments: HookArguments) -> Option<PathBuf> {
    let flags = Flags { config: arguments.config, state: arguments.state, offline: true, ..Flags::default() };
    let env: Env = env::vars_os().collect();
    let config = Config::resolve(&flags, &env).ok()?;
    config.state().ok().map(PathBuf::from)
}
