//! Holds answers to the document, in tests: what an operation answers is described, and has no field that is not.

use serde_json::{Map, Value, json};

/// Fails unless an answer is as an operation of the document says, and says nothing else. A body that is no JSON is a text.
///
/// # Panics
/// With everything that is wrong, naming what was asked.
#[track_caller]
pub fn assert_described(document: &Value, operation: &Value, status: u16, body: &Value, asked: &str) {
    let described = &operation["responses"][status.to_string()];
    assert!(
        described.is_object(),
        "{asked} answers {status}, which is not described: {body}"
    );
    let Some(content) = described.get("content") else {
        assert!(body.is_null(), "{asked} answers what is not described: {body}");
        return;
    };
    let content = content
        .get("application/json")
        .or_else(|| content.get("text/plain"));
    let content = content.unwrap_or_else(|| panic!("{asked}: {status} has no type of content"));
    assert_valid(&closed(document), &closed(&content["schema"]), body, asked);
}

/// Fails unless a value is as a schema of the document says.
///
/// # Panics
/// With everything that is wrong, naming what was asked.
#[track_caller]
pub fn assert_valid(document: &Value, schema: &Value, value: &Value, asked: &str) {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    whole["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    let validator = jsonschema::validator_for(&whole).expect("schemas of the document are schemas");
    let wrong: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(wrong, [""; 0], "{asked}: {value}");
}

/// A schema in which objects have no property but those that are described.
fn closed(schema: &Value) -> Value {
    match schema {
        Value::Array(schemas) => schemas.iter().map(closed).collect(),
        Value::Object(fields) => {
            let mut fields: Map<_, _> = fields
                .iter()
                .map(|(name, field)| (name.clone(), closed(field)))
                .collect();
            if fields
                .get("properties")
                .is_some_and(|properties| properties.is_object())
            {
                let others = fields.entry("additionalProperties");
                others.or_insert_with(|| json!(false));
            }
            Value::Object(fields)
        }
        _ => schema.clone(),
    }
}
