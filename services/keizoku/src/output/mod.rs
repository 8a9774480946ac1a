//! How answers look: as tables for people, or as JSON, JSON lines and CSV for programs.

pub(crate) mod chart;
pub(crate) mod number;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod words;

use clap::{Args, ValueEnum};
use serde_json::Value as Json;

use crate::failure::Failure;
use crate::shell::Shell;

pub(crate) use table::{Cell, Column, Table, Tone};
pub(crate) use text::{Language, Text};

/// The forms of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// Tables for people.
    #[default]
    Table,
    /// One JSON document: an object, or a list.
    Json,
    /// A JSON document per row.
    Jsonl,
    /// Comma-separated values with a header line; numbers and dates without units.
    Csv,
}

/// Flags about the form of an answer.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// The form of the answer
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Format,
    /// The language of labels; else that of LANG
    #[arg(long, global = true, value_enum, value_name = "LANGUAGE")]
    pub(crate) lang: Option<Language>,
}

/// The form of an answer, with all that decides it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// The form.
    pub(crate) format: Format,
    /// The language of labels.
    pub(crate) language: Language,
    /// Whether colours are shown.
    pub(crate) colour: bool,
    /// Whether a terminal shows it, so that long lines are wrapped.
    pub(crate) terminal: bool,
}

impl Style {
    /// The form that flags and surroundings ask for.
    pub(crate) fn new(args: &OutputArgs, shell: &Shell) -> Self {
        Self {
            format: args.output,
            language: args.lang.unwrap_or_else(|| Language::of(shell)),
            colour: shell.colour(shell.terminal),
            terminal: shell.terminal,
        }
    }
}

/// An answer in all its forms.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    json: Json,
    blocks: Vec<Block>,
}

/// A part of an answer for people.
#[derive(Debug, Clone)]
pub(crate) enum Block {
    /// A line of its own, such as a heading.
    Line(String, Tone),
    /// Named values below each other.
    Facts(Vec<(Column, Cell)>),
    /// Rows.
    Table(Table),
    /// Rows that CSV leaves out: it has room for one table.
    Aside(Table),
}

impl Answer {
    /// An answer that is one thing.
    pub(crate) fn one(json: Json, blocks: Vec<Block>) -> Self {
        Self { json, blocks }
    }

    /// An answer that is a list of things, shown as a table.
    pub(crate) fn list(json: Vec<Json>, table: Table) -> Self {
        Self { json: Json::Array(json), blocks: vec![Block::Table(table)] }
    }

    /// The answer with another part for people.
    pub(crate) fn and(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }

    /// The text of the answer in the form asked for.
    ///
    /// # Errors
    /// The answer has no such form.
    pub(crate) fn render(&self, style: &Style) -> Result<String, Failure> {
        match style.format {
            Format::Table => Ok(self.for_people(style)),
            Format::Json => pretty(&self.json),
            Format::Jsonl => match self.json.as_array() {
                Some(rows) => rows.iter().map(json_line).collect(),
                None => json_line(&self.json),
            },
            Format::Csv => self.csv(),
        }
    }

    fn for_people(&self, style: &Style) -> String {
        let mut text = String::new();
        for (index, block) in self.blocks.iter().enumerate() {
            let spaced = index > 0 && !matches!((&self.blocks[index - 1], block), (Block::Line(..), Block::Line(..)));
            if spaced {
                text.push('\n');
            }
            match block {
                Block::Line(line, tone) => {
                    text.push_str(&table::painted(line, *tone, style.colour));
                    text.push('\n');
                }
                Block::Facts(facts) => text.push_str(&table::facts(facts, style)),
                Block::Table(rows) | Block::Aside(rows) => text.push_str(&rows.for_people(style)),
            }
        }
        text
    }

    /// The first table, or the first named values as one row.
    fn csv(&self) -> Result<String, Failure> {
        let mut facts = None;
        for block in &self.blocks {
            match block {
                Block::Table(rows) => return rows.csv(),
                Block::Facts(found) if facts.is_none() => facts = Some(found),
                Block::Facts(_) | Block::Line(..) | Block::Aside(_) => {}
            }
        }
        let Some(facts) = facts else { return Ok(String::new()) };
        let mut row = Table::new(facts.iter().map(|(column, _)| column.clone()).collect());
        row.add(facts.iter().map(|(_, cell)| cell.clone()).collect());
        row.csv()
    }
}

/// One JSON document on one line.
pub(crate) fn json_line(json: &Json) -> Result<String, Failure> {
    serde_json::to_string(json).map(|line| line + "\n").map_err(|fault| Failure::Form(fault.to_string()))
}

fn pretty(json: &Json) -> Result<String, Failure> {
    serde_json::to_string_pretty(json).map(|text| text + "\n").map_err(|fault| Failure::Form(fault.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn style(format: Format) -> Style {
        Style { format, language: Language::English, colour: false, terminal: false }
    }

    fn two_rows() -> Answer {
        let mut table = Table::new(vec![
            Column::left("name", Text::new("Name", "名前")),
            Column::right("count", Text::new("Count", "件数")),
        ]);
        table.add(vec![Cell::new("株式会社さくら"), Cell::new("5")]);
        table.add(vec![Cell::new("Acme, Inc."), Cell::new("1,200").raw("1200")]);
        Answer::list(
            vec![json!({"name": "株式会社さくら", "count": 5}), json!({"name": "Acme, Inc.", "count": 1200})],
            table,
        )
    }

    #[test]
    fn tables_line_up_numbers_and_wide_characters() {
        let text = two_rows().render(&style(Format::Table)).expect("a table");
        assert_eq!(text, "Name            Count\n株式会社さくら      5\nAcme, Inc.      1,200\n");
        let japanese = Style { language: Language::Japanese, ..style(Format::Table) };
        assert_eq!(two_rows().render(&japanese).expect("a table").lines().next(), Some("名前             件数"));
    }

    #[test]
    fn programs_get_plain_values() {
        let csv = two_rows().render(&style(Format::Csv)).expect("CSV");
        assert_eq!(csv, "name,count\n株式会社さくら,5\n\"Acme, Inc.\",1200\n");
        let lines = two_rows().render(&style(Format::Jsonl)).expect("lines");
        assert_eq!(lines.lines().count(), 2);
    }

    #[test]
    fn nothing_is_an_empty_list_and_a_table_says_so() {
        let none = Answer::list(Vec::new(), Table::new(vec![Column::left("name", Text::new("Name", "名前"))]));
        assert_eq!(none.render(&style(Format::Json)).expect("JSON"), "[]\n");
        assert_eq!(none.render(&style(Format::Jsonl)).expect("lines"), "");
        assert_eq!(none.render(&style(Format::Csv)).expect("CSV"), "name\n");
        assert_eq!(none.render(&style(Format::Table)).expect("a table"), "nothing to show\n");
    }

    #[test]
    fn colours_are_shown_only_where_they_are_wanted() {
        let mut table = Table::new(vec![Column::left("band", Text::new("Band", "バンド"))]);
        table.add(vec![Cell::new("good").tone(Tone::Good)]);
        let answer = Answer::list(Vec::new(), table);
        assert!(!answer.render(&style(Format::Table)).expect("a table").contains('\u{1b}'));
        let coloured = Style { colour: true, ..style(Format::Table) };
        assert!(answer.render(&coloured).expect("a table").contains("\u{1b}["));
    }
}
