//! Workspaces, keys and staff.

use keizoku_proto::ingestion::control_service_client::ControlServiceClient;
use keizoku_proto::ingestion::workspace_settings::UnknownAccount;
use keizoku_proto::ingestion::{
    CreateKeyRequest, CreateWorkspaceRequest, GetWorkspaceRequest, ListKeysRequest, ListMembersRequest,
    ListWorkspacesRequest, PutAccountsRequest, PutMemberRequest, ResetWorkspaceRequest, RevokeKeyRequest,
    SetClockRequest, UpdateWorkspaceRequest, WhoAmIRequest, Workspace, WorkspaceSettings, workspace,
};
use keizoku_runtime::Client;
use keizoku_testkit::eventually;
use prost_types::{FieldMask, Timestamp};
use tonic::Code;

use crate::accounts::item;
use crate::rig::{Rig, SOON, reason, violations};

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn update(paths: &[&str], workspace: Workspace, etag: &str) -> UpdateWorkspaceRequest {
    UpdateWorkspaceRequest {
        request_id: String::new(),
        workspace: Some(workspace),
        update_mask: Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }),
        etag: etag.to_owned(),
    }
}

fn key(name: &str, scopes: &[&str]) -> CreateKeyRequest {
    CreateKeyRequest {
        display_name: name.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..CreateKeyRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_learns_who_it_is_and_what_time_it_is() {
    let rig = Rig::start().await;
    let answer = rig.control().who_am_i(WhoAmIRequest {}).await.unwrap().into_inner();
    let workspace = answer.workspace.unwrap();
    assert_eq!((workspace.id.as_str(), workspace.display_name.as_str()), (&*rig.workspace.to_string(), "rig"));
    assert_eq!((workspace.time_zone.as_str(), workspace.kind()), ("Asia/Tokyo", workspace::Kind::Test));
    assert_eq!(answer.scopes, ["*", "workspaces:admin"]);
    assert_eq!(answer.now, at(1_714_521_600));
    let stranger = rig.channel_of(&keizoku_control::secret::generate(rig.workspace));
    let refused = ControlServiceClient::new(stranger).who_am_i(WhoAmIRequest {}).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "CREDENTIAL_INVALID"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_listed_and_ends_within_a_second() {
    let rig = Rig::start().await;
    let mut control = rig.control();
    rig.clock.advance(1_000_000);
    let made = control.create_key(key("reader", &["accounts:read", "keys:write"])).await.unwrap().into_inner();
    let mut reader = ControlServiceClient::new(rig.channel_of(&made.secret));
    let me = reader.who_am_i(WhoAmIRequest {}).await.unwrap().into_inner();
    let made = made.key.unwrap();
    assert_eq!((me.key_id.as_str(), me.scopes.len()), (made.id.as_str(), 2));
    assert!(made.secret_hash.is_empty());

    let refused = reader.get_workspace(GetWorkspaceRequest {}).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "SCOPE_MISSING"));

    let page = control.list_keys(ListKeysRequest { page_size: 1, ..Default::default() }).await.unwrap().into_inner();
    let rest = ListKeysRequest { page_size: 0, page_token: page.next_page_token };
    let rest = control.list_keys(rest).await.unwrap().into_inner();
    let names: Vec<_> = page.keys.iter().chain(&rest.keys).map(|key| key.display_name.as_str()).collect();
    assert_eq!((names.as_slice(), rest.next_page_token.as_str()), (["first key", "reader"].as_slice(), ""));

    let revoke = RevokeKeyRequest { key_id: made.id.clone() };
    let revoked = control.revoke_key(revoke.clone()).await.unwrap().into_inner().key.unwrap();
    assert_eq!(control.revoke_key(revoke).await.unwrap().into_inner().key.unwrap(), revoked);
    let begun = std::time::Instant::now();
    eventually(SOON, || {
        let mut reader = reader.clone();
        async move { reader.who_am_i(WhoAmIRequest {}).await.is_err_and(|status| status.code() == Code::Unauthenticated) }
    })
    .await;
    assert!(begun.elapsed().as_millis() < 1_000, "it took {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_gives_no_scope_that_it_lacks() {
    let rig = Rig::start().await;
    let mut control = rig.control();
    let mut of = async |scopes: &[&str]| -> ControlServiceClient<Client> {
        let made = control.create_key(key("k", scopes)).await.unwrap().into_inner();
        ControlServiceClient::new(rig.channel_of(&made.secret))
    };
    let mut small = of(&["keys:write", "accounts:read"]).await;
    let mut all = of(&["*"]).await;
    assert!(small.create_key(key("k", &["accounts:read"])).await.is_ok());
    let table = [(&mut small, "accounts:write"), (&mut all, "workspaces:admin")];
    for (client, scope) in table {
        let refused = client.create_key(key("k", &[scope])).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "SCOPE_NOT_HELD"), "{scope}");
    }
    assert!(all.create_key(key("k", &["*"])).await.is_ok());
    let refused = small.create_key(key("k", &["*"])).await.unwrap_err();
    assert_eq!(reason(&refused), "SCOPE_NOT_HELD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_first_answer_without_its_secret() {
    let rig = Rig::start().await;
    let mut control = rig.control();
    let request = CreateKeyRequest { request_id: "r1".to_owned(), ..key("k", &["accounts:read"]) };
    let first = control.create_key(request.clone()).await.unwrap().into_inner();
    let again = control.create_key(request.clone()).await.unwrap().into_inner();
    assert!(!first.secret.is_empty());
    assert_eq!((&again.key, again.secret.as_str()), (&first.key, ""));
    let other = CreateKeyRequest { display_name: "other".to_owned(), ..request };
    let refused = control.create_key(other).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    assert_eq!(control.list_keys(ListKeysRequest::default()).await.unwrap().into_inner().keys.len(), 2);

    let workspace = CreateWorkspaceRequest {
        request_id: "r1".to_owned(),
        display_name: "second".to_owned(),
        kind: workspace::Kind::Live.into(),
        ..Default::default()
    };
    let first = control.create_workspace(workspace.clone()).await.unwrap().into_inner();
    let again = control.create_workspace(workspace).await.unwrap().into_inner();
    assert_eq!((&again.workspace, &again.key, again.secret.as_str()), (&first.workspace, &first.key, ""));
    let all = control.list_workspaces(ListWorkspacesRequest::default()).await.unwrap().into_inner().workspaces;
    assert_eq!(all.len(), 2);
    let second = ControlServiceClient::new(rig.channel_of(&first.secret)).who_am_i(WhoAmIRequest {}).await.unwrap();
    assert_eq!(second.into_inner().scopes, ["*"]);

    let member = PutMemberRequest {
        request_id: "r1".to_owned(),
        email: "saki@example.com".to_owned(),
        display_name: "咲".to_owned(),
        ..Default::default()
    };
    let first = control.put_member(member.clone()).await.unwrap().into_inner();
    assert_eq!(control.put_member(member.clone()).await.unwrap().into_inner(), first);
    let renamed = PutMemberRequest { request_id: String::new(), display_name: "沙紀".to_owned(), ..member };
    let renamed = control.put_member(renamed).await.unwrap().into_inner().member.unwrap();
    assert_eq!(control.list_members(ListMembersRequest::default()).await.unwrap().into_inner().members, [renamed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_of_a_test_workspace_only_moves_forward() {
    let rig = Rig::start().await;
    let mut control = rig.control();
    let mut set = async |seconds| control.set_clock(SetClockRequest { now: at(seconds) }).await;
    set(1_735_603_200).await.unwrap();
    set(1_735_603_200).await.unwrap();
    let refused = set(1_735_603_199).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CLOCK_BACKWARD"));
    assert_eq!(rig.control().who_am_i(WhoAmIRequest {}).await.unwrap().into_inner().now, at(1_735_603_200));
    let nothing = rig.control().set_clock(SetClockRequest { now: None }).await.unwrap_err();
    assert_eq!(violations(&nothing), [("now".to_owned(), "REQUIRED".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_test_workspace_is_reset_and_then_it_is_empty() {
    let rig = Rig::start().await;
    let mut control = rig.control();
    let items = vec![item("a1", "Aipo")];
    rig.accounts().put_accounts(PutAccountsRequest { items, ..Default::default() }).await.unwrap();
    control.set_clock(SetClockRequest { now: at(1_735_603_200) }).await.unwrap();
    let mut reset = async |name: &str| {
        control.reset_workspace(ResetWorkspaceRequest { confirm_display_name: name.to_owned() }).await
    };
    assert_eq!(reason(&reset("other").await.unwrap_err()), "NAME_NOT_CONFIRMED");
    let workspace = reset("rig").await.unwrap().into_inner().workspace.unwrap();
    assert_eq!(workspace.clock_set_to, None);
    let accounts = rig.accounts().list_accounts(keizoku_proto::ingestion::ListAccountsRequest::default()).await;
    assert_eq!(accounts.unwrap().into_inner().accounts, []);
    assert!(rig.control().who_am_i(WhoAmIRequest {}).await.is_ok());

    let live = Rig::with(|settings| settings.bootstrap_kind = keizoku_ingestion::config::BootstrapKind::Live).await;
    let request = ResetWorkspaceRequest { confirm_display_name: "rig".to_owned() };
    let refused = live.control().reset_workspace(request).await.unwrap_err();
    assert_eq!(reason(&refused), "NOT_A_TEST_WORKSPACE");
    let refused = live.control().set_clock(SetClockRequest { now: at(1_735_603_200) }).await.unwrap_err();
    assert_eq!(reason(&refused), "NOT_A_TEST_WORKSPACE");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_only_where_the_etag_still_holds() {
    let rig = Rig::start().await;
    let mut control = rig.control();
    let before = control.get_workspace(GetWorkspaceRequest {}).await.unwrap().into_inner().workspace.unwrap();
    let settings = WorkspaceSettings {
        unknown_account: UnknownAccount::Reject.into(),
        reporting_currency: "JPY".to_owned(),
        ..Default::default()
    };
    let new = Workspace { settings: Some(settings), display_name: "改".to_owned(), ..Default::default() };
    let asked = update(&["settings.unknown_account", "settings.reporting_currency"], new.clone(), &before.etag);
    let after = control.update_workspace(asked.clone()).await.unwrap().into_inner().workspace.unwrap();
    let settings = after.settings.clone().unwrap();
    assert_eq!((settings.unknown_account(), settings.reporting_currency.as_str()), (UnknownAccount::Reject, "JPY"));
    assert_eq!(after.display_name, "rig");
    let refused = control.update_workspace(asked).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    let wrong = update(&["time_zone", "settings.reporting_currency"], Workspace::default(), "");
    let refused = control.update_workspace(wrong).await.unwrap_err();
    let fields: Vec<_> = violations(&refused).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["update_mask", "workspace.settings.reporting_currency"]);
    let named = control.update_workspace(update(&["display_name"], new, "")).await.unwrap().into_inner();
    assert_eq!(named.workspace.unwrap().display_name, "改");
}
