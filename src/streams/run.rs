//! A run of the client: its id, and what its caller says of it.

use std::collections::BTreeMap;

use crate::text::{percent_decoded, percent_encoded};

/// Most letters of the name of a workflow.
pub const WORKFLOW_CHARS_MAX: usize = 128;
/// Most labels of a run.
pub const LABELS_MAX: usize = 16;
/// Most letters of the name of a label.
pub const LABEL_NAME_CHARS_MAX: usize = 64;
/// Most letters of the value of a label.
pub const LABEL_VALUE_CHARS_MAX: usize = 256;

/// The id of a run: a UUID in small letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

/// A run, with what its caller says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What its caller says of it.
    pub caller: Caller,
}

/// What the caller of a run says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The name of the workflow.
    pub workflow: Option<String>,
    /// Labels by their names.
    pub labels: BTreeMap<String, String>,
    /// The span of the caller, as W3C Trace Context writes it.
    pub traceparent: Option<String>,
    /// Whether the run is to be a span of its own.
    pub span: bool,
}

/// What is wrong with a name or a label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// The name of a workflow.
    #[error("a workflow is a name of 1 to {WORKFLOW_CHARS_MAX} letters without control characters, not {0:?}")]
    Workflow(String),
    /// A label.
    #[error(
        "a label is NAME=VALUE, the name 1 to {LABEL_NAME_CHARS_MAX} letters, the value at most {LABEL_VALUE_CHARS_MAX}, without \
         control characters, not {0:?}"
    )]
    Label(String),
    /// Too many labels.
    #[error("a run has at most {LABELS_MAX} labels")]
    TooMany,
    /// A header that is not percent-encoded as it should be.
    #[error("{0} is not percent-encoded UTF-8")]
    Encoding(&'static str),
}

impl RunId {
    /// Reads a UUID, of any version and in letters of any size; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let groups: Vec<&str> = text.split('-').collect();
        let is_hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        (lengths == [8, 4, 4, 4, 12] && groups.iter().all(is_hex)).then(|| Self(text.to_ascii_lowercase()))
    }

    /// A UUID of version 4 made of random bytes.
    #[must_use]
    pub fn of_random(bytes: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(bytes);
        let number = (number & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let digits = format!("{number:032x}");
        let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
        Self(format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Caller {
    /// Takes over from `other` what is not said.
    pub fn complete(&mut self, other: Self) {
        let Self { workflow, labels, traceparent, span } = other;
        self.workflow = self.workflow.take().or(workflow);
        self.traceparent = self.traceparent.take().or(traceparent);
        self.span |= span;
        if self.labels.is_empty() {
            self.labels = labels;
        }
    }

    /// Sets the workflow. Fails if the name is empty, too long or has control characters.
    pub fn set_workflow(&mut self, name: &str) -> Result<(), CallerError> {
        self.workflow = Some(checked_workflow(name)?);
        Ok(())
    }

    /// Adds a label `NAME=VALUE`; a later one of the same name counts. Fails if it is none, or one too many.
    pub fn add_label(&mut self, text: &str) -> Result<(), CallerError> {
        let (name, value) = checked_label(text)?;
        self.labels.insert(name, value);
        if self.labels.len() > LABELS_MAX { Err(CallerError::TooMany) } else { Ok(()) }
    }

    /// Reads the header of the workflow, which is percent-encoded.
    pub fn read_workflow(&mut self, header: &str) -> Result<(), CallerError> {
        let name = percent_decoded(header).ok_or(CallerError::Encoding("the workflow"))?;
        self.set_workflow(&name)
    }

    /// Reads the header of labels: `NAME=VALUE,NAME=VALUE`, each name and value percent-encoded.
    pub fn read_labels(&mut self, header: &str) -> Result<(), CallerError> {
        for pair in header.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| CallerError::Label(pair.to_owned()))?;
            let decoded = |text| percent_decoded(text).ok_or(CallerError::Encoding("a label"));
            let (name, value) = (decoded(name.trim())?, decoded(value.trim())?);
            if name.contains('=') {
                return Err(CallerError::Label(pair.to_owned()));
            }
            self.add_label(&format!("{name}={value}"))?;
        }
        Ok(())
    }

    /// The labels as their header has them.
    #[must_use]
    pub fn labels_header(&self) -> String {
        let pair = |(name, value): (&String, &String)| format!("{}={}", percent_encoded(name), percent_encoded(value));
        self.labels.iter().map(pair).collect::<Vec<_>>().join(",")
    }

    /// Whether workflow and labels are within their limits.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let label = |(name, value): (&String, &String)| checked_label(&format!("{name}={value}")).is_ok();
        self.workflow.as_deref().is_none_or(|name| checked_workflow(name).is_ok())
            && self.labels.len() <= LABELS_MAX
            && self.labels.iter().all(label)
            && self.traceparent.as_deref().is_none_or(|text| traceparent(text).is_some())
    }
}

/// A name of a workflow. Fails if it is empty, too long or has control characters.
pub fn checked_workflow(name: &str) -> Result<String, CallerError> {
    let name = name.trim();
    if is_word(name, 1, WORKFLOW_CHARS_MAX) { Ok(name.to_owned()) } else { Err(CallerError::Workflow(short(name))) }
}

/// Name and value of a label `NAME=VALUE`. Fails if it is none.
pub fn checked_label(text: &str) -> Result<(String, String), CallerError> {
    let fits = |(name, value): &(&str, &str)| {
        is_word(name, 1, LABEL_NAME_CHARS_MAX) && is_word(value, 0, LABEL_VALUE_CHARS_MAX)
    };
    let pair = text.split_once('=').map(|(name, value)| (name.trim(), value.trim())).filter(fits);
    pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| CallerError::Label(short(text)))
}

/// The span of a caller in the form of W3C Trace Context, version 00; `None` if it is not of that form or names no span.
#[must_use]
pub fn traceparent(text: &str) -> Option<String> {
    let text = text.trim();
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let [version, trace, span, flags] = parts.as_slice() else { return None };
    let lengths = [version.len(), trace.len(), span.len(), flags.len()] == [2, 32, 16, 2];
    let names = |part: &str| part.bytes().any(|byte| byte != b'0');
    (lengths && parts.iter().all(is_hex) && *version == "00" && names(trace) && names(span)).then(|| text.to_owned())
}

fn is_word(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// The beginning of a text, for a message.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}
