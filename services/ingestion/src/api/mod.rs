//! The service's RPCs: parse everything or name everything wrong, call the use case, answer.

use std::sync::Arc;

use keizoku_base::Violations;
use keizoku_base::page::{Page, PageError};
use keizoku_convert::reason;
use keizoku_runtime::context as call;
use keizoku_runtime::status::into_status;
use prost::Message;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::app::App;
use crate::app::context::{Actor, ActorKind, Context, trace_parent};
use crate::app::repeat::{Answered, Repeat};
use crate::domain::key::request_id;
use crate::error::IngestionFault;

mod account;
mod control;
mod coverage;
mod draft;
mod event;
mod feed;
mod item;
mod rejection;
mod stream;
mod timeline;
mod value;

pub use account::AccountApi;
pub use control::ControlApi;
pub use event::EventApi;
pub use feed::FeedApi;

/// Who asks, for which workspace, at what time.
pub(crate) async fn context<M>(app: &App, request: &Request<M>) -> Result<Context, Status> {
    let id = call::workspace(request)?;
    let actor = actor(request)?;
    let workspace = app.control.workspace(id).await.map_err(into_status)?;
    let now = workspace.now(app.clock.as_ref());
    Ok(Context { workspace, actor, now, written_at: app.clock.now(), trace_parent: trace_parent() })
}

/// The same for a later message of a stream: its workspace as it is by now.
pub(crate) async fn renewed(app: &App, context: Context) -> Result<Context, Status> {
    let workspace = app.control.workspace(context.id()).await.map_err(into_status)?;
    let now = workspace.now(app.clock.as_ref());
    Ok(Context { workspace, now, written_at: app.clock.now(), ..context })
}

/// Who asks.
pub(crate) fn actor<M>(request: &Request<M>) -> Result<Actor, Status> {
    let caller: &Arc<_> = call::caller(request)?;
    let kind = if caller.internal { ActorKind::Service } else { ActorKind::Key };
    Ok(Actor { kind, id: caller.actor.clone(), on_behalf_of: String::new() })
}

/// The status of a request with violations; `Ok(value)` without any.
pub(crate) fn valid<T>(violations: Violations, value: Option<T>) -> Result<T, Status> {
    match value {
        Some(value) if violations.is_empty() => Ok(value),
        _ => Err(into_status(IngestionFault::Invalid(violations))),
    }
}

/// The page a list request asks for; `filter` is what its token is bound to besides the call and the workspace.
pub(crate) fn page(size: i32, token: &str, binding: [u8; 8], violations: &mut Violations) -> Option<Page> {
    match Page::parse(size, token, binding) {
        Ok(page) => Some(page),
        Err(fault) => {
            let field = if fault == PageError::Size { "page_size" } else { "page_token" };
            violations.add(field, reason::NOT_A_PAGE, fault.to_string());
            None
        }
    }
}

/// What a page token is bound to: the call, the workspace, and the filter and order as bytes.
pub(crate) fn binding(rpc: &str, context: &Context, filter: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(rpc.as_bytes()).update(context.id().0.as_bytes()).update(filter);
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    first
}

/// As [`page`], where nothing else can be wrong.
pub(crate) fn parse_page(size: i32, token: &str, bound: [u8; 8]) -> Result<Page, Status> {
    let mut violations = Violations::new();
    let asked = page(size, token, bound, &mut violations);
    valid(violations, asked)
}

/// The id that a page goes on after.
pub(crate) fn after(page: &Page) -> Option<Uuid> {
    Uuid::from_slice(&page.after).ok()
}

/// The token of the page after one of `found` rows; empty where this was the last.
pub(crate) fn next_token(page: &Page, bound: [u8; 8], found: usize, last: Option<Uuid>) -> String {
    let full = u32::try_from(found).is_ok_and(|found| found == page.size);
    last.filter(|_| full).map(|last| Page::token(bound, last.as_bytes())).unwrap_or_default()
}

/// What makes a request repeatable: its id, with a hash over all of it. Nothing where it has no id.
pub(crate) fn repeat<'a, T>(
    rpc: &'static str,
    id: &'a str,
    message: &impl Message,
    encode: &'a (dyn Fn(&T) -> Vec<u8> + Send + Sync),
) -> Result<Option<Repeat<'a, T>>, Status> {
    let mut violations = Violations::new();
    if let Err(wrong) = request_id(id.to_owned()) {
        violations.add("request_id", wrong.reason, wrong.description);
    }
    valid(violations, Some(()))?;
    let body_hash = *blake3::hash(&message.encode_to_vec()).as_bytes();
    Ok((!id.is_empty()).then_some(Repeat { rpc, id, body_hash, encode }))
}

/// The answer to what was done now, or the one that was kept of the first time.
pub(crate) fn answer<T, M: Message + Default>(
    answered: Answered<T>,
    response: impl FnOnce(T) -> M,
) -> Result<Response<M>, Status> {
    let message = match answered {
        Answered::First(answer) => response(answer),
        Answered::Again(kept) => {
            M::decode(kept.as_slice()).map_err(|fault| into_status(IngestionFault::unreadable(fault)))?
        }
    };
    Ok(Response::new(message))
}
