//! Inside a service the arrows are `api → app → domain`, `app → store`, `work → app`, and none points back.

use std::path::Path;

use crate::assert_none;
use crate::lexer::{NamedPath, named_paths};
use crate::sources::files;

const LAYERS: [&str; 5] = ["api", "app", "domain", "store", "work"];

/// Which layers a layer may name besides itself. Values of `domain` travel through all of them.
const ARROWS: &[(&str, &[&str])] = &[
    ("api", &["app", "domain"]),
    ("app", &["domain", "store"]),
    ("domain", &[]),
    ("store", &["domain"]),
    ("work", &["app", "domain"]),
];

/// The only files of `app` that name proto: feed payloads and cached answers are proto messages.
const APP_WITH_PROTO: [&str; 2] = ["changes", "views"];

#[test]
fn no_arrow_between_layers_points_back() {
    let mut findings = Vec::new();
    for file in files("services", &["rs"]) {
        let Some(module) = module_of(&file.path) else { continue };
        for path in named_paths(&file.text, &module) {
            if let Some(why) = objection(&module, &path) {
                findings.push(format!("{}:{}: {} ({why})", file.path, path.line, path.parts.join("::")));
            }
        }
    }
    assert_none("arrows between layers that point the wrong way", &findings);
}

/// The module of a file in `services/SERVICE/src`; nothing for the binary's crate, which has other rooms, and for tests.
fn module_of(path: &str) -> Option<Vec<String>> {
    let mut parts = Path::new(path).iter().map(|part| part.to_string_lossy().into_owned());
    let (Some(_), Some(service), Some(folder)) = (parts.next(), parts.next(), parts.next()) else { return None };
    if service == "keizoku" || folder != "src" {
        return None;
    }
    let mut module: Vec<String> = parts.collect();
    let file = module.pop()?;
    let name = file.strip_suffix(".rs")?;
    if !matches!(name, "mod" | "lib") {
        module.push(name.to_owned());
    }
    Some(module)
}

/// Why a module may not name a path.
fn objection(module: &[String], path: &NamedPath) -> Option<&'static str> {
    let layer = module.first().map_or("", String::as_str);
    let target = path.parts.first().map_or("", String::as_str);
    if target == "crate" {
        return inner_objection(layer, path.parts.get(1).map_or("", String::as_str));
    }
    outer_objection(layer, module.get(1).map_or("", String::as_str), target)
}

fn inner_objection(layer: &str, target: &str) -> Option<&'static str> {
    if layer == "domain" && target != "domain" {
        return Some("domain knows only itself");
    }
    let (_, below) = ARROWS.iter().find(|(name, _)| *name == layer)?;
    let wrong = LAYERS.contains(&target) && target != layer && !below.contains(&target);
    wrong.then_some("this layer may not know that one")
}

fn outer_objection(layer: &str, file: &str, target: &str) -> Option<&'static str> {
    let wire = matches!(target, "keizoku_proto" | "prost" | "prost_types");
    match target {
        "tonic" | "tonic_types" | "tonic_health" if layer != "api" => Some("tonic stays in api"),
        "sqlx" | "sea_orm" | "sea_orm_migration" if layer != "store" => Some("SQL lives in store"),
        "keizoku_storage" if layer == "api" => Some("api never queries"),
        "keizoku_storage" | "keizoku_runtime" | "keizoku_control" | "keizoku_convert" | "tokio" | "futures"
            if layer == "domain" =>
        {
            Some("domain is pure")
        }
        _ if wire && matches!(layer, "store" | "domain") => Some("store and domain never name proto"),
        _ if wire && layer == "app" && !APP_WITH_PROTO.contains(&file) => {
            Some("in app only changes and views name proto")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(module: &str, path: &str) -> Option<&'static str> {
        let split = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
        objection(&split(module), &NamedPath { line: 1, parts: split(path) })
    }

    #[test]
    fn each_reversed_arrow_is_seen() {
        for (module, path) in [
            ("api::score", "crate::store::score"),
            ("api::score", "keizoku_storage::Tx"),
            ("work::roller", "crate::store::block"),
            ("domain::band", "crate::error::Error"),
            ("domain::band", "tokio::time"),
            ("store::score", "keizoku_proto::scoring"),
            ("store::score", "crate::app::App"),
            ("app::read", "crate::api::convert"),
            ("app::read", "tonic::Status"),
            ("app::read", "keizoku_proto::scoring"),
            ("app::read", "sea_orm::Entity"),
        ] {
            assert!(why(module, path).is_some(), "{module} → {path}");
        }
    }

    #[test]
    fn each_right_arrow_is_allowed() {
        for (module, path) in [
            ("api::score", "crate::app::read"),
            ("api::convert", "crate::domain::Band"),
            ("api::score", "tonic::Status"),
            ("app::read", "crate::store::score"),
            ("app::changes", "keizoku_proto::scoring"),
            ("app::read", "keizoku_storage::Tx"),
            ("app::read", "crate::error::Error"),
            ("store::score", "crate::domain::Band"),
            ("store::score", "sea_orm::Entity"),
            ("work::roller", "crate::app::roll"),
            ("domain::band", "keizoku_base::Day"),
            ("lib", "crate::store::migrations"),
        ] {
            assert_eq!(why(module, path), None, "{module} → {path}");
        }
    }

    #[test]
    fn a_file_knows_its_module() {
        let module = |path: &str| module_of(path).map(|parts| parts.join("::"));
        assert_eq!(module("services/scoring/src/app/read.rs").as_deref(), Some("app::read"));
        assert_eq!(module("services/scoring/src/store/mod.rs").as_deref(), Some("store"));
        assert_eq!(module("services/scoring/src/lib.rs").as_deref(), Some(""));
        assert_eq!(module("services/scoring/tests/it/main.rs"), None);
        assert_eq!(module("services/keizoku/src/main.rs"), None);
    }
}
