//! Hands the call to the service it is for.

use std::sync::Arc;

use tonic::Status;

use super::{Call, Handler, Response};
use crate::context::Admitted;

pub(crate) struct Dispatch;

impl Handler for Dispatch {
    async fn handle(&self, call: &mut Call) -> Response {
        let Some(route) = &call.method.route else {
            return Status::unimplemented("there is no such method here").into_http();
        };
        let mut request = std::mem::take(&mut call.request);
        request.extensions_mut().insert(Admitted { caller: call.caller.clone(), peer: Arc::clone(&call.peer) });
        match route.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
