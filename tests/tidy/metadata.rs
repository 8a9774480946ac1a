//! What `cargo metadata` says: the workspace's crates and everything they are built from.

use std::collections::HashSet;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// The parts of a package that the checks read.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: Option<String>,
    /// Where it comes from; nothing for a crate of this workspace.
    pub(crate) source: Option<String>,
    pub(crate) manifest: String,
    /// Names of direct dependencies with their kind: nothing, `dev` or `build`.
    pub(crate) dependencies: Vec<(String, Option<String>)>,
}

/// Every package that takes part in a build on Linux with the features in use, once per version.
pub(crate) fn packages() -> &'static [Package] {
    static PACKAGES: OnceLock<Vec<Package>> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let metadata = metadata();
        let nodes = metadata["resolve"]["nodes"].as_array().expect("a resolved graph");
        let used: HashSet<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
        let all = metadata["packages"].as_array().expect("a list of packages");
        all.iter().filter(|package| used.contains(text(package, "id").as_str())).map(read).collect()
    })
}

/// The crates of this workspace.
pub(crate) fn own() -> impl Iterator<Item = &'static Package> {
    packages().iter().filter(|package| package.source.is_none())
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-linux-gnu"])
        .current_dir(keizoku_tests::root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn read(package: &Value) -> Package {
    let dependencies = package["dependencies"].as_array().expect("a list of dependencies");
    Package {
        name: text(package, "name"),
        version: text(package, "version"),
        licence: package["license"].as_str().map(str::to_owned),
        source: package["source"].as_str().map(str::to_owned),
        manifest: text(package, "manifest_path"),
        dependencies: dependencies.iter().map(|d| (text(d, "name"), d["kind"].as_str().map(str::to_owned))).collect(),
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("a package without {field}")).to_owned()
}
