//! Who answers: the sidecar that runs, else the state in this process, or the session files.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::answer::{Answer, text};
use super::client::{self, Reply};
use super::question::Question;
use super::stream::{self, Streamed};
use crate::audit::pass;
use crate::cli::scan::{ScanError, targets};
use crate::cli::verify::unread_bytes;
use crate::config::ConfigError;
use crate::sidecar::local::{Local, Rules};
use crate::sidecar::progress::Progress;
use crate::sidecar::{clock, log};
use crate::store::{self, StoreError};
use crate::tail;

/// How long it may take to learn who listens.
const GREETING: Duration = Duration::from_secs(2);

/// How long an answer may take: as long as the server itself allows.
const PATIENCE: Duration = Duration::from_secs(35);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nobody can be asked.
    #[error(
        "no sidecar answers at {listen}, and there is no state in {state}: start `tailspan run`, name its address with \
         --listen, or read the session files with --scan",
        state = state.display()
    )]
    Nobody {
        /// Where a sidecar was looked for.
        listen: SocketAddr,
        /// Where a state was looked for.
        state: PathBuf,
    },
    /// Another process holds the state, and does not answer.
    #[error("no sidecar answers at {listen}, but one holds the state: name its address with --listen")]
    Elsewhere {
        /// Where the sidecar was looked for.
        listen: SocketAddr,
        /// The refusal of the state.
        source: StoreError,
    },
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The session files cannot be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The sidecar was there and did not answer.
    #[error("{who} does not answer")]
    Silent {
        /// Who was asked.
        who: String,
        /// What went wrong on the way.
        source: io::Error,
    },
    /// What was answered cannot be written.
    #[error("cannot write the answer")]
    Sink(#[source] io::Error),
    /// The question was refused.
    #[error("{reason}")]
    Refused {
        /// The status of the answer, 400 to 599.
        status: u16,
        /// What the answer says.
        reason: String,
    },
    /// Who was asked does not know the path.
    #[error(
        "{who} does not know {path}: it is an older tailspan; update and restart it, or read the files with --scan"
    )]
    Older {
        /// Who was asked.
        who: String,
        /// The path that was asked for.
        path: String,
    },
    /// The answer is not one of this API.
    #[error("{who} answered {path} with something else than JSON")]
    Unreadable {
        /// Who was asked.
        who: String,
        /// The path that was asked for.
        path: String,
    },
}

/// Somebody who answers.
#[derive(Debug)]
pub(in crate::cli) enum Source {
    /// A sidecar over HTTP.
    Sidecar(SocketAddr),
    /// The state, or files, in this process; with words for who that is.
    Local(Box<Local>, String),
}

/// What listens at an address.
enum Listener {
    /// A sidecar; unless it has read everything, how far it is.
    Sidecar(Option<String>),
    /// Another program.
    Stranger,
    Nobody,
}

impl Source {
    /// The session files if `scan` is true. Otherwise the sidecar at the configured address, else the state. Says on stderr
    /// who answers, and how complete that is. Fails if nobody does.
    pub(in crate::cli) fn of(rules: Rules<'_>, scan: bool) -> Result<Self, AskError> {
        if scan { Self::files(rules) } else { Self::find(rules) }
    }

    fn find(rules: Rules<'_>) -> Result<Self, AskError> {
        let listen = rules.config.listen;
        match listener(listen) {
            Listener::Sidecar(None) => {
                log::say(&format!("tailspan: the sidecar at {listen} answers; its first scan is complete"));
                return Ok(Self::Sidecar(listen));
            }
            Listener::Sidecar(Some(progress)) => {
                log::say(&format!("tailspan: the sidecar at {listen} answers, incomplete: {progress}"));
                return Ok(Self::Sidecar(listen));
            }
            Listener::Stranger => log::say(&format!("tailspan: what listens at {listen} is not tailspan")),
            Listener::Nobody => {}
        }
        Self::state(rules, rules.config.state()?)
    }

    fn state(rules: Rules<'_>, folder: &Path) -> Result<Self, AskError> {
        let Rules { config, env, prices, .. } = rules;
        let listen = config.listen;
        if !store::exists(folder) {
            return Err(AskError::Nobody { listen, state: folder.to_path_buf() });
        }
        let opened = store::open(folder, clock::now()).map_err(|error| match error {
            StoreError::Locked { .. } => AskError::Elsewhere { listen, source: error },
            error => error.into(),
        })?;
        let roots = tail::existing(&tail::session_roots(&[], &config.projects, env));
        let found = pass::find(&roots, &mut Vec::new()).unwrap_or_default();
        let complete = match unread_bytes(&opened, &found) {
            0 => "it has read everything".to_owned(),
            bytes => format!("incomplete: {bytes} bytes of session files are not in it yet, `tailspan run` reads them"),
        };
        let who = format!("the state in {}", folder.display());
        log::say(&format!("tailspan: no sidecar runs at {listen}; {who} answers; {complete}"));
        if opened.recovered.prices.is_some_and(|used| used != prices.fingerprint()) {
            log::say("tailspan: prices have changed since: `tailspan run` computes every cost in the state again");
        }
        Ok(Self::Local(Box::new(Local::of_state(rules, opened)?), who))
    }

    fn files(rules: Rules<'_>) -> Result<Self, AskError> {
        let targets = targets(&[], rules.config, rules.env)?;
        let mut problems = Vec::new();
        let found = pass::find(&targets, &mut problems).map_err(|path| ScanError::NotFound { path })?;
        let count = found.len();
        let progress = Progress::start(count as u64, found.iter().map(|found| found.size).sum());
        let (local, unread) = Local::of_files(rules, found, |files, bytes| progress.advance(files, bytes))?;
        progress.finish();
        problems.extend(unread);
        for problem in &problems {
            tracing::warn!("{problem}");
        }
        let complete = match problems.len() {
            0 => "all of them were read".to_owned(),
            some => format!("incomplete: {some} files or folders could not be read"),
        };
        log::say(&format!("tailspan: {count} session files answer; {complete}"));
        Ok(Self::Local(Box::new(local), "this version".to_owned()))
    }

    /// Whether another process answers, by its own configuration.
    pub(in crate::cli) const fn is_sidecar(&self) -> bool {
        matches!(self, Self::Sidecar(_))
    }

    /// Passes the answer to a question on to `sink` while it is made. `known` is the tag of an answer that is there already.
    /// Fails if the question is refused, if there is no whole answer, or if it cannot be written.
    pub(in crate::cli) fn write(
        &self,
        question: &Question,
        known: Option<&str>,
        sink: &mut dyn Write,
    ) -> Result<Wrote, AskError> {
        let mut sink = Sink { sink, failed: None };
        let (answered, who) = match self {
            Self::Sidecar(address) => {
                let answered = stream::get(*address, question.target(), known, PATIENCE, &mut sink);
                (answered, format!("the sidecar at {address}"))
            }
            Self::Local(local, who) => {
                let answered = local.write(question.target(), &mut sink);
                let streamed = |(status, refusal)| Streamed { status, tag: None, refusal };
                (answered.map(streamed), who.clone())
            }
        };
        if let Some(error) = sink.failed {
            return Err(AskError::Sink(error));
        }
        match answered {
            Ok(Streamed { status: status @ (200 | 304), tag, .. }) => Ok(Wrote { is_new: status == 200, tag }),
            Ok(Streamed { status, refusal, .. }) => Err(refused(status, &refusal, who, question.path().to_owned())),
            Err(source) => Err(AskError::Silent { who, source }),
        }
    }

    /// The answer to a question. Fails if it is refused, or if there is no answer.
    pub(in crate::cli) fn ask(&self, question: &Question) -> Result<Answer, AskError> {
        self.answer(question, None)
    }

    /// The answer to a POST of JSON. Fails if it is refused, or if there is no answer.
    pub(in crate::cli) fn post(&self, question: &Question, body: &serde_json::Value) -> Result<Answer, AskError> {
        self.answer(question, Some(body.to_string().into_bytes()))
    }

    fn answer(&self, question: &Question, body: Option<Vec<u8>>) -> Result<Answer, AskError> {
        let (reply, who) = match self {
            Self::Sidecar(address) => {
                let who = format!("the sidecar at {address}");
                match client::ask(*address, question.target(), body.as_deref(), PATIENCE) {
                    Ok(reply) => (reply, who),
                    Err(source) => return Err(AskError::Silent { who, source }),
                }
            }
            Self::Local(local, who) => {
                let (status, body) = match body {
                    Some(body) => local.post(question.target(), body),
                    None => local.get(question.target()),
                };
                (Reply { status, body }, who.clone())
            }
        };
        let path = question.path().to_owned();
        let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        match reply.status {
            200 | 201 if json.is_object() => Ok(Answer { body: reply.body, json }),
            200 | 201 => Err(AskError::Unreadable { who, path }),
            404 => Err(AskError::Older { who, path }),
            status => {
                let reason = text(&json, "/detail").map_or_else(|| format!("status {status} at {path}"), str::to_owned);
                Err(AskError::Refused { status, reason })
            }
        }
    }
}

/// How an answer was passed on.
#[derive(Debug)]
pub(in crate::cli) struct Wrote {
    /// False if nothing has changed since the answer that was known.
    pub(in crate::cli) is_new: bool,
    /// The tag of the answer, if a sidecar gave it.
    pub(in crate::cli) tag: Option<String>,
}

/// Where an answer is passed on to. What goes wrong there is told from what goes wrong with the answer.
struct Sink<'s> {
    sink: &'s mut dyn Write,
    failed: Option<io::Error>,
}

impl Sink<'_> {
    fn told<T>(&mut self, written: io::Result<T>) -> io::Result<T> {
        written.map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            kind.into()
        })
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes);
        self.told(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.sink.flush();
        self.told(flushed)
    }
}

/// Why an answer is none.
fn refused(status: u16, body: &[u8], who: String, path: String) -> AskError {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let reason = text(&json, "/detail").map_or_else(|| format!("status {status} at {path}"), str::to_owned);
    // A path that nobody knows is told by its own name; a session that nobody knows is not.
    let is_unknown = status == 404 && (reason.contains(&path) || text(&json, "/detail").is_none());
    if is_unknown { AskError::Older { who, path } } else { AskError::Refused { status, reason } }
}

/// Learns what listens at an address by what it says of its readiness.
fn listener(address: SocketAddr) -> Listener {
    if address.port() == 0 {
        return Listener::Nobody;
    }
    let reply = match client::ask(address, "/-/ready", None, GREETING) {
        Ok(reply) => reply,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Listener::Stranger,
        Err(_) => return Listener::Nobody,
    };
    let said = String::from_utf8_lossy(&reply.body).trim().to_owned();
    match reply.status {
        200 if said == "tailspan is ready." => Listener::Sidecar(None),
        503 if said.starts_with("first scan is not complete") => Listener::Sidecar(Some(said)),
        _ => Listener::Stranger,
    }
}
