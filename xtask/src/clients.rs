//! Clients in other languages: generated from the document, and each binds a number.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use crate::openapi::{DOCUMENT, PLAIN};
use crate::service::Service;
use crate::step::{Step, root, say};
use crate::tools;

/// The smallest document with a schema and an example. What the generator says of it, it says of every document: it logs a
/// null that it meets in its own working.
const SMALLEST: &str = "openapi/clients/smallest.json";
/// Where clients are made.
const FOLDER: &str = "target/clients";

/// One client that openapi-generator makes.
struct Generated {
    generator: &'static str,
    document: &'static str,
    options: &'static [&'static str],
}

/// As openapi/README.md says how to make them.
const GENERATED: [Generated; 5] = [
    Generated { generator: "python", document: DOCUMENT, options: &[] },
    Generated { generator: "php", document: PLAIN, options: &[] },
    Generated {
        generator: "kotlin",
        document: DOCUMENT,
        options: &["--additional-properties", "serializationLibrary=gson,generateOneOfAnyOfWrappers=true"],
    },
    Generated { generator: "swift6", document: DOCUMENT, options: &[] },
    Generated { generator: "dart-dio", document: DOCUMENT, options: &[] },
];

/// Generates all of them, none with a warning, and binds a number with those for Python and PHP.
pub(crate) fn run() -> Result<()> {
    if !Step::program("java").arguments(["-version"]).works() {
        bail!("openapi-generator needs Java 11 or newer, which is missing: apt-get install default-jre-headless");
    }
    if !Step::program("php").arguments(["-r", "require '/usr/share/php/GuzzleHttp/autoload.php';"]).works() {
        bail!("PHP with Guzzle is missing: apt-get install php-cli php-curl php-mbstring php-guzzlehttp-guzzle");
    }
    tools::python("openapi-generator-cli")?;
    for client in &GENERATED {
        let known =
            generate(client.generator, SMALLEST, &[], &folder(&format!("{}-of-the-smallest", client.generator)))?;
        let told = generate(client.generator, client.document, client.options, &folder(client.generator))?;
        let new: Vec<&String> = told.difference(&known).collect();
        ensure!(new.is_empty(), "{} is generated with warnings: {new:#?}", client.generator);
        say(&format!("{} is generated without a warning", client.generator));
    }
    let own = folder("openapi-python-client");
    let settings = "openapi/clients/openapi-python-client.yaml";
    let generate = tools::python("openapi-python-client")?.arguments(["generate", "--overwrite", "--fail-on-warning"]);
    generate.arguments(["--path", DOCUMENT, "--config", settings, "--output-path"]).arguments([&own]).run()?;
    bind(&own)
}

/// Each against a service of its own.
fn bind(own: &Path) -> Result<()> {
    let python = |script: &str, client: &Path, url: &str| -> Result<()> {
        let step = tools::python("python")?.variable("PYTHONPATH", &client.to_string_lossy());
        step.variable("PYTHONDONTWRITEBYTECODE", "1").arguments([script, url]).run()
    };
    let service = Service::start(false)?;
    python("openapi/clients/bind_python_client.py", own, &service.url)?;
    python("openapi/clients/bind_python.py", &folder("python"), &service.url)?;
    Step::program("php").arguments(["openapi/clients/bind.php", &service.url]).arguments([folder("php")]).run()
}

fn folder(name: &str) -> PathBuf {
    root().join(FOLDER).join(name)
}

/// Makes a client, and answers what it warns of.
fn generate(generator: &str, document: &str, options: &[&str], into: &Path) -> Result<BTreeSet<String>> {
    let step = tools::python("openapi-generator-cli")?.arguments(["generate", "-g", generator, "-i", document, "-o"]);
    Ok(warnings(&step.arguments([into]).arguments(options).read()?))
}

/// The generator writes its log to standard output.
fn warnings(log: &[u8]) -> BTreeSet<String> {
    let log = String::from_utf8_lossy(log);
    log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::warnings;

    #[test]
    fn warnings_are_picked_out_of_the_log() {
        let log = b"[main] INFO  o.o.c.X - all is well\n[main] WARN  o.o.c.Y - a oneOf\n[main] ERROR o.o.c.Z - no\n";
        let expected = ["[main] ERROR o.o.c.Z - no", "[main] WARN  o.o.c.Y - a oneOf"];
        assert!(warnings(log).iter().eq(expected));
    }
}
