//! Do the clients that were made from an older document go on working? The differ is drift: it walks both documents and says
//! of each change whether it breaks a client. What it cannot judge is refused, but for what may be added
//! (`additions.rs`).

use std::fs;

use anyhow::{Context, Result, bail};
use drift::ChangeClass;
use serde_json::Value;

use super::{DOCUMENT, additions};
use crate::step::{Step, root, say};

/// Breaks that were decided on, one a line, as this chore prints them.
const ACCEPTED: &str = "openapi/accepted-breaks.txt";

/// Compares the document with the one of `base`: of the last release, and where there is none, of what the branch started
/// from.
pub(crate) fn run(base: Option<&str>) -> Result<()> {
    let base = base.map_or_else(default_base, |base| Ok(base.to_owned()))?;
    if !git(["rev-parse", "--quiet", "--verify", &format!("{base}^{{commit}}")]).works() {
        bail!("there is no revision {base} here: run git fetch --unshallow --tags, or name another with --base");
    }
    if !git(["cat-file", "-e", &format!("{base}:{DOCUMENT}")]).works() {
        say(&format!("{base} has no {DOCUMENT}: there is nothing to break"));
        return Ok(());
    }
    let old = git(["show", &format!("{base}:{DOCUMENT}")]).read()?;
    let old = serde_json::from_slice(&old).with_context(|| format!("{DOCUMENT} of {base} is no JSON"))?;
    let new =
        serde_json::from_slice(&fs::read(root().join(DOCUMENT))?).with_context(|| format!("{DOCUMENT} is no JSON"))?;
    let accepted = fs::read_to_string(root().join(ACCEPTED)).unwrap_or_default();
    let broken: Vec<String> =
        breaks(old, new)?.into_iter().filter(|change| !accepted.lines().any(|line| line == change)).collect();
    if broken.is_empty() {
        say(&format!("clients made from the document of {base} go on working"));
        return Ok(());
    }
    bail!(
        "clients made from the document of {base} would break:\n  {}\nWhat is decided on goes into {ACCEPTED}, line by line.",
        broken.join("\n  ")
    )
}

fn git<const N: usize>(arguments: [&str; N]) -> Step {
    Step::program("git").arguments(arguments)
}

/// The last release; without one, where this branch left main; on main itself, the commit before.
fn default_base() -> Result<String> {
    let first_line = |step: Step| step.quiet_read().ok().map(|out| String::from_utf8_lossy(&out).trim().to_owned());
    if let Some(tag) = first_line(git(["describe", "--tags", "--abbrev=0", "--match", "v*"])) {
        return Ok(tag);
    }
    let head = first_line(git(["rev-parse", "HEAD"])).context("there is no git repository here")?;
    let mains = ["origin/main", "main"].into_iter().filter_map(|main| first_line(git(["merge-base", "HEAD", main])));
    Ok(mains.into_iter().find(|base| *base != head).unwrap_or_else(|| "HEAD^".to_owned()))
}

/// What would break a client of `old`, one line each.
fn breaks(mut old: Value, mut new: Value) -> Result<Vec<String>> {
    let mut broken = additions::take_out(&mut old, &mut new);
    for change in drift::compare(&old, &new)? {
        let place = change.paths.first().map(|path| path.old.current_pointer().to_owned()).unwrap_or_default();
        for info in change.changes {
            if matches!(
                info.class,
                ChangeClass::BackwardIncompatible | ChangeClass::Incompatible | ChangeClass::Unhandled
            ) {
                let within = if info.old_subpath.is_empty() { String::new() } else { format!("/{}", info.old_subpath) };
                broken.push(format!("{place}{within}: {}", info.message));
            }
        }
    }
    broken.sort();
    broken.dedup();
    Ok(broken)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        serde_json::from_slice(&fs::read(root().join(DOCUMENT)).unwrap()).unwrap()
    }

    /// What breaks when the project's own document is changed so.
    fn changed(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut new = document();
        change(&mut new);
        breaks(document(), new).unwrap()
    }

    fn push(list: &mut Value, item: Value) {
        list.as_array_mut().unwrap().push(item);
    }

    fn remove(object: &mut Value, key: &str) {
        object.as_object_mut().unwrap().remove(key).unwrap();
    }

    const LOG_OUT: &str = "/user/logout";

    #[test]
    fn additions_break_nobody() {
        assert_eq!(changed(|_| {}), Vec::<String>::new());
        let harmless: [fn(&mut Value); 7] = [
            |new| new["components"]["schemas"]["User"]["properties"]["x"] = json!({ "type": "string" }),
            |new| {
                new["components"]["schemas"]["User"]["properties"]["x"] = json!({ "type": "string" });
                push(&mut new["components"]["schemas"]["User"]["required"], json!("x"));
            },
            |new| new["components"]["schemas"]["BindMobileRequest"]["properties"]["x"] = json!({ "type": "string" }),
            |new| new["paths"]["/user/more"] = new["paths"][LOG_OUT].clone(),
            |new| {
                let parameter = json!({ "name": "x", "in": "query", "schema": { "type": "string" } });
                push(&mut new["paths"][LOG_OUT]["post"]["parameters"], parameter);
            },
            |new| push(&mut new["paths"][LOG_OUT]["post"]["parameters"][1]["schema"]["enum"], json!("tv")),
            |new| new["info"]["description"] = json!("Other words."),
        ];
        for (index, change) in harmless.into_iter().enumerate() {
            assert_eq!(changed(change), Vec::<String>::new(), "{index}");
        }
    }

    #[test]
    fn whatever_takes_something_away_is_named() {
        type Breaking = (fn(&mut Value), &'static str);
        let breaking: [Breaking; 11] = [
            (|new| remove(&mut new["paths"], LOG_OUT), "logOut was removed"),
            (|new| remove(&mut new["components"]["schemas"]["User"]["properties"], "token"), "properties changed"),
            (|new| new["components"]["schemas"]["User"]["properties"]["id"]["type"] = json!("integer"), "User"),
            (|new| new["components"]["schemas"]["User"]["required"] = json!(["id"]), "required properties changed"),
            (
                |new| push(&mut new["components"]["schemas"]["BindMobileRequest"]["required"], json!("avatar")),
                "required properties changed",
            ),
            (
                |new| remove(&mut new["components"]["schemas"]["BindMobileRequest"]["properties"], "county"),
                "properties changed",
            ),
            (
                |new| push(&mut new["components"]["schemas"]["ErrorEnvelope"]["properties"]["code"]["enum"], json!(-7)),
                "code",
            ),
            (
                |new| remove(&mut new["paths"][LOG_OUT]["post"]["requestBody"]["content"], "multipart/form-data"),
                "multipart/form-data was removed",
            ),
            (|new| new["paths"][LOG_OUT]["post"]["parameters"][0]["required"] = json!(true), "is now required"),
            (
                |new| {
                    let responses = &mut new["paths"][LOG_OUT]["post"]["responses"];
                    responses["429"] = responses["503"].clone();
                },
                "429",
            ),
            (
                |new| {
                    new["components"]["schemas"]["BindMobileRequest"]["properties"]["nickname"]["maxLength"] = json!(5)
                },
                "nickname",
            ),
        ];
        for (change, named) in breaking {
            let broken = changed(change);
            assert!(broken.iter().any(|line| line.contains(named)), "{named}: {broken:?}");
        }
    }
}
