//! What has arrived of the kinds that sources tell.

use keizoku_proto::ingestion::{ContactItem, GetCoverageRequest, PutContactsRequest};
use tonic::Code;

use crate::accounts::{item, put};
use crate::rig::{Rig, account, external, reason};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_listed_with_how_many_accounts_have_it() {
    let rig = Rig::start().await;
    put(&rig, vec![item("1", "One"), item("2", "Two"), item("3", "Three")]).await;
    let contact = |id: &str, of: &str| ContactItem {
        external_id: Some(external("crm", id)),
        account: Some(account("crm", of)),
        ..ContactItem::default()
    };
    let items = vec![contact("p1", "1"), contact("p2", "1"), contact("p3", "2")];
    rig.accounts().put_contacts(PutContactsRequest { items, ..Default::default() }).await.unwrap();
    let answer = rig.accounts().get_coverage(GetCoverageRequest::default()).await.unwrap().into_inner();
    let kinds: Vec<_> = answer.kinds.iter().map(|kind| (kind.kind.as_str(), kind.covered_account_count)).collect();
    assert_eq!(answer.account_count, 3);
    let expected = [
        ("event", 0),
        ("measurement", 0),
        ("contract", 0),
        ("contact", 2),
        ("user", 0),
        ("conversation", 0),
        ("cancellation", 0),
    ];
    assert_eq!(kinds, expected);
    assert!(!answer.position.is_empty());

    let of = |id: &str| GetCoverageRequest { account: Some(account("crm", id)) };
    let one = rig.accounts().get_coverage(of("3")).await.unwrap().into_inner();
    assert_eq!((one.account_count, one.kinds[3].covered_account_count), (1, 0));
    let refused = rig.accounts().get_coverage(of("4")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "ACCOUNT_UNKNOWN"));
}
