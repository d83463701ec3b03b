//! Dependencies point downward (DESIGN §9): the rules know nothing of queues and databases, and
//! what exists for laptops and tests never reaches a production image.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

fn workspace() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .unwrap()
}

/// What `package` needs to be built, tests apart.
fn dependencies(package: &Package) -> BTreeSet<&str> {
    let built = |kind| kind != DependencyKind::Development;
    let dependencies = package.dependencies.iter().filter(|dependency| built(dependency.kind));
    dependencies.map(|dependency| dependency.name.as_str()).collect()
}

fn package<'a>(workspace: &'a Metadata, name: &str) -> &'a Package {
    workspace.packages.iter().find(|package| package.name.as_str() == name).unwrap()
}

#[test]
fn crates_depend_only_on_the_crates_below_them() {
    let workspace = workspace();
    let ours: BTreeSet<&str> = workspace.packages.iter().map(|p| p.name.as_str()).collect();
    let allowed: [(&str, &[&str]); 9] = [
        ("cap-reference", &[]),
        ("cap-local", &[]),
        ("cap-service", &[]),
        ("cap-stage", &["cap-aws", "cap-domain", "cap-pipeline", "cap-service", "cap-store"]),
        ("cap-domain", &[]),
        ("cap-pipeline", &["cap-domain"]),
        ("cap-store", &["cap-domain", "cap-pipeline"]),
        ("cap-aws", &["cap-domain", "cap-pipeline"]),
        ("cap-client", &["cap-aws", "cap-domain", "cap-pipeline"]),
    ];
    for (name, below) in allowed {
        let needs = dependencies(package(&workspace, name));
        let above: Vec<_> =
            needs.iter().filter(|need| ours.contains(*need) && !below.contains(need)).collect();
        assert!(above.is_empty(), "{name} depends on {above:?}, which is not below it");
    }
}

#[test]
fn the_domain_knows_no_runtime_no_sql_and_no_aws() {
    let workspace = workspace();
    let domain = dependencies(package(&workspace, "cap-domain"));
    let banned = |name: &str| {
        let names = ["tokio", "sqlx", "async-trait", "futures", "rand", "uuid", "axum", "reqwest"];
        names.contains(&name) || name.starts_with("aws") || name.starts_with("tokio-")
    };
    let found: Vec<_> = domain.into_iter().filter(|name| banned(name)).collect();
    assert!(found.is_empty(), "the domain depends on {found:?}");
}

#[test]
fn only_developer_commands_and_tests_depend_on_the_local_stack() {
    let workspace = workspace();
    for package in &workspace.packages {
        let name = package.name.as_str();
        let needs = dependencies(package);
        let developers =
            matches!(name, "xtask" | "cap-tests" | "cap-stack" | "cap-chaos" | "cap-bench");
        for local in ["cap-local", "cap-stack"] {
            assert!(developers || !needs.contains(local), "{name} depends on {local}");
        }
    }
}

#[test]
fn only_developer_commands_and_tests_depend_on_the_reference_model() {
    let workspace = workspace();
    for package in &workspace.packages {
        let name = package.name.as_str();
        let developers = matches!(name, "xtask" | "cap-tests" | "cap-chaos");
        let needs = dependencies(package);
        assert!(developers || !needs.contains("cap-reference"), "{name} depends on cap-reference");
    }
}

#[test]
fn nothing_below_depends_on_a_service() {
    let workspace = workspace();
    let services: BTreeSet<&str> = workspace
        .packages
        .iter()
        .filter(|package| package.manifest_path.as_str().contains("/services/"))
        .map(|package| package.name.as_str())
        .collect();
    assert!(services.len() >= 4, "the services are where they are looked for: {services:?}");
    let below = workspace.packages.iter().filter(|p| p.manifest_path.as_str().contains("/crates/"));
    for package in below.filter(|p| !matches!(p.name.as_str(), "xtask" | "cap-stack" | "cap-chaos"))
    {
        let found: Vec<_> = dependencies(package).intersection(&services).copied().collect();
        assert!(found.is_empty(), "{} depends on {found:?}", package.name);
    }
}

/// Every file below `folder` that is code or SQL.
fn sources(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_code = |path: &std::path::Path| {
            path.extension().is_some_and(|extension| extension == "rs" || extension == "sql")
        };
        if path.is_dir() {
            sources(&path, found);
        } else if is_code(&path) {
            found.push(path);
        }
    }
}

#[test]
fn a_product_that_is_data_only_is_known_to_no_code() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = vec![];
    // The reference model is the other implementation, by hand, that every product is compared with, and
    // chaos makes events for all of them.
    let is_system =
        |package: &Package| !["cap-reference", "cap-chaos"].contains(&package.name.as_str());
    for package in workspace().packages.into_iter().filter(is_system) {
        sources(&package.manifest_path.parent().unwrap().as_std_path().join("src"), &mut found);
    }
    sources(&root.join("migrations"), &mut found);
    assert!(found.len() > 200, "the sources are where they are looked for: {}", found.len());
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let knows = |line: &str| line.contains("\"cfd") || line.contains(" cfd");
        let line = text.lines().find(|line| knows(line));
        assert_eq!(line, None, "{} knows a product that is data only", path.display());
    }
}
