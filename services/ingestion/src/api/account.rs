//! Accounts, contracts, people, conversations, cancellations: put, read, listed.

use std::sync::Arc;

use keizoku_base::{AccountId, Violations};
use keizoku_convert::{money, parse_account, reason};
use keizoku_proto::ingestion as proto;
use keizoku_proto::server::ingestion::account_service_server::AccountService;
use keizoku_runtime::status::into_status;
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::item::{account, cancellation, contact, contract, conversation, user};
use super::{after, binding, context, coverage, next_token, parse_page, timeline, valid};
use crate::app::context::Context;
use crate::app::put::{Intent, Outcome, Put};
use crate::app::{App, accounts, cancellations, contacts, contracts, conversations, users, views};
use crate::domain::account::ITEMS_MOST;
use crate::domain::key::NAME_MOST;
use crate::error::IngestionFault;

/// What customers are, signed and said.
pub struct AccountApi(pub Arc<App>);

/// Reads a Put request, calls the use case, answers: the same for every kind of item.
macro_rules! put {
    ($api:ident, $request:ident, $item:path => $use_case:path, $response:ident) => {{
        let context = context(&$api.0, &$request).await?;
        let message = $request.into_inner();
        let (context, intent) = opened(context, message.items.len(), message.validate_only, &message.on_behalf_of)?;
        let drafts = message.items.into_iter().map($item).collect();
        let put = $use_case(&$api.0, &context, drafts, intent).await.map_err(into_status)?;
        let (results, position) = answer(put);
        Ok(Response::new(proto::$response { results, position: position.into() }))
    }};
}

#[tonic::async_trait]
impl AccountService for AccountApi {
    async fn put_accounts(
        &self,
        request: Request<proto::PutAccountsRequest>,
    ) -> Result<Response<proto::PutAccountsResponse>, Status> {
        put!(self, request, account => accounts::put, PutAccountsResponse)
    }

    async fn put_contracts(
        &self,
        request: Request<proto::PutContractsRequest>,
    ) -> Result<Response<proto::PutContractsResponse>, Status> {
        put!(self, request, contract => contracts::put, PutContractsResponse)
    }

    async fn put_contacts(
        &self,
        request: Request<proto::PutContactsRequest>,
    ) -> Result<Response<proto::PutContactsResponse>, Status> {
        put!(self, request, contact => contacts::put, PutContactsResponse)
    }

    async fn put_users(
        &self,
        request: Request<proto::PutUsersRequest>,
    ) -> Result<Response<proto::PutUsersResponse>, Status> {
        put!(self, request, user => users::put, PutUsersResponse)
    }

    async fn put_conversations(
        &self,
        request: Request<proto::PutConversationsRequest>,
    ) -> Result<Response<proto::PutConversationsResponse>, Status> {
        put!(self, request, conversation => conversations::put, PutConversationsResponse)
    }

    async fn put_cancellations(
        &self,
        request: Request<proto::PutCancellationsRequest>,
    ) -> Result<Response<proto::PutCancellationsResponse>, Status> {
        put!(self, request, cancellation => cancellations::put, PutCancellationsResponse)
    }

    async fn get_account(
        &self,
        request: Request<proto::GetAccountRequest>,
    ) -> Result<Response<proto::GetAccountResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let mut violations = Violations::new();
        let named = parse_account(request.get_ref().account.as_ref(), "account", &mut violations);
        let named = valid(violations, named)?;
        let whole = accounts::get(&self.0, &context, &named).await.map_err(into_status)?;
        Ok(Response::new(proto::GetAccountResponse {
            account: Some(views::account(&whole.account)),
            contracts: whole.contracts.iter().map(views::contract).collect(),
            contacts: whole.contacts.iter().map(views::contact).collect(),
            monthly_revenue: whole.monthly.iter().map(money).collect(),
            position: whole.position.into(),
        }))
    }

    async fn list_accounts(
        &self,
        request: Request<proto::ListAccountsRequest>,
    ) -> Result<Response<proto::ListAccountsResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let message = request.into_inner();
        let filter = accounts::Filter { name_contains: message.name_contains, stub: message.stub };
        check_search("name_contains", &filter.name_contains, NAME_MOST)?;
        let bound =
            binding("ListAccounts", &context, format!("{:?}", (&filter.stub, &filter.name_contains)).as_bytes());
        let page = parse_page(message.page_size, &message.page_token, bound)?;
        let after = after(&page).map(AccountId);
        let found = accounts::list(&self.0, &context, &filter, after, page.size).await.map_err(into_status)?;
        let next_page_token = next_token(&page, bound, found.len(), found.last().map(|account| account.id().0));
        Ok(Response::new(proto::ListAccountsResponse {
            accounts: found.iter().map(views::account).collect(),
            next_page_token,
        }))
    }

    async fn list_timeline(
        &self,
        request: Request<proto::ListTimelineRequest>,
    ) -> Result<Response<proto::ListTimelineResponse>, Status> {
        let context = context(&self.0, &request).await?;
        timeline::list(&self.0, &context, &request.into_inner()).await.map(Response::new)
    }

    async fn get_coverage(
        &self,
        request: Request<proto::GetCoverageRequest>,
    ) -> Result<Response<proto::GetCoverageResponse>, Status> {
        let context = context(&self.0, &request).await?;
        coverage::get(&self.0, &context, request.get_ref()).await.map(Response::new)
    }
}

/// Refuses a text to search for that is too long or that no text can hold.
pub(crate) fn check_search(field: &str, text: &str, most: usize) -> Result<(), Status> {
    let mut violations = Violations::new();
    if text.chars().count() > most {
        violations.add(field, reason::TOO_LONG, format!("must have at most {most} characters"));
    }
    if text.contains('\0') {
        violations.add(field, crate::domain::reason::HOLDS_NUL, "must not hold the character U+0000");
    }
    valid(violations, Some(()))
}

/// What holds for every Put call.
fn opened(
    context: Context,
    items: usize,
    validate_only: bool,
    on_behalf_of: &str,
) -> Result<(Context, Intent), Status> {
    let mut violations = Violations::new();
    if items == 0 {
        violations.add("items", reason::REQUIRED, "must hold at least one item");
    }
    if items > ITEMS_MOST {
        violations.add("items", reason::TOO_MANY, format!("holds {items} items; at most {ITEMS_MOST}"));
    }
    if on_behalf_of.chars().count() > NAME_MOST {
        violations.add("on_behalf_of", reason::TOO_LONG, format!("must have at most {NAME_MOST} characters"));
    }
    let intent = if validate_only { Intent::Check } else { Intent::Store };
    valid(violations, Some((context.on_behalf_of(on_behalf_of), intent)))
}

fn answer(put: Put) -> (Vec<proto::ItemResult>, Vec<u8>) {
    (put.results.into_iter().map(result).collect(), put.position)
}

fn result(outcome: Outcome) -> proto::ItemResult {
    let (outcome, id, status) = match outcome {
        Outcome::Stored(id) => (proto::Outcome::Stored, id, None),
        Outcome::Duplicate(id) => (proto::Outcome::Duplicate, id, None),
        Outcome::Rejected(violations) => (proto::Outcome::Rejected, String::new(), Some(refusal(violations))),
    };
    proto::ItemResult { id, outcome: outcome.into(), status }
}

/// The status that a call for this item alone would end with.
pub(crate) fn refusal(violations: Violations) -> tonic_types::pb::Status {
    let status = into_status(IngestionFault::Invalid(violations));
    tonic_types::pb::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::pb::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}
