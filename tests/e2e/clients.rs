//! Clients that share no code with us: Python's grpcio through reflection, and grpcurl.

use std::path::PathBuf;
use std::process::Command;

use keizoku_proto::scoring::HealthModel;
use keizoku_proto::scoring::metric_window::{Aggregation, Bucket};
use keizoku_tests::make::{account_item, bands, count, label, windowed};
use keizoku_tests::{Sandbox, User, root};

#[tokio::test(flavor = "multi_thread")]
async fn python_sends_events_and_reads_a_score_through_reflection() {
    let sandbox = prepared().await;
    let output = Command::new(tool("python3"))
        .arg(root().join("tests/clients/score.py"))
        .env("KEIZOKU_ENDPOINT", sandbox.endpoint())
        .env("KEIZOKU_API_KEY", sandbox.key())
        .output()
        .expect("python runs");
    let (shown, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}{errors}");
    assert_eq!(shown.trim(), "stored 3, duplicate 1, kaede 30.0 bad", "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcurl_sends_events_and_reads_a_score() {
    let sandbox = prepared().await;
    let event = |number: u32| {
        format!(
            r#"{{"id": "curl-{number}", "account": {{"external": {{"source": "crm", "id": "kaede"}}}}, "name": "login",
                "occurredOn": {{"year": 2024, "month": 5, "day": {number}}}}}"#
        )
    };
    let body = format!(r#"{{"source": "app", "events": [{}, {}]}}"#, event(1), event(2));
    let sent: serde_json::Value = grpcurl(&sandbox, "keizoku.ingestion.v1.EventService/IngestEvents", &body);
    assert_eq!(sent["storedCount"], 2);
    let position = sent["position"].as_str().expect("a position");
    let body = format!(
        r#"{{"account": {{"external": {{"source": "crm", "id": "kaede"}}}}, "view": "SCORE_VIEW_EXPLAINED",
            "atLeast": "{position}"}}"#
    );
    let read = grpcurl(&sandbox, "keizoku.scoring.v1.ScoreService/GetScore", &body);
    assert_eq!(read["score"]["scored"]["valueMillis"], 20_000);
    assert_eq!(read["score"]["scored"]["band"], "bad");
    assert_eq!(read["score"]["scored"]["contributions"][0]["value"], 2.0);
}

/// A product with one customer, a metric and a model: ten points for every login of the last 28 days.
async fn prepared() -> Sandbox {
    let sandbox = Sandbox::start().await;
    let mut user = User::new(&sandbox.client());
    user.set_day("2024-05-10").await.expect("a first setting");
    user.put_accounts(vec![account_item("kaede", &[])]).await.expect("an account");
    user.put_metric(count("logins", "login", "app")).await.expect("a metric");
    let logins = windowed("logins", "logins", (Aggregation::Sum, Bucket::Day, 28), 1.0, &[(0.0, 0.0), (10.0, 100.0)]);
    user.apply(HealthModel {
        key: "health".to_owned(),
        label: Some(label("Health")),
        measures: vec![logins],
        bands: bands(),
        primary: true,
        ..HealthModel::default()
    })
    .await
    .expect("a model");
    sandbox
}

fn grpcurl(sandbox: &Sandbox, method: &str, body: &str) -> serde_json::Value {
    let address = sandbox.endpoint().replace("http://", "");
    let output = Command::new(tool("grpcurl"))
        .args(["-plaintext", "-H", &format!("authorization: Bearer {}", sandbox.key()), "-d", body, &address, method])
        .output()
        .expect("grpcurl runs");
    let (shown, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}{errors}");
    serde_json::from_str(&shown).expect("JSON")
}

/// A tool that `scripts/tools` installed.
fn tool(name: &str) -> PathBuf {
    let path = root().join("target/tools/bin").join(name);
    assert!(path.exists(), "{} is missing: run scripts/tools (make test does)", path.display());
    path
}
