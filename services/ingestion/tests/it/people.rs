//! Contacts and users.

use keizoku_proto::google::Date;
use keizoku_proto::ingestion::{
    ContactItem, GetAccountRequest, GetAccountResponse, Outcome, PutContactsRequest, PutUsersRequest, UserItem,
};

use crate::accounts::{item, outcomes, put};
use crate::rig::{Rig, account, external};

fn contact(id: &str, of: &str, name: &str) -> ContactItem {
    ContactItem {
        external_id: Some(external("crm", id)),
        account: Some(account("crm", of)),
        display_name: name.to_owned(),
        email: format!("{id}@example.com"),
        role: "champion".to_owned(),
        joined_on: Some(Date { year: 2024, month: 2, day: 29 }),
        left_on: None,
    }
}

async fn put_contacts(rig: &Rig, items: Vec<ContactItem>) -> Vec<Outcome> {
    let request = PutContactsRequest { items, ..PutContactsRequest::default() };
    outcomes(&rig.accounts().put_contacts(request).await.expect("an answer").into_inner().results)
}

async fn whole(rig: &Rig, id: &str) -> GetAccountResponse {
    let request = GetAccountRequest { account: Some(account("crm", id)) };
    rig.accounts().get_account(request).await.expect("an answer").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_shown_with_its_account_and_can_move_to_another() {
    let rig = Rig::start().await;
    put(&rig, vec![item("1", "One"), item("2", "Two")]).await;
    let both = vec![contact("p1", "1", "咲"), contact("p2", "1", "蓮")];
    assert_eq!(put_contacts(&rig, both[..1].to_vec()).await, [Outcome::Stored]);
    rig.clock.advance(1_000_000);
    assert_eq!(put_contacts(&rig, both.clone()).await, [Outcome::Duplicate, Outcome::Stored]);
    assert_eq!(put_contacts(&rig, both).await, [Outcome::Duplicate; 2]);
    let found = whole(&rig, "1").await.contacts;
    let names: Vec<_> = found.iter().map(|contact| contact.display_name.as_str()).collect();
    assert_eq!(names, ["咲", "蓮"]);
    assert_eq!((found[0].email.as_str(), found[0].role.as_str()), ("p1@example.com", "champion"));

    assert_eq!(put_contacts(&rig, vec![contact("p1", "2", "咲")]).await, [Outcome::Stored]);
    assert_eq!((whole(&rig, "1").await.contacts.len(), whole(&rig, "2").await.contacts.len()), (1, 1));
    assert_eq!(whole(&rig, "2").await.contacts[0].id, found[0].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_told_once_for_each_account() {
    let rig = Rig::start().await;
    let user = |id: &str, of: &str, name: &str| UserItem {
        external_id: Some(external("app", id)),
        account: Some(account("crm", of)),
        display_name: name.to_owned(),
    };
    let call = async |items| {
        let request = PutUsersRequest { items, ..PutUsersRequest::default() };
        rig.accounts().put_users(request).await.unwrap().into_inner().results
    };
    let first = call(vec![user("u1", "1", "咲"), user("u1", "2", "咲"), user("u1", "1", "咲")]).await;
    assert_eq!(outcomes(&first), [Outcome::Stored, Outcome::Stored, Outcome::Duplicate]);
    assert_eq!((first[0].id == first[1].id, first[0].id == first[2].id), (false, true));
    let renamed = call(vec![user("u1", "1", "沙紀"), user("u2", "1", "")]).await;
    assert_eq!((outcomes(&renamed), &renamed[0].id), (vec![Outcome::Stored; 2], &first[0].id));
    assert_eq!(outcomes(&call(vec![user("u1", "1", "沙紀")]).await), [Outcome::Duplicate]);
}
