//! Rows and columns, as text that lines up and as CSV.

use comfy_table::{Attribute, CellAlignment, Color, ContentArrangement, presets};

use super::{Style, Text};
use crate::failure::Failure;

/// The blanks between two columns.
const GAP: usize = 2;

/// A column: its name for programs, its label for people.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    key: &'static str,
    label: Label,
    right: bool,
    optional: bool,
    extra: bool,
}

#[derive(Debug, Clone)]
enum Label {
    Ours(Text),
    Theirs(String),
}

/// A value: as text for people, and plain for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    raw: Option<String>,
    tone: Tone,
}

/// What a value tells beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// Good news.
    Good,
    /// Something to look at.
    Warning,
    /// Bad news.
    Bad,
    /// Of less weight than the rest.
    Quiet,
    /// Of more weight than the rest.
    Strong,
}

/// Rows under columns.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Column {
    /// A column of words.
    pub(crate) fn left(key: &'static str, label: Text) -> Self {
        Self { key, label: Label::Ours(label), right: false, optional: false, extra: false }
    }

    /// A column of numbers.
    pub(crate) fn right(key: &'static str, label: Text) -> Self {
        Self { right: true, ..Self::left(key, label) }
    }

    /// A column of numbers whose label comes from the data.
    pub(crate) fn named(key: &'static str, label: String) -> Self {
        Self { key, label: Label::Theirs(label), right: true, optional: false, extra: false }
    }

    /// The column, left out for people where all its cells are empty.
    pub(crate) fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The column, left out where a terminal is too narrow for all.
    pub(crate) fn extra(self) -> Self {
        Self { extra: true, ..self }
    }

    fn label(&self, style: &Style) -> &str {
        match &self.label {
            Label::Ours(text) => text.of(style.language),
            Label::Theirs(text) => text,
        }
    }

    /// What the column is called in CSV; columns named by the data are called by their label.
    fn header(&self) -> &str {
        match &self.label {
            Label::Ours(_) => self.key,
            Label::Theirs(text) => text,
        }
    }
}

impl Cell {
    /// A text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), raw: None, tone: Tone::Plain }
    }

    /// A value that is not there: a dash for people, nothing for programs.
    pub(crate) fn missing() -> Self {
        Self { text: "—".to_owned(), raw: Some(String::new()), tone: Tone::Quiet }
    }

    /// The text where there is one, else [`Cell::missing`].
    pub(crate) fn optional(text: Option<String>) -> Self {
        text.map_or_else(Self::missing, Self::new)
    }

    /// The cell with another value for programs.
    pub(crate) fn raw(self, raw: impl Into<String>) -> Self {
        Self { raw: Some(raw.into()), ..self }
    }

    /// The cell in another tone.
    pub(crate) fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    fn plain(&self) -> &str {
        self.raw.as_deref().unwrap_or(&self.text)
    }
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row: a cell per column.
    pub(crate) fn add(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len(), "a row has a cell per column");
        self.rows.push(row);
    }

    /// The table with these rows.
    pub(crate) fn with(mut self, rows: impl IntoIterator<Item = Vec<Cell>>) -> Self {
        rows.into_iter().for_each(|row| self.add(row));
        self
    }

    /// The text for people, every line ended.
    pub(super) fn for_people(&self, style: &Style) -> String {
        if self.rows.is_empty() {
            return painted(
                Text::new("nothing to show", "表示するものはありません").of(style.language),
                Tone::Quiet,
                style.colour,
            ) + "\n";
        }
        let mut shown: Vec<usize> = (0..self.columns.len()).filter(|index| self.is_shown(*index)).collect();
        let mut table = self.drawn(&shown, style);
        while let Some(least) = shown.iter().rposition(|index| self.columns[*index].extra)
            && style.terminal
            && is_too_wide(&table)
        {
            shown.remove(least);
            table = self.drawn(&shown, style);
        }
        finished(table)
    }

    /// These columns of the table.
    fn drawn(&self, shown: &[usize], style: &Style) -> comfy_table::Table {
        let mut table = bare(style);
        table.set_header(shown.iter().map(|index| {
            let column = &self.columns[*index];
            let cell = comfy_table::Cell::new(column.label(style)).set_alignment(alignment(column));
            if style.colour { cell.add_attribute(Attribute::Bold) } else { cell }
        }));
        for row in &self.rows {
            table.add_row(shown.iter().map(|index| shaped(&row[*index], &self.columns[*index], style)));
        }
        table
    }

    /// Comma-separated values with a header line.
    pub(super) fn csv(&self) -> Result<String, Failure> {
        let form = |fault: csv::Error| Failure::Form(fault.to_string());
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns.iter().map(Column::header)).map_err(form)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(Cell::plain)).map_err(form)?;
        }
        let bytes = writer.into_inner().map_err(|fault| Failure::Form(fault.to_string()))?;
        String::from_utf8(bytes).map_err(|fault| Failure::Form(fault.to_string()))
    }

    fn is_shown(&self, index: usize) -> bool {
        !self.columns[index].optional || self.rows.iter().any(|row| !row[index].text.is_empty())
    }
}

/// Named values below each other.
pub(super) fn facts(facts: &[(Column, Cell)], style: &Style) -> String {
    let mut table = bare(style);
    for (column, cell) in facts {
        if column.optional && cell.text.is_empty() {
            continue;
        }
        let label = comfy_table::Cell::new(column.label(style));
        let label = if style.colour { label.add_attribute(Attribute::Dim) } else { label };
        let left = Column { right: false, ..column.clone() };
        table.add_row([label, shaped(cell, &left, style)]);
    }
    finished(table)
}

/// A text in its tone.
pub(crate) fn painted(text: &str, tone: Tone, colour: bool) -> String {
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Good => "32",
        Tone::Warning => "33",
        Tone::Bad => "31",
        Tone::Quiet => "2",
        Tone::Strong => "1",
    };
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn bare(style: &Style) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::NOTHING);
    if style.terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.force_no_tty();
    }
    if style.colour {
        table.enforce_styling();
    }
    table
}

/// Whether the terminal would have to wrap a row.
fn is_too_wide(table: &comfy_table::Table) -> bool {
    let wanted: usize = table.column_max_content_widths().iter().map(|width| usize::from(*width) + GAP).sum();
    table.width().is_some_and(|width| wanted > usize::from(width))
}

fn finished(mut table: comfy_table::Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    // Padding and empty last cells leave blanks at the ends of lines.
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}

fn alignment(column: &Column) -> CellAlignment {
    if column.right { CellAlignment::Right } else { CellAlignment::Left }
}

fn shaped(cell: &Cell, column: &Column, style: &Style) -> comfy_table::Cell {
    let shaped = comfy_table::Cell::new(&cell.text).set_alignment(alignment(column));
    if !style.colour {
        return shaped;
    }
    match cell.tone {
        Tone::Plain => shaped,
        Tone::Good => shaped.fg(Color::DarkGreen),
        Tone::Warning => shaped.fg(Color::DarkYellow),
        Tone::Bad => shaped.fg(Color::DarkRed),
        Tone::Quiet => shaped.add_attribute(Attribute::Dim),
        Tone::Strong => shaped.add_attribute(Attribute::Bold),
    }
}
