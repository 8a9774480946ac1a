//! What has arrived.

use keizoku_base::Violations;
use keizoku_convert::{date, parse_account};
use keizoku_proto::ingestion as proto;
use keizoku_runtime::status::into_status;
use tonic::Status;

use super::valid;
use crate::app::App;
use crate::app::context::Context;
use crate::app::coverage::{self, Arrived};
use crate::domain::coverage::{EventKind, PropertySeen};

/// What has arrived, for all or for one account.
pub(crate) async fn get(
    app: &App,
    context: &Context,
    message: &proto::GetCoverageRequest,
) -> Result<proto::GetCoverageResponse, Status> {
    let mut violations = Violations::new();
    let named = message.account.as_ref().map(|account| parse_account(Some(account), "account", &mut violations));
    valid(violations, Some(()))?;
    let found = coverage::get(app, context, named.flatten().as_ref()).await.map_err(into_status)?;
    let kind =
        |(kind, count): &(&str, i64)| proto::KindCoverage { kind: (*kind).to_owned(), covered_account_count: *count };
    Ok(proto::GetCoverageResponse {
        account_count: found.account_count,
        kinds: found.kinds.iter().map(kind).collect(),
        events: found.events.iter().map(event).collect(),
        position: found.position.into(),
    })
}

fn event((kind, arrived): (&EventKind, &Arrived)) -> proto::EventCoverage {
    proto::EventCoverage {
        source: kind.source.clone(),
        name: kind.name.clone(),
        measurement: kind.measurement,
        covered_account_count: arrived.accounts,
        event_count: count(arrived.span.map_or(0, |span| span.count)),
        first_on: arrived.span.map(|span| date(span.first)),
        last_on: arrived.span.map(|span| date(span.last)),
        properties: arrived.properties.iter().map(property).collect(),
    }
}

fn property((key, seen): (&str, PropertySeen)) -> proto::PropertyCoverage {
    proto::PropertyCoverage {
        key: key.to_owned(),
        kinds: seen.kinds().map(|kind| kind.name().to_owned()).collect(),
        event_count: count(seen.count),
    }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
