//! Accounts, contacts and users.

use keizoku_proto::ingestion::{AccountItem, ContactItem, UserItem};

use crate::import::mapping::check::Checker;
use crate::import::mapping::draft::{AccountDraft, ContactDraft, UserDraft};
use crate::import::mapping::field::{Field, Fields, OnDay, Plain};
use crate::import::mapping::named::Named;

use super::Sources;

#[derive(Debug, Clone)]
pub(super) struct AccountTarget {
    id: Field<Plain>,
    display_name: Option<Field<Plain>>,
    parent: Option<Field<Plain>>,
    attributes: Vec<Named>,
}

impl AccountTarget {
    pub(super) fn compile(draft: &AccountDraft, checker: &mut Checker<'_>) -> Self {
        Self {
            id: checker.id(&draft.id),
            display_name: draft.display_name.as_ref().map(|text| checker.plain("display_name", text)),
            parent: draft.parent.as_ref().map(|text| checker.plain("parent", text)),
            attributes: checker.named("attributes", &draft.attributes, true),
        }
    }

    pub(super) fn make(&self, fields: &mut Fields<'_>, sources: &Sources) -> Option<AccountItem> {
        let id = fields.required(&self.id);
        let display_name = fields.optional(self.display_name.as_ref());
        let parent = fields.optional(self.parent.as_ref());
        let attributes = self.attributes.iter().filter_map(|named| named.attribute(fields)).collect();
        let mut external = sources.external(id?);
        external.source.clone_from(&sources.account);
        Some(AccountItem {
            external_id: Some(external),
            same_as: None,
            display_name,
            parent: parent.map(|id| sources.account(id)),
            attributes,
        })
    }
}

#[derive(Debug, Clone)]
pub(super) struct ContactTarget {
    id: Field<Plain>,
    account: Field<Plain>,
    display_name: Option<Field<Plain>>,
    email: Option<Field<Plain>>,
    role: Option<Field<Plain>>,
    joined_on: Option<Field<OnDay>>,
    left_on: Option<Field<OnDay>>,
}

impl ContactTarget {
    pub(super) fn compile(draft: &ContactDraft, checker: &mut Checker<'_>) -> Self {
        Self {
            id: checker.id(&draft.id),
            account: checker.plain("account", &draft.account),
            display_name: draft.display_name.as_ref().map(|text| checker.plain("display_name", text)),
            email: draft.email.as_ref().map(|text| checker.plain("email", text)),
            role: draft.role.as_ref().map(|text| checker.plain("role", text)),
            joined_on: draft.joined_on.as_ref().map(|text| checker.day("joined_on", text)),
            left_on: draft.left_on.as_ref().map(|text| checker.day("left_on", text)),
        }
    }

    pub(super) fn make(&self, fields: &mut Fields<'_>, sources: &Sources) -> Option<ContactItem> {
        let (id, account) = (fields.required(&self.id), fields.required(&self.account));
        let display_name = fields.optional(self.display_name.as_ref()).unwrap_or_default();
        let email = fields.optional(self.email.as_ref()).unwrap_or_default();
        let role = fields.optional(self.role.as_ref()).unwrap_or_default();
        let joined_on = fields.optional(self.joined_on.as_ref()).map(keizoku_convert::date);
        let left_on = fields.optional(self.left_on.as_ref()).map(keizoku_convert::date);
        Some(ContactItem {
            external_id: Some(sources.external(id?)),
            account: Some(sources.account(account?)),
            display_name,
            email,
            role,
            joined_on,
            left_on,
        })
    }
}

#[derive(Debug, Clone)]
pub(super) struct UserTarget {
    id: Field<Plain>,
    account: Field<Plain>,
    display_name: Option<Field<Plain>>,
}

impl UserTarget {
    pub(super) fn compile(draft: &UserDraft, checker: &mut Checker<'_>) -> Self {
        Self {
            id: checker.id(&draft.id),
            account: checker.plain("account", &draft.account),
            display_name: draft.display_name.as_ref().map(|text| checker.plain("display_name", text)),
        }
    }

    pub(super) fn make(&self, fields: &mut Fields<'_>, sources: &Sources) -> Option<UserItem> {
        let (id, account) = (fields.required(&self.id), fields.required(&self.account));
        let display_name = fields.optional(self.display_name.as_ref()).unwrap_or_default();
        Some(UserItem {
            external_id: Some(sources.external(id?)),
            account: Some(sources.account(account?)),
            display_name,
        })
    }
}
