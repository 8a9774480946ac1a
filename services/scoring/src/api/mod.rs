//! The service's RPCs: parse everything or name everything wrong, call the use case, answer.

use keizoku_base::Violations;
use keizoku_base::page::{Page, PageError};
use keizoku_base::reference::is_key;
use keizoku_convert::reason;
use keizoku_runtime::context as call;
use keizoku_runtime::status::into_status;
use tonic::{Request, Status};

use crate::app::App;
use crate::app::context::{Actor, Context};
use crate::error::ScoringFault;

pub(crate) mod convert;
mod feed;
mod model;
mod score;

pub use feed::FeedApi;
pub use model::ModelApi;
pub use score::ScoreApi;

/// Who asks, for which workspace, at what time.
pub(crate) async fn context<M>(app: &App, request: &Request<M>) -> Result<Context, Status> {
    let id = call::workspace(request)?;
    let caller = call::caller(request)?;
    let actor = Actor { service: caller.internal, id: caller.actor.clone(), on_behalf_of: String::new() };
    let context = app.context(id).await.map_err(into_status)?;
    Ok(Context { actor: Some(actor), ..context })
}

/// The status of a request with violations; `Ok(value)` without any.
pub(crate) fn valid<T>(violations: Violations, value: Option<T>) -> Result<T, Status> {
    match value {
        Some(value) if violations.is_empty() => Ok(value),
        _ => Err(into_status(ScoringFault::Invalid(violations))),
    }
}

/// The page a list request asks for.
pub(crate) fn page(size: i32, token: &str, bound: [u8; 8], violations: &mut Violations) -> Option<Page> {
    match Page::parse(size, token, bound) {
        Ok(page) => Some(page),
        Err(fault) => {
            let field = if fault == PageError::Size { "page_size" } else { "page_token" };
            violations.add(field, reason::NOT_A_PAGE, fault.to_string());
            None
        }
    }
}

/// What a token is bound to: the call, the workspace, and the parts of filter and order, each kept apart.
pub(crate) fn binding(rpc: &str, workspace: keizoku_base::WorkspaceId, parts: &[&[u8]]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(rpc.as_bytes()).update(workspace.0.as_bytes());
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes()).update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    first
}

/// The model that a request names; `None`: the primary one.
pub(crate) fn model(name: &str, violations: &mut Violations) -> Option<String> {
    if name.is_empty() {
        return None;
    }
    if !is_key(name) {
        let text = "must be 1 to 63 lower-case letters, digits and underscores, a letter first";
        violations.add("model", reason::NOT_A_KEY, text);
    }
    Some(name.to_owned())
}
