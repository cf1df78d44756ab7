//! What may be added to a document without breaking a client is taken out of the newer one before the two are compared: the
//! differ calls each of these a change that it cannot judge.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Whether clients write what a schema describes, or read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Written,
    Read,
}

/// Takes harmless additions out of `new`, and out of both documents the media types that only one of them has, which the
/// differ cannot take. Answers what is no addition but a break.
pub(super) fn take_out(old: &mut Value, new: &mut Value) -> Vec<String> {
    let written = written_schemas(old).union(&written_schemas(new)).cloned().collect::<BTreeSet<_>>();
    let old_schemas = old.pointer("/components/schemas").cloned().unwrap_or_default();
    if let Some(schemas) = new.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        for (name, schema) in schemas {
            let direction = if written.contains(name) { Direction::Written } else { Direction::Read };
            in_schema(&old_schemas[name.as_str()], schema, direction);
        }
    }
    in_paths(old, new)
}

/// The schemas that requests lead to, by name.
fn written_schemas(document: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut next: Vec<&Value> = operations(document).map(|(_, operation)| &operation["requestBody"]).collect();
    while let Some(value) = next.pop() {
        if let Some(name) = value["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/components/schemas/"))
            && names.insert(name.to_owned())
        {
            next.push(&document["components"]["schemas"][name]);
        }
        match value {
            Value::Object(entries) => next.extend(entries.values()),
            Value::Array(items) => next.extend(items),
            _ => {}
        }
    }
    names
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (format!("/paths/{}/{method}", path.replace('/', "~1")), operation))
    })
}

fn in_paths(old: &mut Value, new: &mut Value) -> Vec<String> {
    let mut broken = Vec::new();
    let places: Vec<String> = operations(old).map(|(place, _)| place).collect();
    for place in places {
        let (Some(old), Some(new)) = (old.pointer_mut(&place), new.pointer_mut(&place)) else { continue };
        in_media(&mut old["requestBody"], &mut new["requestBody"], Direction::Written, &place, &mut broken);
        let statuses: Vec<String> =
            old["responses"].as_object().into_iter().flatten().map(|(s, _)| s.clone()).collect();
        for status in statuses {
            if new["responses"].get(&status).is_some() {
                let (old, new) = (&mut old["responses"][&status], &mut new["responses"][&status]);
                in_media(old, new, Direction::Read, &format!("{place}/{status}"), &mut broken);
            }
        }
        let old_parameters = old["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in new["parameters"].as_array_mut().into_iter().flatten() {
            let same = |old: &&Value| old["name"] == parameter["name"] && old["in"] == parameter["in"];
            if let Some(old) = old_parameters.iter().find(same) {
                in_schema(&old["schema"], &mut parameter["schema"], Direction::Written);
            }
        }
    }
    broken
}

fn in_media(old: &mut Value, new: &mut Value, direction: Direction, place: &str, broken: &mut Vec<String>) {
    let (Some(old), Some(new)) = (content(old), content(new)) else { return };
    let gone: Vec<String> = old.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
    let added: Vec<String> = new.keys().filter(|name| !old.contains_key(*name)).cloned().collect();
    for name in gone {
        old.remove(&name);
        broken.push(format!("{place}: the media type {name} was removed"));
    }
    for name in added {
        new.remove(&name);
        if direction == Direction::Read {
            broken.push(format!("{place}: the media type {name} was added to what is answered"));
        }
    }
}

fn content(holder: &mut Value) -> Option<&mut Map<String, Value>> {
    holder.get_mut("content")?.as_object_mut()
}

fn in_schema(old: &Value, new: &mut Value, direction: Direction) {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object_mut()) else { return };
    let texts = |schema: &Map<String, Value>, key: &str| -> Vec<Value> {
        schema.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let required = texts(new, "required");
    if let (Some(old), Some(new)) = (old.get("properties"), new.get_mut("properties").and_then(Value::as_object_mut)) {
        let demanded =
            |name: &String| direction == Direction::Written && required.contains(&Value::from(name.as_str()));
        new.retain(|name, _| old.get(name).is_some() || demanded(name));
        for (name, property) in new {
            in_schema(&old[name.as_str()], property, direction);
        }
    }
    let (narrower, wider) = match direction {
        Direction::Written => ("required", "enum"),
        Direction::Read => ("enum", "required"),
    };
    let within = |some: &[Value], all: &[Value]| some.iter().all(|value| all.contains(value));
    for (key, harmless) in [
        (narrower, within(&texts(new, narrower), &texts(old, narrower))),
        (wider, within(&texts(old, wider), &texts(new, wider))),
    ] {
        // An enum where there was none, or none where there was one, is another matter.
        let compared = key == "required" || (old.contains_key(key) && new.contains_key(key));
        if harmless && compared {
            match old.get(key) {
                Some(value) => drop(new.insert(key.to_owned(), value.clone())),
                None => drop(new.remove(key)),
            }
        }
    }
    if let (Some(old), Some(new)) = (old.get("items"), new.get_mut("items")) {
        in_schema(old, new, direction);
    }
}
