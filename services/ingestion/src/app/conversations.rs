//! Conversations as sources tell them.

use keizoku_base::id::ConversationId;
use keizoku_storage::Scope;

use super::context::Context;
use super::put::{self, Intent, Put, Rules};
use super::{App, changes};
use crate::domain::account::{ConversationDetails, ConversationDraft, NewConversation};
use crate::error::IngestionFault;
use crate::store::conversation;

const RULES: Rules<NewConversation, ConversationDetails> = Rules {
    external: |item| &item.external_id,
    onto: NewConversation::onto,
    content: ConversationDetails::content,
    new_id: |now| ConversationId::generate(now).0,
    shown: |id| ConversationId(id).to_string(),
};

/// Adds or changes conversations.
///
/// # Errors
/// As the database; then nothing is stored.
pub async fn put(
    app: &App,
    context: &Context,
    drafts: Vec<ConversationDraft>,
    intent: Intent,
) -> Result<Put, IngestionFault> {
    let checked = drafts.into_iter().map(|draft| NewConversation::check(draft, context.now)).collect();
    let account = |item: &NewConversation| vec![("account".to_owned(), item.account.clone())];
    let ready = put::resolve(app, context, checked, account, intent).await?;
    let names = put::names(&ready, RULES.external);
    let scope = Scope::Workspace(context.id());
    if intent == Intent::Check {
        let tx = app.db.read("conversations.check", scope).await?;
        let before = conversation::named(&tx, context.id(), &names, false).await?;
        let known = before.iter().map(|told| (RULES.shown)(told.id)).collect();
        return Ok(Put::checked(put::decide(context, &ready, before, &RULES).results, &known));
    }
    app.db
        .transact("conversations.put", scope, async |tx| {
            let before = conversation::named(&tx, context.id(), &names, true).await?;
            let decided = put::decide(context, &ready, before, &RULES);
            conversation::save(&tx, context.id(), &decided.changed).await?;
            let mut drafts: Vec<_> = decided.changed.iter().map(|told| changes::conversation(context, told)).collect();
            drafts.extend(changes::gone(context, changes::CONVERSATION, &decided.left));
            let position = changes::append(&tx, context, drafts).await?;
            Ok(Put { results: decided.results, position })
        })
        .await
}
