//! `keizoku import`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use keizoku_base::Micros;
use keizoku_proto::ingestion::{GetCoverageRequest, WhoAmIResponse, workspace};

use crate::client::{Common, Session, methods, moment};
use crate::failure::Failure;
use crate::import::sink::{Rehearsal, Wire};
use crate::import::{self, Order, Place};
use crate::shell::Shell;

/// Data that end so long before the workspace's present are called old.
const OLD: i64 = 60 * Micros::DAY;

/// How long an import waits until what it sent is counted.
const COUNTING: Duration = Duration::from_secs(120);

/// Bring in foreign CSV files by a mapping: what is accounted for, and why the rest was rejected
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  keizoku import --mapping ravenstack accounts.csv subscriptions.csv\n  \
                  keizoku import --mapping mine.yaml events.csv.gz --rejects rejects.csv\n  \
                  keizoku import --mapping mine.yaml --dry-run events.csv\n\n\
                  docs/guides/import.md describes mappings. An interrupted import goes on where it was; sending a file\n\
                  again changes nothing. Exit code 1: what was sent is not accounted for; 4: rows were rejected.")]
pub(crate) struct Import {
    #[command(flatten)]
    common: Common,
    /// The mapping: a file, or the name of one that comes with the program: ravenstack, churnsim
    #[arg(long, short, value_name = "FILE|NAME")]
    mapping: String,
    /// CSV files, gzipped ones too
    #[arg(required = true, value_name = "CSV")]
    files: Vec<PathBuf>,
    /// Keep rejected rows here: `.csv`, else a JSON document per line
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Begin anew where an earlier run was interrupted
    #[arg(long)]
    restart: bool,
    /// Read and check everything, and send nothing
    #[arg(long, conflicts_with = "restart")]
    dry_run: bool,
}

impl Import {
    /// Imports, and prints what it came to.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let import = import::Import::prepare(import::find(&self.mapping)?, &self.files)?;
        let order = Order { rejects: self.rejects, restart: self.restart };
        if self.dry_run {
            let style = crate::output::Style::new(&self.common.output, shell);
            let outcome = import.run(&order, None, &mut Rehearsal, &style, shell).await?;
            shell.print(&outcome.answer(true).render(&style)?)?;
            shell.note("nothing was sent");
            return outcome.verdict();
        }
        let mut session = Session::open(shell, &self.common)?;
        let who = session.who_am_i().await?;
        let place = place(&who)?;
        let mut wire = Wire::new(session.client(), session.context().endpoint);
        let mut changed = 0_u32;
        for metric in &import.mapping().metrics {
            changed += u32::from(wire.put_metric(metric.clone()).await?);
        }
        if changed > 0 {
            let name = &import.mapping().name;
            session.shell.note(&format!("{changed} metrics of {name} were defined; `keizoku metrics list` shows them"));
        }
        let style = session.style;
        let before = counted(&mut session).await?;
        let outcome = import.run(&order, Some(&place), &mut wire, &style, session.shell).await?;
        session.print(&outcome.answer(false))?;
        if let Some(note) = age(outcome.newest, &who)? {
            session.shell.note(&note);
        }
        wait_until_counted(&mut session, before + outcome.stored_events()).await?;
        session.shell.note("`keizoku model init` drafts a health model from what arrived");
        outcome.verdict()
    }
}

/// How many events and measurements are counted into metrics and coverage.
async fn counted(session: &mut Session<'_>) -> Result<u64, Failure> {
    let coverage = session.look_up(&methods::GET_COVERAGE, GetCoverageRequest { account: None }).await?;
    Ok(coverage.events.iter().map(|event| u64::try_from(event.event_count).unwrap_or_default()).sum())
}

/// Counting follows storing: waits for it, so that what is drafted next sees all of it.
async fn wait_until_counted(session: &mut Session<'_>, wanted: u64) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        let counted = counted(session).await?;
        if counted >= wanted {
            return Ok(());
        }
        if begun.elapsed() > COUNTING {
            let note = format!("{counted} of {wanted} events are counted so far; the rest follows by itself");
            session.shell.note(&note);
            return Ok(());
        }
        if !told {
            session.shell.note("all is stored; waiting until it is counted …");
            told = true;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

fn place(who: &WhoAmIResponse) -> Result<Place, Failure> {
    let workspace = who.workspace.as_ref().ok_or(Failure::Incomplete { what: "workspace" })?;
    Ok(Place { workspace: workspace.id.clone(), etag: workspace.etag.clone(), zone: moment::zone(who)? })
}

/// What to say about data that end long before the workspace's present.
fn age(newest: Option<Micros>, who: &WhoAmIResponse) -> Result<Option<String>, Failure> {
    let (Some(newest), Some(now)) = (newest, who.now.as_ref()) else { return Ok(None) };
    let behind = keizoku_convert::instant(now).since(newest);
    if behind <= OLD {
        return Ok(None);
    }
    let (zone, today) = (moment::zone(who)?, moment::today(who)?);
    let (last, days) = (zone.day_of(newest), behind / Micros::DAY);
    let is_test = who.workspace.as_ref().is_some_and(|workspace| workspace.kind() == workspace::Kind::Test);
    let cure = if is_test {
        format!("set the workspace's clock to them: keizoku workspaces set-clock {last}")
    } else {
        format!(
            "old data belong into a TEST workspace whose clock stands at them:\n  \
             keizoku workspaces create old --kind test --save-context old && keizoku workspaces set-clock {last}"
        )
    };
    Ok(Some(format!(
        "the newest of these data is of {last}, {days} days before the workspace's present ({today}): windows of the last \
         days are empty, and accounts stay unscored or stale; {cure}"
    )))
}

#[cfg(test)]
mod tests {
    use keizoku_base::{Day, Zone};
    use keizoku_proto::ingestion::Workspace;

    use super::*;

    fn who(kind: workspace::Kind, today: &str) -> WhoAmIResponse {
        let now = Zone::UTC.start_of(Day::parse(today).expect("a day"));
        WhoAmIResponse {
            workspace: Some(Workspace { time_zone: "UTC".to_owned(), kind: kind.into(), ..Workspace::default() }),
            now: Some(keizoku_convert::timestamp(now)),
            ..WhoAmIResponse::default()
        }
    }

    #[test]
    fn old_data_are_named_with_the_way_to_look_at_them() {
        let newest = Day::parse("2024-12-31").map(|day| Zone::UTC.start_of(day));
        let said = |kind, today| age(newest, &who(kind, today)).expect("an answer");
        assert_eq!(said(workspace::Kind::Test, "2025-03-01"), None);
        let test = said(workspace::Kind::Test, "2026-01-01").expect("a note");
        assert!(test.contains("366 days") && test.ends_with("keizoku workspaces set-clock 2024-12-31"), "{test}");
        let live = said(workspace::Kind::Live, "2026-01-01").expect("a note");
        assert!(live.contains("--kind test"), "{live}");
        assert_eq!(age(None, &who(workspace::Kind::Live, "2026-01-01")).expect("an answer"), None);
    }
}
