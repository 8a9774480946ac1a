//! Workspaces, keys and staff.

use std::sync::Arc;

use keizoku_base::id::{KeyId, MemberId};
use keizoku_base::money::Currency;
use keizoku_base::reference::is_key;
use keizoku_base::{Micros, Violations, WorkspaceId, Zone};
use keizoku_control::{KeyRow, Kind, MemberRow, Rate, UnknownAccount, key_message, member_message, workspace_message};
use keizoku_convert::{parse_day, parse_instant, reason, timestamp};
use keizoku_proto::ingestion as proto;
use keizoku_proto::server::ingestion::control_service_server::ControlService;
use keizoku_runtime::context as call;
use keizoku_runtime::status::into_status;
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::{actor, after, answer, binding, context, next_token, parse_page, repeat, valid};
use crate::app::keys::NewKey;
use crate::app::members::MemberItem;
use crate::app::workspaces::{Created, NewWorkspace, WorkspaceUpdate};
use crate::app::{App, keys, members, workspaces};

/// The control plane's RPCs.
pub struct ControlApi(pub Arc<App>);

#[tonic::async_trait]
impl ControlService for ControlApi {
    async fn who_am_i(
        &self,
        request: Request<proto::WhoAmIRequest>,
    ) -> Result<Response<proto::WhoAmIResponse>, Status> {
        let caller = Arc::clone(call::caller(&request)?);
        let context = context(&self.0, &request).await?;
        Ok(Response::new(proto::WhoAmIResponse {
            workspace: Some(workspace_message(&context.workspace)),
            key_id: caller.key.map(|key| key.to_string()).unwrap_or_default(),
            scopes: caller.scopes.clone(),
            now: Some(timestamp(context.now)),
        }))
    }

    async fn create_workspace(
        &self,
        request: Request<proto::CreateWorkspaceRequest>,
    ) -> Result<Response<proto::CreateWorkspaceResponse>, Status> {
        let actor = actor(&request)?;
        let mut violations = Violations::new();
        let new = parse_new_workspace(request.get_ref(), &mut violations);
        let new = valid(violations, new)?;
        let asker = call::caller(&request)?.workspace;
        let encode = |made: &Created| created(made, String::new()).encode_to_vec();
        let again = repeat("CreateWorkspace", &request.get_ref().request_id, request.get_ref(), &encode)?;
        let again = asker.zip(again.as_ref());
        let made = workspaces::create(&self.0, &actor, new, None, again).await.map_err(into_status)?;
        answer(made, |made| created(&made, made.secret.clone()))
    }

    async fn get_workspace(
        &self,
        request: Request<proto::GetWorkspaceRequest>,
    ) -> Result<Response<proto::GetWorkspaceResponse>, Status> {
        let context = context(&self.0, &request).await?;
        Ok(Response::new(proto::GetWorkspaceResponse { workspace: Some(workspace_message(&context.workspace)) }))
    }

    async fn list_workspaces(
        &self,
        request: Request<proto::ListWorkspacesRequest>,
    ) -> Result<Response<proto::ListWorkspacesResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let bound = binding("ListWorkspaces", &context, &[]);
        let asked = parse_page(request.get_ref().page_size, &request.get_ref().page_token, bound)?;
        let rows = workspaces::list(&self.0, after(&asked).map(WorkspaceId), asked.size).await.map_err(into_status)?;
        let token = next_token(&asked, bound, rows.len(), rows.last().map(|workspace| workspace.id.0));
        Ok(Response::new(proto::ListWorkspacesResponse {
            workspaces: rows.iter().map(workspace_message).collect(),
            next_page_token: token,
        }))
    }

    async fn update_workspace(
        &self,
        request: Request<proto::UpdateWorkspaceRequest>,
    ) -> Result<Response<proto::UpdateWorkspaceResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let mut violations = Violations::new();
        let update = parse_update(request.get_ref(), &mut violations);
        let update = valid(violations, update)?;
        let response = |(workspace, position): &workspaces::Changed| proto::UpdateWorkspaceResponse {
            workspace: Some(workspace_message(workspace)),
            position: position.clone().into(),
        };
        let encode = |changed: &workspaces::Changed| response(changed).encode_to_vec();
        let again = repeat("UpdateWorkspace", &request.get_ref().request_id, request.get_ref(), &encode)?;
        let changed = workspaces::update(&self.0, &context, &update, again.as_ref()).await.map_err(into_status)?;
        answer(changed, |changed| response(&changed))
    }

    async fn set_clock(
        &self,
        request: Request<proto::SetClockRequest>,
    ) -> Result<Response<proto::SetClockResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let mut violations = Violations::new();
        let to = match &request.get_ref().now {
            Some(now) => parse_instant(now, "now", &mut violations),
            None => {
                violations.add("now", reason::REQUIRED, "must be the time to set the clock to");
                None
            }
        };
        let to = valid(violations, to)?;
        let (workspace, position) = workspaces::set_clock(&self.0, &context, to).await.map_err(into_status)?;
        Ok(Response::new(proto::SetClockResponse {
            workspace: Some(workspace_message(&workspace)),
            position: position.into(),
        }))
    }

    async fn reset_workspace(
        &self,
        request: Request<proto::ResetWorkspaceRequest>,
    ) -> Result<Response<proto::ResetWorkspaceResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let confirm = &request.get_ref().confirm_display_name;
        let workspace = workspaces::reset(&self.0, &context, confirm).await.map_err(into_status)?;
        Ok(Response::new(proto::ResetWorkspaceResponse { workspace: Some(workspace_message(&workspace)) }))
    }

    async fn create_key(
        &self,
        request: Request<proto::CreateKeyRequest>,
    ) -> Result<Response<proto::CreateKeyResponse>, Status> {
        let held = call::caller(&request)?.scopes.clone();
        let context = context(&self.0, &request).await?;
        let mut violations = Violations::new();
        let new = parse_new_key(request.get_ref(), self.0.clock.now(), &mut violations);
        let new = valid(violations, new)?;
        let response = |key: &KeyRow, secret| proto::CreateKeyResponse { key: Some(key_message(key, false)), secret };
        let encode = |(key, _): &(KeyRow, String)| response(key, String::new()).encode_to_vec();
        let again = repeat("CreateKey", &request.get_ref().request_id, request.get_ref(), &encode)?;
        let made = keys::create(&self.0, &context, &held, &new, again.as_ref()).await.map_err(into_status)?;
        answer(made, |(key, secret)| response(&key, secret))
    }

    async fn list_keys(
        &self,
        request: Request<proto::ListKeysRequest>,
    ) -> Result<Response<proto::ListKeysResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let bound = binding("ListKeys", &context, &[]);
        let asked = parse_page(request.get_ref().page_size, &request.get_ref().page_token, bound)?;
        let rows = keys::list(&self.0, &context, after(&asked).map(KeyId), asked.size).await.map_err(into_status)?;
        let token = next_token(&asked, bound, rows.len(), rows.last().map(|row| row.key_id));
        Ok(Response::new(proto::ListKeysResponse {
            keys: rows.iter().map(|row| key_message(row, false)).collect(),
            next_page_token: token,
        }))
    }

    async fn revoke_key(
        &self,
        request: Request<proto::RevokeKeyRequest>,
    ) -> Result<Response<proto::RevokeKeyResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let mut violations = Violations::new();
        let id: Option<KeyId> = request.get_ref().key_id.parse().ok();
        if id.is_none() {
            violations.add("key_id", reason::NOT_AN_ID, "must be the id of a key, key_…");
        }
        let id = valid(violations, id)?;
        let (key, position) = keys::revoke(&self.0, &context, id).await.map_err(into_status)?;
        Ok(Response::new(proto::RevokeKeyResponse { key: Some(key_message(&key, false)), position: position.into() }))
    }

    async fn put_member(
        &self,
        request: Request<proto::PutMemberRequest>,
    ) -> Result<Response<proto::PutMemberResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let mut violations = Violations::new();
        let item = parse_member(request.get_ref(), &mut violations);
        let item = valid(violations, item)?;
        let response = |(member, position): &(MemberRow, Vec<u8>)| proto::PutMemberResponse {
            member: Some(member_message(member)),
            position: position.clone().into(),
        };
        let encode = |put: &(MemberRow, Vec<u8>)| response(put).encode_to_vec();
        let again = repeat("PutMember", &request.get_ref().request_id, request.get_ref(), &encode)?;
        let put = members::put(&self.0, &context, &item, again.as_ref()).await.map_err(into_status)?;
        answer(put, |put| response(&put))
    }

    async fn list_members(
        &self,
        request: Request<proto::ListMembersRequest>,
    ) -> Result<Response<proto::ListMembersResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let bound = binding("ListMembers", &context, &[]);
        let asked = parse_page(request.get_ref().page_size, &request.get_ref().page_token, bound)?;
        let rows =
            members::list(&self.0, &context, after(&asked).map(MemberId), asked.size).await.map_err(into_status)?;
        let token = next_token(&asked, bound, rows.len(), rows.last().map(|row| row.member_id));
        Ok(Response::new(proto::ListMembersResponse {
            members: rows.iter().map(member_message).collect(),
            next_page_token: token,
        }))
    }
}

fn created(made: &Created, secret: String) -> proto::CreateWorkspaceResponse {
    proto::CreateWorkspaceResponse {
        workspace: Some(workspace_message(&made.workspace)),
        key: Some(key_message(&made.key, false)),
        secret,
    }
}

fn parse_new_workspace(message: &proto::CreateWorkspaceRequest, violations: &mut Violations) -> Option<NewWorkspace> {
    check_name(&message.display_name, "display_name", violations);
    let kind = match message.kind() {
        proto::workspace::Kind::Live => Some(Kind::Live),
        proto::workspace::Kind::Test => Some(Kind::Test),
        proto::workspace::Kind::Unspecified => {
            violations.add("kind", reason::REQUIRED, "must be KIND_LIVE or KIND_TEST");
            None
        }
    };
    let zone = if message.time_zone.is_empty() { Some(Zone::UTC) } else { Zone::parse(&message.time_zone) };
    if zone.is_none() {
        violations.add("time_zone", reason::NOT_A_ZONE, "must be a name of the IANA database, e.g. Asia/Tokyo");
    }
    let settings = message.settings.clone().unwrap_or_default();
    let currency = if settings.reporting_currency.is_empty() { "USD" } else { &settings.reporting_currency };
    let currency = parse_currency(currency, "settings.reporting_currency", violations);
    let rates = parse_rates(&settings.rates, "settings.rates", violations);
    Some(NewWorkspace {
        display_name: message.display_name.clone(),
        kind: kind?,
        zone: zone?,
        unknown_account: unknown_account(&settings).unwrap_or(UnknownAccount::CreateStub),
        reporting_currency: currency?,
        rates,
        synthetic: message.synthetic,
    })
}

fn parse_update(message: &proto::UpdateWorkspaceRequest, violations: &mut Violations) -> Option<WorkspaceUpdate> {
    let new = message.workspace.clone().unwrap_or_default();
    let settings = new.settings.clone().unwrap_or_default();
    let mut update = WorkspaceUpdate::default();
    if !message.etag.is_empty() {
        update.version = message.etag.parse().ok();
        if update.version.is_none() {
            violations.add("etag", reason::OUT_OF_RANGE, "must be the etag of an earlier answer");
        }
    }
    for path in message.update_mask.iter().flat_map(|mask| &mask.paths) {
        match path.as_str() {
            "display_name" => {
                check_name(&new.display_name, "workspace.display_name", violations);
                update.display_name = Some(new.display_name.clone());
            }
            "settings.unknown_account" => update.unknown_account = unknown_account(&settings),
            "settings.reporting_currency" => {
                let field = "workspace.settings.reporting_currency";
                update.reporting_currency = parse_currency(&settings.reporting_currency, field, violations);
            }
            "settings.rates" => {
                update.rates = Some(parse_rates(&settings.rates, "workspace.settings.rates", violations));
            }
            other => {
                let text = format!("{other} cannot be changed; see the method's documentation for what can");
                violations.add("update_mask", reason::OUT_OF_RANGE, text);
            }
        }
    }
    if message.update_mask.as_ref().is_none_or(|mask| mask.paths.is_empty()) {
        violations.add("update_mask", reason::REQUIRED, "must name what to change");
    }
    Some(update)
}

fn parse_new_key(message: &proto::CreateKeyRequest, now: Micros, violations: &mut Violations) -> Option<NewKey> {
    check_name(&message.display_name, "display_name", violations);
    if message.scopes.is_empty() {
        violations.add("scopes", reason::REQUIRED, "must name at least one scope");
    }
    if message.scopes.len() > 100 {
        violations.add("scopes", reason::TOO_MANY, "must be at most 100");
    }
    for (index, scope) in message.scopes.iter().enumerate() {
        let known = scope.split_once(':').is_some_and(|(resource, verb)| is_key(resource) && is_key(verb));
        if scope != "*" && !known {
            violations.add(format!("scopes[{index}]"), reason::NOT_A_KEY, "must be * or resource:verb");
        }
    }
    let expires_at = message.expires_at.as_ref().and_then(|at| parse_instant(at, "expires_at", violations));
    if expires_at.is_some_and(|at| at <= now) {
        violations.add("expires_at", reason::OUT_OF_RANGE, "must lie in the future");
    }
    Some(NewKey { display_name: message.display_name.clone(), scopes: message.scopes.clone(), expires_at })
}

fn parse_member(message: &proto::PutMemberRequest, violations: &mut Violations) -> Option<MemberItem> {
    check_name(&message.display_name, "display_name", violations);
    let odd = |letter: char| letter.is_control() || letter.is_whitespace();
    if !(3..=255).contains(&message.email.len()) || !message.email.contains('@') || message.email.contains(odd) {
        violations.add("email", reason::OUT_OF_RANGE, "must be a mail address of 3 to 255 characters");
    }
    let left_at = message.left_at.as_ref().and_then(|at| parse_instant(at, "left_at", violations));
    Some(MemberItem { email: message.email.clone(), display_name: message.display_name.clone(), left_at })
}

fn unknown_account(settings: &proto::WorkspaceSettings) -> Option<UnknownAccount> {
    match settings.unknown_account() {
        proto::workspace_settings::UnknownAccount::Unspecified => None,
        proto::workspace_settings::UnknownAccount::CreateStub => Some(UnknownAccount::CreateStub),
        proto::workspace_settings::UnknownAccount::Reject => Some(UnknownAccount::Reject),
    }
}

fn parse_currency(code: &str, field: &str, violations: &mut Violations) -> Option<Currency> {
    let found = Currency::parse(code);
    if found.is_none() {
        violations.add(field, reason::NOT_A_CURRENCY, "must be three capital letters of ISO 4217");
    }
    found
}

fn parse_rates(messages: &[proto::ExchangeRate], field: &str, violations: &mut Violations) -> Vec<Rate> {
    if messages.len() > 1000 {
        violations.add(field, reason::TOO_MANY, "must be at most 1,000");
    }
    let parse = |(index, message): (usize, &proto::ExchangeRate)| {
        let field = format!("{field}[{index}]");
        let currency = parse_currency(&message.currency_code, &format!("{field}.currency_code"), violations);
        let from = message.from.unwrap_or_default();
        let from = parse_day(&from, &format!("{field}.from"), violations);
        if message.rate_micros <= 0 {
            violations.add(format!("{field}.rate_micros"), reason::OUT_OF_RANGE, "must be above 0");
        }
        Some(Rate { currency: currency?, from: from?, micros: message.rate_micros })
    };
    messages.iter().enumerate().filter_map(parse).collect()
}

fn check_name(name: &str, field: &str, violations: &mut Violations) {
    if name.is_empty() || name.chars().count() > 255 || name.contains('\0') {
        violations.add(field, reason::OUT_OF_RANGE, "must be 1 to 255 characters");
    }
}
