use serde_json::json;

use super::*;

/// Crates by name, folder (empty: from elsewhere) and dependencies; the name is the id.
fn graph(crates: &[(&str, &str, &[&str])]) -> HashMap<String, Package> {
    crates
        .iter()
        .map(|&(name, folder, dependencies)| {
            let folder = (!folder.is_empty()).then(|| folder.to_owned());
            let dependencies = dependencies.iter().map(|&dependency| dependency.to_owned()).collect();
            (name.to_owned(), Package { name: name.to_owned(), folder, dependencies })
        })
        .collect()
}

#[test]
fn the_workspace_itself_is_read_and_keeps_the_rules() {
    let metadata = Step::cargo(["metadata", "--format-version", "1", "--locked"]).read().unwrap();
    let packages = packages(&serde_json::from_slice(&metadata).unwrap()).unwrap();
    let own = packages.values().filter(|package| package.folder.is_some());
    assert!(own.clone().any(|package| package.folder.as_deref().and_then(Room::of) == Some(Room::Domain)));
    assert!(own.clone().any(|package| package.name == "mobile-bind" && !package.dependencies.is_empty()));
    assert_eq!(violations(&packages), [""; 0]);
}

#[test]
fn the_intended_arrows_are_allowed() {
    let good = graph(&[
        ("domain", "crates/domain", &["tracing"]),
        ("sled-store", "crates/adapters/sled", &["domain", "sled", "tokio"]),
        ("http", "crates/http", &["domain", "poem", "tokio"]),
        ("app", "crates/app", &["domain", "http", "sled-store", "tokio"]),
        ("suites", "tests", &["app", "domain", "driver", "http", "sled-store"]),
        ("driver", "bench", &["clap", "tokio"]),
        ("xtask", "xtask", &["clap"]),
        ("tracing", "", &[]),
        ("sled", "", &[]),
        ("poem", "", &["tokio"]),
        ("tokio", "", &[]),
        ("clap", "", &[]),
    ]);
    assert_eq!(violations(&good), [""; 0]);
}

#[test]
fn each_forbidden_arrow_is_named() {
    let folders = [
        ("domain", "crates/domain"),
        ("sled-store", "crates/adapters/sled"),
        ("sms", "crates/adapters/sms"),
        ("http", "crates/http"),
        ("app", "crates/app"),
        ("suites", "tests"),
        ("driver", "bench"),
        ("xtask", "xtask"),
    ];
    for (from, to) in [
        ("domain", "sms"),
        ("domain", "http"),
        ("sled-store", "sms"),
        ("sled-store", "http"),
        ("sled-store", "app"),
        ("http", "sms"),
        ("http", "app"),
        ("app", "suites"),
        ("app", "xtask"),
        ("suites", "xtask"),
        ("driver", "domain"),
        ("app", "driver"),
        ("xtask", "driver"),
        ("xtask", "domain"),
    ] {
        let crates: Vec<(&str, &str, &[&str])> = folders
            .iter()
            .map(|&(name, folder)| (name, folder, if name == from { std::slice::from_ref(&to) } else { &[] }))
            .collect();
        let broken = violations(&graph(&crates));
        assert_eq!(broken.len(), 1, "{from} → {to}: {broken:?}");
        assert!(broken[0].starts_with(&format!("{from} must not depend on {to}: ")), "{broken:?}");
    }
}

#[test]
fn the_domain_does_not_reach_a_driver_by_way_of_another_crate() {
    let broken = violations(&graph(&[
        ("domain", "crates/domain", &["innocent", "regex"]),
        ("innocent", "", &["regex", "tokio"]),
        ("regex", "", &[]),
        ("tokio", "", &["mio"]),
        ("mio", "", &[]),
    ]));
    assert_eq!(
        broken,
        ["domain → innocent → tokio: the domain is pure, and reaches none of tokio, poem, poem-openapi, hyper, \
          reqwest, sled, tokio-postgres, mysql_async"]
    );
}

#[test]
fn a_crate_without_a_layer_is_named() {
    let broken = violations(&graph(&[("stray", "crates/stray", &[])]));
    assert_eq!(broken, ["stray in crates/stray has no layer: give it one in xtask/src/layers.rs"]);
}

#[test]
fn metadata_is_read_without_development_dependencies() {
    let metadata = json!({
        "workspace_root": "/somewhere",
        "workspace_members": ["path+domain"],
        "packages": [
            {"id": "path+domain", "name": "domain", "manifest_path": "/somewhere/crates/domain/Cargo.toml"},
            {"id": "registry+tokio", "name": "tokio", "manifest_path": "/registry/tokio/Cargo.toml"},
            {"id": "registry+cc", "name": "cc", "manifest_path": "/registry/cc/Cargo.toml"},
            {"id": "registry+regex", "name": "regex", "manifest_path": "/registry/regex/Cargo.toml"},
        ],
        "resolve": {"nodes": [
            {"id": "path+domain", "deps": [
                {"pkg": "registry+tokio", "dep_kinds": [{"kind": "dev", "target": null}]},
                {"pkg": "registry+cc", "dep_kinds": [{"kind": "build", "target": null}]},
                {"pkg": "registry+regex", "dep_kinds": [{"kind": null, "target": null}, {"kind": "dev", "target": null}]},
            ]},
            {"id": "registry+tokio", "deps": []},
            {"id": "registry+cc", "deps": []},
            {"id": "registry+regex", "deps": []},
        ]},
    });
    let packages = packages(&metadata).unwrap();
    let domain = &packages["path+domain"];
    assert_eq!(domain.folder.as_deref(), Some("crates/domain"));
    assert_eq!(domain.dependencies, ["registry+cc", "registry+regex"]);
    assert_eq!(packages["registry+tokio"].folder, None);
    assert!(super::packages(&json!({"packages": []})).is_none());
}
