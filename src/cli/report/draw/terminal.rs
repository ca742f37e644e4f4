//! A report as text for a terminal or a pipe.

use super::document::{Advice, Align, Cell, Column, Cut, Document, Fact, Part, Row, Seen, Table, Tone};
use super::glyphs::Glyphs;
use super::layout::{GAP, widths};
use super::paint::{linked, painted, painted_bar};
use super::width::{cut, folded, width};

/// How text is drawn.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli::report) struct Look {
    /// Columns that a line may take.
    pub(in crate::cli::report) width: usize,
    pub(in crate::cli::report) colours: bool,
    pub(in crate::cli::report) glyphs: Glyphs,
}

/// The report as lines, each with a newline.
pub(in crate::cli::report) fn render(document: &Document, look: Look) -> String {
    let mut lines = Vec::new();
    look.paragraph(&mut lines, "", Tone::Strong, &document.title);
    for part in &document.parts {
        match part {
            Part::Text(tone, text) => look.paragraph(&mut lines, "", *tone, text),
            Part::Facts(facts) => look.facts(&mut lines, facts),
            Part::Table(table) => look.table(&mut lines, table),
            Part::Advice(advice) => look.advice(&mut lines, advice),
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

impl Look {
    fn paragraph(self, lines: &mut Vec<String>, indent: &str, tone: Tone, text: &str) {
        for line in folded(&self.glyphs.clean(text), self.width.saturating_sub(width(indent))) {
            lines.push(format!("{indent}{}", painted(&line, tone, self.colours)));
        }
    }

    fn facts(self, lines: &mut Vec<String>, facts: &[Fact]) {
        lines.push(String::new());
        let names = facts.iter().map(|fact| width(fact.name)).max().unwrap_or(0) + GAP;
        let room = self.width.saturating_sub(names);
        for fact in facts {
            let spark = Some(self.glyphs.spark(&fact.spark)).filter(|spark| (1..=room).contains(&width(spark)));
            let mut said = folded(&self.glyphs.clean(&fact.text), room);
            if said.is_empty() {
                said.push(String::new());
            }
            let said = said.iter().map(|line| painted(line, fact.tone, self.colours));
            let drawn = match spark {
                // The bars and the text stand on one line if there is room for both.
                Some(spark) if width(&spark) + GAP + width(&fact.text) <= room => {
                    let bars = painted_bar(&spark, self.colours) + &" ".repeat(GAP);
                    vec![bars + &said.collect::<String>()]
                }
                Some(spark) => [painted_bar(&spark, self.colours)].into_iter().chain(said).collect(),
                None => said.collect(),
            };
            for (number, line) in drawn.iter().enumerate() {
                let name = if number == 0 { fact.name } else { "" };
                lines.push(painted(&pad(name, names, Align::Left), Tone::Dim, self.colours) + line);
            }
        }
    }

    fn table(self, lines: &mut Vec<String>, table: &Table) {
        lines.push(String::new());
        let widths = widths(table, self.width, self.glyphs);
        let heads = table.columns.iter().map(|column| Cell::toned(Tone::Dim, column.head.to_uppercase())).collect();
        lines.push(self.row(table, &widths, &Row::of(heads)));
        lines.extend(table.rows.iter().map(|row| self.row(table, &widths, row)));
        if let Some(note) = &table.note {
            self.paragraph(lines, "", Tone::Dim, note);
        }
    }

    fn row(self, table: &Table, widths: &[Option<usize>], row: &Row) -> String {
        let mut line = String::new();
        for ((column, room), cell) in table.columns.iter().zip(widths).zip(&row.cells) {
            let Some(room) = *room else { continue };
            if !line.is_empty() {
                line.push_str(&" ".repeat(GAP));
            }
            match cell {
                Cell::Bar { part, whole } => {
                    let bar = self.glyphs.bar(*part, *whole, room);
                    line.push_str(&painted_bar(&bar, self.colours));
                    line.push_str(&" ".repeat(room.saturating_sub(width(&bar))));
                }
                Cell::Text(tone, text) => {
                    let tone = if *tone == Tone::Plain { row.tone } else { *tone };
                    line.push_str(&painted(&self.fitted(text, column, room), tone, self.colours));
                }
                Cell::Link(text, page) => {
                    let text = linked(&self.fitted(text, column, room), page, self.colours);
                    line.push_str(&painted(&text, row.tone, self.colours));
                }
            }
        }
        line
    }

    /// A text in the room of its column.
    fn fitted(self, text: &str, column: &Column, room: usize) -> String {
        let how = if column.cut == Cut::Never { Cut::End } else { column.cut };
        pad(&cut(&self.glyphs.clean(text), room, how, self.glyphs), room, column.align)
    }

    fn advice(self, lines: &mut Vec<String>, advice: &[Advice]) {
        for (number, one) in (1..).zip(advice) {
            lines.push(String::new());
            let head = format!("{number}. {}", one.title);
            self.paragraph(lines, "", one.tone, &head);
            for (tone, text) in
                [(Tone::Dim, &one.weight), (Tone::Plain, &one.finding), (Tone::Good, &one.recommendation)]
            {
                self.paragraph(lines, "   ", tone, text);
            }
            for Seen { text, page } in &one.evidence {
                for (number, line) in folded(&self.glyphs.clean(text), self.width.saturating_sub(5)).iter().enumerate()
                {
                    let mark = if number == 0 { '-' } else { ' ' };
                    let page = page.as_deref();
                    let line = page.map_or_else(|| line.clone(), |page| linked(line, page, self.colours));
                    lines.push(format!("   {mark} {}", painted(&line, Tone::Dim, self.colours)));
                }
            }
        }
    }
}

fn pad(text: &str, room: usize, align: Align) -> String {
    let blanks = " ".repeat(room.saturating_sub(width(text)));
    match align {
        Align::Left => format!("{text}{blanks}"),
        Align::Right => format!("{blanks}{text}"),
    }
}
