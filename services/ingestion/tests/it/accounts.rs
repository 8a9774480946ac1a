//! Accounts: put, merged, listed.

use keizoku_proto::ingestion::{
    Account, AccountItem, ContactItem, GetAccountRequest, ItemResult, ListAccountsRequest, Outcome, PutAccountsRequest,
    PutContactsRequest, UpdateWorkspaceRequest, Workspace, WorkspaceSettings, workspace_settings,
};
use keizoku_proto::types::{Attribute, Value, value};
use prost_types::{FieldMask, Timestamp};
use tonic::Code;

use crate::rig::{Rig, account, external, reason, refusal};

pub(crate) fn item(id: &str, name: &str) -> AccountItem {
    AccountItem {
        external_id: Some(external("crm", id)),
        display_name: Some(name.to_owned()),
        ..AccountItem::default()
    }
}

pub(crate) fn attribute(key: &str, integer: i64) -> Attribute {
    let value = Value { kind: Some(value::Kind::Integer(integer)) };
    Attribute { key: key.to_owned(), value: Some(value), known_at: None }
}

pub(crate) async fn put(rig: &Rig, items: Vec<AccountItem>) -> Vec<ItemResult> {
    let request = PutAccountsRequest { items, ..PutAccountsRequest::default() };
    rig.accounts().put_accounts(request).await.expect("an answer").into_inner().results
}

pub(crate) async fn get(rig: &Rig, id: &str) -> Account {
    let request = GetAccountRequest { account: Some(account("crm", id)) };
    rig.accounts().get_account(request).await.expect("an answer").into_inner().account.expect("an answer")
}

pub(crate) fn outcomes(results: &[ItemResult]) -> Vec<Outcome> {
    results.iter().map(ItemResult::outcome).collect()
}

pub(crate) async fn reject_unknown(rig: &Rig) {
    let settings = WorkspaceSettings {
        unknown_account: workspace_settings::UnknownAccount::Reject.into(),
        ..WorkspaceSettings::default()
    };
    let request = UpdateWorkspaceRequest {
        workspace: Some(Workspace { settings: Some(settings), ..Workspace::default() }),
        update_mask: Some(FieldMask { paths: vec!["settings.unknown_account".to_owned()] }),
        ..UpdateWorkspaceRequest::default()
    };
    rig.control().update_workspace(request).await.expect("an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_again_changes_nothing_and_what_is_not_named_stays() {
    let rig = Rig::start().await;
    let first = AccountItem { attributes: vec![attribute("seats", 40), attribute("age", 3)], ..item("1", "Aipo") };
    let results = put(&rig, vec![first.clone()]).await;
    assert_eq!(outcomes(&results), [Outcome::Stored]);
    let stored = get(&rig, "1").await;
    assert_eq!((stored.id.as_str(), stored.etag.as_str(), stored.stub), (results[0].id.as_str(), "1", false));

    let again = put(&rig, vec![first]).await;
    assert_eq!((outcomes(&again), &again[0].id), (vec![Outcome::Duplicate], &stored.id));
    assert_eq!(get(&rig, "1").await, stored);

    let seats = AccountItem { display_name: None, attributes: vec![attribute("seats", 41)], ..item("1", "") };
    assert_eq!(outcomes(&put(&rig, vec![seats]).await), [Outcome::Stored]);
    let changed = get(&rig, "1").await;
    assert_eq!((changed.display_name.as_str(), changed.etag.as_str()), ("Aipo", "2"));
    assert_eq!(changed.attributes, [attribute("age", 3), attribute("seats", 41)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_of_one_call_build_on_one_another() {
    let rig = Rig::start().await;
    let child = AccountItem { parent: Some(account("crm", "parent")), ..item("child", "Child") };
    let twin = AccountItem {
        external_id: Some(external("app", "77")),
        same_as: Some(account("crm", "parent")),
        ..AccountItem::default()
    };
    let results = put(&rig, vec![child, item("parent", "Parent"), twin, item("parent", "Renamed")]).await;
    assert_eq!(outcomes(&results), [Outcome::Stored; 4]);
    assert_eq!((&results[1].id, &results[1].id), (&results[2].id, &results[3].id));
    let parent = get(&rig, "parent").await;
    assert_eq!((parent.display_name.as_str(), parent.etag.as_str()), ("Renamed", "1"));
    assert_eq!(parent.external_ids, [external("app", "77"), external("crm", "parent")]);
    assert_eq!(get(&rig, "child").await.parent_account_id, parent.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_accounts_are_stored_at_once() {
    let rig = Rig::start().await;
    let items: Vec<_> = (0..1000).map(|number| item(&format!("a{number}"), "Aipo")).collect();
    let results = put(&rig, items.clone()).await;
    assert!(results.iter().all(|result| result.outcome() == Outcome::Stored));
    assert!(put(&rig, items).await.iter().all(|result| result.outcome() == Outcome::Duplicate));
    let (mut token, mut listed) = (String::new(), Vec::new());
    loop {
        let request = ListAccountsRequest { page_size: 300, page_token: token, ..ListAccountsRequest::default() };
        let page = rig.accounts().list_accounts(request).await.unwrap().into_inner();
        listed.extend(page.accounts.into_iter().map(|account| account.id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let mut ids: Vec<_> = results.into_iter().map(|result| result.id).collect();
    ids.sort();
    assert_eq!(listed, ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_gives_the_name_to_the_other_account() {
    let rig = Rig::start().await;
    let other = AccountItem { external_id: Some(external("app", "77")), ..item("", "Stray") };
    let results = put(&rig, vec![item("1", "Aipo"), other]).await;
    let merge = AccountItem {
        external_id: Some(external("app", "77")),
        same_as: Some(account("crm", "1")),
        ..AccountItem::default()
    };
    let merged = put(&rig, vec![merge.clone()]).await;
    assert_eq!((outcomes(&merged), &merged[0].id), (vec![Outcome::Stored], &results[0].id));
    let request = GetAccountRequest { account: Some(account("app", "77")) };
    let named = rig.accounts().get_account(request).await.unwrap().into_inner().account.unwrap();
    assert_eq!(named.id, results[0].id);
    assert_eq!(outcomes(&put(&rig, vec![merge]).await), [Outcome::Duplicate]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_knew_before_is_history_and_changes_nothing_of_today() {
    let rig = Rig::start().await;
    let told = |seats, seconds| AccountItem {
        attributes: vec![Attribute { known_at: Some(Timestamp { seconds, nanos: 0 }), ..attribute("seats", seats) }],
        ..item("1", "Aipo")
    };
    assert_eq!(outcomes(&put(&rig, vec![told(40, 1_700_000_000)]).await), [Outcome::Stored]);
    assert_eq!(outcomes(&put(&rig, vec![told(30, 1_600_000_000)]).await), [Outcome::Stored]);
    assert_eq!(outcomes(&put(&rig, vec![told(30, 1_600_000_000)]).await), [Outcome::Duplicate]);
    let seats = get(&rig, "1").await.attributes.remove(0).value;
    assert_eq!(seats, attribute("seats", 40).value);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_accounts_become_stubs_or_are_refused_as_the_workspace_decided() {
    let rig = Rig::start().await;
    let contact = |id: &str| ContactItem {
        external_id: Some(external("crm", id)),
        account: Some(account("crm", id)),
        ..ContactItem::default()
    };
    let mut accounts = rig.accounts();
    let check = PutContactsRequest { items: vec![contact("s1")], validate_only: true, ..Default::default() };
    let checked = accounts.put_contacts(check).await.unwrap().into_inner();
    assert_eq!((outcomes(&checked.results), checked.results[0].id.as_str()), (vec![Outcome::Stored], ""));
    let unknown = GetAccountRequest { account: Some(account("crm", "s1")) };
    let status = accounts.get_account(unknown).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "ACCOUNT_UNKNOWN"));

    let put = PutContactsRequest { items: vec![contact("s1")], ..Default::default() };
    accounts.put_contacts(put).await.unwrap();
    let stub = get(&rig, "s1").await;
    assert!(stub.stub && stub.display_name.is_empty());
    assert_eq!(outcomes(&self::put(&rig, vec![item("s1", "Known")]).await), [Outcome::Stored]);
    assert_eq!((get(&rig, "s1").await.stub, get(&rig, "s1").await.id), (false, stub.id));

    reject_unknown(&rig).await;
    let items =
        vec![contact("s2"), contact("s1"), ContactItem { external_id: Some(external("crm", "s3")), ..contact("s1") }];
    let results = accounts.put_contacts(PutContactsRequest { items, ..Default::default() }).await.unwrap().into_inner();
    assert_eq!(outcomes(&results.results), [Outcome::Rejected, Outcome::Duplicate, Outcome::Stored]);
    let named = vec![("account".to_owned(), "ACCOUNT_UNKNOWN".to_owned())];
    assert_eq!(refusal(&results.results[0]), (Code::InvalidArgument, named));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_listed_by_part_of_the_name_and_by_being_stubs() {
    let rig = Rig::start().await;
    let parent = AccountItem { parent: Some(account("crm", "stub")), ..item("3", "100%_DONE") };
    put(&rig, vec![item("1", "株式会社アイポ"), item("2", "Aipo Inc"), parent]).await;
    let list = async |contains: &str, stub| {
        let request = ListAccountsRequest { name_contains: contains.to_owned(), stub, ..Default::default() };
        let accounts = rig.accounts().list_accounts(request).await.unwrap().into_inner().accounts;
        let mut names: Vec<_> = accounts.into_iter().map(|account| account.display_name).collect();
        names.sort();
        names
    };
    assert_eq!(list("会社", None).await, ["株式会社アイポ"]);
    assert_eq!(list("aIPO", None).await, ["Aipo Inc"]);
    assert_eq!(list("%_d", None).await, ["100%_DONE"]);
    assert_eq!(list("", Some(true)).await, [""]);
    assert_eq!(list("", Some(false)).await.len(), 3);
    let token = rig.accounts().list_accounts(ListAccountsRequest { page_size: 1, ..Default::default() }).await;
    let page_token = token.unwrap().into_inner().next_page_token;
    let other = ListAccountsRequest { page_token, stub: Some(true), ..Default::default() };
    assert_eq!(rig.accounts().list_accounts(other).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_who_put_the_same_accounts_make_each_of_them_once() {
    let rig = Rig::start().await;
    let items: Vec<_> = (0..50).map(|number| item(&format!("a{number}"), "Aipo")).collect();
    let calls = (0..8).map(|turn| {
        let mut items = items.clone();
        items.rotate_left(turn * 5);
        put(&rig, items)
    });
    let results = futures::future::join_all(calls).await;
    let stored = results.iter().flatten().filter(|result| result.outcome() == Outcome::Stored).count();
    let ids: std::collections::BTreeSet<_> = results.iter().flatten().map(|result| &result.id).collect();
    assert_eq!((stored, ids.len()), (50, 50));
    assert_eq!(get(&rig, "a7").await.etag, "1");
}
