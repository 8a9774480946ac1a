use std::sync::atomic::Ordering;
use std::time::Duration;

use keizoku_runtime::{Client, ClientSettings, Credential, client, status};
use tonic::{Code, Request};

use crate::echo::{say, words};
use crate::sandbox::Sandbox;

#[tokio::test]
async fn only_what_is_repeatable_is_repeated() {
    let sandbox = Sandbox::start().await;
    let client = sandbox.reader();
    let once = say(client.clone(), Request::new(words("unavailable"))).await.expect_err("unavailable");
    assert_eq!((once.code(), once.message()), (Code::Unavailable, "not now"));
    assert_eq!(sandbox.echo.said.swap(0, Ordering::SeqCst), 1);
    say(client, client::repeatable(words("unavailable"))).await.expect_err("still unavailable");
    assert_eq!(sandbox.echo.said.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn repeats_end_when_the_budget_is_spent() {
    let sandbox = Sandbox::start().await;
    let client = sandbox.reader();
    for _ in 0..20 {
        say(client.clone(), client::repeatable(words("unavailable"))).await.expect_err("unavailable");
    }
    let repeats = sandbox.echo.said.load(Ordering::SeqCst) - 20;
    assert!((10..=12).contains(&repeats), "ten were saved up, and twenty calls bring in two: {repeats}");
}

#[tokio::test]
async fn other_answers_are_not_repeated() {
    let sandbox = Sandbox::start().await;
    say(sandbox.reader(), client::repeatable(words("panic"))).await.expect_err("it panicked");
    assert_eq!(sandbox.echo.said.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_unavailable_and_named_so() {
    let sandbox = Sandbox::start().await;
    let client = sandbox.reader();
    sandbox.stop.ask();
    let address = sandbox.address;
    sandbox.ended().await;
    let status = say(client, client::repeatable(words("x"))).await.expect_err("nobody there");
    assert_eq!((status.code(), status::reason(&status).as_deref()), (Code::Unavailable, Some("UNREACHABLE")));
    assert_eq!(status.message(), format!("the service http://{address} cannot be reached"));
}

#[tokio::test]
async fn it_waits_no_longer_than_it_is_told() {
    let sandbox = Sandbox::start().await;
    let settings = ClientSettings {
        address: format!("http://{}", sandbox.address),
        timeout: "60ms".parse().expect("a span"),
        ..ClientSettings::default()
    };
    let client = Client::new(&settings, &Credential::Bearer(keizoku_runtime::config::Secret::new("kz_reader")));
    let mut request = Request::new(words("wait"));
    request.set_timeout(Duration::from_secs(9));
    let status = say(client.expect("a client"), request).await.expect_err("too late");
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn addresses_without_meaning_are_refused() {
    for address in ["", "localhost:7070", "http://"] {
        let settings = ClientSettings { address: address.to_owned(), ..ClientSettings::default() };
        assert!(Client::new(&settings, &Credential::None).is_err(), "{address}");
    }
}
