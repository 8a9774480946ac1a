//! One file on its way to one target: read and turned into messages on a thread of its own, sent from here.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keizoku_base::{Micros, Zone};
use keizoku_proto::ingestion::{event, measurement};
use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::shell::Shell;

use super::journal::Journal;
use super::mapping::Mapping;
use super::mapping::expression::Wrong;
use super::mapping::field::FieldWrong;
use super::mapping::row::{Row, Seen, Setting};
use super::plan::{Given, Plan, Step};
use super::progress::Progress;
use super::reader::{Line, Rows};
use super::rejects::{Rejection, Rejects};
use super::report::Tally;
use super::sink::{Answered, BATCH_BYTES, Batch, Sink};
use super::target::{Item, Target};

/// How many batches wait between reader and sender.
const QUEUE: usize = 4;
/// How many rows go by at the most before the sender hears of them.
const REPORT_ROWS: u64 = 20_000;

/// What all steps share.
#[derive(Clone)]
pub(crate) struct Work {
    /// The mapping.
    pub(crate) mapping: Arc<Mapping>,
    /// The plan.
    pub(crate) plan: Arc<Plan>,
    /// The zone of times that name none.
    pub(crate) zone: Zone,
}

/// What one step leaves behind.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its counts.
    pub(crate) tally: Tally,
    /// The latest time at which something in it happened.
    pub(crate) newest: Option<Micros>,
}

/// What the reader hands over.
#[derive(Default)]
struct Parcel {
    batch: Option<Batch>,
    wrong: Vec<Rejection>,
    rows: u64,
    earlier: u64,
    left_out: u64,
    unreadable: u64,
    newest: Option<Micros>,
    bytes: u64,
}

/// Carries one step out.
///
/// # Errors
/// The file cannot be read, the server refuses or cannot be reached, the journal or the rejections cannot be written.
pub(crate) async fn run(
    work: &Work,
    step: Step,
    sink: &mut impl Sink,
    mut journal: Option<&mut Journal>,
    rejects: &mut Rejects,
    shell: &mut Shell,
) -> Result<Done, Failure> {
    let given = &work.plan.given[step.given];
    let file = name_of(&given.path);
    let mut done = Done { tally: Tally::new(file.clone(), step.kind), newest: None };
    let mut progress = Progress::begin(shell, format!("{} {file}", step.kind.name()), given.bytes);
    let (parcels, mut queue) = mpsc::channel(QUEUE);
    let (reading, skipped) = (work.clone(), journal.as_ref().map_or(0, |journal| journal.line(step.target)));
    let reader = tokio::task::spawn_blocking(move || Reader::new(&reading, step, skipped, parcels).run());
    while let Some(parcel) = queue.recv().await {
        done.tally.rows += parcel.rows;
        done.tally.earlier += parcel.earlier;
        done.tally.left_out += parcel.left_out;
        done.tally.unreadable += parcel.unreadable;
        done.newest = done.newest.max(parcel.newest);
        for rejection in parcel.wrong {
            rejects.add(rejection)?;
        }
        if let Some(batch) = parcel.batch {
            let answered = sink.send(batch).await?;
            settle(&answered, step, &mut done.tally, journal.as_deref_mut(), rejects)?;
        }
        progress.at(shell, parcel.bytes, done.tally.rows, parcel.earlier > 0 && parcel.earlier == parcel.rows);
    }
    let answered = sink.finish().await?;
    settle(&answered, step, &mut done.tally, journal.as_deref_mut(), rejects)?;
    progress.end();
    let read = reader.await.unwrap_or_else(|fault| Err(std::io::Error::other(fault)));
    read.map_err(|source| Failure::File { path: given.path.clone(), source })?;
    if let Some(journal) = journal {
        journal.finished(step.target)?;
    }
    Ok(done)
}

fn settle(
    answered: &[Answered],
    step: Step,
    tally: &mut Tally,
    mut journal: Option<&mut Journal>,
    rejects: &mut Rejects,
) -> Result<(), Failure> {
    for answered in answered {
        tally.add(answered);
        for refused in &answered.refused {
            for violation in &refused.violations {
                rejects.add(Rejection {
                    id: refused.id.clone(),
                    field: violation.field.clone(),
                    reason: violation.reason.clone(),
                    problem: violation.text.clone(),
                    ..Rejection::of(&tally.file, refused.line, step.kind)
                })?;
            }
        }
        if let Some(journal) = journal.as_deref_mut() {
            journal.reached(step.target, answered.through)?;
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The half that reads.
struct Reader<'a> {
    work: &'a Work,
    given: &'a Given,
    target: &'a Target,
    step: Step,
    file: String,
    /// The last line that an earlier run dealt with.
    skipped: u64,
    parcels: mpsc::Sender<Parcel>,
    parcel: Parcel,
    size: usize,
}

impl<'a> Reader<'a> {
    fn new(work: &'a Work, step: Step, skipped: u64, parcels: mpsc::Sender<Parcel>) -> Self {
        let given = &work.plan.given[step.given];
        let target = &work.mapping.files[given.file].targets[step.target];
        let file = name_of(&given.path);
        Self { work, given, target, step, file, skipped, parcels, parcel: Parcel::default(), size: 0 }
    }

    fn run(mut self) -> std::io::Result<()> {
        let mut rows = Rows::open(&self.given.path, &self.work.mapping)?;
        let taken = rows.taken();
        let work = self.work;
        let setting = Setting {
            places: &self.given.places,
            tables: &work.plan.tables,
            zone: work.zone,
            absent: &work.mapping.absent,
            flags: &work.mapping.flags,
            seen: Seen::default(),
        };
        while let Some(line) = rows.next()? {
            self.row(line, &setting);
            if (self.is_full() || self.parcel.rows >= REPORT_ROWS) && !self.hand_over(&taken) {
                return Ok(());
            }
        }
        self.hand_over(&taken);
        Ok(())
    }

    fn row(&mut self, line: Line, setting: &Setting<'_>) {
        self.parcel.rows += 1;
        // Rows of an earlier run are made all the same: numbers of rows with the same content must come out the same.
        let made = match &line.cells {
            Ok(record) => self.target.make(Row::new(record, setting), &self.work.mapping.sources),
            Err(wrong) => Err(vec![FieldWrong { field: String::new(), wrong: wrong.clone() }]),
        };
        if line.number <= self.skipped {
            self.parcel.earlier += 1;
            return;
        }
        match made {
            Ok(None) => self.parcel.left_out += 1,
            Ok(Some(item)) => self.take(item, line.number),
            Err(wrongs) => self.reject(wrongs, line.number),
        }
    }

    fn reject(&mut self, wrongs: Vec<FieldWrong>, line: u64) {
        self.parcel.unreadable += 1;
        for found in wrongs {
            self.parcel.wrong.push(Rejection {
                field: found.field,
                reason: found.wrong.reason.to_owned(),
                problem: found.wrong.text,
                ..Rejection::of(&self.file, line, self.step.kind)
            });
        }
    }

    fn take(&mut self, item: Item, line: u64) {
        let size = item.size();
        if size > BATCH_BYTES {
            // Sent, it would be refused with everything beside it.
            let text = format!("the row has {size} bytes as a message, at most {BATCH_BYTES} can be sent");
            let wrong = Wrong { reason: "TOO_LONG", text };
            return self.reject(vec![FieldWrong { field: String::new(), wrong }], line);
        }
        self.parcel.newest = self.parcel.newest.max(happened(&item, self.work.zone));
        self.size += size;
        let (kind, own) = (self.step.kind, &self.work.mapping.sources.own);
        let batch = self.parcel.batch.get_or_insert_with(|| Batch {
            kind,
            source: own.clone(),
            items: Vec::new(),
            lines: Vec::new(),
            through: 0,
        });
        batch.items.push(item);
        batch.lines.push(line);
        batch.through = line;
    }

    fn is_full(&self) -> bool {
        let length = self.parcel.batch.as_ref().map_or(0, |batch| batch.items.len());
        length >= self.step.kind.batch_length() || self.size >= BATCH_BYTES
    }

    /// Whether the sender still listens.
    fn hand_over(&mut self, taken: &AtomicU64) -> bool {
        self.size = 0;
        let mut parcel = std::mem::take(&mut self.parcel);
        parcel.bytes = taken.load(Ordering::Relaxed);
        self.parcels.blocking_send(parcel).is_ok()
    }
}

/// When something happened; `None` for what has no such time.
fn happened(item: &Item, zone: Zone) -> Option<Micros> {
    let on = |date: &keizoku_proto::google::Date| keizoku_convert::day(date).map(|day| zone.start_of(day));
    match item {
        Item::Event(event) => match event.when.as_ref()? {
            event::When::OccurredAt(at) => Some(keizoku_convert::instant(at)),
            event::When::OccurredOn(date) => on(date),
        },
        Item::Measurement(measurement) => match measurement.when.as_ref()? {
            measurement::When::OccurredAt(at) => Some(keizoku_convert::instant(at)),
            measurement::When::OccurredOn(date) => on(date),
        },
        Item::Conversation(conversation) => conversation.opened_at.as_ref().map(keizoku_convert::instant),
        Item::Account(_) | Item::Contact(_) | Item::User(_) | Item::Contract(_) | Item::Cancellation(_) => None,
    }
}
