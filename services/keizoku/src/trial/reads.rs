//! Reads, from the words on the command line to what is printed.

use keizoku_proto::scoring::score::Result as Outcome;
use keizoku_proto::scoring::watch_scores_response::News;
use keizoku_proto::scoring::{
    CaughtUp, GetScoreResponse, ListScoresResponse, Score, ScoreChange, Scored, WatchScoresResponse,
};
use keizoku_proto::types::account_ref::Ref;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Folder, Server, run_here};
use crate::client::methods;

fn score(name: &str, value_millis: i32) -> Score {
    let scored = Scored { value_millis, band: "good".to_owned(), ..Scored::default() };
    Score { account_name: name.to_owned(), result: Some(Outcome::Scored(scored)), ..Score::default() }
}

/// A server with so many accounts, in pages of what is asked for.
fn with_accounts(count: usize) -> Server {
    Server::default().on(&methods::LIST_SCORES, move |request| {
        let first: usize =
            if request.page_token.is_empty() { 0 } else { request.page_token.parse().expect("our token") };
        let end = count.min(first + usize::try_from(request.page_size).expect("a size"));
        let scores = (first..end).map(|index| score(&format!("account {index}"), 0)).collect();
        let next_page_token = if end < count { end.to_string() } else { String::new() };
        Ok(ListScoresResponse { scores, next_page_token })
    })
}

#[tokio::test]
async fn a_score_is_read_by_the_callers_own_id() {
    let server = Server::default().on(&methods::GET_SCORE, |request| {
        let Some(Ref::External(external)) = request.account.and_then(|account| account.r#ref) else {
            return Err(Status::not_found("another account was wanted"));
        };
        Ok(GetScoreResponse { score: Some(score(&external.id, 73_214)), ..GetScoreResponse::default() })
    });
    let server = server.start().await;
    let told = server.run(&["scores", "get", "00042", "--source", "crm", "-o", "json"]).await;
    let json: serde_json::Value = serde_json::from_str(&told.output).expect("JSON");
    assert_eq!((told.code, &json["score"]["scored"]["valueMillis"]), (0, &73_214.into()));
    let told = server.run(&["scores", "get", "crm:00042"]).await;
    assert!(told.output.lines().any(|line| line.starts_with("Score") && line.ends_with("73.214")), "{}", told.output);
}

#[tokio::test]
async fn fifty_rows_are_shown_and_the_rest_is_counted() {
    let server = with_accounts(1_234).start().await;
    let told = server.run(&["scores", "list"]).await;
    assert_eq!((told.code, told.output.lines().count()), (0, 51));
    assert_eq!(told.notes, "1184 more: --limit N or --all shows them\n");
    let told = server.run(&["scores", "list", "--limit", "1100", "-o", "jsonl"]).await;
    assert_eq!(
        (told.output.lines().count(), told.notes.as_str()),
        (1_100, "134 more: --limit N or --all shows them\n")
    );
}

#[tokio::test]
async fn all_rows_are_read_page_by_page() {
    let server = with_accounts(2_500).start().await;
    let told = server.run(&["scores", "list", "--all", "-o", "json"]).await;
    let json: Vec<serde_json::Value> = serde_json::from_str(&told.output).expect("a list");
    assert_eq!((json.len(), told.notes.as_str()), (2_500, ""));
    let none = with_accounts(0).start().await;
    assert_eq!(none.run(&["scores", "list", "-o", "json"]).await.output, "[]\n");
}

#[tokio::test]
async fn a_request_is_shown_instead_of_sent() {
    let server = Server::default().start().await;
    let told = server.run(&["scores", "list", "--worst", "--band", "bad", "--show-request"]).await;
    assert_eq!((told.code, told.notes.as_str()), (0, ""));
    assert!(told.output.starts_with("grpcurl -plaintext -H \"authorization: Bearer $KEIZOKU_API_KEY\" -d '"));
    assert!(told.output.contains("\"order\":\"ORDER_VALUE_ASCENDING\"") && told.output.contains("\"bands\":[\"bad\"]"));
    assert!(told.output.ends_with(" keizoku.scoring.v1.ScoreService/ListScores\n"), "{}", told.output);
}

#[tokio::test]
async fn each_kind_of_failure_has_its_code_and_says_what_to_do() {
    let server = Server::default().on(&methods::GET_SCORE, |_| {
        let mut details = ErrorDetails::new();
        details.set_error_info("ACCOUNT_UNKNOWN", "keizoku", std::collections::HashMap::new());
        Err(Status::with_error_details(Code::NotFound, "there is no account crm:1", details))
    });
    let server = server.start().await;
    let told = server.run(&["scores", "get", "crm:1"]).await;
    assert_eq!((told.code, told.notes.as_str()), (3, "error: there is no account crm:1 (ACCOUNT_UNKNOWN)\n"));
    let told = server.run_with(&[("KEIZOKU_API_KEY", "kz_wrong")], "", &["scores", "get", "crm:1"]).await;
    assert_eq!((told.code, told.notes.contains("check the key")), (6, true));
    assert_eq!(server.run(&["scores", "get", "42"]).await.code, 2);
    let told = run_here(&Folder::new(), &["scores", "get", "crm:1", "--endpoint", "http://127.0.0.1:1"]).await;
    assert_eq!((told.code, told.notes.contains("keizoku dev")), (5, true), "{}", told.notes);
    assert_eq!(run_here(&Folder::new(), &["scores", "get", "crm:1"]).await.code, 5);
    assert_eq!(run_here(&Folder::new(), &["whoami", "--endpoint", "localhost:1"]).await.code, 2);
}

#[tokio::test]
async fn a_watch_that_breaks_is_taken_up_where_it_broke() {
    let change = |name: &str, token: &'static str| WatchScoresResponse {
        news: Some(News::Change(ScoreChange { score: Some(score(name, 50_000)), causes: vec!["usage".to_owned()] })),
        resume_token: token.as_bytes().into(),
    };
    let caught_up =
        WatchScoresResponse { news: Some(News::CaughtUp(CaughtUp {})), resume_token: "a".as_bytes().into() };
    let server = Server::default().on_stream(&methods::WATCH_SCORES, move |request| {
        Ok(match request.resume_token.as_ref() {
            b"" => vec![change("snapshot", "s"), caught_up.clone(), change("first", "b")],
            b"b" => vec![change("second", "c"), change("third", "d")],
            _ => return Err(Status::data_loss("another token was handed out")),
        })
    });
    let server = server.start().await;
    let told = server.run(&["scores", "watch", "--changes-only", "--limit", "2", "-o", "jsonl"]).await;
    let names: Vec<String> = told
        .output
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["score"]["accountName"].to_string())
        .collect();
    assert_eq!((told.code, names), (0, vec!["\"first\"".to_owned(), "\"second\"".to_owned()]), "{}", told.notes);
}
