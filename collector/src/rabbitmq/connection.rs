//! One connection, made again whenever it is lost, and the consumers on it.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ErrorKind};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Shared;
use super::consumer;
use crate::retry::{Backoff, Seldom};

/// First and longest wait before the addresses are tried again.
const RECONNECT_FIRST: Duration = Duration::from_millis(250);
const RECONNECT_LONGEST: Duration = Duration::from_secs(15);

/// How long a broker may take to say that it knows of the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// AMQP's code of an orderly end.
const REPLY_SUCCESS: u16 = 200;

/// AMQP's code of something that is not there.
const NOT_FOUND: u16 = 404;

/// Consumes until it is told to stop, through any number of connections.
pub(super) async fn keep(shared: Arc<Shared>, mut stopping: watch::Receiver<bool>) {
    let mut backoff = Backoff::new(RECONNECT_FIRST, RECONNECT_LONGEST);
    let told = Seldom::default();
    while !*stopping.borrow() {
        let connected = tokio::select! {
            connected = connect(&shared) => connected,
            _ = stopped(&mut stopping) => return,
        };
        let trouble = match connected {
            Ok(connection) => {
                let outcome = consume(&shared, &connection, &stopping).await;
                // A broker that is gone does not answer, and one that is there need not be waited for.
                let goodbye = connection.close(REPLY_SUCCESS, "done".into());
                let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
                match outcome {
                    Ok(()) => return,
                    Err(Ended { trouble, consumed }) => {
                        if consumed {
                            backoff = Backoff::new(RECONNECT_FIRST, RECONNECT_LONGEST);
                        }
                        trouble
                    }
                }
            }
            Err(trouble) => trouble,
        };
        tell(&shared, &told, &trouble);
        shared.set_trouble(Some(trouble));
        tokio::select! {
            () = tokio::time::sleep(backoff.next()) => {}
            _ = stopped(&mut stopping) => {}
        }
    }
}

/// Says what is new at once, and what lasts once a minute.
fn tell(shared: &Shared, told: &Seldom, trouble: &str) {
    let is_due = told.is_due(Instant::now());
    if is_due || shared.trouble().as_deref() != Some(trouble) {
        tracing::warn!(trouble, "RabbitMQ: not consuming; trying again");
    }
}

/// Done when it is to stop, at once if it is already.
pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // Nobody is left who could ask: that is a stop as well.
    let _ = stopping.wait_for(|&stop| stop).await;
}

/// Why consuming ended, and whether it had begun.
struct Ended {
    trouble: String,
    consumed: bool,
}

/// The first address that answers, or what is wrong with each.
async fn connect(shared: &Shared) -> Result<Connection, String> {
    let config = &shared.config;
    let mut troubles = Vec::new();
    for address in &config.addresses {
        let properties = ConnectionProperties::default().with_connection_name("tracehound".into());
        let connecting = Connection::connect_uri(config.uri(address), properties);
        match tokio::time::timeout(config.connection_timeout, connecting).await {
            Ok(Ok(connection)) => {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                return Ok(connection);
            }
            Ok(Err(error)) => troubles.push(format!("cannot connect to {address}: {error}")),
            Err(_) => troubles.push(format!(
                "{address} did not answer within {} ms",
                config.connection_timeout.as_millis()
            )),
        }
    }
    Err(troubles.join("; "))
}

/// Consumes on all channels until one of them ends; then all do.
async fn consume(
    shared: &Arc<Shared>,
    connection: &Connection,
    stopping: &watch::Receiver<bool>,
) -> Result<(), Ended> {
    let mut consumers = JoinSet::new();
    let begun = begin(shared, connection, stopping, &mut consumers).await;
    begun.map_err(|trouble| Ended {
        trouble,
        consumed: false,
    })?;
    shared.set_trouble(None);
    tracing::info!(queue = shared.config.queue, "RabbitMQ: consuming");
    let mut outcome = Ok(());
    while let Some(ended) = consumers.join_next().await {
        let ended = ended.unwrap_or_else(|failure| Err(format!("a consumer failed: {failure}")));
        if let Err(trouble) = ended {
            // The others' deliveries would be answered on a connection that is to be closed.
            consumers.abort_all();
            if outcome.is_ok() {
                outcome = Err(Ended {
                    trouble,
                    consumed: true,
                });
            }
        }
    }
    outcome
}

async fn begin(
    shared: &Arc<Shared>,
    connection: &Connection,
    stopping: &watch::Receiver<bool>,
    consumers: &mut JoinSet<Result<(), String>>,
) -> Result<(), String> {
    let config = &shared.config;
    declare_if_missing(connection, &config.queue).await?;
    for number in 0..config.consumers {
        let failed = |error: lapin::Error| format!("cannot consume {}: {error}", config.queue);
        let channel = connection.create_channel().await.map_err(failed)?;
        let qos = channel.basic_qos(config.prefetch, BasicQosOptions::default());
        qos.await.map_err(failed)?;
        let tag = format!("zipkin-rabbitmq.{number}");
        let consumer = channel.basic_consume(
            config.queue.as_str().into(),
            tag.into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumer = consumer.await.map_err(failed)?;
        consumers.spawn(consumer::run(
            Arc::clone(shared),
            channel,
            consumer,
            stopping.clone(),
        ));
    }
    Ok(())
}

/// A queue that is there is used as it is, whatever its properties.
async fn declare_if_missing(connection: &Connection, queue: &str) -> Result<(), String> {
    let failed = |error: &dyn Display| format!("cannot declare {queue}: {error}");
    let declare = async |options| {
        let channel = connection.create_channel().await?;
        let declared = channel.queue_declare(queue.into(), options, FieldTable::default());
        declared.await?;
        channel.close(REPLY_SUCCESS, "done".into()).await
    };
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    match declare(passive).await {
        Err(error) if is_not_found(&error) => {}
        outcome => return outcome.map_err(|error| failed(&error)),
    }
    declare(QueueDeclareOptions::durable())
        .await
        .map_err(|error| failed(&error))
}

fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == NOT_FOUND)
}
