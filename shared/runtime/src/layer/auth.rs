//! Asks who calls, and whether they may call this method.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use keizoku_base::WorkspaceId;

use super::method::Access;
use super::{Call, Handler, Response, refuse};
use crate::auth::{ACTOR_HEADER, AuthFault, Authenticator, Caller, INTERNAL_PREFIX, INTERNAL_SCOPE, WORKSPACE_HEADER};
use crate::config::Secret;

pub(crate) struct Authenticated<H> {
    authenticator: Arc<dyn Authenticator>,
    internal_token: Option<Vec<u8>>,
    next: H,
}

impl<H> Authenticated<H> {
    pub(crate) fn new(authenticator: Arc<dyn Authenticator>, internal_token: &Secret, next: H) -> Self {
        let token = internal_token.reveal();
        let token = token.strip_prefix(INTERNAL_PREFIX).unwrap_or(token);
        Self { authenticator, internal_token: (!token.is_empty()).then(|| token.as_bytes().to_vec()), next }
    }

    async fn authenticate(&self, headers: &HeaderMap, trusted: bool) -> Result<Arc<Caller>, AuthFault> {
        match bearer(headers)? {
            Some(bearer) => match bearer.strip_prefix(INTERNAL_PREFIX) {
                Some(token) if self.is_internal(token) => internal(headers),
                Some(_) => Err(AuthFault::Invalid),
                None => self.authenticator.authenticate(bearer).await,
            },
            None if trusted => internal(headers),
            None => Err(AuthFault::Missing),
        }
    }

    fn is_internal(&self, token: &str) -> bool {
        self.internal_token.as_deref().is_some_and(|known| equal_in_constant_time(known, token.as_bytes()))
    }
}

impl<H: Handler> Handler for Authenticated<H> {
    async fn handle(&self, call: &mut Call) -> Response {
        let scope = match &call.method.access {
            Access::Open => return self.next.handle(call).await,
            Access::Scope(scope) => scope,
        };
        match self.authenticate(call.request.headers(), call.peer.trusted).await {
            Ok(caller) if !caller.internal && !self.authenticator.vouches_for(scope) => {
                return refuse(&AuthFault::Stale);
            }
            Ok(caller) if caller.may(scope) => call.caller = Some(caller),
            Ok(_) => return refuse(&AuthFault::ScopeMissing { scope: scope.to_string() }),
            Err(fault) => return refuse(&fault),
        }
        self.next.handle(call).await
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, AuthFault> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().map_err(|_| AuthFault::Invalid)?;
    let (scheme, credential) = text.split_once(' ').ok_or(AuthFault::Invalid)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(Some(credential.trim())) } else { Err(AuthFault::Invalid) }
}

fn internal(headers: &HeaderMap) -> Result<Arc<Caller>, AuthFault> {
    let workspace = headers.get(WORKSPACE_HEADER).map(workspace).transpose()?;
    let actor = headers.get(ACTOR_HEADER).and_then(|value| value.to_str().ok()).filter(|actor| actor.len() <= 256);
    Ok(Arc::new(Caller {
        workspace,
        actor: actor.unwrap_or("service").to_owned(),
        scopes: vec![INTERNAL_SCOPE.to_owned()],
        internal: true,
        key: None,
    }))
}

fn workspace(value: &HeaderValue) -> Result<WorkspaceId, AuthFault> {
    value.to_str().ok().and_then(|text| text.parse().ok()).ok_or(AuthFault::WorkspaceMalformed)
}

/// Compares without telling by its duration how far the two agree.
fn equal_in_constant_time(known: &[u8], shown: &[u8]) -> bool {
    let differing = known.iter().zip(shown).fold(0_u8, |differing, (left, right)| differing | (left ^ right));
    known.len() == shown.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_equal_only_in_all_their_bytes() {
        assert!(equal_in_constant_time(b"token", b"token"));
        for wrong in [b"tokem".as_slice(), b"toke", b"tokens", b""] {
            assert!(!equal_in_constant_time(b"token", wrong));
        }
    }

    #[test]
    fn only_bearer_credentials_are_read() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(text));
            bearer(&headers).map(|found| found.map(str::to_owned)).ok()
        };
        assert_eq!(read("Bearer kz_x"), Some(Some("kz_x".to_owned())));
        assert_eq!(read("bearer kz_x"), Some(Some("kz_x".to_owned())));
        assert_eq!(read("Basic abc"), None);
        assert_eq!(read("kz_x"), None);
        assert!(matches!(bearer(&HeaderMap::new()), Ok(None)));
    }
}
