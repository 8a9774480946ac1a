//! What the change feed says of accounts and what sources tell of them.

use keizoku_proto::ingestion::change::State;
use keizoku_proto::ingestion::{
    Change, ContactItem, ContractItem, PutAccountsRequest, PutContactsRequest, PutContractsRequest,
};
use keizoku_storage::Scope;
use keizoku_storage::feed::{self, Log, Partitions};
use prost::Message as _;

use crate::accounts::{item, put};
use crate::rig::{Rig, account, external};

/// Every change of the workspace's log, by partition.
async fn changes(rig: &Rig) -> Vec<Change> {
    let tx = rig.app.db.read("test.changes", Scope::Workspace(rig.workspace)).await.expect("an answer");
    let sql = "SELECT state FROM feed_change WHERE workspace_id = $1 ORDER BY partition, seq";
    let rows = tx.fetch_all(sql, keizoku_storage::args![rig.workspace]).await.expect("an answer");
    rows.iter().map(|row| Change::decode(row.get::<&[u8], _>(0).expect("an answer")).expect("an answer")).collect()
}

async fn position(rig: &Rig) -> i64 {
    let tx = rig.app.db.read("test.heads", Scope::Workspace(rig.workspace)).await.expect("an answer");
    let heads = feed::heads_of(&tx, Log::Changes, rig.workspace, Partitions::ALL).await.expect("an answer");
    heads.values().map(|head| head.last_seq).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_real_changes_are_told_with_who_made_them() {
    let rig = Rig::start().await;
    let request = PutAccountsRequest {
        items: vec![item("1", "One")],
        on_behalf_of: "Saki".to_owned(),
        ..PutAccountsRequest::default()
    };
    rig.accounts().put_accounts(request.clone()).await.unwrap();
    let after = position(&rig).await;
    rig.accounts().put_accounts(request.clone()).await.unwrap();
    let check = PutAccountsRequest { items: vec![item("2", "Two")], validate_only: true, ..request };
    rig.accounts().put_accounts(check).await.unwrap();
    assert_eq!(position(&rig).await, after);
    let told: Vec<_> =
        changes(&rig).await.into_iter().filter(|change| matches!(change.state, Some(State::Account(_)))).collect();
    let actor = told[0].actor.as_ref().unwrap();
    assert_eq!((told.len(), actor.on_behalf_of.as_str(), &actor.id[..4]), (1, "Saki", "key_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_is_told_to_every_account_and_taken_from_those_it_leaves() {
    let rig = Rig::start().await;
    let ids: Vec<_> = put(&rig, vec![item("1", "One"), item("2", "Two")]).await.into_iter().map(|one| one.id).collect();
    let contract = |accounts| ContractItem {
        external_id: Some(external("billing", "c1")),
        accounts,
        starts_on: Some(keizoku_proto::google::Date { year: 2024, month: 1, day: 1 }),
        ..ContractItem::default()
    };
    for accounts in [vec![account("crm", "1"), account("crm", "2")], vec![account("crm", "2")]] {
        let request = PutContractsRequest { items: vec![contract(accounts)], ..Default::default() };
        rig.accounts().put_contracts(request).await.unwrap();
    }
    let told = changes(&rig).await;
    let of = |id: &str| {
        let id: keizoku_base::AccountId = id.parse().unwrap();
        let own = |change: &&Change| change.key.len() == 32 && change.key[16..] == *id.0.as_bytes();
        let contract = |change: &Change| {
            let Some(State::Contract(contract)) = &change.state else { return None };
            Some(contract.account_ids.len())
        };
        told.iter().filter(own).map(contract).collect::<Vec<_>>()
    };
    assert_eq!(of(&ids[0]), [Some(2), None]);
    assert_eq!(of(&ids[1]), [Some(2), Some(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_is_told() {
    let rig = Rig::start().await;
    let contact = ContactItem {
        external_id: Some(external("crm", "p1")),
        account: Some(account("crm", "1")),
        display_name: "SECRETNAME".to_owned(),
        email: "SECRETMAIL".to_owned(),
        ..ContactItem::default()
    };
    rig.accounts().put_contacts(PutContactsRequest { items: vec![contact], ..Default::default() }).await.unwrap();
    let told = changes(&rig).await;
    assert!(told.iter().any(|change| matches!(change.state, Some(State::Contact(_)))));
    for change in told {
        let bytes = change.encode_to_vec();
        assert!(!bytes.windows(6).any(|part| part == b"SECRET"), "{change:?}");
    }
}
