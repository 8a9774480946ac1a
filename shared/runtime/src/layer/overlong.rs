//! Says over-long messages as RESOURCE_EXHAUSTED with the limit: tonic refuses them before any codec or handler sees them.

use super::{Call, Handler, Response};
use crate::status::name_the_limit;

pub(crate) struct Overlong<H> {
    pub(crate) next: H,
}

impl<H: Handler> Handler for Overlong<H> {
    async fn handle(&self, call: &mut Call) -> Response {
        let mut response = self.next.handle(call).await;
        name_the_limit(response.headers_mut());
        response
    }
}
