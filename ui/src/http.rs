//! The app over HTTP (`zipkin.md` 2.6): the page at each of its addresses, its files, what it is configured to.
//! The only file here that knows axum.
//!
//! Every answer names its content (`ETag`) and how long it stays true: the page a minute, the configuration ten,
//! the files forever, because a changed file has another name.

use std::sync::Arc;

use axum::Router;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, LOCATION, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::{FILES, File, INDEX, UiConfig, jaeger};

/// Where the app's page is. Which of its pages it shows, it sees from the address.
const PAGES: [&str; 15] = [
    "/zipkin/",
    "/zipkin/index.html",
    "/zipkin/traces/{id}",
    "/zipkin/dependency",
    "/zipkin/traceViewer",
    "/zipkin/map",
    "/zipkin/deployments",
    "/zipkin/deployments/{id}",
    "/zipkin/compare",
    "/zipkin/services",
    "/zipkin/services/{service}",
    "/zipkin/services/{service}/{operation}",
    "/zipkin/slo",
    "/zipkin/slo/{name}",
    "/zipkin/settings",
];

/// Relative, so that a proxy in front need not rewrite them.
const REDIRECTS: [(&str, &str); 4] = [
    ("/", "/zipkin/"),
    ("/zipkin", "/zipkin/"),
    ("/favicon.ico", "/zipkin/favicon.ico"),
    // Jaeger's.
    ("/dependencies", "/zipkin/dependency"),
];

/// Files below this have a name that changes with their content.
const HASHED: &str = "assets/";

/// The page loads from its own server and sends to it, and nothing else but a trace to where traces are archived. Styles
/// set by a script are its own.
fn policy(archive: Option<&str>) -> HeaderValue {
    let archive = archive
        .and_then(origin)
        .map_or_else(String::new, |origin| format!(" {origin}"));
    let policy = format!(
        "default-src 'self'; connect-src 'self'{archive}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         object-src 'none'; base-uri 'self'"
    );
    HeaderValue::from_str(&policy).expect("an origin is printable ASCII")
}

/// Scheme, host and port of an address; `None` where it is on the same server, or no address.
fn origin(address: &str) -> Option<&str> {
    let (scheme, rest) = address.split_once("://")?;
    let host = rest
        .split(['/', '?', '#'])
        .next()
        .filter(|host| !host.is_empty())?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    let is_known = ["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    (is_known && host.bytes().all(is_plain)).then(|| &address[..scheme.len() + "://".len() + host.len()])
}

/// The app, its configuration, and the redirects to it. What else is asked for below `/zipkin` is the app's page too, which
/// says that there is none: with 404, and not for what has an extension or is of the API.
pub fn router(config: UiConfig) -> Router {
    let mut index = Resource::new(
        "text/html; charset=utf-8",
        "max-age=60",
        Bytes::from(crate::index(&config.base_path)),
        None,
        None,
    );
    index.policy = Some(policy(config.archive_post_url.as_deref()));
    let index = Arc::new(index);
    let configuration = Resource::new(
        "application/json; charset=utf-8",
        "max-age=600",
        Bytes::from(config.json()),
        None,
        None,
    );
    let mut router = Router::new().route("/zipkin/config.json", serve(&Arc::new(configuration)));
    for page in PAGES {
        router = router.route(page, serve(&index));
    }
    for (from, to) in REDIRECTS {
        router = router.route(from, get(async move || found(to)));
    }
    for file in FILES.iter().filter(|file| file.path != INDEX) {
        let resource = Arc::new(Resource::of_file(file));
        router = router.route(&format!("/zipkin/{}", file.path), serve(&resource));
    }
    router
        .route("/trace/{id}", get(jaeger_trace))
        .route("/search", get(jaeger_search))
        .route(
            "/zipkin/{*path}",
            get(async move |uri: Uri| no_such_page(&index, uri.path())),
        )
}

async fn jaeger_trace(uri: Uri) -> Response {
    let part = uri.path().rsplit('/').next().unwrap_or_default();
    found(&jaeger::trace(part, uri.query().unwrap_or_default()))
}

async fn jaeger_search(uri: Uri) -> Response {
    found(&jaeger::search(uri.query().unwrap_or_default()))
}

fn found(address: &str) -> Response {
    match HeaderValue::from_str(address) {
        Ok(location) => (StatusCode::FOUND, [(LOCATION, location)]).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

fn no_such_page(index: &Resource, path: &str) -> Response {
    let last = path.rsplit('/').next().unwrap_or_default();
    if path.starts_with("/zipkin/api/") || last.contains('.') {
        return (StatusCode::NOT_FOUND, "no such path\n").into_response();
    }
    let mut response = index.answer(&HeaderMap::new());
    *response.status_mut() = StatusCode::NOT_FOUND;
    let headers = response.headers_mut();
    headers.remove(ETAG);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn serve(resource: &Arc<Resource>) -> MethodRouter {
    let resource = Arc::clone(resource);
    get(async move |headers: HeaderMap| resource.answer(&headers))
}

/// What is found at an address, in all its encodings.
#[derive(Debug)]
struct Resource {
    content_type: &'static str,
    cache_control: &'static str,
    plain: Representation,
    gzip: Option<Representation>,
    brotli: Option<Representation>,
    /// Of a page: what it may load and where it may send to.
    policy: Option<HeaderValue>,
}

/// The bytes of an answer, and their name.
#[derive(Debug)]
struct Representation {
    body: Bytes,
    etag: String,
}

impl Representation {
    fn new(body: Bytes) -> Self {
        let etag = format!("\"{:016x}\"", xxh3_64(&body));
        Self { body, etag }
    }
}

impl Resource {
    fn new(
        content_type: &'static str,
        cache_control: &'static str,
        plain: Bytes,
        gzip: Option<&'static [u8]>,
        brotli: Option<&'static [u8]>,
    ) -> Self {
        let compressed =
            |bytes: Option<&'static [u8]>| bytes.map(Bytes::from_static).map(Representation::new);
        Self {
            content_type,
            cache_control,
            plain: Representation::new(plain),
            gzip: compressed(gzip),
            brotli: compressed(brotli),
            policy: None,
        }
    }

    fn of_file(file: &File) -> Self {
        let cache_control = if file.path.starts_with(HASHED) {
            "max-age=31536000, immutable"
        } else if file.path.ends_with(".js") {
            // Has the same name in the next version, which may come with another content.
            "max-age=600"
        } else {
            "max-age=31536000"
        };
        let plain = Bytes::from_static(file.content);
        Self::new(
            content_type(file.path),
            cache_control,
            plain,
            file.gzip,
            file.brotli,
        )
    }

    /// In the shortest encoding that the client accepts.
    fn answer<'a>(&'a self, request: &HeaderMap) -> Response {
        let accepted = |coding: &'static str, representation: &'a Option<Representation>| {
            let representation = representation.as_ref().filter(|_| accepts(request, coding))?;
            Some((coding, representation))
        };
        let compressed = accepted("br", &self.brotli).or_else(|| accepted("gzip", &self.gzip));
        let chosen = compressed.map_or(&self.plain, |(_, representation)| representation);
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(ETAG, &chosen.etag);
        set(CACHE_CONTROL, self.cache_control);
        if self.gzip.is_some() || self.brotli.is_some() {
            set(VARY, "accept-encoding");
        }
        if is_known(request, &chosen.etag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        set(CONTENT_TYPE, self.content_type);
        set(X_CONTENT_TYPE_OPTIONS, "nosniff");
        if let Some((coding, _)) = compressed {
            set(CONTENT_ENCODING, coding);
        }
        if let Some(policy) = &self.policy {
            headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
        }
        (headers, chosen.body.clone()).into_response()
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "js" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json; charset=utf-8",
        "png" => "image/png",
        "svg" => "image/svg+xml; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The members of a header that is a list, whichever lines they are on.
fn members<'a>(request: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = request
        .get_all(name)
        .into_iter()
        .filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',').map(str::trim))
}

/// Whether an encoding is named, or else everything is, and not with a weight of zero.
fn accepts(request: &HeaderMap, wanted: &str) -> bool {
    let mut any = false;
    for member in members(request, &ACCEPT_ENCODING) {
        let (coding, parameter) = member.split_once(';').unwrap_or((member, ""));
        let weight = parameter.trim().strip_prefix("q=").unwrap_or("1");
        let is_accepted = weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0);
        match coding.trim() {
            coding if coding.eq_ignore_ascii_case(wanted) => return is_accepted,
            "*" => any = is_accepted,
            _ => {}
        }
    }
    any
}

/// Whether the client has what would be sent.
fn is_known(request: &HeaderMap, etag: &str) -> bool {
    members(request, &IF_NONE_MATCH).any(|known| known == "*" || known.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests;
