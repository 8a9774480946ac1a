//! `apply` and `diff`, from files to what the server is told.

use std::sync::{Arc, Mutex};

use keizoku_proto::ingestion::{
    GetWorkspaceResponse, ListMetricsResponse, MetricDefinition, PutMetricResponse, UpdateWorkspaceResponse, Workspace,
    WorkspaceSettings,
};
use keizoku_proto::scoring::{ApplyModelResponse, HealthModel};
use serde_json::Value as Json;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Running, Server};
use crate::client::methods;

const METRIC: &str = "kind: Metric\nkey: logins\nevent_names: [login]\naggregation: count\n";
const MODEL: &str =
    "kind: HealthModel\nkey: main\nmeasures:\n  - key: usage\n    weight: 2\n    window: {metric: logins}\n";

/// What a server of these tests holds, and what was done to it.
#[derive(Default)]
struct Held {
    metrics: Vec<MetricDefinition>,
    model: Option<HealthModel>,
    settings: WorkspaceSettings,
    done: Vec<&'static str>,
}

async fn server() -> (Running, Arc<Mutex<Held>>) {
    let held = Arc::new(Mutex::new(Held::default()));
    let of = |held: &Arc<Mutex<Held>>| held.clone();
    let (listing, putting, applying, getting, updating) = (of(&held), of(&held), of(&held), of(&held), of(&held));
    let server = Server::default()
        .on(&methods::LIST_METRICS, move |_| {
            let metrics = listing.lock().expect("held").metrics.clone();
            Ok(ListMetricsResponse { metrics, next_page_token: String::new() })
        })
        .on(&methods::PUT_METRIC, move |request| {
            let mut held = putting.lock().expect("held");
            let mut metric = request.metric.unwrap_or_default();
            let before = held.metrics.iter().find(|known| known.key == metric.key).cloned();
            metric.version = before.as_ref().map_or(1, |known| known.version);
            let changed = before.as_ref() != Some(&metric);
            if changed && !request.validate_only {
                metric.version += i32::from(before.is_some());
                held.metrics.retain(|known| known.key != metric.key);
                held.metrics.push(metric.clone());
                held.done.push("metric");
            }
            Ok(PutMetricResponse { metric: Some(metric), changed, ..PutMetricResponse::default() })
        })
        .on(&methods::APPLY_MODEL, move |request| {
            apply_model(&applying, request.model.unwrap_or_default(), request.validate_only)
        })
        .on(&methods::GET_WORKSPACE, move |_| {
            let settings = Some(getting.lock().expect("held").settings.clone());
            Ok(GetWorkspaceResponse { workspace: Some(Workspace { settings, ..Workspace::default() }) })
        })
        .on(&methods::UPDATE_WORKSPACE, move |request| {
            let mut held = updating.lock().expect("held");
            assert_eq!(request.update_mask.unwrap_or_default().paths, ["settings.reporting_currency"]);
            held.settings = request.workspace.and_then(|workspace| workspace.settings).unwrap_or_default();
            held.done.push("settings");
            Ok(UpdateWorkspaceResponse::default())
        });
    (server.start().await, held)
}

fn apply_model(held: &Mutex<Held>, mut model: HealthModel, check_only: bool) -> Result<ApplyModelResponse, Status> {
    let mut held = held.lock().expect("held");
    if held.metrics.is_empty() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("model.measures[0].window.metric", "METRIC_UNKNOWN: no metric of that key");
        return Err(Status::with_error_details(Code::InvalidArgument, "1 field is wrong", details));
    }
    let previous = held.model.clone();
    model.version = previous.as_ref().map_or(1, |known| known.version);
    let changed = previous.as_ref() != Some(&model);
    if changed && !check_only {
        model.version += i32::from(previous.is_some());
        held.model = Some(model.clone());
        held.done.push("model");
    }
    Ok(ApplyModelResponse { model: Some(model), changed, previous })
}

fn effects(output: &str) -> Vec<(String, String)> {
    let steps: Vec<Json> = serde_json::from_str(output).expect("a list");
    let text = |step: &Json, name: &str| step[name].as_str().expect("a text").to_owned();
    steps.iter().map(|step| (text(step, "key"), text(step, "effect"))).collect()
}

fn pair(key: &str, effect: &str) -> (String, String) {
    (key.to_owned(), effect.to_owned())
}

#[tokio::test]
async fn metrics_go_before_the_models_that_name_them() {
    let (server, held) = server().await;
    let file = server.folder().file("all.yaml", &format!("{MODEL}---\n{METRIC}"));
    let told = server.run(&["apply", "-f", &file, "--dry-run", "-o", "json"]).await;
    assert_eq!(effects(&told.output), [pair("logins", "created"), pair("main", "unchecked")], "{}", told.notes);
    assert!(held.lock().expect("held").done.is_empty());
    let told = server.run(&["apply", "-f", &file, "-o", "json"]).await;
    assert_eq!(effects(&told.output), [pair("logins", "created"), pair("main", "created")], "{}", told.notes);
    assert_eq!(held.lock().expect("held").done, ["metric", "model"]);
}

#[tokio::test]
async fn what_is_in_force_changes_nothing_and_a_difference_is_shown_by_field() {
    let (server, held) = server().await;
    let file = server.folder().file("all.yaml", &format!("{METRIC}---\n{MODEL}"));
    assert_eq!(server.run(&["apply", "-f", &file]).await.code, 0);
    let told = server.run(&["apply", "-f", &file, "-o", "json"]).await;
    assert_eq!(effects(&told.output), [pair("logins", "unchanged"), pair("main", "unchanged")]);
    assert_eq!(server.run(&["diff", "-f", &file]).await.code, 0);
    server.folder().file("all.yaml", &format!("{METRIC}---\n{}", MODEL.replace("weight: 2", "weight: 3")));
    let told = server.run(&["diff", "-f", &file]).await;
    assert_eq!(told.code, 7);
    assert!(
        told.output.contains("1 → 2") && told.output.contains("measures[usage].weight: 2.0 → 3.0"),
        "{}",
        told.output
    );
    assert_eq!(held.lock().expect("held").done, ["metric", "model"]);
    let told = server.run(&["apply", "-f", &file]).await;
    assert!(told.output.contains("1 → 2"), "{}", told.output);
}

#[tokio::test]
async fn a_refusal_of_the_server_names_the_line_and_changes_nothing() {
    let (server, held) = server().await;
    let file = server.folder().file("model.yaml", MODEL);
    let told = server.run(&["apply", "-f", &file]).await;
    assert_eq!((told.code, told.output.as_str()), (4, ""));
    assert!(told.notes.contains("model.yaml:6: measures[0].window.metric: METRIC_UNKNOWN"), "{}", told.notes);
    assert!(held.lock().expect("held").done.is_empty());
}

#[tokio::test]
async fn a_file_that_is_wrong_is_never_sent() {
    let (server, held) = server().await;
    let file = server.folder().file("bad.yaml", &METRIC.replace("event_names", "event_nmaes"));
    let told = server.run(&["apply", "-f", &file]).await;
    assert_eq!(told.code, 4);
    assert!(told.notes.contains("bad.yaml:3: event_nmaes: is no field of MetricDefinition; did you mean event_names?"));
    assert!(held.lock().expect("held").done.is_empty());
}

#[tokio::test]
async fn only_the_settings_that_a_file_names_are_changed() {
    let (server, held) = server().await;
    let file = server.folder().file("settings.yaml", "kind: WorkspaceSettings\nreporting_currency: JPY\n");
    assert_eq!(server.run(&["diff", "-f", &file]).await.code, 7);
    let told = server.run(&["apply", "-f", &file]).await;
    assert_eq!(
        (told.code, held.lock().expect("held").settings.reporting_currency.as_str()),
        (0, "JPY"),
        "{}",
        told.notes
    );
    assert_eq!(server.run(&["diff", "-f", &file]).await.code, 0);
}
