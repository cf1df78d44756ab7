//! The document for generators that know no `oneOf`: an answer is one schema, whose `code` tells whether `data` is there.
//! They would else make one type of both, in which the refusal's `code` and `data` displace the success's.

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

/// Where the schema of refusals stands.
const REFUSAL: &str = "ErrorEnvelope";

/// Makes it from the document.
///
/// # Errors
/// Where there is a `oneOf` of another kind than the document had when this was written.
pub(crate) fn plain(document: &[u8]) -> Result<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(document)?;
    let schemas = document["components"]["schemas"].as_object().context("the document has no schemas")?.clone();
    let refusal_codes = codes(schemas.get(REFUSAL).unwrap_or(&Value::Null));
    let mut answers = Map::new();
    replace(&mut document, &mut |choices| {
        if choices.iter().all(|choice| choice["type"].is_string()) {
            // A text may hold a number, never the other way round.
            return Ok(json!({ "type": "string" }));
        }
        let names: Vec<&str> = choices.iter().filter_map(|choice| choice["$ref"].as_str().and_then(last)).collect();
        let [success, REFUSAL] = names[..] else { anyhow::bail!("a oneOf of {names:?} has no plain form") };
        let name = format!("{}Answer", success.trim_end_matches("Envelope"));
        let mut answer = schemas.get(success).context("a reference leads nowhere")?.clone();
        let all = [codes(&answer), refusal_codes.clone()].concat();
        answer["properties"]["code"]["enum"] = Value::from(all);
        answer["properties"]["code"]["description"] = schemas[REFUSAL]["properties"]["code"]["description"].clone();
        answer["description"] = Value::from("A success where `code` is 0; else a refusal, with nothing in `data`.");
        answers.insert(name.clone(), answer);
        Ok(json!({ "$ref": format!("#/components/schemas/{name}") }))
    })?;
    let all = document["components"]["schemas"].as_object_mut().context("the document has no schemas")?;
    all.extend(answers);
    let mut written = serde_json::to_vec_pretty(&document)?;
    written.push(b'\n');
    ensure!(!written.windows(7).any(|part| part == b"\"oneOf\""), "a oneOf is left");
    Ok(written)
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
    fn what_has_no_plain_form_is_named() {
        let mut document = document();
        document["answer"]["oneOf"][1] = json!({ "$ref": "#/components/schemas/Other" });
        let error = plain(&serde_json::to_vec(&document).unwrap()).unwrap_err().to_string();
        assert!(error.contains("UserEnvelope") && error.contains("Other"), "{error}");
    }
}
