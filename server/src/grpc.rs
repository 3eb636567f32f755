//! gRPC beside HTTP: the methods that take spans, and what gRPC's tools ask every server: how it is
//! (`grpc.health.v1.Health`) and what it serves (`grpc.reflection.v1.ServerReflection`).

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::response::{IntoResponse, Response};
use collector::Collector;
use collector::grpc::UnaryMethod;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tonic::Status;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::http::{HealthCheck, ask};

/// How old the health that is told may be.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// Requests to the services below are names.
const REQUEST_BYTES_MAX: usize = 4 << 10;

/// Every `.proto` of the project, compiled (`build.rs`).
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

/// What gRPC serves, and who says how it is.
pub(crate) struct GrpcServer {
    /// Every route of it.
    pub(crate) router: Router,
    /// `None` where nothing is served.
    health: Option<Health>,
}

impl GrpcServer {
    /// Serves `methods`, and health and reflection of their services; nothing at all without methods. The services
    /// are well as long as `store` is.
    ///
    /// # Errors
    /// Where the descriptors of the build are not what reflection understands.
    pub(crate) async fn start(
        methods: &[UnaryMethod],
        collector: &Arc<Collector>,
        store: HealthCheck,
    ) -> anyhow::Result<Self> {
        if methods.is_empty() {
            return Ok(Self {
                router: Router::new(),
                health: None,
            });
        }
        let services: Vec<&str> = methods.iter().map(service_of).collect();
        let (reporter, health) = tonic_health::server::health_reporter();
        let router = methods
            .iter()
            .map(|method| collector::grpc::route(Arc::clone(collector), *method))
            .chain([
                service_route(health.max_decoding_message_size(REQUEST_BYTES_MAX)),
                reflection(&services).context("cannot describe what gRPC serves")?,
            ])
            .fold(Router::new(), Router::merge);
        let health = Some(Health::start(reporter, &services, store).await);
        Ok(Self { router, health })
    }

    /// Tells everybody who asks, and everybody who watches, that no more is served.
    pub(crate) async fn stop(self) {
        if let Some(health) = self.health {
            health.stop().await;
        }
    }
}

/// The answer to a call of a method that there is not; `None` for a request that is not gRPC's.
pub(crate) fn refuse_unknown(headers: &HeaderMap) -> Option<Response> {
    let content_type = headers.get(CONTENT_TYPE)?;
    let called = content_type.as_bytes().starts_with(b"application/grpc");
    called.then(|| Status::unimplemented("no such method, or it is switched off").into_http())
}

/// `package.Service` of `/package.Service/Method`.
fn service_of(method: &UnaryMethod) -> &'static str {
    let path = method.path.trim_start_matches('/');
    path.split_once('/').map_or(path, |(service, _)| service)
}

fn service_route<S>(service: S) -> Router
where
    S: tower::Service<axum::extract::Request, Error = std::convert::Infallible, Response: IntoResponse>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    Router::new().route_service(&format!("/{}/{{method}}", S::NAME), service)
}

/// Both versions: many tools still ask by the older one.
fn reflection(services: &[&str]) -> Result<Router, tonic_reflection::server::Error> {
    let builder = || {
        let all = services.iter().copied().chain([
            tonic_health::pb::health_server::SERVICE_NAME,
            tonic_reflection::pb::v1::server_reflection_server::SERVICE_NAME,
            tonic_reflection::pb::v1alpha::server_reflection_server::SERVICE_NAME,
        ]);
        all.fold(
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET),
            tonic_reflection::server::Builder::with_service_name,
        )
    };
    let v1 = builder().build_v1()?.max_decoding_message_size(REQUEST_BYTES_MAX);
    let v1alpha = builder()
        .build_v1alpha()?
        .max_decoding_message_size(REQUEST_BYTES_MAX);
    Ok(service_route(v1).merge(service_route(v1alpha)))
}

/// Tells the health of all services, which is that of the store.
struct Health {
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Health {
    async fn start(reporter: HealthReporter, services: &[&'static str], store: HealthCheck) -> Self {
        // The empty name is the server as a whole.
        let services: Vec<&str> = [""].iter().chain(services).copied().collect();
        let mut told = status(&store).await;
        tell(&reporter, &services, told).await;
        let (stopping, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut reporter = reporter;
            let follow = async {
                loop {
                    sleep(HEALTH_INTERVAL).await;
                    let now = status(&store).await;
                    // Whoever watches is told every time, but should be told changes only.
                    if now != told {
                        tell(&reporter, &services, now).await;
                        told = now;
                    }
                }
            };
            tokio::select! {
                () = follow => {}
                // An error means that nobody will say so any more, which is a stop as well.
                _ = stopped.wait_for(|stopping| *stopping) => {}
            }
            tell(&reporter, &services, ServingStatus::NotServing).await;
            // Whoever watches reads that, and then the end: nothing keeps its connection.
            for service in services {
                reporter.clear_service_status(service).await;
            }
        });
        Self { stopping, task }
    }

    async fn stop(self) {
        self.stopping.send_replace(true);
        if let Err(failure) = self.task.await {
            tracing::error!(%failure, "the health of gRPC was not told to the end");
        }
    }
}

async fn status(store: &HealthCheck) -> ServingStatus {
    match ask(store).await.error {
        None => ServingStatus::Serving,
        Some(_) => ServingStatus::NotServing,
    }
}

async fn tell(reporter: &HealthReporter, services: &[&str], status: ServingStatus) {
    for service in services {
        reporter.set_service_status(service, status).await;
    }
}
