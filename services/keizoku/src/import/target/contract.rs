//! Contracts and cancellations.

use keizoku_proto::ingestion::{CancellationItem, ContractItem};

use crate::import::mapping::check::Checker;
use crate::import::mapping::draft::{CancellationDraft, ContractDraft};
use crate::import::mapping::field::{Amount, AtInstant, Field, Fields, Flag, OnDay, Plain, Whole};
use crate::import::mapping::named::Named;

use super::Sources;

#[derive(Debug, Clone)]
pub(super) struct ContractTarget {
    id: Field<Plain>,
    accounts: Vec<Field<Plain>>,
    plan: Option<Field<Plain>>,
    trial: Option<Field<Flag>>,
    amount: Option<Amount>,
    seats: Option<Field<Whole>>,
    starts_on: Field<OnDay>,
    ends_on: Option<Field<OnDay>>,
    renews_automatically: Option<Field<Flag>>,
    renewal_ordinal: Option<Field<Whole>>,
    attributes: Vec<Named>,
    known_at: Option<Field<AtInstant>>,
}

impl ContractTarget {
    pub(super) fn compile(draft: &ContractDraft, checker: &mut Checker<'_>) -> Self {
        if draft.accounts.0.is_empty() {
            checker.wrong("accounts", "needs at least the account that pays");
        }
        Self {
            id: checker.id(&draft.id),
            accounts: draft.accounts.0.iter().map(|text| checker.plain("accounts", text)).collect(),
            plan: draft.plan.as_ref().map(|text| checker.plain("plan", text)),
            trial: draft.trial.as_ref().map(|text| checker.flag("trial", text)),
            amount: draft.amount.as_ref().map(|amount| checker.amount("amount", amount)),
            seats: draft.seats.as_ref().map(|text| checker.whole("seats", text)),
            starts_on: checker.day("starts_on", &draft.starts_on),
            ends_on: draft.ends_on.as_ref().map(|text| checker.day("ends_on", text)),
            renews_automatically: draft
                .renews_automatically
                .as_ref()
                .map(|text| checker.flag("renews_automatically", text)),
            renewal_ordinal: draft.renewal_ordinal.as_ref().map(|text| checker.whole("renewal_ordinal", text)),
            attributes: checker.named("attributes", &draft.attributes, true),
            known_at: draft.known_at.as_ref().map(|text| checker.instant("known_at", text)),
        }
    }

    pub(super) fn make(&self, fields: &mut Fields<'_>, sources: &Sources) -> Option<ContractItem> {
        let id = fields.required(&self.id);
        let payer = self.accounts.first().and_then(|account| fields.required(account));
        let others = self.accounts.iter().skip(1).filter_map(|account| fields.optional(Some(account)));
        let accounts = payer.into_iter().chain(others.collect::<Vec<_>>()).map(|id| sources.account(id)).collect();
        let plan = fields.optional(self.plan.as_ref()).unwrap_or_default();
        let trial = fields.optional(self.trial.as_ref()).unwrap_or_default();
        let amount = fields.amount(self.amount.as_ref()).map(|money| keizoku_convert::money(&money));
        let seats = fields.optional(self.seats.as_ref());
        let starts_on = fields.required(&self.starts_on).map(keizoku_convert::date);
        let ends_on = fields.optional(self.ends_on.as_ref()).map(keizoku_convert::date);
        let renews_automatically = fields.optional(self.renews_automatically.as_ref());
        let renewal_ordinal = fields.optional(self.renewal_ordinal.as_ref());
        let attributes = self.attributes.iter().filter_map(|named| named.attribute(fields)).collect();
        let known_at = fields.optional(self.known_at.as_ref()).map(keizoku_convert::timestamp);
        Some(ContractItem {
            external_id: Some(sources.external(id?)),
            accounts,
            plan,
            trial,
            amount,
            seats,
            starts_on,
            ends_on,
            renews_automatically,
            renewal_ordinal: renewal_ordinal.map(|ordinal| i32::try_from(ordinal).unwrap_or(i32::MAX)),
            attributes,
            known_at,
        })
    }
}

#[derive(Debug, Clone)]
pub(super) struct CancellationTarget {
    id: Field<Plain>,
    account: Field<Plain>,
    contract: Option<Field<Plain>>,
    effective_on: Field<OnDay>,
    reason: Option<Field<Plain>>,
    comment: Option<Field<Plain>>,
    refund: Option<Amount>,
    after_reactivation: Option<Field<Flag>>,
    attributes: Vec<Named>,
}

impl CancellationTarget {
    pub(super) fn compile(draft: &CancellationDraft, checker: &mut Checker<'_>) -> Self {
        Self {
            id: checker.id(&draft.id),
            account: checker.plain("account", &draft.account),
            contract: draft.contract.as_ref().map(|text| checker.plain("contract", text)),
            effective_on: checker.day("effective_on", &draft.effective_on),
            reason: draft.reason.as_ref().map(|text| checker.plain("reason", text)),
            comment: draft.comment.as_ref().map(|text| checker.plain("comment", text)),
            refund: draft.refund.as_ref().map(|amount| checker.amount("refund", amount)),
            after_reactivation: draft.after_reactivation.as_ref().map(|text| checker.flag("after_reactivation", text)),
            attributes: checker.named("attributes", &draft.attributes, true),
        }
    }

    pub(super) fn make(&self, fields: &mut Fields<'_>, sources: &Sources) -> Option<CancellationItem> {
        let (id, account) = (fields.required(&self.id), fields.required(&self.account));
        let contract = fields.optional(self.contract.as_ref());
        let effective_on = fields.required(&self.effective_on).map(keizoku_convert::date);
        let reason = fields.optional(self.reason.as_ref()).unwrap_or_default();
        let comment = fields.optional(self.comment.as_ref()).unwrap_or_default();
        let refund = fields.amount(self.refund.as_ref()).map(|money| keizoku_convert::money(&money));
        let after_reactivation = fields.optional(self.after_reactivation.as_ref()).unwrap_or_default();
        let attributes = self.attributes.iter().filter_map(|named| named.attribute(fields)).collect();
        Some(CancellationItem {
            external_id: Some(sources.external(id?)),
            account: Some(sources.account(account?)),
            contract_external_id: contract.map(|id| sources.external(id)),
            effective_on,
            reason,
            comment,
            refund,
            after_reactivation,
            attributes,
        })
    }
}
