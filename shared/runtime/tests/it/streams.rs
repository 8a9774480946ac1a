use std::time::Duration;

use futures::StreamExt as _;
use keizoku_runtime::config::TimeSpan;
use keizoku_runtime::status;
use tonic::Code;

use crate::echo::{LIMIT, chant, words};
use crate::sandbox::Sandbox;

#[tokio::test]
async fn a_stream_outlives_the_deadline_of_calls() {
    let sandbox = Sandbox::with(|settings| settings.limits.deadline = TimeSpan::milliseconds(20)).await;
    let lines = futures::stream::iter(["a", "b", "c"]).then(|text| async move {
        tokio::time::sleep(Duration::from_millis(30)).await;
        words(text)
    });
    let answers = chant(sandbox.reader(), lines).await.expect("a stream").into_inner();
    let said: Vec<String> = answers.map(|line| line.expect("a line").text).collect().await;
    assert_eq!(said, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_stream_on_which_nothing_moves_is_ended() {
    let sandbox = Sandbox::with(|settings| settings.limits.stream_idle = TimeSpan::milliseconds(60)).await;
    let lines = futures::stream::iter([words("a")]).chain(futures::stream::pending());
    let mut answers = chant(sandbox.reader(), lines).await.expect("a stream").into_inner();
    assert_eq!(answers.message().await.expect("a line"), Some(words("a")));
    let status = answers.message().await.expect_err("ended");
    assert_eq!((status.code(), status::reason(&status).as_deref()), (Code::Unavailable, Some("STREAM_IDLE")));
}

#[tokio::test]
async fn streams_have_permits_of_their_own() {
    let sandbox = Sandbox::with(|settings| settings.limits.streams = 1).await;
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let lines = futures::stream::iter([words("a")]).chain(futures::stream::pending()).take_until(ended);
    let mut first = chant(sandbox.reader(), lines).await.expect("a stream").into_inner();
    first.message().await.expect("a line");
    let second = chant(sandbox.reader(), futures::stream::pending()).await.expect_err("too many");
    assert_eq!(
        (second.code(), status::reason(&second).as_deref()),
        (Code::ResourceExhausted, Some("TOO_MANY_STREAMS"))
    );
    crate::echo::say(sandbox.reader(), tonic::Request::new(words("x"))).await.expect("calls go on");
    drop(end);
    assert_eq!(first.message().await.expect("its end"), None);
    crate::sandbox::eventually("there is room", async || {
        chant(sandbox.reader(), futures::stream::iter([words("a")])).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_panic_inside_of_a_stream_is_an_answer_too() {
    let sandbox = Sandbox::start().await;
    let lines = futures::stream::iter([words("panic")]).chain(futures::stream::pending());
    let mut answers = chant(sandbox.reader(), lines).await.expect("a stream").into_inner();
    let status = answers.message().await.expect_err("it panicked");
    assert_eq!((status.code(), status::reason(&status).as_deref()), (Code::Internal, Some("INTERNAL")));
    assert!(!format!("{status:?}").contains("hush"), "{status:?}");
}

#[tokio::test]
async fn over_long_messages_inside_of_a_stream_name_the_limit() {
    let sandbox = Sandbox::start().await;
    let lines = futures::stream::iter([words("a"), words(&"x".repeat(LIMIT + 1))]);
    let mut answers = chant(sandbox.reader(), lines).await.expect("a stream").into_inner();
    answers.message().await.expect("a line");
    let status = answers.message().await.expect_err("too long");
    assert_eq!(status::reason(&status).as_deref(), Some("MESSAGE_TOO_LONG"));
}

#[tokio::test]
async fn a_connection_of_age_lets_streams_end_what_they_do() {
    let sandbox = Sandbox::with(|settings| settings.limits.connection_age = TimeSpan::milliseconds(150)).await;
    let lines = futures::stream::iter([words("hold")]).chain(futures::stream::pending());
    let mut answers = chant(sandbox.reader(), lines).await.expect("a stream").into_inner();
    assert_eq!(answers.message().await.expect("a line"), Some(words("committed")));
    assert_eq!(answers.message().await.expect("its end"), None);
    crate::echo::say(sandbox.reader(), tonic::Request::new(words("x"))).await.expect("the next connection");
}
