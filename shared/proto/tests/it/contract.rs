//! What holds for every element of the protos: scope, comment, HTTP rule.

use std::collections::{BTreeMap, HashMap};

use keizoku_proto::pool;
use prost_reflect::{
    EnumDescriptor, FileDescriptor, MessageDescriptor, MethodDescriptor, ReflectMessage, ServiceDescriptor, Value,
};

fn files() -> impl Iterator<Item = FileDescriptor> {
    pool().files().filter(|file| file.package_name().starts_with("keizoku."))
}

fn services() -> impl Iterator<Item = ServiceDescriptor> {
    files().flat_map(|file| file.services().collect::<Vec<_>>())
}

fn methods() -> Vec<MethodDescriptor> {
    services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

fn scope(method: &MethodDescriptor) -> Option<String> {
    let option = pool().get_extension_by_name("keizoku.type.v1.scope")?;
    method.options().get_extension(&option).as_str().map(ToOwned::to_owned)
}

/// `GET /v1/scores/{}`, if the method has an HTTP rule.
fn route(method: &MethodDescriptor) -> Option<String> {
    let option = pool().get_extension_by_name("google.api.http")?;
    let options = method.options();
    if !options.has_extension(&option) {
        return None;
    }
    let value = options.get_extension(&option);
    let rule = value.as_message()?;
    ["get", "post", "put", "patch", "delete"].iter().find_map(|verb| {
        let path = rule.get_field_by_name(verb).filter(|_| rule.has_field_by_name(verb))?;
        Some(format!("{} {}", verb.to_uppercase(), without_names(path.as_str()?)))
    })
}

fn without_names(path: &str) -> String {
    let mut parts = path.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |found, part| found + "{}" + part.split_once('}').map_or(part, |(_, rest)| rest))
}

/// Everything with a name of its own: where it stands in its file and what it is called.
fn elements(file: &FileDescriptor) -> Vec<(Vec<i32>, String)> {
    let mut found = Vec::new();
    for message in file.messages() {
        collect_message(&message, &mut found);
    }
    for kind in file.enums() {
        collect_enum(&kind, &mut found);
    }
    for service in file.services() {
        found.push((service.path().to_vec(), service.full_name().to_owned()));
        found.extend(service.methods().map(|method| (method.path().to_vec(), method.full_name().to_owned())));
    }
    found.extend(file.extensions().map(|option| (option.path().to_vec(), option.full_name().to_owned())));
    found
}

fn collect_message(message: &MessageDescriptor, found: &mut Vec<(Vec<i32>, String)>) {
    if message.is_map_entry() {
        return;
    }
    found.push((message.path().to_vec(), message.full_name().to_owned()));
    found.extend(message.fields().map(|field| (field.path().to_vec(), field.full_name().to_owned())));
    let declared = message.oneofs().filter(|oneof| !oneof.is_synthetic());
    found.extend(declared.map(|oneof| (oneof.path().to_vec(), oneof.full_name().to_owned())));
    for child in message.child_messages() {
        collect_message(&child, found);
    }
    for child in message.child_enums() {
        collect_enum(&child, found);
    }
}

fn collect_enum(kind: &EnumDescriptor, found: &mut Vec<(Vec<i32>, String)>) {
    found.push((kind.path().to_vec(), kind.full_name().to_owned()));
    found.extend(kind.values().map(|value| (value.path().to_vec(), value.full_name().to_owned())));
}

#[test]
fn every_rpc_declares_the_scope_it_needs() {
    let is_well_formed = |scope: &str| {
        let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
        scope.split_once(':').is_some_and(|(what, verb)| word(what) && word(verb))
    };
    for method in methods() {
        let (name, scope) = (method.full_name().to_owned(), scope(&method).unwrap_or_default());
        // The feeds hold every workspace: they are for services alone, and nothing else is.
        let is_internal = method.parent_service().name() == "FeedService";
        assert_eq!(scope == "internal", is_internal, "{name}");
        assert!(is_internal || scope == "any" || is_well_formed(&scope), "{name} has the scope {scope:?}");
    }
    assert!(methods().len() > 40, "the descriptors hold all services");
}

#[test]
fn every_element_says_what_it_is() {
    let mut silent = Vec::new();
    for file in files() {
        let info = file.file_descriptor_proto().source_code_info.clone().expect("comments are kept");
        let comments: HashMap<_, _> =
            info.location.into_iter().map(|place| (place.path, place.leading_comments)).collect();
        let commented = |path: &[i32]| {
            comments.get(path).and_then(Option::as_deref).is_some_and(|comment| !comment.trim().is_empty())
        };
        silent.extend(elements(&file).into_iter().filter(|(path, _)| !commented(path)).map(|(_, name)| name));
    }
    assert!(silent.is_empty(), "without a comment: {silent:#?}");
}

#[test]
fn every_unary_rpc_for_clients_has_an_http_rule_of_its_own() {
    let mut routes = BTreeMap::<String, Vec<String>>::new();
    for method in methods() {
        let streams = method.is_client_streaming() || method.is_server_streaming();
        let between_services = method.parent_service().name() == "FeedService";
        let name = method.full_name().to_owned();
        match route(&method) {
            Some(route) => routes.entry(route).or_default().push(name),
            None => assert!(streams || between_services, "{name} has no google.api.http rule"),
        }
    }
    routes.retain(|_, methods| methods.len() > 1);
    assert!(routes.is_empty(), "routes with several methods: {routes:?}");
}

#[test]
fn lists_are_paged_alike() {
    for method in methods().iter().filter(|method| method.name().starts_with("List") && route(method).is_some()) {
        let has = |message: MessageDescriptor, field: &str| message.get_field_by_name(field).is_some();
        let name = method.full_name();
        assert!(has(method.input(), "page_size") && has(method.input(), "page_token"), "{name}");
        assert!(has(method.output(), "next_page_token"), "{name}");
    }
}

#[test]
fn options_survive_the_build() {
    let method = methods().into_iter().find(|method| method.name() == "GetScore").expect("GetScore");
    assert_eq!(scope(&method).as_deref(), Some("scores:read"));
    assert_eq!(route(&method).as_deref(), Some("GET /v1/scores/{}"));
    let options = method.options();
    assert_eq!(options.descriptor().full_name(), "google.protobuf.MethodOptions");
    assert!(options.unknown_fields().next().is_none(), "every option is known");
    assert!(options.extensions().all(|(_, value)| !matches!(value, Value::Bytes(_))));
}
