use std::sync::Arc;

use async_trait::async_trait;
use keizoku_runtime::config::Secret;
use keizoku_runtime::node::{MethodFault, NodeFault};
use keizoku_runtime::{AuthFault, Authenticator, Caller, Client, Credential, Node, Telemetry, client, status};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use crate::echo::{Careless, Echo, say, unary, words};
use crate::sandbox::{INTERNAL, Sandbox, descriptors, settings, some_workspace};

async fn refusal(client: Client) -> (Code, Option<String>) {
    let status = say(client, Request::new(words("x"))).await.expect_err("refused");
    (status.code(), status::reason(&status))
}

#[tokio::test]
async fn a_method_without_a_scope_does_not_start() {
    let telemetry = Telemetry::quiet().expect("telemetry");
    let mut node = Node::bind(settings(), descriptors(), &telemetry).await.expect("a node");
    node.mount(Careless(Echo::default())).await;
    struct Nobody;
    #[async_trait]
    impl Authenticator for Nobody {
        async fn authenticate(&self, _: &str) -> Result<Arc<Caller>, AuthFault> {
            Err(AuthFault::Invalid)
        }
    }
    let fault = node.run(Arc::new(Nobody)).await.expect_err("it does not start");
    let NodeFault::Methods(faults) = fault else { panic!("{fault}") };
    let no_scope = |method: &str| MethodFault::NoScope(format!("keizoku.test.v1.CarelessService.{method}"));
    assert_eq!(faults, [no_scope("Forgotten"), no_scope("Empty")]);
}

#[tokio::test]
async fn callers_are_told_apart() {
    let sandbox = Sandbox::start().await;
    let bearer = |key: &str| sandbox.client(Credential::Bearer(Secret::new(key)));
    assert_eq!(
        refusal(sandbox.client(Credential::None)).await,
        (Code::Unauthenticated, Some("CREDENTIAL_MISSING".to_owned()))
    );
    assert_eq!(refusal(bearer("kz_stranger")).await, (Code::Unauthenticated, Some("CREDENTIAL_INVALID".to_owned())));
    assert_eq!(refusal(bearer("kz_nobody")).await, (Code::PermissionDenied, Some("SCOPE_MISSING".to_owned())));
    assert_eq!(refusal(bearer("kz_broken")).await, (Code::Unavailable, Some("CREDENTIALS_UNAVAILABLE".to_owned())));
    let answer = say(bearer("kz_reader"), Request::new(words("who"))).await.expect("let in").into_inner();
    assert_eq!(answer.text, format!("kz_reader internal=false workspace=Some({})", some_workspace()));
}

#[tokio::test]
async fn what_is_denied_names_the_scope_but_nothing_of_the_inside() {
    let sandbox = Sandbox::start().await;
    let call = |key: &str| say(sandbox.client(Credential::Bearer(Secret::new(key))), Request::new(words("x")));
    let denied = call("kz_nobody").await.expect_err("denied");
    let scope = denied.get_details_error_info().and_then(|info| info.metadata.get("scope").cloned());
    assert_eq!(scope.as_deref(), Some("echo:read"));
    let broken = call("kz_broken").await.expect_err("unavailable");
    assert!(!format!("{broken:?}").contains("locked"), "{broken:?}");
}

#[tokio::test]
async fn open_methods_ask_nobody() {
    let sandbox = Sandbox::start().await;
    let answer = unary(sandbox.client(Credential::None), "Hello", Request::new(words("hi"))).await;
    assert_eq!(answer.expect("let in").into_inner(), words("hi"));
}

#[tokio::test]
async fn only_services_may_call_internal_methods() {
    let sandbox = Sandbox::start().await;
    let pretender = sandbox.client(Credential::Bearer(Secret::new("kz_pretender")));
    let denied = unary(pretender, "Whisper", Request::new(words("x"))).await.expect_err("denied");
    assert_eq!(denied.code(), Code::PermissionDenied);
    let wrong = sandbox.client(Credential::Internal(Secret::new(INTERNAL.replace('0', "1"))));
    let wrong = unary(wrong, "Whisper", Request::new(words("x"))).await.expect_err("not our token");
    assert_eq!(wrong.code(), Code::Unauthenticated);
    let service = sandbox.client(Credential::Internal(Secret::new(INTERNAL)));
    unary(service, "Whisper", Request::new(words("x"))).await.expect("let in");
}

#[tokio::test]
async fn an_internal_call_says_for_whom_it_is_made() {
    let sandbox = Sandbox::start().await;
    let service = || sandbox.client(Credential::Internal(Secret::new(INTERNAL)));
    let request = client::on_behalf(Request::new(words("who")), some_workspace(), "mem_x");
    let answer = say(service(), request).await.expect("let in").into_inner();
    assert_eq!(answer.text, format!("mem_x internal=true workspace=Some({})", some_workspace()));

    let none = say(service(), Request::new(words("where"))).await.expect_err("no workspace");
    assert_eq!((none.code(), status::reason(&none).as_deref()), (Code::InvalidArgument, Some("WORKSPACE_MISSING")));
    let mut request = Request::new(words("where"));
    request.metadata_mut().insert("keizoku-workspace", MetadataValue::from_static("acc_1"));
    let wrong = say(service(), request).await.expect_err("no workspace");
    assert_eq!(status::reason(&wrong).as_deref(), Some("WORKSPACE_MALFORMED"));
}
