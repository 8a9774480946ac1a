//! `deny.toml` held against what the workspace is built from.

use std::collections::BTreeMap;

use crate::assert_none;
use crate::licence::allowed;
use crate::metadata::packages;

#[test]
fn every_licence_is_on_the_list() {
    let rules = rules();
    let list = rules["licenses"]["allow"].as_array().expect("a list of licences");
    let list: Vec<&str> = list.iter().filter_map(toml::Value::as_str).collect();
    let findings: Vec<String> = packages()
        .iter()
        .filter(|package| !package.licence.as_deref().is_some_and(|licence| allowed(licence, &list)))
        .map(|package| format!("{} {}: {:?}", package.name, package.version, package.licence))
        .collect();
    assert_none("licences that deny.toml does not allow", &findings);
}

#[test]
fn no_banned_crate_and_no_second_version_is_built() {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages() {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    let rules = rules();
    let bans = rules["bans"]["deny"].as_array().expect("a list of bans");
    let findings: Vec<String> = bans.iter().filter_map(|ban| broken_ban(ban, &versions)).collect();
    assert_none("crates that deny.toml bans", &findings);
}

#[test]
fn every_crate_comes_from_the_registry() {
    let findings: Vec<String> = packages()
        .iter()
        .filter(|package| package.source.as_deref().is_some_and(|source| !source.starts_with("registry+")))
        .map(|package| format!("{} from {:?}", package.name, package.source))
        .collect();
    assert_none("crates from elsewhere", &findings);
}

/// What speaks against one entry of `bans.deny`.
fn broken_ban(ban: &toml::Value, versions: &BTreeMap<&str, Vec<&str>>) -> Option<String> {
    let name = ban["crate"].as_str().expect("a ban names a crate");
    let found = versions.get(name)?;
    let several_only = ban.get("deny-multiple-versions").and_then(toml::Value::as_bool) == Some(true);
    (!several_only || found.len() > 1).then(|| format!("{name} {}", found.join(", ")))
}

fn rules() -> toml::Table {
    let path = keizoku_tests::root().join("deny.toml");
    std::fs::read_to_string(path).expect("deny.toml is there").parse().expect("deny.toml is TOML")
}
