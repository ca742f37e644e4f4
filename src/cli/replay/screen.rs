//! The terminal while the replay is open. However that ends, the terminal is as it was before: what was on it, its modes,
//! its cursor. Meanwhile the log waits.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::Print;
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate,
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};

use super::frame::ScreenRow;
use super::layout::Size;
use super::paint::{Line, Style, as_ascii};
use crate::sidecar::log;

/// Whether the terminal is in use.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// The size of a terminal that does not tell it.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// What a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    /// Whether colours are wanted. Weights and inversion are shown without them too.
    pub has_colours: bool,
    /// Whether its locale has letters and signs beyond ASCII.
    pub has_unicode: bool,
}

/// The terminal in use, until it is dropped.
#[derive(Debug)]
pub struct Screen {
    out: BufWriter<Stdout>,
    means: Means,
    /// What was drawn last.
    drawn: Vec<ScreenRow>,
    size: Size,
}

impl Screen {
    /// Takes the terminal. A panic of any thread gives it back before it is reported. Fails if there is no terminal.
    pub fn open(means: Means) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                close();
                before(panic);
            }));
        });
        let mut screen = Self { out: BufWriter::new(io::stdout()), means, drawn: Vec::new(), size: USUAL };
        screen.enter()?;
        Ok(screen)
    }

    /// Takes the terminal, also again.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        log::hold();
        IS_OPEN.store(true, Ordering::Release);
        // Somebody may have changed the modes meanwhile: then they are set anew, and those of the beginning come back later.
        disable_raw_mode()?;
        enable_raw_mode().inspect_err(|_| close())?;
        execute!(self.out, EnterAlternateScreen, Hide, DisableLineWrap)?;
        self.forget()
    }

    /// Draws everything anew with the next frame.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        self.drawn.clear();
        queue!(self.out, Print("\u{1b}[0m"), Clear(ClearType::All))
    }

    /// The size of the terminal now.
    pub fn size(&mut self) -> io::Result<Size> {
        let (columns, rows) = size().unwrap_or_default();
        let told = Size { columns: columns.into(), rows: rows.into() };
        let now = if columns == 0 || rows == 0 { USUAL } else { told };
        if now != self.size {
            self.size = now;
            self.forget()?;
        }
        Ok(now)
    }

    /// Draws the rows that are not as they are on the screen.
    pub fn draw(&mut self, rows: Vec<ScreenRow>) -> io::Result<()> {
        // Another thread panicked, the terminal was given back for its words, and the panic was caught.
        if !IS_OPEN.load(Ordering::Acquire) {
            self.enter()?;
        }
        if rows == self.drawn {
            return self.out.flush();
        }
        queue!(self.out, BeginSynchronizedUpdate)?;
        for (number, row) in rows.iter().enumerate() {
            if self.drawn.get(number) == Some(row) {
                continue;
            }
            let number = u16::try_from(number).unwrap_or(u16::MAX);
            queue!(self.out, MoveTo(0, number))?;
            self.line(&row.line)?;
            // Behind a full line the cursor stands on its last letter, which would be cleared.
            if row.line.width() < self.size.columns {
                queue!(self.out, Clear(ClearType::UntilNewLine))?;
            }
            if let Some((column, line)) = &row.beside {
                queue!(self.out, MoveTo(u16::try_from(*column).unwrap_or(u16::MAX), number))?;
                self.line(line)?;
            }
        }
        queue!(self.out, EndSynchronizedUpdate)?;
        self.drawn = rows;
        self.out.flush()
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        self.out.write_all(painted(line, self.means).as_bytes())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        close();
    }
}

/// A line as a terminal is told it. It ends in the terminal's own look.
pub(super) fn painted(line: &Line, means: Means) -> String {
    let mut told = String::new();
    for span in line.spans() {
        let codes = codes(span.style(), means.has_colours);
        let text = if means.has_unicode { span.text().to_owned() } else { as_ascii(span.text()) };
        if codes.is_empty() {
            told.push_str(&text);
        } else {
            told.push_str(&format!("\u{1b}[{codes}m{text}\u{1b}[0m"));
        }
    }
    told
}

/// The numbers of a look, as they have been since the first terminals with colours.
fn codes(style: Style, has_colours: bool) -> String {
    let flags =
        [(style.bold, "1"), (style.dim, "2"), (style.italic, "3"), (style.underline, "4"), (style.inverse, "7")];
    let mut codes: Vec<String> = flags.iter().filter(|(is_on, _)| *is_on).map(|(_, code)| (*code).to_owned()).collect();
    codes.extend(style.colour.filter(|_| has_colours).map(|colour| format!("3{}", colour as u8)));
    codes.join(";")
}

/// Gives the terminal back, if it is in use. Nothing more can be done if that fails.
pub(super) fn close() {
    if !IS_OPEN.swap(false, Ordering::AcqRel) {
        return;
    }
    cook();
    drop(execute!(io::stdout(), EndSynchronizedUpdate, Print("\u{1b}[0m"), EnableLineWrap, Show, LeaveAlternateScreen));
    log::release();
}

/// Gives the modes of the terminal back, which never waits.
pub(super) fn cook() {
    // If the terminal is gone, so are its modes.
    drop(disable_raw_mode());
}
