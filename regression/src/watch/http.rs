//! The route that tells what happens to deployments as it happens: server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;

use super::event::EventJson;
use super::events::{Events, Listener, Refusal, Told};
use crate::http::{Failure, Routes, parameters};
use crate::openapi::{Answer, Endpoint, Verb, schema_of};
use crate::parameters::{Kind, Parameter};

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
        &[Answer::of(
            200,
            "The data of each event",
            schema_of::<EventJson<'static>>,
        )],
    )
};

pub(crate) fn add(routes: Routes) -> Routes {
    routes.add(LISTEN, listen)
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
                Told::Missed(count) => {
                    let count = count.map_or_else(String::new, |count| format!("\"missed\":{count}"));
                    return Some(Message::default().event(MISSED).data(format!("{{{count}}}")));
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
