//! What was received from a source: sent = stored + duplicate + rejected.

use keizoku_base::Micros;
use keizoku_storage::Scope;

use super::App;
use super::context::Context;
use crate::domain::key::Key;
use crate::error::IngestionFault;
use crate::store::event;

/// An hour in microseconds.
pub const HOUR: i64 = 3600 * Micros::SECOND;

/// What was received in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The hour.
    pub hour: Micros,
    /// How many items were stored.
    pub stored: i64,
    /// How many were there already.
    pub duplicate: i64,
    /// How many were rejected.
    pub rejected: i64,
}

/// What was received from a source, hour by hour, by time of arrival.
///
/// # Errors
/// As the database.
pub async fn read(
    app: &App,
    context: &Context,
    source: &Key,
    from: Micros,
    until: Micros,
) -> Result<Vec<Receipt>, IngestionFault> {
    let tx = app.db.read("receipts.read", Scope::Workspace(context.id())).await?;
    let hours = event::receipts(&tx, context.id(), source.as_str(), from, until).await?;
    let receipt = |(hour, counts): &(Micros, event::Counts)| Receipt {
        hour: *hour,
        stored: counts.stored,
        duplicate: counts.duplicate,
        rejected: counts.rejected,
    };
    Ok(hours.iter().map(receipt).collect())
}

/// The hour an instant lies in.
pub fn hour(at: Micros) -> Micros {
    Micros(at.0 - at.0.rem_euclid(HOUR))
}
