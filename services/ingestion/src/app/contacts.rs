//! Contacts as sources tell them.

use keizoku_base::id::ContactId;
use keizoku_storage::Scope;

use super::context::Context;
use super::put::{self, Intent, Put, Rules};
use super::{App, changes};
use crate::domain::account::{ContactDetails, ContactDraft, NewContact};
use crate::error::IngestionFault;
use crate::store::contact;

const RULES: Rules<NewContact, ContactDetails> = Rules {
    external: |item| &item.external_id,
    onto: |item, _| item.details,
    content: ContactDetails::content,
    new_id: |now| ContactId::generate(now).0,
    shown: |id| ContactId(id).to_string(),
};

/// Adds or changes contacts.
///
/// # Errors
/// As the database; then nothing is stored.
pub async fn put(
    app: &App,
    context: &Context,
    drafts: Vec<ContactDraft>,
    intent: Intent,
) -> Result<Put, IngestionFault> {
    let checked = drafts.into_iter().map(NewContact::check).collect();
    let account = |item: &NewContact| vec![("account".to_owned(), item.account.clone())];
    let ready = put::resolve(app, context, checked, account, intent).await?;
    let names = put::names(&ready, RULES.external);
    let scope = Scope::Workspace(context.id());
    if intent == Intent::Check {
        let tx = app.db.read("contacts.check", scope).await?;
        let before = contact::named(&tx, context.id(), &names, false).await?;
        let known = before.iter().map(|told| (RULES.shown)(told.id)).collect();
        return Ok(Put::checked(put::decide(context, &ready, before, &RULES).results, &known));
    }
    app.db
        .transact("contacts.put", scope, async |tx| {
            let before = contact::named(&tx, context.id(), &names, true).await?;
            let decided = put::decide(context, &ready, before, &RULES);
            contact::save(&tx, context.id(), &decided.changed).await?;
            let mut drafts: Vec<_> = decided.changed.iter().map(|told| changes::contact(context, told)).collect();
            drafts.extend(changes::gone(context, changes::CONTACT, &decided.left));
            let position = changes::append(&tx, context, drafts).await?;
            Ok(Put { results: decided.results, position })
        })
        .await
}
