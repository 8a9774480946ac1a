//! What feeds carry: ingestion's changes as scoring reads them, and scoring's own.

mod arrived;
mod document;
mod facts;
mod health;
mod heard;

pub(crate) use arrived::{Arrived, What, decode};
pub use document::Document;
pub(crate) use document::{document, revive};
pub(crate) use facts::{Known, definition, known};
pub(crate) use health::{Cause, gone, health, listed_health, listed_model, model};
pub(crate) use heard::{ACCOUNT_HEALTH, health_of, subject};

use keizoku_proto::ingestion::ChangeKind;

/// The kind of a part that is the account itself.
pub(crate) const ACCOUNT: i16 = ChangeKind::Account as i16;
/// The kind of a part that is a person.
pub(crate) const CONTACT: i16 = ChangeKind::Contact as i16;
/// The kind of a part that is a contract.
pub(crate) const CONTRACT: i16 = ChangeKind::Contract as i16;
/// The kind of a part that says how a source covers the account.
pub(crate) const ACCOUNT_SOURCE: i16 = ChangeKind::AccountSource as i16;
