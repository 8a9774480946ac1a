use std::sync::atomic::Ordering;
use std::time::Duration;

use keizoku_runtime::config::{Secret, TimeSpan};
use keizoku_runtime::{Credential, Tasks, status};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use crate::echo::{LIMIT, say, words};
use crate::sandbox::{Sandbox, eventually};

fn told(status: &Status) -> (Code, Option<String>) {
    (status.code(), status::reason(status))
}

#[tokio::test]
async fn the_callers_deadline_is_kept() {
    let sandbox = Sandbox::start().await;
    let mut request = Request::new(words("wait"));
    request.set_timeout(Duration::from_millis(50));
    let status = say(sandbox.reader(), request).await.expect_err("too late");
    assert_eq!(told(&status), (Code::DeadlineExceeded, Some("DEADLINE_EXCEEDED".to_owned())));
}

#[tokio::test]
async fn nobody_waits_longer_than_the_cap() {
    let sandbox = Sandbox::with(|settings| settings.limits.deadline = TimeSpan::milliseconds(80)).await;
    let status = say(sandbox.reader(), Request::new(words("wait"))).await.expect_err("too late");
    assert_eq!(told(&status), (Code::DeadlineExceeded, Some("DEADLINE_EXCEEDED".to_owned())));
    assert!(status.metadata().contains_key("x-request-id"), "answered by the server: {status:?}");
}

#[tokio::test]
async fn calls_on_the_way_inherit_what_is_left() {
    let sandbox = Sandbox::relaying().await;
    let mut request = Request::new(words("relay time left"));
    request.set_timeout(Duration::from_millis(700));
    let left = say(sandbox.reader(), request).await.expect("an answer").into_inner().text;
    let left: u32 = left.parse().expect("milliseconds");
    assert!((1..=700).contains(&left), "{left} ms");
}

#[tokio::test]
async fn calls_on_the_way_belong_to_the_same_trace() {
    let sandbox = Sandbox::relaying().await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut request = Request::new(words("relay trace"));
    request.metadata_mut().insert("traceparent", parent.parse().expect("a value"));
    let trace = say(sandbox.reader(), request).await.expect("an answer").into_inner().text;
    assert_eq!(trace, parent);
}

#[tokio::test]
async fn the_callers_request_id_is_echoed() {
    let sandbox = Sandbox::start().await;
    let mut request = Request::new(words("x"));
    request.metadata_mut().insert("x-request-id", "mine".parse().expect("a value"));
    let answer = say(sandbox.reader(), request).await.expect("an answer");
    assert_eq!(answer.metadata().get("x-request-id").map(|id| id.as_bytes()), Some(b"mine".as_slice()));
}

#[tokio::test]
async fn more_calls_than_may_be_in_work_are_refused_at_once() {
    let sandbox = Sandbox::with(|settings| settings.limits.calls = 1).await;
    let first = Tasks::new().once(say(sandbox.reader(), Request::new(words("wait"))));
    sandbox.echo.begun.notified().await;
    let status = say(sandbox.reader(), Request::new(words("x"))).await.expect_err("shed");
    assert_eq!(told(&status), (Code::ResourceExhausted, Some("OVERLOADED".to_owned())));
    assert!(status.get_details_retry_info().is_some());

    let health = HealthClient::new(sandbox.client(Credential::None)).check(HealthCheckRequest::default()).await;
    assert_eq!(health.expect("probes are answered").into_inner().status, 1);
    sandbox.echo.go_on.notify_one();
    assert_eq!(first.await.expect("no panic").expect("an answer").into_inner(), words("waited"));
    say(sandbox.reader(), Request::new(words("x"))).await.expect("there is room again");
}

#[tokio::test]
async fn a_panic_says_nothing_of_itself() {
    let sandbox = Sandbox::start().await;
    let client = sandbox.reader();
    let status = say(client.clone(), Request::new(words("panic"))).await.expect_err("it panicked");
    assert_eq!(told(&status), (Code::Internal, Some("INTERNAL".to_owned())));
    assert!(!format!("{status:?}").contains("hush"), "{status:?}");
    assert!(status.get_details_request_info().is_some_and(|info| info.request_id.len() == 32));
    say(client, Request::new(words("x"))).await.expect("the connection lives on");
}

#[tokio::test]
async fn over_long_messages_name_the_limit_in_both_directions() {
    let sandbox = Sandbox::start().await;
    for text in ["x".repeat(LIMIT + 1), "shout".to_owned()] {
        let status = say(sandbox.reader(), Request::new(words(&text))).await.expect_err("too long");
        assert_eq!(told(&status), (Code::ResourceExhausted, Some("MESSAGE_TOO_LONG".to_owned())));
        let limit = status.get_details_error_info().and_then(|info| info.metadata.get("limit_bytes").cloned());
        assert_eq!(limit, Some(LIMIT.to_string()));
    }
}

#[tokio::test]
async fn each_key_has_its_own_rate() {
    let sandbox = Sandbox::with(|settings| {
        settings.rate.per_second = 1;
        settings.rate.burst = 2;
    })
    .await;
    let call = |key: &str| say(sandbox.client(Credential::Bearer(Secret::new(key))), Request::new(words("x")));
    call("kz_reader").await.expect("the first");
    call("kz_reader").await.expect("the second");
    let status = call("kz_reader").await.expect_err("the third");
    assert_eq!(told(&status), (Code::ResourceExhausted, Some("RATE_LIMITED".to_owned())));
    let wait = status.get_details_retry_info().and_then(|info| info.retry_delay).expect("when to come again");
    assert!(wait <= Duration::from_secs(1), "{wait:?}");
    call("kz_other").await.expect("another key");
}

#[tokio::test]
async fn every_call_is_measured_by_method_and_code() {
    let sandbox = Sandbox::start().await;
    say(sandbox.reader(), Request::new(words("x"))).await.expect("an answer");
    say(sandbox.reader(), Request::new(words("panic"))).await.expect_err("it panicked");
    say(sandbox.client(Credential::None), Request::new(words("x"))).await.expect_err("refused");
    let mut request = Request::new(words("wait"));
    request.set_timeout(Duration::from_secs(5));
    let given_up = tokio::time::timeout(Duration::from_millis(50), say(sandbox.reader(), request)).await;
    assert!(given_up.is_err());

    let count = |code: &str| {
        format!("rpc_server_duration_seconds_count{{code=\"{code}\",rpc=\"keizoku.test.v1.EchoService/Say\"}} 1")
    };
    eventually("counted", async || {
        let page = sandbox.get("/metrics").await.1;
        ["Ok", "Internal", "Unauthenticated", "Cancelled"].iter().all(|code| page.contains(&count(code)))
    })
    .await;
    assert!(sandbox.telemetry.prometheus().contains("rpc_server_active"));
    assert_eq!(sandbox.echo.said.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn unknown_methods_are_said_to_be_so() {
    let sandbox = Sandbox::start().await;
    let status = crate::echo::unary(sandbox.reader(), "Sing", Request::new(words("x"))).await.expect_err("unknown");
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn reflection_shows_what_is_mounted_with_its_options() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

    let sandbox = Sandbox::start().await;
    let ask = async |question| {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let mut client = ServerReflectionClient::new(sandbox.client(Credential::None));
        let answers = client.server_reflection_info(tokio_stream::once(request)).await.expect("reflection");
        let answer: ServerReflectionResponse = answers.into_inner().message().await.expect("an answer").expect("one");
        answer.message_response.expect("a message")
    };
    let MessageResponse::ListServicesResponse(list) = ask(MessageRequest::ListServices(String::new())).await else {
        panic!("no list");
    };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    assert!(names.contains(&"keizoku.test.v1.EchoService".to_owned()), "{names:?}");
    assert!(!names.contains(&"keizoku.test.v1.CarelessService".to_owned()), "{names:?}");
    let question = MessageRequest::FileContainingSymbol("keizoku.test.v1.EchoService".to_owned());
    let MessageResponse::FileDescriptorResponse(files) = ask(question).await else { panic!("no file") };
    let file = files.file_descriptor_proto.concat();
    assert!(file.windows(9).any(|window| window == b"echo:read"), "the scope is kept");
}
