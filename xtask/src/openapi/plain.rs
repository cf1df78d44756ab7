//! The document for generators that know no `oneOf`: an answer is one schema, whose `code` tells whether `data` is there.
//! They would else make one type of both, in which the refusal's `code` and `data` displace the success's.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

/// Where the schema of refusals stands.
const REFUSAL: &str = "ErrorEnvelope";

/// Makes it from the document.
///
/// # Errors
/// Where there is a `oneOf` of another kind than the document had when this was written.
pub(crate) fn plain(document: &[u8]) -> Result<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(document)?;
    let given = schemas(&document)?.clone();
    replace(&mut document["components"], &mut |choices| alike(choices, &given))?;
    let simple = schemas(&document)?.clone();
    let mut answers = Map::new();
    replace(&mut document, &mut |choices| answer(choices, &simple, &mut answers))?;
    let all = document["components"]["schemas"].as_object_mut().context("the document has no schemas")?;
    all.extend(answers);
    let mut written = serde_json::to_vec_pretty(&document)?;
    written.push(b'\n');
    ensure!(!written.windows(7).any(|part| part == b"\"oneOf\""), "a oneOf is left");
    Ok(written)
}

fn schemas(document: &Value) -> Result<&Map<String, Value>> {
    document["components"]["schemas"].as_object().context("the document has no schemas")
}

/// One schema for texts and numbers, or for objects.
fn alike(choices: &[Value], schemas: &Map<String, Value>) -> Result<Value> {
    if choices.iter().all(|choice| matches!(choice["type"].as_str(), Some("string" | "integer"))) {
        // A text may hold a number, never the other way round.
        return Ok(json!({ "type": "string" }));
    }
    let objects = choices.iter().map(|choice| object(choice, schemas)).collect::<Result<Vec<_>>>()?;
    let needed = |name: &String| objects.iter().all(|object| object.required.contains(name));
    let required: Vec<&String> =
        objects.iter().flat_map(|object| &object.required).filter(|&name| needed(name)).collect();
    let mut unique: Vec<&String> = Vec::new();
    required.into_iter().for_each(|name| {
        if !unique.contains(&name) {
            unique.push(name)
        }
    });
    let mut properties = Map::new();
    for (name, property) in objects.iter().flat_map(|object| &object.properties) {
        match properties.get_mut(name) {
            None => _ = properties.insert(name.clone(), property.clone()),
            Some(known) => join(known, property),
        }
    }
    Ok(json!({ "type": "object", "required": unique, "properties": properties }))
}

/// What an object is made of, wherever that stands.
struct Object {
    required: Vec<String>,
    properties: Map<String, Value>,
}

fn object(schema: &Value, schemas: &Map<String, Value>) -> Result<Object> {
    if let Some(name) = schema["$ref"].as_str().and_then(last) {
        return object(schemas.get(name).context("a reference leads nowhere")?, schemas);
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut made = Object {
        required: required.map(ToOwned::to_owned).collect(),
        properties: schema["properties"].as_object().cloned().unwrap_or_default(),
    };
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let part = object(part, schemas)?;
        made.required.extend(part.required);
        made.properties.extend(part.properties);
    }
    ensure!(!made.properties.is_empty(), "a oneOf with {schema} has no plain form");
    Ok(made)
}

/// Lets a property be what it may be elsewhere too.
fn join(known: &mut Value, other: &Value) {
    let more: Vec<Value> = other["enum"].as_array().cloned().unwrap_or_default();
    // Not by an index, which would put an empty one where there is none.
    if let Some(values) = known.get_mut("enum").and_then(Value::as_array_mut) {
        let new = more.into_iter().filter(|value| !values.contains(value)).collect::<Vec<_>>();
        values.extend(new);
    }
}

/// One schema for a success and a refusal; it is added to the document under a name of its own.
fn answer(choices: &[Value], schemas: &Map<String, Value>, answers: &mut Map<String, Value>) -> Result<Value> {
    let names: Vec<&str> = choices.iter().filter_map(|choice| choice["$ref"].as_str().and_then(last)).collect();
    let [success, REFUSAL] = names[..] else { bail!("a oneOf of {names:?} has no plain form") };
    let refusal = schemas.get(REFUSAL).context("there is no schema of refusals")?;
    let mut answer = schemas.get(success).context("a reference leads nowhere")?.clone();
    answer["properties"]["code"]["enum"] = Value::from([codes(&answer), codes(refusal)].concat());
    answer["properties"]["code"]["description"] = refusal["properties"]["code"]["description"].clone();
    answer["description"] = Value::from("A success where `code` is 0; else a refusal, with nothing in `data`.");
    let name = format!("{}Answer", success.trim_end_matches("Envelope"));
    answers.insert(name.clone(), answer);
    Ok(json!({ "$ref": format!("#/components/schemas/{name}") }))
}

fn last(reference: &str) -> Option<&str> {
    reference.rsplit('/').next()
}

fn codes(schema: &Value) -> Vec<Value> {
    schema["properties"]["code"]["enum"].as_array().cloned().unwrap_or_default()
}

/// Puts something else in the place of every `oneOf`; what stands beside it stays.
fn replace(value: &mut Value, by: &mut dyn FnMut(&[Value]) -> Result<Value>) -> Result<()> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| replace(item, by)),
        Value::Object(entries) => {
            if let Some(Value::Array(choices)) = entries.get("oneOf") {
                let replaced = by(choices)?;
                entries.remove("oneOf");
                entries.extend(replaced.as_object().cloned().unwrap_or_default());
            }
            entries.values_mut().try_for_each(|entry| replace(entry, by))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        let envelope = |code: Value, data: Value| json!({ "properties": { "code": { "enum": code }, "data": data } });
        let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        json!({
            "answer": { "oneOf": [reference("UserEnvelope"), reference("ErrorEnvelope")] },
            "components": { "schemas": {
                "UserEnvelope": envelope(json!([0]), json!({ "type": "object" })),
                "ErrorEnvelope": envelope(json!([-1, -2]), json!({ "type": "array" })),
                "Request": { "properties": { "gender": {
                    "description": "told", "oneOf": [{ "type": "string" }, { "type": "integer" }]
                } } },
            } },
        })
    }

    #[test]
    fn an_answer_is_one_schema() {
        let made = plain(&serde_json::to_vec(&document()).unwrap()).unwrap();
        let made: Value = serde_json::from_slice(&made).unwrap();
        assert_eq!(made["answer"], json!({ "$ref": "#/components/schemas/UserAnswer" }));
        let answer = &made["components"]["schemas"]["UserAnswer"]["properties"];
        assert_eq!(answer["code"]["enum"], json!([0, -1, -2]));
        assert_eq!(answer["data"], json!({ "type": "object" }));
        let gender = &made["components"]["schemas"]["Request"]["properties"]["gender"];
        assert_eq!(gender, &json!({ "description": "told", "type": "string" }));
    }

    #[test]
    fn objects_are_laid_together() {
        let mut document = document();
        let openid = json!({ "type": "string" });
        let object = |exists: i64, required: &[&str]| json!({ "type": "object", "required": required, "properties": { "exists": { "enum": [exists] }, "openid": openid } });
        let user = json!({ "required": ["id"], "properties": { "id": { "type": "string" } } });
        document["components"]["schemas"]["User"] = user;
        let member = json!({ "allOf": [{ "$ref": "#/components/schemas/User" }, object(1, &["exists"])] });
        document["components"]["schemas"]["UserEnvelope"]["properties"]["data"] =
            json!({ "oneOf": [member, object(0, &["exists"])] });
        let made = plain(&serde_json::to_vec(&document).unwrap()).unwrap();
        let made: Value = serde_json::from_slice(&made).unwrap();
        let data = &made["components"]["schemas"]["UserAnswer"]["properties"]["data"];
        assert_eq!(data["required"], json!(["exists"]));
        assert_eq!(data["properties"]["exists"]["enum"], json!([1, 0]));
        assert_eq!(data["properties"]["id"]["type"], "string");
        assert_eq!(data["properties"]["openid"], openid);
    }

    #[test]
    fn what_has_no_plain_form_is_named() {
        let mut document = document();
        document["answer"]["oneOf"][1] = json!({ "$ref": "#/components/schemas/Other" });
        let error = plain(&serde_json::to_vec(&document).unwrap()).unwrap_err().to_string();
        assert!(error.contains("UserEnvelope") && error.contains("Other"), "{error}");
    }
}
