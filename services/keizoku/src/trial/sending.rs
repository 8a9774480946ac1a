//! Sending files of events, with every line accounted for.

use std::collections::BTreeSet;

use keizoku_proto::ingestion::{IngestEventsResponse, Rejection};
use serde_json::{Value as Json, json};
use tonic::Status;
use tonic_types::pb;

use super::{Running, Server};
use crate::client::methods;

/// A server that knows each id once, and rejects events named `bad`.
async fn server() -> Running {
    let mut known = BTreeSet::new();
    let server = Server::default().on(&methods::INGEST_EVENTS, move |request| {
        let mut answer = IngestEventsResponse::default();
        for (index, event) in request.events.into_iter().enumerate() {
            if event.name == "bad" {
                let status = pb::Status { code: 3, message: "the name is not known".to_owned(), details: Vec::new() };
                let index = i32::try_from(index).expect("a small batch");
                answer.rejections.push(Rejection { index, id: event.id, status: Some(status) });
                answer.rejected_count += 1;
            } else if known.insert(event.id) {
                answer.stored_count += 1;
            } else {
                answer.duplicate_count += 1;
            }
        }
        Ok(answer)
    });
    server.start().await
}

fn event(id: usize, name: &str) -> String {
    let account = json!({ "external": { "source": "crm", "id": "1" } });
    json!({ "id": format!("e{id}"), "account": account, "name": name, "occurredAt": "2024-12-31T09:30:00Z" })
        .to_string()
}

#[tokio::test]
async fn every_line_is_stored_a_duplicate_or_rejected_with_its_reason() {
    let server = server().await;
    let mut lines: Vec<String> = (0..1_200).map(|id| event(id, "login")).collect();
    lines[600] = event(5, "login");
    lines[700] = event(700, "bad");
    lines[800] = "{\"id\": \"e800\", \"nmae\": \"login\"}".to_owned();
    lines[900] = String::new();
    let told = server.run_with(&[], &lines.join("\n"), &["events", "send", "-", "--source", "crm", "-o", "json"]).await;
    let json: Json = serde_json::from_str(&told.output).expect("JSON");
    let counts = [&json["sent"], &json["stored"], &json["duplicate"], &json["rejected"]];
    assert_eq!((told.code, counts), (4, [&json!(1_199), &json!(1_196), &json!(1), &json!(2)]), "{}", told.notes);
    let places: Vec<(u64, &str)> = json["rejections"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["line"].as_u64().expect("a line"), one["id"].as_str().expect("an id")))
        .collect();
    assert_eq!(places, [(701, "e700"), (801, "e800")]);
    assert!(json["rejections"][1]["reason"].as_str().expect("a reason").contains("nmae"));
}

#[tokio::test]
async fn a_file_sent_again_is_all_duplicates() {
    let server = server().await;
    let text = (0..3).map(|id| event(id, "login")).collect::<Vec<_>>().join("\n");
    let file = server.folder().file("events.jsonl", &text);
    let words = ["events", "send", &file, "--source", "crm", "-o", "csv"];
    assert_eq!(server.run(&words).await.output, "sent,stored,duplicate,rejected\n3,3,0,0\n");
    assert_eq!(server.run(&words).await.output, "sent,stored,duplicate,rejected\n3,0,3,0\n");
}

#[tokio::test]
async fn a_failure_in_the_middle_says_how_far_it_came() {
    let mut calls = 0;
    let server = Server::default().on(&methods::INGEST_EVENTS, move |request| {
        calls += 1;
        if calls > 1 {
            return Err(Status::data_loss("it broke"));
        }
        let stored_count = i32::try_from(request.events.len()).expect("a small batch");
        Ok(IngestEventsResponse { stored_count, ..IngestEventsResponse::default() })
    });
    let server = server.start().await;
    let text = (0..5).map(|id| event(id, "login")).collect::<Vec<_>>().join("\n");
    let told = server.run_with(&[], &text, &["events", "send", "-", "--source", "crm", "--batch", "2"]).await;
    assert_eq!((told.code, told.output.as_str()), (1, ""));
    assert!(told.notes.starts_with("2 lines were acknowledged before this"), "{}", told.notes);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let told = server().await.run(&["events", "send", "nosuch.jsonl", "--source", "crm"]).await;
    assert_eq!((told.code, told.notes.contains("nosuch.jsonl")), (1, true));
}
