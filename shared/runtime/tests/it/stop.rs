use futures::StreamExt as _;
use keizoku_runtime::config::TimeSpan;
use keizoku_runtime::{Credential, Exit, Tasks, status};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::echo::{chant, say, words};
use crate::sandbox::{Sandbox, eventually};

#[tokio::test]
async fn a_call_in_flight_finishes() {
    let sandbox = Sandbox::start().await;
    let call = Tasks::new().once(say(sandbox.reader(), Request::new(words("wait"))));
    sandbox.echo.begun.notified().await;
    sandbox.stop.ask();
    eventually("closed to others", async || tokio::net::TcpStream::connect(sandbox.address).await.is_err()).await;
    sandbox.echo.go_on.notify_one();
    assert_eq!(call.await.expect("no panic").expect("an answer").into_inner(), words("waited"));
    assert_eq!(sandbox.ended().await, Exit::Clean);
}

#[tokio::test]
async fn it_says_not_serving_before_it_stops_to_serve() {
    let sandbox = Sandbox::with(|settings| settings.stop.notice = TimeSpan::milliseconds(1500)).await;
    let mut health = HealthClient::new(sandbox.client(Credential::None));
    let request = || HealthCheckRequest { service: "keizoku.test.v1.EchoService".to_owned() };
    assert_eq!(health.check(request()).await.expect("health").into_inner().status, 1);
    let watch = health.watch(keizoku_runtime::client::streaming(request())).await.expect("a watch");
    sandbox.stop.ask();
    eventually("not serving", async || {
        health.clone().check(request()).await.is_ok_and(|answer| answer.into_inner().status == 2)
    })
    .await;
    assert_eq!(sandbox.get("/readyz").await, (503, "stopping\n".to_owned()));
    assert_eq!(sandbox.get("/healthz").await.0, 200);
    say(sandbox.reader(), Request::new(words("x"))).await.expect("calls are still answered");
    let said: Vec<_> =
        watch.into_inner().map(|answer| answer.map(|answer| answer.status).map_err(|end| end.code())).collect().await;
    assert_eq!(said, [Ok(1), Ok(2), Err(Code::Unavailable)]);
    assert_eq!(sandbox.ended().await, Exit::Clean);
}

#[tokio::test]
async fn streams_are_asked_to_end_and_then_cut() {
    let sandbox = Sandbox::start().await;
    let open = async |text: &str| {
        let lines = futures::stream::iter([words(text)]).chain(futures::stream::pending());
        let answers = chant(sandbox.reader(), lines).await.expect("a stream").into_inner();
        sandbox.echo.begun.notified().await;
        answers
    };
    let (mut polite, mut deaf) = (open("hold").await, open("ignore").await);
    sandbox.stop.ask();
    assert_eq!(polite.message().await.expect("a line"), Some(words("committed")));
    let status = deaf.message().await.expect_err("cut");
    assert_eq!(status::reason(&status).as_deref(), Some("SERVER_CLOSING"));
    assert_eq!(sandbox.ended().await, Exit::Clean);
}

#[tokio::test]
async fn background_work_finishes_its_item() {
    let sandbox = Sandbox::start().await;
    let (begun, wait) = tokio::sync::oneshot::channel();
    let work = sandbox.tasks.once(async move {
        begun.send(()).expect("somebody waits");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        7
    });
    wait.await.expect("it began");
    sandbox.stop.ask();
    assert_eq!(sandbox.ended().await, Exit::Clean);
    assert!(work.is_finished());
}

#[tokio::test]
async fn asked_twice_it_stops_at_once() {
    let sandbox = Sandbox::start().await;
    let _call = Tasks::new().once(say(sandbox.reader(), Request::new(words("wait"))));
    sandbox.echo.begun.notified().await;
    sandbox.stop.ask();
    sandbox.stop.ask();
    assert_eq!(sandbox.ended().await, Exit::Cut);
}

#[tokio::test]
async fn what_does_not_finish_within_the_limit_is_cut() {
    let sandbox = Sandbox::with(|settings| settings.stop.limit = TimeSpan::milliseconds(200)).await;
    let _call = Tasks::new().once(say(sandbox.reader(), Request::new(words("wait"))));
    sandbox.echo.begun.notified().await;
    sandbox.stop.ask();
    assert_eq!(sandbox.ended().await, Exit::Cut);
}

#[tokio::test]
async fn broken_background_work_stops_the_process() {
    let sandbox = Sandbox::start().await;
    sandbox.tasks.spawn("short", |_| async {});
    assert_eq!(sandbox.ended().await, Exit::Broken);
}
