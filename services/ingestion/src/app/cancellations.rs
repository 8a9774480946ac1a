//! Cancellations as sources tell them.

use keizoku_base::id::CancellationId;
use keizoku_storage::Scope;

use super::context::Context;
use super::put::{self, Intent, Put, Rules};
use super::{App, changes};
use crate::domain::account::{CancellationDetails, CancellationDraft, NewCancellation};
use crate::error::IngestionFault;
use crate::store::cancellation;

const RULES: Rules<NewCancellation, CancellationDetails> = Rules {
    external: |item| &item.external_id,
    onto: NewCancellation::onto,
    content: CancellationDetails::content,
    new_id: |now| CancellationId::generate(now).0,
    shown: |id| CancellationId(id).to_string(),
};

/// Adds or changes cancellations.
///
/// # Errors
/// As the database; then nothing is stored.
pub async fn put(
    app: &App,
    context: &Context,
    drafts: Vec<CancellationDraft>,
    intent: Intent,
) -> Result<Put, IngestionFault> {
    let checked = drafts.into_iter().map(|draft| NewCancellation::check(draft, context.now)).collect();
    let account = |item: &NewCancellation| vec![("account".to_owned(), item.account.clone())];
    let ready = put::resolve(app, context, checked, account, intent).await?;
    let names = put::names(&ready, RULES.external);
    let scope = Scope::Workspace(context.id());
    if intent == Intent::Check {
        let tx = app.db.read("cancellations.check", scope).await?;
        let before = cancellation::named(&tx, context.id(), &names, false).await?;
        let known = before.iter().map(|told| (RULES.shown)(told.id)).collect();
        return Ok(Put::checked(put::decide(context, &ready, before, &RULES).results, &known));
    }
    app.db
        .transact("cancellations.put", scope, async |tx| {
            let before = cancellation::named(&tx, context.id(), &names, true).await?;
            let decided = put::decide(context, &ready, before, &RULES);
            cancellation::save(&tx, context.id(), &decided.changed).await?;
            let mut drafts: Vec<_> = decided.changed.iter().map(|told| changes::cancellation(context, told)).collect();
            drafts.extend(changes::gone(context, changes::CANCELLATION, &decided.left));
            let position = changes::append(&tx, context, drafts).await?;
            Ok(Put { results: decided.results, position })
        })
        .await
}
