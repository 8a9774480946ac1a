//! Sending a file of JSON lines in batches, and accounting for every line: sent = stored + duplicate + rejected.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keizoku_proto::ingestion::Rejection;
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde_json::{Value as Json, json};
use tonic_types::RpcStatusExt as _;

use crate::client::methods::Method;
use crate::client::{Session, reflect};
use crate::failure::Failure;
use crate::output::{Answer, Block, Cell, Column, Table, Text, Tone, number};

/// The longest line that is read: no event of the contract is longer.
const MOST_LINE_BYTES: usize = 1 << 20;

/// A batch is sent when its lines have so many bytes; servers take twice as many.
const MOST_BATCH_BYTES: usize = 4 << 20;

/// How many refused lines are kept to be shown; all are counted.
const MOST_REFUSALS: usize = 10_000;

/// Flags of commands that send a file.
#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// The file, one JSON object a line; - for standard input
    #[arg(value_name = "FILE.jsonl|-")]
    file: PathBuf,
    /// The system that sends; ids are unique within it
    #[arg(long, value_name = "SOURCE")]
    source: String,
    /// How many go into a batch
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
    /// Check only, store nothing
    #[arg(long)]
    dry_run: bool,
    /// Rejections shown at the most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// What became of a batch.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    /// How many were stored.
    pub(super) stored: i32,
    /// How many were there already.
    pub(super) duplicate: i32,
    /// How many were rejected.
    pub(super) rejected: i32,
    /// The rejected ones.
    pub(super) rejections: Vec<Rejection>,
}

/// A line that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    line: u64,
    id: String,
    field: String,
    reason: String,
}

/// What became of all lines so far.
#[derive(Debug, Clone, Default)]
struct Tally {
    sent: u64,
    stored: u64,
    duplicate: u64,
    rejected: u64,
    refusals: Vec<Refusal>,
}

/// Items with the lines they stand on.
#[derive(Debug)]
struct Batch<M> {
    /// The items.
    items: Vec<M>,
    lines: Vec<u64>,
}

/// How items are sent: the message a line is, the method, and its two messages.
pub(super) struct Way<M, Q, A> {
    /// The full name of the message that a line is.
    pub(super) message: &'static str,
    /// What takes a batch.
    pub(super) method: Method<Q, A>,
    /// The request for a batch of a source, to be checked only or not.
    pub(super) request: fn(String, Vec<M>, bool) -> Q,
    /// What became of it.
    pub(super) outcome: fn(A) -> Outcome,
}

/// Sends a file, and prints what became of every line of it.
///
/// # Errors
/// The file cannot be read, the server failed, or lines were rejected.
pub(super) async fn run<M, Q, A>(session: &mut Session<'_>, args: &SendArgs, way: &Way<M, Q, A>) -> Result<(), Failure>
where
    M: Message + Default,
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let mut tally = Tally::default();
    let mut lines = Lines::<M>::open(session, &args.file, way.message)?;
    let progress = progress(session);
    let sent = async {
        loop {
            let Batch { items, lines } = lines.batch(usize::from(args.batch), &mut tally)?;
            if items.is_empty() {
                return Ok(());
            }
            let answer = session.call(&way.method, (way.request)(args.source.clone(), items, args.dry_run)).await?;
            tally.add(&lines, (way.outcome)(answer))?;
            progress.inc(u64::try_from(lines.len()).unwrap_or(0));
        }
    };
    let sent = sent.await;
    progress.finish_and_clear();
    // Lines that were no items were known before their batch was answered.
    tally.refusals.sort_by_key(|refusal| refusal.line);
    match sent {
        Ok(()) => finish(session, &tally, args.limit),
        Err(failure) => Err(interrupted(session, &tally, failure)),
    }
}

/// Reads a file of items line by line. Lines that are none are noted as refused and never sent.
struct Lines<M> {
    input: BufReader<Box<dyn Read + Send>>,
    path: PathBuf,
    descriptor: MessageDescriptor,
    line: u64,
    items: std::marker::PhantomData<M>,
}

impl<M: Message + Default> Lines<M> {
    /// The lines of a file, each a message of that name.
    ///
    /// # Errors
    /// The file cannot be opened.
    fn open(session: &mut Session<'_>, path: &Path, name: &str) -> Result<Self, Failure> {
        let input: Box<dyn Read + Send> = if path == Path::new("-") {
            session.shell.take_input()
        } else {
            let opened = std::fs::File::open(path);
            Box::new(opened.map_err(|source| Failure::File { path: path.to_owned(), source })?)
        };
        let descriptor = reflect::message(name)?;
        Ok(Self {
            input: BufReader::new(input),
            path: path.to_owned(),
            descriptor,
            line: 0,
            items: std::marker::PhantomData,
        })
    }

    /// The next items, at most `most`; none at the end of the file.
    ///
    /// # Errors
    /// The file cannot be read on.
    fn batch(&mut self, most: usize, tally: &mut Tally) -> Result<Batch<M>, Failure> {
        let mut batch = Batch { items: Vec::with_capacity(most), lines: Vec::with_capacity(most) };
        let (mut bytes, mut size) = (Vec::new(), 0);
        while batch.items.len() < most && size < MOST_BATCH_BYTES && self.read_line(&mut bytes)? {
            let text = bytes.trim_ascii();
            if text.is_empty() {
                continue;
            }
            tally.sent += 1;
            size += text.len();
            match self.item(text) {
                Ok(item) => {
                    batch.items.push(item);
                    batch.lines.push(self.line);
                }
                Err(reason) => tally.refuse(self.line, text, reason),
            }
        }
        Ok(batch)
    }

    /// The next line, the rest of an over-long one thrown away; `false` at the end.
    fn read_line(&mut self, line: &mut Vec<u8>) -> Result<bool, Failure> {
        let file = |source| Failure::File { path: self.path.clone(), source };
        line.clear();
        let most = u64::try_from(MOST_LINE_BYTES).unwrap_or(u64::MAX) + 1;
        if (&mut self.input).take(most).read_until(b'\n', line).map_err(file)? == 0 {
            return Ok(false);
        }
        self.line += 1;
        if line.len() > MOST_LINE_BYTES && !line.ends_with(b"\n") {
            self.input.skip_until(b'\n').map_err(file)?;
        }
        Ok(true)
    }

    fn item(&self, text: &[u8]) -> Result<M, String> {
        if text.len() > MOST_LINE_BYTES {
            return Err(format!("is longer than {MOST_LINE_BYTES} bytes"));
        }
        let mut json = serde_json::Deserializer::from_slice(text);
        let message =
            DynamicMessage::deserialize(self.descriptor.clone(), &mut json).map_err(|fault| fault.to_string())?;
        json.end().map_err(|fault| fault.to_string())?;
        message.transcode_to().map_err(|fault| fault.to_string())
    }
}

impl Tally {
    /// Adds what became of a batch.
    ///
    /// # Errors
    /// The server's counts are not the number of items sent.
    fn add(&mut self, lines: &[u64], outcome: Outcome) -> Result<(), Failure> {
        let count = |number: i32| u64::try_from(number).unwrap_or(0);
        let (stored, duplicate, rejected) = (count(outcome.stored), count(outcome.duplicate), count(outcome.rejected));
        let sent = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if stored + duplicate + rejected != sent {
            return Err(Failure::Unreconciled { sent, stored, duplicate, rejected });
        }
        self.stored += stored;
        self.duplicate += duplicate;
        self.rejected += rejected;
        for rejection in outcome.rejections {
            let line = usize::try_from(rejection.index).ok().and_then(|index| lines.get(index)).copied().unwrap_or(0);
            self.keep(refusals(line, rejection));
        }
        Ok(())
    }

    fn refuse(&mut self, line: u64, text: &[u8], reason: String) {
        self.rejected += 1;
        let id = serde_json::from_slice::<Json>(text).ok();
        let id = id.and_then(|item| item.get("id")?.as_str().map(str::to_owned)).unwrap_or_default();
        self.keep(vec![Refusal { line, id, field: String::new(), reason }]);
    }

    fn keep(&mut self, refusals: Vec<Refusal>) {
        let room = MOST_REFUSALS.saturating_sub(self.refusals.len());
        self.refusals.extend(refusals.into_iter().take(room));
    }

    fn json(&self) -> Json {
        let refusals = self.refusals.iter();
        let refusals =
            refusals.map(|one| json!({ "line": one.line, "id": one.id, "field": one.field, "reason": one.reason }));
        json!({
            "sent": self.sent,
            "stored": self.stored,
            "duplicate": self.duplicate,
            "rejected": self.rejected,
            "rejections": refusals.collect::<Vec<_>>(),
        })
    }

    fn view(&self, most: usize) -> Answer {
        let columns = vec![
            Column::right("sent", Text::new("Sent", "送信")),
            Column::right("stored", Text::new("Stored", "保存")),
            Column::right("duplicate", Text::new("Duplicate", "重複")),
            Column::right("rejected", Text::new("Rejected", "拒否")),
        ];
        let cell = |count: u64| number::count_cell(i64::try_from(count).unwrap_or(i64::MAX));
        let rejected = if self.rejected > 0 { Tone::Bad } else { Tone::Plain };
        let mut counts = Table::new(columns);
        counts.add(vec![cell(self.sent), cell(self.stored), cell(self.duplicate), cell(self.rejected).tone(rejected)]);
        let mut answer = Answer::one(self.json(), vec![Block::Table(counts)]);
        if !self.refusals.is_empty() {
            let columns = vec![
                Column::right("line", Text::new("Line", "行")),
                Column::left("id", Text::new("Id", "ID")),
                Column::left("field", Text::new("Field", "項目")).optional(),
                Column::left("reason", Text::new("Why it was rejected", "拒否理由")),
            ];
            let shown = self.refusals.iter().take(most).map(|one| {
                vec![Cell::new(one.line.to_string()), Cell::new(&one.id), Cell::new(&one.field), Cell::new(&one.reason)]
            });
            answer = answer.and(Block::Table(Table::new(columns).with(shown)));
        }
        answer
    }
}

/// The progress of sending, on a terminal only.
fn progress(session: &Session<'_>) -> ProgressBar {
    if !session.shell.notes_terminal {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} sent · {per_sec} · {elapsed}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

/// Prints what became of all lines.
///
/// # Errors
/// Some were rejected.
fn finish(session: &mut Session<'_>, tally: &Tally, most: usize) -> Result<(), Failure> {
    let answer = tally.view(most);
    session.print(&answer)?;
    let hidden = tally.refusals.len().saturating_sub(most);
    if hidden > 0 {
        session.shell.note(&format!("{hidden} more rejections: --limit N or -o json shows them"));
    }
    if tally.rejected > 0 {
        return Err(Failure::Rejected { rejected: tally.rejected, sent: tally.sent });
    }
    Ok(())
}

/// Says how far sending came before it failed. What was acknowledged is stored for ever.
fn interrupted(session: &mut Session<'_>, tally: &Tally, failure: Failure) -> Failure {
    if !matches!(failure, Failure::Shown) {
        let done = tally.stored + tally.duplicate + tally.rejected;
        session
            .shell
            .note(&format!("{done} lines were acknowledged before this; sending the whole file again is safe"));
    }
    failure
}

/// A line per violation of a rejected item.
fn refusals(line: u64, rejection: Rejection) -> Vec<Refusal> {
    let status = rejection.status.unwrap_or_default();
    let violations = status.get_details_bad_request().map(|found| found.field_violations).unwrap_or_default();
    let refusal = |field: String, reason: String| Refusal { line, id: rejection.id.clone(), field, reason };
    if violations.is_empty() {
        let reason = status.get_details_error_info().map(|info| format!("{}: ", info.reason)).unwrap_or_default();
        return vec![refusal(String::new(), format!("{reason}{}", status.message))];
    }
    violations.into_iter().map(|one| refusal(one.field, one.description)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_do_not_add_up_are_an_error() {
        let mut tally = Tally::default();
        let outcome = |stored| Outcome { stored, duplicate: 1, ..Outcome::default() };
        assert!(tally.add(&[1, 2, 3], outcome(2)).is_ok());
        let failure = tally.add(&[4, 5, 6], outcome(1)).expect_err("one is missing");
        assert!(matches!(failure, Failure::Unreconciled { sent: 3, stored: 1, duplicate: 1, rejected: 0 }));
    }

    #[test]
    fn a_rejection_without_violations_tells_its_message() {
        let status =
            tonic_types::pb::Status { code: 5, message: "the account is not known".to_owned(), details: Vec::new() };
        let found = refusals(7, Rejection { index: 0, id: "e1".to_owned(), status: Some(status) });
        assert_eq!((found[0].line, found[0].reason.as_str()), (7, "the account is not known"));
    }
}
