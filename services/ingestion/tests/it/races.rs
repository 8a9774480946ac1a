//! Eight callers who put the same things at the same time make each of them once.

use std::collections::BTreeSet;

use futures::future::join_all;
use keizoku_proto::google::Date;
use keizoku_proto::ingestion::{
    CancellationItem, ContactItem, ContractItem, ConversationItem, GetAccountRequest, ItemResult, Outcome,
    PutCancellationsRequest, PutContactsRequest, PutContractsRequest, PutConversationsRequest, PutUsersRequest,
    UserItem,
};
use keizoku_proto::types::{AccountRef, ExternalId};
use prost_types::Timestamp;

use crate::rig::{Rig, account, external};

const CALLERS: usize = 8;
const ITEMS: usize = 20;

/// The names of what one caller puts, each caller in another order; the accounts are not known before.
fn names(caller: usize) -> Vec<(Option<ExternalId>, Option<AccountRef>)> {
    let mut names: Vec<_> = (0..ITEMS)
        .map(|number| (Some(external("crm", &number.to_string())), Some(account("crm", &format!("a{}", number % 7)))))
        .collect();
    names.rotate_left(caller * 3 % ITEMS);
    names
}

fn once_each(results: &[Vec<ItemResult>]) {
    let all: Vec<_> = results.iter().flatten().collect();
    let stored = all.iter().filter(|result| result.outcome() == Outcome::Stored).count();
    let duplicate = all.iter().filter(|result| result.outcome() == Outcome::Duplicate).count();
    let ids: BTreeSet<_> = all.iter().map(|result| &result.id).collect();
    assert_eq!((stored, duplicate, ids.len()), (ITEMS, ITEMS * (CALLERS - 1), ITEMS));
}

/// Puts the items of every caller at once.
macro_rules! race {
    ($rig:ident, $method:ident, $request:ident, $item:expr) => {{
        let calls = (0..CALLERS).map(|caller| {
            let items = names(caller).into_iter().map($item).collect();
            let mut client = $rig.accounts();
            async move {
                let request = $request { items, ..Default::default() };
                client.$method(request).await.expect("an answer").into_inner().results
            }
        });
        once_each(&join_all(calls).await);
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_is_made_once() {
    let rig = Rig::start().await;
    let day = Some(Date { year: 2024, month: 1, day: 1 });
    race!(rig, put_contacts, PutContactsRequest, |(external_id, account)| ContactItem {
        external_id,
        account,
        ..Default::default()
    });
    race!(rig, put_users, PutUsersRequest, |(external_id, account)| UserItem {
        external_id,
        account,
        display_name: "咲".to_owned(),
    });
    race!(rig, put_contracts, PutContractsRequest, |(external_id, account)| ContractItem {
        external_id,
        accounts: account.into_iter().collect(),
        starts_on: day,
        ..Default::default()
    });
    race!(rig, put_conversations, PutConversationsRequest, |(external_id, account)| ConversationItem {
        external_id,
        account,
        channel: "chat".to_owned(),
        opened_at: Some(Timestamp { seconds: 1, nanos: 0 }),
        ..Default::default()
    });
    race!(rig, put_cancellations, PutCancellationsRequest, |(external_id, account)| CancellationItem {
        external_id,
        account,
        effective_on: day,
        ..Default::default()
    });
    let request = GetAccountRequest { account: Some(account("crm", "a0")) };
    let whole = rig.accounts().get_account(request).await.unwrap().into_inner();
    assert_eq!((whole.contracts.len(), whole.contacts.len()), (3, 3));
}
