//! What an import came to, target by target.

use serde_json::json;

use crate::failure::Failure;
use crate::output::{Answer, Cell, Column, Table, Text, Tone};

use super::sink::Answered;
use super::target::Kind;

/// What became of one file on its way to one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    /// The file.
    pub(crate) file: String,
    /// The target.
    pub(crate) kind: Kind,
    /// Rows of the file.
    pub(crate) rows: u64,
    /// Rows that an earlier run dealt with.
    pub(crate) earlier: u64,
    /// Rows that the mapping leaves out.
    pub(crate) left_out: u64,
    /// Rows that could not be read.
    pub(crate) unreadable: u64,
    /// Messages sent.
    pub(crate) sent: u64,
    /// Messages stored.
    pub(crate) stored: u64,
    /// Messages that were there already.
    pub(crate) duplicate: u64,
    /// Messages that the server rejected.
    pub(crate) rejected: u64,
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn new(file: String, kind: Kind) -> Self {
        Self {
            file,
            kind,
            rows: 0,
            earlier: 0,
            left_out: 0,
            unreadable: 0,
            sent: 0,
            stored: 0,
            duplicate: 0,
            rejected: 0,
        }
    }

    /// Adds an answer.
    pub(crate) fn add(&mut self, answered: &Answered) {
        self.sent += answered.sent;
        self.stored += answered.stored;
        self.duplicate += answered.duplicate;
        self.rejected += answered.rejected;
    }

    /// Whether every message sent is accounted for.
    fn adds_up(&self) -> bool {
        self.sent == self.stored + self.duplicate + self.rejected
    }
}

/// The report of an import; for a rehearsal nothing was sent.
pub(crate) fn answer(tallies: &[Tally], rehearsal: bool) -> Answer {
    let mut columns = vec![
        Column::left("target", Text::new("Target", "対象")),
        Column::left("file", Text::new("File", "ファイル")),
        Column::right("rows", Text::new("Rows", "行数")),
        Column::right("earlier", Text::new("Earlier", "処理済み")).optional(),
        Column::right("left_out", Text::new("Left out", "対象外")),
        Column::right("unreadable", Text::new("Unreadable", "読取不可")),
    ];
    if !rehearsal {
        columns.extend([
            Column::right("sent", Text::new("Sent", "送信")),
            Column::right("stored", Text::new("= Stored", "= 保存")),
            Column::right("duplicate", Text::new("+ Duplicate", "+ 重複")),
            Column::right("rejected", Text::new("+ Rejected", "+ 拒否")),
        ]);
    }
    let bad = |count: u64| if count > 0 { Tone::Bad } else { Tone::Plain };
    let rows = tallies.iter().map(|tally| {
        let number = |count: u64| Cell::new(count.to_string());
        let earlier = if tally.earlier > 0 { number(tally.earlier) } else { Cell::new("") };
        let mut row = vec![
            Cell::new(tally.kind.name()),
            Cell::new(&tally.file),
            number(tally.rows),
            earlier,
            number(tally.left_out),
            number(tally.unreadable).tone(bad(tally.unreadable)),
        ];
        if !rehearsal {
            let sent = number(tally.sent).tone(if tally.adds_up() { Tone::Plain } else { Tone::Bad });
            let rejected = number(tally.rejected).tone(bad(tally.rejected));
            row.extend([sent, number(tally.stored), number(tally.duplicate), rejected]);
        }
        row
    });
    let table = Table::new(columns).with(rows);
    let json = tallies.iter().map(|tally| {
        json!({
            "target": tally.kind.name(), "file": tally.file, "rows": tally.rows, "earlier": tally.earlier,
            "leftOut": tally.left_out, "unreadable": tally.unreadable, "sent": tally.sent, "stored": tally.stored,
            "duplicate": tally.duplicate, "rejected": tally.rejected,
        })
    });
    Answer::list(json.collect(), table)
}

/// Checks that everything sent is accounted for and nothing was rejected.
///
/// # Errors
/// [`Failure::Unreconciled`] for the first target whose counts do not come out, else [`Failure::Rejected`].
pub(crate) fn verdict(tallies: &[Tally]) -> Result<(), Failure> {
    if let Some(wrong) = tallies.iter().find(|tally| !tally.adds_up()) {
        return Err(Failure::Unreconciled {
            sent: wrong.sent,
            stored: wrong.stored,
            duplicate: wrong.duplicate,
            rejected: wrong.rejected,
        });
    }
    let rejected = tallies.iter().map(|tally| tally.rejected + tally.unreadable).sum();
    let sent = tallies.iter().map(|tally| tally.sent + tally.unreadable).sum();
    if rejected > 0 { Err(Failure::Rejected { rejected, sent }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Format, Language, Style};

    fn tally() -> Tally {
        let mut tally = Tally::new("f.csv".to_owned(), Kind::Events);
        tally.rows = 10;
        tally.add(&Answered { sent: 9, stored: 5, duplicate: 4, ..Answered::default() });
        tally.left_out = 1;
        tally
    }

    #[test]
    fn what_is_sent_must_be_accounted_for() {
        assert!(verdict(&[tally()]).is_ok());
        let unreadable = Tally { unreadable: 1, ..tally() };
        assert!(matches!(verdict(&[tally(), unreadable]), Err(Failure::Rejected { rejected: 1, sent: 19 })));
        let lost = Tally { stored: 4, ..tally() };
        assert!(matches!(verdict(&[tally(), lost]), Err(Failure::Unreconciled { sent: 9, stored: 4, .. })));
    }

    #[test]
    fn the_identity_is_printed_and_a_rehearsal_has_none() {
        let style = Style { format: Format::Table, language: Language::English, colour: false, terminal: false };
        let text = answer(&[tally()], false).render(&style).expect("a table");
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some("Target  File   Rows  Left out  Unreadable  Sent  = Stored  + Duplicate  + Rejected")
        );
        assert!(lines.next().is_some_and(|line| line.ends_with("9         5            4           0")), "{text}");
        assert!(!answer(&[tally()], true).render(&style).expect("a table").contains("Sent"));
    }
}
