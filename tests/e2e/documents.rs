//! What documents show is what happens: their examples are run as they stand there.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use keizoku_proto::scoring::metric_window::{Aggregation, Bucket};
use keizoku_proto::scoring::{GetScoreRequest, HealthModel, get_score_request};
use keizoku_proto::types::{AccountRef, ExternalId, account_ref};
use keizoku_testkit::{TempDir, eventually};
use keizoku_tests::make::{account_item, bands, count, event_on, label, windowed};
use keizoku_tests::{Sandbox, User, binary, root};

/// An example of a document: the language of its block, and its text.
type Example = (String, String);

/// Somebody who types examples into a shell.
struct Reader {
    sandbox: Sandbox,
    folder: TempDir,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_reads_one_score_in_three_ways() {
    let reader = Reader::new().await;
    two_logins_of_acme(&mut User::new(&reader.sandbox.client())).await;
    let shown: Vec<(String, String)> = examples("README.md", "## Read one score")
        .into_iter()
        .map(|(language, text)| (language.clone(), reader.run(&language, &text)))
        .collect();
    let [(_, command_line), (_, grpcurl), (_, python)] = shown.as_slice() else {
        panic!("three ways are wanted: {shown:?}")
    };
    assert!(command_line.contains("20.0") && command_line.contains("bad"), "{command_line}");
    let answer: serde_json::Value = serde_json::from_str(grpcurl).expect("JSON");
    assert_eq!(answer["score"]["scored"]["valueMillis"], 20_000);
    assert!(python.contains("value_millis: 20000") && python.contains("band: \"bad\""), "{python}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_leads_to_the_first_explained_score() {
    let reader = Reader::new().await;
    reader.run("sh", "export KEIZOKU_API_KEY=kz_…\nkeizoku context set dev http://127.0.0.1:7070");
    let mut shown = Vec::new();
    for (language, text) in examples("docs/guides/getting-started.md", "# ") {
        shown.push(if text.contains("scores explain") {
            eventually(Duration::from_secs(30), || {
                let answer = reader.run(&language, &text);
                async move { answer.contains("50.0").then_some(answer) }
            })
            .await
        } else {
            reader.run(&language, &text)
        });
    }
    let [_, applied, sent, score, arrived] = shown.as_slice() else { panic!("five steps are wanted: {shown:?}") };
    assert!(applied.contains("logins") && applied.contains("health"), "{applied}");
    assert!(sent.contains('5'), "{sent}");
    assert!(score.contains("Days with a login") && score.contains("normal"), "{score}");
    assert!(arrived.contains("login"), "{arrived}");
}

impl Reader {
    async fn new() -> Self {
        Self { sandbox: Sandbox::start().await, folder: TempDir::new() }
    }

    /// Types an example, with the sandbox's address and key in place of those in the document; what is then shown.
    fn run(&self, language: &str, text: &str) -> String {
        let address = self.sandbox.endpoint().replace("http://", "");
        let text = text.replace("127.0.0.1:7070", &address).replace("kz_…", self.sandbox.key());
        let tools = root().join("target/tools/bin");
        let programs = [binary().parent().map(Path::to_owned), Some(tools.clone())];
        let path = std::env::join_paths(programs.into_iter().flatten()).expect("folders without colons");
        let mut path = path.into_string().expect("a path of UTF-8");
        path.push_str(":/usr/local/bin:/usr/bin:/bin");
        let mut command = match language {
            "sh" => Command::new("sh"),
            "python" => Command::new(tools.join("python3")),
            other => panic!("nothing runs {other}"),
        };
        let output = command
            .args([if language == "sh" { "-euc" } else { "-c" }, &text])
            .current_dir(self.folder.path())
            .env("PATH", path)
            .env("XDG_CONFIG_HOME", self.folder.path())
            .env("NO_COLOR", "1")
            .env("LANG", "en_US.UTF-8")
            .envs(self.variables(&text))
            .output()
            .expect("a shell runs");
        let (shown, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}\n{shown}{errors}");
        shown.into_owned()
    }

    /// What stands in for the context of `keizoku dev`, until the document has one of its own.
    fn variables(&self, text: &str) -> Vec<(&'static str, String)> {
        if self.folder.path().join("keizoku/contexts.toml").exists() || text.contains("context set") {
            return Vec::new();
        }
        vec![("KEIZOKU_ENDPOINT", self.sandbox.endpoint()), ("KEIZOKU_API_KEY", self.sandbox.key().to_owned())]
    }
}

/// The examples of a document below a heading, up to the next one of its rank.
fn examples(document: &str, heading: &str) -> Vec<Example> {
    let text = std::fs::read_to_string(root().join(document)).expect("the document is there");
    let from = text.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
    let rank = format!("{} ", heading.split(' ').next().unwrap_or_default());
    let mut found: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in from {
        match line.strip_prefix("```") {
            Some(language) if !inside => found.push((language.to_owned(), String::new())),
            None if inside => {
                if let Some((_, text)) = found.last_mut() {
                    text.push_str(line);
                    text.push('\n');
                }
                continue;
            }
            None if line.starts_with(&rank) => break,
            Some(_) | None => {}
        }
        inside ^= line.starts_with("```");
    }
    found
}

/// Ten points for every login of 28 days, and two logins of the customer that the demo workspace has, too.
async fn two_logins_of_acme(user: &mut User) {
    let acme = ExternalId { source: "demo".to_owned(), id: "acme".to_owned() };
    let account = AccountRef { r#ref: Some(account_ref::Ref::External(acme.clone())) };
    user.set_day("2024-05-10").await.expect("a first setting");
    let mut item = account_item("acme", &[]);
    item.external_id = Some(acme);
    user.put_accounts(vec![item]).await.expect("an account");
    user.put_metric(count("logins", "login", "app")).await.expect("a metric");
    let scale = [(0.0, 0.0), (10.0, 100.0)];
    let logins = windowed("logins", "logins", (Aggregation::Sum, Bucket::Day, 28), 1.0, &scale);
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
    let mut events = vec![event_on("one", "", "login", "2024-05-08"), event_on("two", "", "login", "2024-05-09")];
    for event in &mut events {
        event.account = Some(account.clone());
    }
    let position = user.send("app", events).await.expect("stored").position;
    let consistency = Some(get_score_request::Consistency::AtLeast(position));
    let request = GetScoreRequest { account: Some(account), consistency, ..GetScoreRequest::default() };
    user.scores.get_score(request).await.expect("counted");
}
