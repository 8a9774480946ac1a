//! Foreign CSV files, by a mapping, through the same calls that every other client makes.
//!
//! A row becomes a message, is left out, or is rejected with its reason: none is lost, and every message sent is accounted
//! for. Ids are made from the rows alone, so sending a file again changes nothing.

mod journal;
pub(crate) mod mapping;
mod metrics;
mod plan;
mod progress;
mod reader;
mod rejects;
mod report;
mod shipped;
pub(crate) mod sink;
mod step;
pub(crate) mod target;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use keizoku_base::{Micros, Zone};

use crate::failure::Failure;
use crate::output::{Answer, Style};
use crate::shell::Shell;

use journal::{Journal, Subject};
use mapping::Mapping;
use plan::Plan;
use rejects::Rejects;
use report::Tally;
use sink::Sink;
use step::Work;
use target::Kind;

pub(crate) use shipped::find;

/// How to import.
#[derive(Debug)]
pub(crate) struct Order {
    /// Where rejected rows are kept.
    pub(crate) rejects: Option<PathBuf>,
    /// Whether to begin anew where an earlier run was interrupted.
    pub(crate) restart: bool,
}

/// The workspace that data go to.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its id.
    pub(crate) workspace: String,
    /// Its etag.
    pub(crate) etag: String,
    /// The zone of its days.
    pub(crate) zone: Zone,
}

/// What an import came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The latest time at which something in the files happened.
    pub(crate) newest: Option<Micros>,
    tallies: Vec<Tally>,
}

impl Outcome {
    /// The report, target by target.
    pub(crate) fn answer(&self, rehearsal: bool) -> Answer {
        report::answer(&self.tallies, rehearsal)
    }

    /// How many events and measurements were stored.
    pub(crate) fn stored_events(&self) -> u64 {
        let counted = |tally: &&Tally| matches!(tally.kind, Kind::Events | Kind::Measurements);
        self.tallies.iter().filter(counted).map(|tally| tally.stored).sum()
    }

    /// Checks that everything sent is accounted for and nothing was rejected.
    ///
    /// # Errors
    /// It is not, or something was.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        report::verdict(&self.tallies)
    }
}

/// Files that can be imported: the mapping fits them.
pub(crate) struct Import {
    work: Work,
}

impl Import {
    /// Looks at the files.
    ///
    /// # Errors
    /// Everything that keeps the import from starting.
    pub(crate) fn prepare(mapping: Mapping, files: &[PathBuf]) -> Result<Self, Failure> {
        let plan = Plan::make(&mapping, files)?;
        let zone = mapping.zone.unwrap_or(Zone::UTC);
        Ok(Self { work: Work { mapping: Arc::new(mapping), plan: Arc::new(plan), zone } })
    }

    /// The mapping.
    pub(crate) fn mapping(&self) -> &Mapping {
        &self.work.mapping
    }

    /// Reads everything and sends it; without a `place` for a rehearsal, which leaves no trace.
    ///
    /// # Errors
    /// A file cannot be read, or the sink's refusal. What was acknowledged until then is noted in the journal.
    pub(crate) async fn run(
        mut self,
        order: &Order,
        place: Option<&Place>,
        sink: &mut impl Sink,
        style: &Style,
        shell: &mut Shell,
    ) -> Result<Outcome, Failure> {
        if let (None, Some(place)) = (self.work.mapping.zone, place) {
            self.work.zone = place.zone;
        }
        let mut journals = self.journals(order, place, shell)?;
        let mut rejects = Rejects::new(order.rejects.as_deref())?;
        let mut outcome = Outcome { newest: None, tallies: Vec::new() };
        for step in self.work.plan.steps.clone() {
            let journal = journals[step.given].as_mut();
            if journal.as_ref().is_some_and(|journal| journal.is_done(step.target)) {
                continue;
            }
            let done = step::run(&self.work, step, sink, journal, &mut rejects, shell).await?;
            outcome.newest = outcome.newest.max(done.newest);
            outcome.tallies.push(done.tally);
        }
        for line in rejects.finish(style)? {
            shell.note(&line);
        }
        for journal in journals.into_iter().flatten() {
            journal.remove()?;
        }
        Ok(outcome)
    }

    /// The journal of each given file; none for a rehearsal.
    fn journals(
        &self,
        order: &Order,
        place: Option<&Place>,
        shell: &mut Shell,
    ) -> Result<Vec<Option<Journal>>, Failure> {
        let plan = &self.work.plan;
        let (Some(place), Some(folder)) = (place, journal::folder(shell)) else {
            return Ok(plan.given.iter().map(|_| None).collect());
        };
        let mut journals = Vec::new();
        for given in &plan.given {
            let mut files = blake3::Hasher::new();
            files.update(given.digest.as_bytes());
            for table in &self.work.mapping.files[given.file].tables {
                let name = &self.work.mapping.tables[*table].file;
                let into = plan.given.iter().filter(|other| self.work.mapping.files[other.file].name == *name);
                into.for_each(|other| {
                    files.update(other.digest.as_bytes());
                });
            }
            let subject = Subject {
                mapping: self.work.mapping.digest,
                files: files.finalize(),
                workspace: &place.workspace,
                etag: &place.etag,
            };
            let mut journal = Journal::open(&folder, subject)?;
            if order.restart {
                journal.restart();
            } else if journal.is_begun() {
                let name = given.path.display();
                shell.note(&format!(
                    "{name} was begun before and goes on where it was interrupted; --restart begins anew"
                ));
            }
            journals.push(Some(journal));
        }
        Ok(journals)
    }
}
