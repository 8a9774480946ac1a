//! `keizoku scores watch`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use keizoku_proto::scoring::score::Result as Outcome;
use keizoku_proto::scoring::watch_scores_request::Trigger;
use keizoku_proto::scoring::watch_scores_response::News;
use keizoku_proto::scoring::{ScoreChange, WatchScoresRequest, WatchScoresResponse};
use tonic::Code;

use super::FilterArgs;
use crate::client::{Session, methods, reflect};
use crate::failure::Failure;
use crate::output::{Format, Language, Style, json_line, number, table, words};

/// How often a broken watch is taken up again without any news in between.
const ATTEMPTS: u32 = 5;

/// Flags of the command.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// When a change is told
    #[arg(long, value_enum, default_value = "any", conflicts_with = "moved")]
    on: TriggerArg,
    /// Tell a change when the score moved by so many points
    #[arg(long, value_name = "POINTS")]
    moved: Option<f64>,
    /// By this model; else the primary one
    #[arg(long, value_name = "MODEL", default_value = "", hide_default_value = true)]
    model: String,
    #[command(flatten)]
    filter: FilterArgs,
    /// Leave out the scores of now
    #[arg(long)]
    changes_only: bool,
    /// End after so many lines
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TriggerArg {
    /// At every change
    Any,
    /// When the band changes
    Band,
    /// When the level changes
    Level,
}

/// How far a watch has come.
struct Progress {
    caught_up: bool,
    left: Option<u64>,
}

impl Watch {
    /// Prints news until the limit, or until interrupted. A broken stream is taken up where it broke.
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let mut progress = Progress { caught_up: false, left: self.limit };
        let changes_only = self.changes_only;
        let mut request = self.request()?;
        let mut attempts = 0;
        loop {
            let ended = watch(session, &mut request, &mut progress, changes_only, &mut attempts).await;
            match ended {
                Ok(()) => return Ok(()),
                Err(failure) if attempts < ATTEMPTS && is_broken(&failure) => {
                    attempts += 1;
                    tokio::time::sleep(Duration::from_millis(200 << attempts)).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn request(self) -> Result<WatchScoresRequest, Failure> {
        let (trigger, moved_millis) = match (self.moved, self.on) {
            (Some(points), _) => (Trigger::Moved, millis(points)?),
            (None, TriggerArg::Any) => (Trigger::Any, 0),
            (None, TriggerArg::Band) => (Trigger::Band, 0),
            (None, TriggerArg::Level) => (Trigger::Level, 0),
        };
        Ok(WatchScoresRequest {
            model: self.model,
            filter: self.filter.message(None),
            trigger: trigger.into(),
            moved_millis,
            ..WatchScoresRequest::default()
        })
    }
}

fn millis(points: f64) -> Result<i32, Failure> {
    if (0.001..=100.0).contains(&points) {
        // In range, so nothing is cut off but what lies below a thousandth.
        return Ok((points * 1000.0).round() as i32);
    }
    Err(Failure::Usage {
        problem: "--moved must be 0.001 to 100 points".to_owned(),
        next: "such as --moved 5".to_owned(),
    })
}

/// Reads one stream. `Ok` means that the limit was reached; a stream that ends by itself is taken up again.
async fn watch(
    session: &mut Session<'_>,
    request: &mut WatchScoresRequest,
    progress: &mut Progress,
    changes_only: bool,
    attempts: &mut u32,
) -> Result<(), Failure> {
    let mut stream = session.open_stream(&methods::WATCH_SCORES, request.clone()).await?;
    loop {
        let Some(WatchScoresResponse { news, resume_token }) =
            stream.message().await.map_err(|status| session.refused(status))?
        else {
            return Err(session.refused(tonic::Status::unavailable("the server ended the watch")));
        };
        *attempts = 0;
        request.resume_token = resume_token;
        match news {
            Some(News::CaughtUp(_)) => progress.caught_up = true,
            Some(News::Change(change)) if progress.caught_up || !changes_only => {
                let line = line(&change, progress.caught_up, &session.style)?;
                session.shell.print(&line)?;
                if let Some(left) = &mut progress.left {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        return Ok(());
                    }
                }
            }
            Some(News::Change(_) | News::Heartbeat(_)) | None => {}
        }
    }
}

fn is_broken(failure: &Failure) -> bool {
    let Failure::Call { status, .. } = failure else { return false };
    matches!(status.code(), Code::Unavailable | Code::Cancelled)
}

fn line(change: &ScoreChange, caught_up: bool, style: &Style) -> Result<String, Failure> {
    match style.format {
        Format::Table => Ok(for_people(change, caught_up, style)),
        Format::Json | Format::Jsonl => json_line(&reflect::json("keizoku.scoring.v1.ScoreChange", change)?),
        Format::Csv => csv(change),
    }
}

fn for_people(change: &ScoreChange, caught_up: bool, style: &Style) -> String {
    let score = change.score.clone().unwrap_or_default();
    let name = if score.account_name.is_empty() { score.account_id.clone() } else { score.account_name.clone() };
    let mark = if caught_up { "●" } else { " " };
    let what = match &score.result {
        Some(Outcome::Scored(scored)) => {
            let band = table::painted(&scored.band, words::tone(&scored.polarity), style.colour);
            let moved = scored.change_7d_millis.map(|millis| format!(" ({})", number::change(millis)));
            format!("{}  {band}{}", number::thousandths(scored.value_millis), moved.unwrap_or_default())
        }
        Some(Outcome::Unscored(unscored)) => format!("—  {}", words::unscored(unscored.reason(), style.language)),
        None => "—".to_owned(),
    };
    let at = score.computed_at.as_ref().map(number::instant).unwrap_or_default();
    let causes = match (change.causes.is_empty(), style.language) {
        (true, _) => String::new(),
        (false, Language::English) => format!("  by {}", change.causes.join(", ")),
        (false, Language::Japanese) => format!("  要因: {}", change.causes.join(", ")),
    };
    format!("{mark} {at}  {name} ({})  {what}{causes}\n", score.account_id)
}

/// A line without a header: a watch has no beginning.
fn csv(change: &ScoreChange) -> Result<String, Failure> {
    let score = change.score.clone().unwrap_or_default();
    let (value, band) = match &score.result {
        Some(Outcome::Scored(scored)) => (number::thousandths(scored.value_millis), scored.band.clone()),
        Some(Outcome::Unscored(_)) | None => (String::new(), String::new()),
    };
    let at = score.computed_at.as_ref().map(number::instant).unwrap_or_default();
    let form = |fault: String| Failure::Form(fault);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fields = [at, score.account_id, score.account_name, value, band, change.causes.join(" ")];
    writer.write_record(fields).map_err(|fault| form(fault.to_string()))?;
    let bytes = writer.into_inner().map_err(|fault| form(fault.to_string()))?;
    String::from_utf8(bytes).map_err(|fault| form(fault.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_sent_as_thousandths() {
        assert_eq!(millis(5.0).expect("points"), 5_000);
        assert_eq!(millis(0.001).expect("points"), 1);
        for wrong in [0.0, -1.0, 101.0, f64::NAN] {
            assert!(millis(wrong).is_err(), "{wrong}");
        }
    }
}
