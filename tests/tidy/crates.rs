//! The crates: which may know which, and what each must have.

use std::path::Path;

use crate::assert_none;
use crate::metadata::{Package, own};

/// Every crate with the workspace's crates it may build on. Nothing points back; no service knows another.
const ARROWS: &[(&str, &[&str])] = &[
    ("keizoku-base", &[]),
    ("keizoku-proto", &[]),
    ("keizoku-rules", &["base"]),
    ("keizoku-statistics", &["base"]),
    ("keizoku-storage", &["base"]),
    ("keizoku-runtime", &["base", "proto"]),
    ("keizoku-convert", &["base", "proto"]),
    ("keizoku-control", &["base", "proto", "convert", "runtime", "storage"]),
    ("keizoku-testkit", &["base", "storage", "runtime", "proto"]),
    ("keizoku-ingestion", SERVICE),
    ("keizoku-scoring", SERVICE),
    ("keizoku-voice", SERVICE),
    ("keizoku-engagement", SERVICE),
    (
        "keizoku",
        &[
            "base",
            "proto",
            "convert",
            "runtime",
            "storage",
            "control",
            "rules",
            "statistics",
            "ingestion",
            "scoring",
            "voice",
            "engagement",
        ],
    ),
    ("keizoku-tests", &["base", "proto", "runtime", "control", "testkit"]),
];

const SERVICE: &[&str] = &["base", "proto", "convert", "rules", "statistics", "runtime", "storage", "control"];

/// Crates that have no wire, and those that have no runtime either.
const NO_WIRE: &[&str] = &["keizoku-base", "keizoku-rules", "keizoku-statistics", "keizoku-storage"];
const PURE: &[&str] = &["keizoku-base", "keizoku-rules", "keizoku-statistics"];

#[test]
fn crates_know_only_those_below_them() {
    let findings: Vec<String> = own().flat_map(reversed_arrows).collect();
    assert_none("arrows between crates that point the wrong way", &findings);
}

#[test]
fn pure_crates_have_no_runtime_no_wire_and_no_store() {
    let mut findings = Vec::new();
    for package in own() {
        let name = package.name.as_str();
        for (dependency, _) in package.dependencies.iter().filter(|(_, kind)| kind.as_deref() != Some("dev")) {
            let wire = ["tonic", "prost", "axum", "hyper"].iter().any(|part| dependency.starts_with(part));
            let store = ["tokio", "sqlx", "sea-orm", "redis"].iter().any(|part| dependency.starts_with(part));
            if (NO_WIRE.contains(&name) && wire) || (PURE.contains(&name) && store) {
                findings.push(format!("{name} → {dependency}"));
            }
        }
    }
    assert_none("pure crates that are not pure", &findings);
}

#[test]
fn every_crate_takes_its_lints_and_versions_from_the_workspace() {
    let mut findings = Vec::new();
    for package in own() {
        let text = std::fs::read_to_string(&package.manifest).expect("a manifest is readable");
        let manifest: toml::Table = text.parse().expect("a manifest is TOML");
        let inherits = |value: Option<&toml::Value>| {
            value.and_then(|v| v.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
        };
        if !inherits(manifest.get("lints")) {
            findings.push(format!("{}: [lints] workspace = true is missing", package.name));
        }
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let entries = manifest.get(table).and_then(toml::Value::as_table).into_iter().flatten();
            let own_version = entries.filter(|(_, value)| !inherits(Some(value)));
            findings.extend(own_version.map(|(name, _)| format!("{}: {name} has a version of its own", package.name)));
        }
    }
    assert_none("manifests", &findings);
}

#[test]
fn every_library_says_first_what_it_owns() {
    let mut findings = Vec::new();
    for package in own() {
        let folder = Path::new(&package.manifest).parent().expect("a manifest lies in a folder");
        let Ok(text) = std::fs::read_to_string(folder.join("src/lib.rs")) else { continue };
        let lines = text.lines().take_while(|line| line.starts_with("//!")).count();
        let says = text.lines().next().is_some_and(|line| line.len() > 10);
        if !says || lines > 10 {
            findings.push(format!(
                "{}: lib.rs opens with {lines} lines of documentation, 1 to 10 are wanted",
                package.name
            ));
        }
    }
    assert_none("libraries", &findings);
}

fn reversed_arrows(package: &Package) -> Vec<String> {
    let Some((_, below)) = ARROWS.iter().find(|(name, _)| *name == package.name) else {
        return vec![format!("{} is missing in the list of arrows", package.name)];
    };
    let own = package.dependencies.iter().filter(|(name, _)| name.starts_with("keizoku"));
    own.filter(|(name, kind)| {
        let known = name.strip_prefix("keizoku-").is_some_and(|short| below.contains(&short));
        // Tests may bring up what the crate itself must not know.
        !known && kind.as_deref() != Some("dev")
    })
    .map(|(name, _)| format!("{} → {name}", package.name))
    .collect()
}
