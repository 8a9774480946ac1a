//! Conversations.

use keizoku_proto::ingestion::ConversationItem;

use crate::import::mapping::check::Checker;
use crate::import::mapping::draft::ConversationDraft;
use crate::import::mapping::field::{AtInstant, Field, Fields, Flag, Plain};
use crate::import::mapping::named::Named;

use super::Sources;

#[derive(Debug, Clone)]
pub(super) struct ConversationTarget {
    id: Field<Plain>,
    account: Field<Plain>,
    channel: Field<Plain>,
    subject: Option<Field<Plain>>,
    text: Option<Field<Plain>>,
    started_by_customer: Option<Field<Flag>>,
    opened_at: Field<AtInstant>,
    closed_at: Option<Field<AtInstant>>,
    first_reply_at: Option<Field<AtInstant>>,
    attributes: Vec<Named>,
}

impl ConversationTarget {
    pub(super) fn compile(draft: &ConversationDraft, checker: &mut Checker<'_>) -> Self {
        Self {
            id: checker.id(&draft.id),
            account: checker.plain("account", &draft.account),
            channel: checker.plain("channel", &draft.channel),
            subject: draft.subject.as_ref().map(|text| checker.plain("subject", text)),
            text: draft.text.as_ref().map(|text| checker.plain("text", text)),
            started_by_customer: draft
                .started_by_customer
                .as_ref()
                .map(|text| checker.flag("started_by_customer", text)),
            opened_at: checker.instant("opened_at", &draft.opened_at),
            closed_at: draft.closed_at.as_ref().map(|text| checker.instant("closed_at", text)),
            first_reply_at: draft.first_reply_at.as_ref().map(|text| checker.instant("first_reply_at", text)),
            attributes: checker.named("attributes", &draft.attributes, true),
        }
    }

    pub(super) fn make(&self, fields: &mut Fields<'_>, sources: &Sources) -> Option<ConversationItem> {
        let (id, account) = (fields.required(&self.id), fields.required(&self.account));
        let channel = fields.required(&self.channel);
        let subject = fields.optional(self.subject.as_ref()).unwrap_or_default();
        let text = fields.optional(self.text.as_ref()).unwrap_or_default();
        let started_by_customer = fields.optional(self.started_by_customer.as_ref()).unwrap_or_default();
        let opened_at = fields.required(&self.opened_at).map(keizoku_convert::timestamp);
        let closed_at = fields.optional(self.closed_at.as_ref()).map(keizoku_convert::timestamp);
        let first_reply_at = fields.optional(self.first_reply_at.as_ref()).map(keizoku_convert::timestamp);
        let attributes = self.attributes.iter().filter_map(|named| named.attribute(fields)).collect();
        Some(ConversationItem {
            external_id: Some(sources.external(id?)),
            account: Some(sources.account(account?)),
            channel: channel?,
            subject,
            text,
            started_by_customer,
            opened_at,
            closed_at,
            first_reply_at,
            attributes,
        })
    }
}
