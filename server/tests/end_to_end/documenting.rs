//! The API's document against the real server, and against the copy that the UI's types are made from.

use std::path::Path;

use openapi::check::assert_described;
use serde_json::Value;

use crate::process::Server;

/// Writes the document that is served over the copy, instead of comparing the two.
const UPDATE: &str = "UPDATE_OPENAPI";

fn copy() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui/web/openapi.json")
}

#[test]
fn the_uis_copy_of_the_document_is_what_is_served() {
    let server = Server::start(&[]);
    let served = server.get("/api/v2/openapi.json");
    assert_eq!(served.status, 200);
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert_eq!(server.get("/zipkin/api/v2/openapi.json").body, served.body);
    let served = serde_json::to_string_pretty(&served.json()).unwrap() + "\n";
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(copy(), &served).unwrap();
    }
    let kept = std::fs::read_to_string(copy()).unwrap_or_default();
    assert!(
        kept == served,
        "ui/web/openapi.json is not what is served. Write it anew, and look at the difference: \
         {UPDATE}=1 cargo test -p server --test end_to_end documenting"
    );
}

#[test]
fn routes_that_no_part_describes_itself_answer_as_the_document_says() {
    let server = Server::start(&[]);
    let document = server.get("/api/v2/openapi.json").json();
    let asked = "get /zipkin/config.json";
    let answer = server.get("/zipkin/config.json");
    let operation = &document["paths"]["/zipkin/config.json"]["get"];
    assert_described(&document, operation, answer.status, &answer.json(), asked);
    let operation = &document["paths"]["/api/v2/spans"]["post"];
    for (body, status) in [("[]", 202), ("{", 400)] {
        let answer = server.post(body);
        assert_eq!(answer.status, status, "{body}");
        let said = if answer.body.is_empty() {
            Value::Null
        } else {
            answer.text().into()
        };
        assert_described(&document, operation, status, &said, body);
    }
}
