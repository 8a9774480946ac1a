//! Scores: one, many, in pages, as a stream, watched; their history and composition.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use keizoku_base::{AccountRef, Day, Violations, WorkspaceId};
use keizoku_convert::{Position, parse_account, parse_day, reason, timestamp};
use keizoku_proto::scoring as proto;
use keizoku_proto::server::scoring::score_service_server::ScoreService;
use keizoku_proto::wire::Answer;
use keizoku_runtime::context as call;
use keizoku_runtime::status::into_status;
use tonic::{Request, Response, Status};

use super::{binding, context, convert, model, page, valid};
use crate::app::list::{self, Order};
use crate::app::read::{self, Ask, Freshness, View};
use crate::app::watch::{self, News, Resume, Wanted, What};
use crate::app::{App, composition, past, views};
use crate::domain::watch::{Filter, Trigger};
use crate::error::ScoringFault;

/// References in a batch at the most.
const MOST_REFERENCES: usize = 1000;
/// Keys in a filter at the most.
const MOST_KEYS: usize = 100;
/// Days of history at the most.
const MOST_DAYS: i32 = 1100;
/// Days of history where none are named.
const USUAL_DAYS: i32 = 90;
/// How long a watch may say nothing.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The RPCs about scores.
pub struct ScoreApi(pub Arc<App>);

#[tonic::async_trait]
impl ScoreService for ScoreApi {
    type StreamScoresStream = BoxStream<'static, Result<proto::StreamScoresResponse, Status>>;
    type WatchScoresStream = BoxStream<'static, Result<proto::WatchScoresResponse, Status>>;

    async fn get_score(
        &self,
        request: Request<proto::GetScoreRequest>,
    ) -> Result<Response<Answer<proto::GetScoreResponse>>, Status> {
        let workspace = call::workspace(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let ask = parse_ask(&request, &mut violations);
        let mut ask = valid(violations, ask)?;
        if let Some(day) = ask.as_of {
            let today = self.0.context(workspace).await.map_err(into_status)?.today();
            not_after(day, today)?;
            // Today is not over: its score is the present one.
            ask.as_of = ask.as_of.filter(|day| *day < today);
        }
        let mut shown = read::score(&self.0, workspace, &ask).await.map_err(into_status)?;
        if request.view() == proto::ScoreView::CustomerSafe {
            shown.score = convert::customer_safe(shown.score).map_err(into_status)?;
        }
        Ok(Response::new(Answer::Encoded(convert::get_score(&shown))))
    }

    async fn batch_get_scores(
        &self,
        request: Request<proto::BatchGetScoresRequest>,
    ) -> Result<Response<Answer<proto::BatchGetScoresResponse>>, Status> {
        let workspace = call::workspace(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let model = model(&request.model, &mut violations);
        if request.accounts.is_empty() || request.accounts.len() > MOST_REFERENCES {
            violations.add("accounts", reason::TOO_MANY, format!("must be 1 to {MOST_REFERENCES}"));
        }
        valid(violations, Some(()))?;
        let references: Vec<Result<AccountRef, Violations>> =
            request.accounts.iter().enumerate().map(|(place, account)| reference(place, account)).collect();
        let named: Vec<&AccountRef> = references.iter().filter_map(|reference| reference.as_ref().ok()).collect();
        let view = view_of(request.view());
        let found = read::batch(&self.0, workspace, &named, model.as_deref(), view).await.map_err(into_status)?;
        let safe = request.view() == proto::ScoreView::CustomerSafe;
        let mut found = found.into_iter();
        let results: Vec<Result<Bytes, Bytes>> = references
            .into_iter()
            .map(|reference| {
                let missing = || Err(ScoringFault::Corrupt("a batch"));
                let found = reference.map_err(ScoringFault::Invalid).and_then(|_| found.next().unwrap_or_else(missing));
                let shown = if safe { found.and_then(convert::customer_safe) } else { found };
                // The details of a status are the encoded google.rpc.Status.
                shown.map_err(|fault| Bytes::copy_from_slice(into_status(fault).details()))
            })
            .collect();
        Ok(Response::new(Answer::Encoded(convert::batch(&results))))
    }

    async fn list_scores(
        &self,
        request: Request<proto::ListScoresRequest>,
    ) -> Result<Response<proto::ListScoresResponse>, Status> {
        let workspace = call::workspace(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let model = model(&request.model, &mut violations);
        let filter = parse_filter(request.filter.as_ref(), &mut violations);
        let order = match request.order() {
            proto::list_scores_request::Order::Unspecified | proto::list_scores_request::Order::Account => {
                Order::Account
            }
            proto::list_scores_request::Order::ValueAscending => Order::Value,
        };
        let parts = filter_parts(&filter);
        let name = [u8::from(order == Order::Value)];
        let bound = bound("ListScores", workspace, model.as_deref(), &parts, &name);
        let asked = page(request.page_size, &request.page_token, bound, &mut violations);
        let asked = valid(violations, asked)?;
        let found = list::list(&self.0, workspace, model.as_deref(), &filter, order, &asked);
        let Some(found) = found.await.map_err(into_status)? else { return Err(not_a_page()) };
        Ok(Response::new(proto::ListScoresResponse {
            scores: messages(found.scores)?,
            next_page_token: next(bound, found.next.as_deref()),
        }))
    }

    async fn stream_scores(
        &self,
        request: Request<proto::StreamScoresRequest>,
    ) -> Result<Response<Self::StreamScoresStream>, Status> {
        let (workspace, closing) = (call::workspace(&request)?, call::closing(&request));
        let request = request.into_inner();
        let mut violations = Violations::new();
        let model = model(&request.model, &mut violations);
        let filter = parse_filter(request.filter.as_ref(), &mut violations);
        valid(violations, Some(()))?;
        let pieces = list::all(Arc::clone(&self.0), workspace, model.as_deref(), filter).await.map_err(into_status)?;
        let answers = pieces.map(|piece| {
            let scores = messages(piece.map_err(into_status)?)?;
            Ok(proto::StreamScoresResponse { scores })
        });
        Ok(Response::new(answers.take_until(async move { closing.wait().await }).boxed()))
    }

    async fn watch_scores(
        &self,
        request: Request<proto::WatchScoresRequest>,
    ) -> Result<Response<Self::WatchScoresStream>, Status> {
        let (workspace, closing) = (call::workspace(&request)?, call::closing(&request));
        let mut violations = Violations::new();
        let wanted = parse_watch(request.get_ref(), workspace, &mut violations);
        let wanted = valid(violations, wanted)?;
        let news = watch::watch(Arc::clone(&self.0), workspace, wanted).await.map_err(into_status)?;
        let answers = news.map(|news| answer(news.map_err(into_status)?));
        Ok(Response::new(answers.take_until(async move { closing.wait().await }).boxed()))
    }

    async fn get_history(
        &self,
        request: Request<proto::GetHistoryRequest>,
    ) -> Result<Response<proto::GetHistoryResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let account = parse_account(request.account.as_ref(), "account", &mut violations);
        let model = model(&request.model, &mut violations);
        let days = parse_days(&request, context.today(), &mut violations);
        let (account, (from, until)) = valid(violations, account.zip(days))?;
        let points = past::history(&self.0, &context, &account, model.as_deref(), from, until).await;
        let points = points.map_err(into_status)?;
        Ok(Response::new(proto::GetHistoryResponse { points: points.iter().map(views::point).collect() }))
    }

    async fn get_composition(
        &self,
        request: Request<proto::GetCompositionRequest>,
    ) -> Result<Response<proto::GetCompositionResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let model = model(&request.model, &mut violations);
        let as_of = request.as_of.as_ref().map(|day| parse_day(day, "as_of", &mut violations));
        valid(violations, Some(()))?;
        let day = as_of.flatten().unwrap_or_else(|| context.today());
        not_after(day, context.today())?;
        let found = composition::get(&self.0, &context, model.as_deref(), day).await.map_err(into_status)?;
        let composition = views::composition_message(&found).map_err(into_status)?;
        Ok(Response::new(proto::GetCompositionResponse { composition: Some(composition) }))
    }

    async fn list_composition_snapshots(
        &self,
        request: Request<proto::ListCompositionSnapshotsRequest>,
    ) -> Result<Response<proto::ListCompositionSnapshotsResponse>, Status> {
        let workspace = call::workspace(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let model = model(&request.model, &mut violations);
        let bound = bound("ListCompositionSnapshots", workspace, model.as_deref(), &[], &[]);
        let asked = page(request.page_size, &request.page_token, bound, &mut violations);
        let asked = valid(violations, asked)?;
        let before = match asked.after.as_slice() {
            [] => Some(Day::END),
            day => day.try_into().ok().map(|day| Day(i32::from_be_bytes(day))),
        };
        let Some(before) = before else { return Err(not_a_page()) };
        let found = composition::snapshots(&self.0, workspace, model.as_deref(), before, asked.size);
        let (kept, more) = found.await.map_err(into_status)?;
        let last = kept.last().filter(|_| more).map(|(day, _)| day.0.to_be_bytes());
        let compositions = kept.iter().map(|(_, bytes)| views::composition_message(bytes)).collect::<Result<_, _>>();
        Ok(Response::new(proto::ListCompositionSnapshotsResponse {
            compositions: compositions.map_err(into_status)?,
            next_page_token: next(bound, last.as_ref().map(|last| last.as_slice())),
        }))
    }
}

fn parse_ask(request: &proto::GetScoreRequest, violations: &mut Violations) -> Option<Ask> {
    use proto::get_score_request::Consistency;
    let account = parse_account(request.account.as_ref(), "account", violations);
    let model = model(&request.model, violations);
    if request.model_version < 0 {
        violations.add("model_version", reason::OUT_OF_RANGE, "must be 0 (for the one in force) or a version from 1");
    }
    let freshness = match &request.consistency {
        None => Some(Freshness::Any),
        Some(Consistency::MaxStaleness(age)) => parse_age(age, violations).map(Freshness::Within),
        Some(Consistency::AtLeast(bytes)) => Position::parse(bytes, "at_least", violations).map(Freshness::AtLeast),
    };
    let as_of = request.as_of.as_ref().and_then(|day| parse_day(day, "as_of", violations));
    Some(Ask {
        account: account?,
        model,
        model_version: Some(request.model_version).filter(|version| *version > 0),
        view: view_of(request.view()),
        freshness: freshness?,
        as_of,
    })
}

/// A customer sees its explanation, with what is not for it left out.
fn view_of(view: proto::ScoreView) -> View {
    match view {
        proto::ScoreView::Unspecified | proto::ScoreView::Basic => View::Basic,
        proto::ScoreView::Explained | proto::ScoreView::CustomerSafe => View::Explained,
    }
}

fn parse_age(age: &prost_types::Duration, violations: &mut Violations) -> Option<Duration> {
    let seconds = u64::try_from(age.seconds).ok();
    let nanos = u32::try_from(age.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let found = seconds.zip(nanos).map(|(seconds, nanos)| Duration::new(seconds, nanos));
    let found = found.filter(|found| *found >= Duration::from_millis(1));
    if found.is_none() {
        violations.add("max_staleness", reason::OUT_OF_RANGE, "must be at least 1 ms");
    }
    found
}

fn reference(place: usize, account: &keizoku_proto::types::AccountRef) -> Result<AccountRef, Violations> {
    let mut violations = Violations::new();
    let found = parse_account(Some(account), &format!("accounts[{place}]"), &mut violations);
    found.ok_or(violations)
}

fn parse_filter(filter: Option<&proto::ScoreFilter>, violations: &mut Violations) -> Filter {
    let Some(filter) = filter else { return Filter::default() };
    for (field, keys) in [("filter.bands", &filter.bands), ("filter.stages", &filter.stages)] {
        if keys.len() > MOST_KEYS {
            violations.add(field, reason::TOO_MANY, format!("must be at most {MOST_KEYS}"));
        }
        for (place, key) in keys.iter().enumerate().filter(|(_, key)| !keizoku_base::reference::is_key(key)) {
            let text = format!("{key:?} is no key of lower-case letters, digits and underscores");
            violations.add(format!("{field}[{place}]"), reason::NOT_A_KEY, text);
        }
    }
    let keys = |keys: &[String]| keys.iter().cloned().collect::<BTreeSet<_>>();
    Filter { bands: keys(&filter.bands), stages: keys(&filter.stages), scored: filter.scored }
}

fn parse_watch(
    request: &proto::WatchScoresRequest,
    workspace: WorkspaceId,
    violations: &mut Violations,
) -> Option<Wanted> {
    use proto::watch_scores_request::Trigger as Wire;
    let model = model(&request.model, violations);
    let filter = parse_filter(request.filter.as_ref(), violations);
    let moved = u32::try_from(request.moved_millis).ok().filter(|moved| *moved > 0);
    let trigger = match (request.trigger(), moved) {
        (Wire::Unspecified | Wire::Any, _) => Some(Trigger::Any),
        (Wire::Band, _) => Some(Trigger::Band),
        (Wire::Level, _) => Some(Trigger::Level),
        (Wire::Moved, Some(moved)) => Some(Trigger::Moved(moved)),
        (Wire::Moved, None) => {
            violations.add("moved_millis", reason::OUT_OF_RANGE, "must be at least 1 for TRIGGER_MOVED");
            None
        }
    };
    let name = [request.trigger.to_le_bytes(), request.moved_millis.to_le_bytes()].concat();
    let bound = bound("WatchScores", workspace, model.as_deref(), &filter_parts(&filter), &name);
    let resume = if request.resume_token.is_empty() { None } else { Some(Resume::parse(&request.resume_token, bound)) };
    if resume == Some(None) {
        let text = "is not a token of this watch with this model, filter and trigger; start again without one";
        violations.add("resume_token", reason::NOT_A_PAGE, text);
    }
    Some(Wanted { model, filter, trigger: trigger?, resume: resume.flatten(), bound, heartbeat: HEARTBEAT })
}

/// The span of history asked for.
fn parse_days(request: &proto::GetHistoryRequest, today: Day, violations: &mut Violations) -> Option<(Day, Day)> {
    let mut parse = |date: Option<&keizoku_proto::google::Date>, field, other| match date {
        Some(date) => parse_day(date, field, violations),
        None => Some(other),
    };
    let until = parse(request.until.as_ref(), "until", today.plus(1));
    let from = parse(request.from.as_ref(), "from", today.plus(-USUAL_DAYS));
    let (from, until) = (from?, until?);
    if until <= from || until.0 - from.0 > MOST_DAYS {
        let text = format!("must be 1 to {MOST_DAYS} days after `from`");
        violations.add("until", reason::OUT_OF_RANGE, text);
    }
    Some((from, until))
}

fn not_after(day: Day, today: Day) -> Result<(), Status> {
    let mut violations = Violations::new();
    if day > today {
        violations.add("as_of", reason::OUT_OF_RANGE, format!("must not be after today, {today}"));
    }
    valid(violations, Some(()))
}

fn filter_parts(filter: &Filter) -> [String; 3] {
    let keys = |keys: &BTreeSet<String>| keys.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    [keys(&filter.bands), keys(&filter.stages), format!("{:?}", filter.scored)]
}

fn bound(rpc: &str, workspace: WorkspaceId, model: Option<&str>, filter: &[String], order: &[u8]) -> [u8; 8] {
    let mut parts: Vec<&[u8]> = vec![model.unwrap_or_default().as_bytes(), order];
    parts.extend(filter.iter().map(String::as_bytes));
    binding(rpc, workspace, &parts)
}

fn next(bound: [u8; 8], last: Option<&[u8]>) -> String {
    last.map(|last| keizoku_base::page::Page::token(bound, last)).unwrap_or_default()
}

fn not_a_page() -> Status {
    let mut violations = Violations::new();
    violations.add("page_token", reason::NOT_A_PAGE, keizoku_base::page::PageError::Token.to_string());
    into_status(ScoringFault::Invalid(violations))
}

fn messages(scores: Vec<Bytes>) -> Result<Vec<proto::Score>, Status> {
    scores.into_iter().map(|score| convert::score(score).map_err(into_status)).collect()
}

fn answer(news: News) -> Result<proto::WatchScoresResponse, Status> {
    use proto::watch_scores_response::News as Wire;
    let what = match news.what {
        What::Change { score, causes } => {
            Wire::Change(proto::ScoreChange { score: Some(convert::score(score).map_err(into_status)?), causes })
        }
        What::CaughtUp => Wire::CaughtUp(proto::CaughtUp {}),
        What::Heartbeat(at) => Wire::Heartbeat(proto::Heartbeat { at: Some(timestamp(at)) }),
    };
    Ok(proto::WatchScoresResponse { news: Some(what), resume_token: news.token })
}
