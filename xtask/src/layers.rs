//! The layer rules: which crate of the workspace may depend on which. Development dependencies are free.

use std::collections::{HashMap, HashSet, VecDeque};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::step::Step;

/// What the domain must not reach, not even by way of another crate: it does no I/O.
const KEPT_FROM_DOMAIN: [&str; 8] =
    ["tokio", "poem", "poem-openapi", "hyper", "reqwest", "sled", "tokio-postgres", "mysql_async"];

/// Checks the workspace as cargo sees it.
///
/// # Errors
/// With one sentence for each arrow that must not be.
pub(crate) fn run() -> Result<()> {
    let metadata = Step::cargo(["metadata", "--format-version", "1", "--locked"]).read()?;
    let metadata = serde_json::from_slice(&metadata).context("cargo metadata printed no JSON")?;
    let broken = violations(&packages(&metadata).context("cargo metadata has another form than expected")?);
    if !broken.is_empty() {
        bail!("the layer rules are broken:\n  {}", broken.join("\n  "));
    }
    Ok(())
}

/// A crate, of the workspace or not.
#[derive(Debug)]
struct Package {
    name: String,
    /// Its folder in the workspace; `None` for a crate from elsewhere.
    folder: Option<String>,
    /// The ids of what it depends on, but for development.
    dependencies: Vec<String>,
}

/// What a crate of the workspace is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Domain,
    Adapter,
    Http,
    App,
    Tests,
    Bench,
    Xtask,
}

impl Room {
    fn of(folder: &str) -> Option<Self> {
        Some(match folder {
            "crates/domain" => Self::Domain,
            "crates/http" => Self::Http,
            "crates/app" => Self::App,
            "tests" => Self::Tests,
            "bench" => Self::Bench,
            "xtask" => Self::Xtask,
            _ if folder.starts_with("crates/adapters/") => Self::Adapter,
            _ => return None,
        })
    }

    fn may_depend_on(self, other: Self) -> bool {
        match self {
            Self::Domain | Self::Bench | Self::Xtask => false,
            Self::Adapter | Self::Http => other == Self::Domain,
            Self::App => matches!(other, Self::Domain | Self::Adapter | Self::Http),
            Self::Tests => matches!(other, Self::Domain | Self::Adapter | Self::Http | Self::App | Self::Bench),
        }
    }

    fn rule(self) -> &'static str {
        match self {
            Self::Domain => "the domain depends on no crate of the workspace",
            Self::Adapter => "an adapter depends on the domain alone",
            Self::Http => "http depends on the domain alone",
            Self::App => "the app depends on the domain, the adapters and http",
            Self::Tests => "the tests depend on what the app is made of, on the app, and on how the load driver draws",
            Self::Bench => "the load driver depends on no crate of the workspace: it speaks HTTP to the binary",
            Self::Xtask => "xtask depends on no crate of the workspace: it runs them",
        }
    }
}

/// What is wrong, sorted, a sentence each.
fn violations(packages: &HashMap<String, Package>) -> Vec<String> {
    let mut broken = Vec::new();
    for (id, package) in packages {
        let Some(folder) = &package.folder else { continue };
        let Some(room) = Room::of(folder) else {
            broken.push(format!("{} in {folder} has no layer: give it one in xtask/src/layers.rs", package.name));
            continue;
        };
        for other in package.dependencies.iter().filter_map(|dependency| packages.get(dependency)) {
            let Some(target) = other.folder.as_deref().and_then(Room::of) else { continue };
            if !room.may_depend_on(target) {
                broken.push(format!("{} must not depend on {}: {}", package.name, other.name, room.rule()));
            }
        }
        if room == Room::Domain {
            broken.extend(reached(packages, id).into_iter().map(|path| {
                format!("{path}: the domain is pure, and reaches none of {}", KEPT_FROM_DOMAIN.join(", "))
            }));
        }
    }
    broken.sort();
    broken
}

/// The shortest path from a crate to each that is kept from the domain.
fn reached(packages: &HashMap<String, Package>, from: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = HashSet::from([from]);
    let mut queue = VecDeque::from([(from, String::new())]);
    while let Some((id, path)) = queue.pop_front() {
        let Some(package) = packages.get(id) else { continue };
        let path = if path.is_empty() { package.name.clone() } else { format!("{path} → {}", package.name) };
        if KEPT_FROM_DOMAIN.contains(&package.name.as_str()) {
            found.push(path);
            continue;
        }
        for dependency in &package.dependencies {
            if seen.insert(dependency) {
                queue.push_back((dependency, path.clone()));
            }
        }
    }
    found
}

/// Reads `cargo metadata`, <https://doc.rust-lang.org/cargo/commands/cargo-metadata.html>.
fn packages(metadata: &Value) -> Option<HashMap<String, Package>> {
    let root = metadata["workspace_root"].as_str()?;
    let members: HashSet<&str> = metadata["workspace_members"].as_array()?.iter().filter_map(Value::as_str).collect();
    let mut dependencies: HashMap<&str, Vec<String>> = HashMap::new();
    for node in metadata["resolve"]["nodes"].as_array()? {
        let lasting = node["deps"].as_array()?.iter().filter(|dependency| !is_for_development(dependency));
        let ids = lasting.filter_map(|dependency| dependency["pkg"].as_str()).map(str::to_owned).collect();
        dependencies.insert(node["id"].as_str()?, ids);
    }
    let mut packages = HashMap::new();
    for package in metadata["packages"].as_array()? {
        let id = package["id"].as_str()?;
        let folder = if members.contains(id) {
            let manifest = package["manifest_path"].as_str()?.strip_prefix(root)?;
            Some(manifest.trim_start_matches('/').trim_end_matches("/Cargo.toml").to_owned())
        } else {
            None
        };
        let name = package["name"].as_str()?.to_owned();
        let dependencies = dependencies.remove(id).unwrap_or_default();
        packages.insert(id.to_owned(), Package { name, folder, dependencies });
    }
    Some(packages)
}

fn is_for_development(dependency: &Value) -> bool {
    dependency["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind["kind"] == "dev"))
}

#[cfg(test)]
mod tests;
