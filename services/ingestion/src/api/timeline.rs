//! A customer's history.

use keizoku_base::Violations;
use keizoku_base::page::Page;
use keizoku_convert::{parse_account, parse_instant, reason, timestamp};
use keizoku_proto::ingestion as proto;
use keizoku_runtime::status::into_status;
use tonic::Status;

use super::account::check_search;
use super::{binding, parse_page, valid};
use crate::app::context::Context;
use crate::app::timeline::{self, Asked, Entry};
use crate::app::{App, views};
use crate::domain::account::TimelineKey;

/// The longest text to search for, in characters.
const SEARCH_MOST: usize = 1024;

/// A page of the history.
pub(crate) async fn list(
    app: &App,
    context: &Context,
    message: &proto::ListTimelineRequest,
) -> Result<proto::ListTimelineResponse, Status> {
    let mut violations = Violations::new();
    let named = parse_account(message.account.as_ref(), "account", &mut violations);
    let from = message.from.as_ref().and_then(|at| parse_instant(at, "from", &mut violations));
    let until = message.until.as_ref().and_then(|at| parse_instant(at, "until", &mut violations));
    let named = valid(violations, named)?;
    check_search("contains", &message.contains, SEARCH_MOST)?;
    let bound = binding("ListTimeline", context, format!("{:?}", (&named, from, until, &message.contains)).as_bytes());
    let page = parse_page(message.page_size, &message.page_token, bound)?;
    let after = if page.after.is_empty() { None } else { Some(read_key(&page.after)?) };
    let asked = Asked { from, until, contains: message.contains.clone(), after, limit: page.size };
    let (entries, more) = timeline::list(app, context, &named, &asked).await.map_err(into_status)?;
    let last = entries.last().filter(|_| more);
    let next_page_token = last.map(|entry| Page::token(bound, &entry.key.to_bytes())).unwrap_or_default();
    Ok(proto::ListTimelineResponse { entries: entries.iter().map(entry).collect(), next_page_token })
}

fn entry(entry: &Entry) -> proto::TimelineEntry {
    proto::TimelineEntry {
        occurred_at: Some(timestamp(entry.key.occurred_at)),
        known_at: Some(timestamp(entry.known_at)),
        entry: Some(views::happened(entry)),
    }
}

fn read_key(bytes: &[u8]) -> Result<TimelineKey, Status> {
    let mut violations = Violations::new();
    let key = TimelineKey::from_bytes(bytes).ok();
    if key.is_none() {
        violations.add("page_token", reason::NOT_A_PAGE, "is not a token of this call");
    }
    valid(violations, key)
}
