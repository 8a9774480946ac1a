//! Rows that were rejected: kept in a file, and the first of them shown.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Cell, Column, Format, Style, Table, Text};

use super::target::Kind;

/// How many are shown.
const SHOWN: usize = 20;

/// One thing wrong with one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Rejection {
    /// The file.
    pub(crate) file: String,
    /// The line it begins at, from 1.
    pub(crate) line: u64,
    /// What it was to become.
    pub(crate) target: &'static str,
    /// Its id in the source; empty where it has none.
    pub(crate) id: String,
    /// The field of the message; empty for the row as a whole.
    pub(crate) field: String,
    /// A stable reason.
    pub(crate) reason: String,
    /// A sentence for a person.
    pub(crate) problem: String,
}

/// Where rejections go.
pub(crate) struct Rejects {
    shown: Vec<Rejection>,
    count: u64,
    kept: Option<Kept>,
}

struct Kept {
    path: PathBuf,
    form: Form,
}

enum Form {
    Csv(Box<csv::Writer<File>>),
    Lines(BufWriter<File>),
}

impl Rejects {
    /// Rejections are shown, and kept in `file` where one is named: `.csv`, else a JSON document per line.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(crate) fn new(file: Option<&Path>) -> Result<Self, Failure> {
        let kept = file.map(Kept::create).transpose()?;
        Ok(Self { shown: Vec::new(), count: 0, kept })
    }

    /// Takes one.
    ///
    /// # Errors
    /// It cannot be kept.
    pub(crate) fn add(&mut self, rejection: Rejection) -> Result<(), Failure> {
        self.count += 1;
        if let Some(kept) = &mut self.kept {
            kept.add(&rejection).map_err(|source| Failure::File { path: kept.path.clone(), source })?;
        }
        if self.shown.len() < SHOWN {
            self.shown.push(rejection);
        }
        Ok(())
    }

    /// Closes the file; the lines to be shown, none where nothing was rejected.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn finish(self, style: &Style) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        if !self.shown.is_empty() {
            let style = Style { format: Format::Table, ..*style };
            lines.extend(table(&self.shown).render(&style)?.lines().map(str::to_owned));
            let more = self.count - self.shown.len() as u64;
            if more > 0 {
                lines.push(format!("and {more} more"));
            }
            match &self.kept {
                Some(kept) => lines.push(format!("all of them are in {}", kept.path.display())),
                None => lines.push("--rejects FILE.csv keeps all of them".to_owned()),
            }
        }
        if let Some(kept) = self.kept {
            let path = kept.path.clone();
            kept.finish().map_err(|source| Failure::File { path, source })?;
        }
        Ok(lines)
    }
}

impl Rejection {
    /// What is wrong with a row.
    pub(crate) fn of(file: &str, line: u64, kind: Kind) -> Self {
        Self {
            file: file.to_owned(),
            line,
            target: kind.name(),
            id: String::new(),
            field: String::new(),
            reason: String::new(),
            problem: String::new(),
        }
    }
}

impl Kept {
    fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|source| Failure::File { path: path.to_owned(), source })?;
        let is_csv = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        let form = if is_csv {
            Form::Csv(Box::new(csv::Writer::from_writer(file)))
        } else {
            Form::Lines(BufWriter::new(file))
        };
        Ok(Self { path: path.to_owned(), form })
    }

    fn add(&mut self, rejection: &Rejection) -> io::Result<()> {
        match &mut self.form {
            Form::Csv(writer) => writer.serialize(rejection).map_err(io::Error::other),
            Form::Lines(writer) => {
                serde_json::to_writer(&mut *writer, rejection)?;
                writer.write_all(b"\n")
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self.form {
            Form::Csv(mut writer) => writer.flush(),
            Form::Lines(mut writer) => writer.flush(),
        }
    }
}

fn table(rejections: &[Rejection]) -> Answer {
    let columns = vec![
        Column::left("file", Text::new("File", "ファイル")),
        Column::right("line", Text::new("Line", "行")),
        Column::left("target", Text::new("Target", "対象")),
        Column::left("field", Text::new("Field", "項目")),
        Column::left("reason", Text::new("Reason", "理由")),
        Column::left("problem", Text::new("Problem", "内容")),
    ];
    let rows = rejections.iter().map(|found| {
        let words = [found.target, &found.field, &found.reason, &found.problem];
        let line = Cell::new(found.line.to_string());
        [Cell::new(&found.file), line].into_iter().chain(words.map(Cell::new)).collect()
    });
    Answer::list(Vec::new(), Table::new(columns).with(rows))
}

#[cfg(test)]
mod tests {
    use keizoku_testkit::TempDir;

    use super::*;
    use crate::output::Language;

    fn some(count: u64) -> Vec<Rejection> {
        let one = |line| Rejection {
            id: "a,\"b\"".to_owned(),
            field: "value".to_owned(),
            reason: "NOT_A_NUMBER".to_owned(),
            problem: "\"x\" is no number".to_owned(),
            ..Rejection::of("f.csv", line, Kind::Events)
        };
        (0..count).map(one).collect()
    }

    fn style() -> Style {
        Style { format: Format::Json, language: Language::English, colour: false, terminal: false }
    }

    #[test]
    fn the_first_are_shown_and_all_are_kept() {
        let folder = TempDir::new();
        for name in ["r.csv", "r.jsonl"] {
            let path = folder.path().join(name);
            let mut rejects = Rejects::new(Some(&path)).expect("a file");
            some(25).into_iter().for_each(|one| rejects.add(one).expect("kept"));
            let lines = rejects.finish(&style()).expect("written");
            assert!(lines[0].starts_with("File") && lines.len() == 23, "{lines:?}");
            assert_eq!(lines[21], "and 5 more");
            let kept = std::fs::read_to_string(&path).expect("a file");
            let header = usize::from(name.ends_with("csv"));
            assert_eq!(kept.lines().count(), 25 + header);
        }
    }

    #[test]
    fn nothing_rejected_is_nothing_said() {
        let rejects = Rejects::new(None).expect("no file");
        assert!(rejects.finish(&style()).expect("lines").is_empty());
    }
}
