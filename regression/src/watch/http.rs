//! The route that tells what happens to deployments as it happens: server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use openapi::{Answer, Endpoint, Kind, Parameter, Verb, schema_of};
use schemars::JsonSchema;
use serde::Serialize;

use super::event::EventJson;
use super::events::{Events, Listener, Refusal, Told};
use crate::http::{Failure, Routes, parameters};

/// A comment is sent so often where nothing happens, so that nobody between takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What a listener that comes back has had last, as browsers send it.
const LAST_EVENT_ID: &str = "last-event-id";
/// The event that tells a listener that there were others.
const MISSED: &str = "missed";

const PARAMETERS: &[Parameter] = &[
    Parameter::optional("serviceName", Kind::NAME, "Of this service"),
    Parameter::optional(
        "environment",
        Kind::NAME,
        "Of this environment, or of none that was told",
    ),
];

const LISTEN: Endpoint = Endpoint {
    parameters: PARAMETERS,
    ..Endpoint::new(
        Verb::Get,
        "/deployments/events",
        "Server-sent events (text/event-stream): what happens to deployments, as it happens",
        &[Answer::events(
            "Events, and how many were missed",
            schema_of::<Data>,
        )],
    )
};

pub(crate) fn add(routes: Routes) -> Routes {
    routes.add(LISTEN, listen)
}

/// What the data of an event can be.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "its schema is all that is used of it")]
enum Data {
    /// Of the events of deployments.
    Event(EventJson<'static>),
    /// Of the event `missed`.
    Missed(Missed),
}

/// Events are gone that the listener should have been told.
#[derive(Debug, Serialize, JsonSchema)]
struct Missed {
    /// At most so many of those it asked for; absent where nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<u64>,
}

/// What a listener asked for.
struct Stream {
    listener: Listener,
    service_name: Option<String>,
    environment: Option<String>,
}

async fn listen(
    State(events): State<Events>,
    query: RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let parameters = parameters(&query, PARAMETERS)?;
    let last_id = headers
        .get(LAST_EVENT_ID)
        .map(|id| id.to_str().unwrap_or_default());
    let stream = Stream {
        listener: events.listen(last_id)?,
        service_name: parameters.lower_case("serviceName"),
        environment: parameters.owned("environment"),
    };
    let messages = unfold(stream, async |mut stream| {
        let message = stream.next().await?;
        Some((Ok::<_, Infallible>(message), stream))
    });
    let heartbeat = KeepAlive::new().interval(HEARTBEAT);
    Ok(Sse::new(messages).keep_alive(heartbeat).into_response())
}

impl Stream {
    /// `None` once there will be no more.
    async fn next(&mut self) -> Option<Message> {
        let (service_name, environment) = (self.service_name.as_deref(), self.environment.as_deref());
        loop {
            match self.listener.cursor.next().await? {
                Told::Event(event) if event.is_about(service_name, environment) => {
                    let message = Message::default().id(&event.id).event(event.kind.name());
                    return Some(message.data(&event.body));
                }
                Told::Event(_) => {}
                Told::Missed(missed) => {
                    let data = serde_json::to_string(&Missed { missed }).unwrap_or_default();
                    return Some(Message::default().event(MISSED).data(data));
                }
            }
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let error = match refusal {
            Refusal::TooMany(most) => format!("{most} listen already, which is as many as may"),
            Refusal::Closed => "nothing is watched: WATCH_ENABLED is false, or the server stops".to_owned(),
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }
}

#[cfg(test)]
mod tests {
    use model::Deployment;
    use serde_json::Value;

    use super::super::event::{Change, EventKind};
    use super::super::standing::Standing;
    use crate::asking::Api;
    use openapi::check::assert_valid;

    fn publish(api: &Api, service_name: &str, environment: &str) {
        let deployment = Deployment {
            id: "d".to_owned(),
            service_name: service_name.to_owned(),
            version: "2".to_owned(),
            environment: Some(environment.to_owned()),
            ..Deployment::default()
        };
        let change = Change::Standing {
            kind: EventKind::VerdictChanged,
            previous: Standing::UNKNOWN,
        };
        api.events.publish(5, &deployment, Standing::UNKNOWN, &change);
    }

    /// Everything that a listener is told of events of these, until there are no more: name and data of each.
    async fn listen(path: &str, of: &[(&str, &str)]) -> Vec<(String, Value)> {
        let api = Api::new();
        let events = async {
            while api.events.stats().listeners == 0 {
                tokio::task::yield_now().await;
            }
            for (service_name, environment) in of {
                publish(&api, service_name, environment);
            }
            api.events.close();
        };
        let (answer, ()) = tokio::join!(api.get(path), events);
        assert_eq!(answer.status, 200);
        assert_eq!(api.events.stats().listeners, 0, "who was told everything is gone");
        let text = String::from_utf8(answer.body).unwrap();
        let document = api.get("/api/v2/openapi.json").await.json();
        let told = &document["paths"]["/api/v2/deployments/events"]["get"]["responses"]["200"];
        let message = |message: &str| {
            let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let data = serde_json::from_str(field("data: ")).unwrap();
            assert_valid(
                &document,
                &told["content"]["text/event-stream"]["schema"],
                &data,
                path,
            );
            (field("event: ").to_owned(), data)
        };
        text.split_terminator("\n\n").map(message).collect()
    }

    const ALL: [(&str, &str); 3] = [("cart", "prod"), ("cart", "staging"), ("web", "prod")];

    #[tokio::test]
    async fn a_listener_is_told_what_it_asked_for() {
        for (query, expected) in [
            ("", &[0, 1, 2][..]),
            ("?serviceName=CART", &[0, 1]),
            ("?environment=prod", &[0, 2]),
            ("?serviceName=cart&environment=prod", &[0]),
            ("?serviceName=nobody", &[]),
        ] {
            let told = listen(&format!("/api/v2/deployments/events{query}"), &ALL).await;
            let expected: Vec<(&str, &str)> = expected.iter().map(|index| ALL[*index]).collect();
            let services = told.iter().map(|(name, data)| {
                assert_eq!(name, "verdict_changed");
                let text = |field: &str| data[field].as_str().unwrap();
                (text("serviceName"), text("environment"))
            });
            assert_eq!(services.collect::<Vec<_>>(), expected, "{query}");
        }
    }

    #[tokio::test]
    async fn a_listener_that_falls_behind_is_told_so() {
        let many = vec![("cart", "prod"); 1_100];
        let told = listen("/zipkin/api/v2/deployments/events", &many).await;
        assert_eq!(told.len(), 1_001);
        assert_eq!(told[0].0, "missed");
        assert_eq!(told[0].1["missed"], 100);
    }

    #[tokio::test]
    async fn nobody_listens_where_nothing_is_watched() {
        let api = Api::new();
        api.events.close();
        let answer = api.get("/api/v2/deployments/events").await;
        assert_eq!(answer.status, 503);
        assert!(answer.json()["error"].as_str().unwrap().contains("WATCH_ENABLED"));
    }
}
