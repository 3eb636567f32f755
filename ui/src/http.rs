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
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::{FILES, File, INDEX, UiConfig};

/// Where the app's page is. Which of its pages it shows, it sees from the address.
const PAGES: [&str; 5] = [
    "/zipkin/",
    "/zipkin/index.html",
    "/zipkin/traces/{id}",
    "/zipkin/dependency",
    "/zipkin/traceViewer",
];

/// Relative, so that a proxy in front need not rewrite them.
const REDIRECTS: [(&str, &str); 3] = [
    ("/", "/zipkin/"),
    ("/zipkin", "/zipkin/"),
    ("/favicon.ico", "/zipkin/favicon.ico"),
];

/// Files below this have a name that changes with their content.
const HASHED: &str = "assets/";

/// The page loads from its own server and sends to it, and nothing else. Styles set by a script are its own.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'self'",
);

/// The app, its configuration, and the redirects to it. Whatever else is asked for below `/zipkin` is not found.
pub fn router(config: UiConfig) -> Router {
    let index = Arc::new(Resource::new(
        "text/html; charset=utf-8",
        "max-age=60",
        Bytes::from(crate::index(&config.base_path)),
        None,
    ));
    let configuration = Resource::new(
        "application/json; charset=utf-8",
        "max-age=600",
        Bytes::from(config.json()),
        None,
    );
    let mut router = Router::new().route("/zipkin/config.json", serve(&Arc::new(configuration)));
    for page in PAGES {
        router = router.route(page, serve(&index));
    }
    for (from, to) in REDIRECTS {
        let location = [(LOCATION, HeaderValue::from_static(to))];
        router = router.route(from, get(|| async { (StatusCode::FOUND, location) }));
    }
    for file in FILES.iter().filter(|file| file.path != INDEX) {
        let resource = Arc::new(Resource::of_file(file));
        router = router.route(&format!("/zipkin/{}", file.path), serve(&resource));
    }
    router
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
    ) -> Self {
        Self {
            content_type,
            cache_control,
            plain: Representation::new(plain),
            gzip: gzip.map(Bytes::from_static).map(Representation::new),
        }
    }

    fn of_file(file: &File) -> Self {
        let cache_control = if file.path.starts_with(HASHED) {
            "max-age=31536000, immutable"
        } else {
            "max-age=31536000"
        };
        let plain = Bytes::from_static(file.content);
        Self::new(content_type(file.path), cache_control, plain, file.gzip)
    }

    fn answer(&self, request: &HeaderMap) -> Response {
        let gzip = self.gzip.as_ref().filter(|_| accepts_gzip(request));
        let chosen = gzip.unwrap_or(&self.plain);
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(ETAG, &chosen.etag);
        set(CACHE_CONTROL, self.cache_control);
        if self.gzip.is_some() {
            set(VARY, "accept-encoding");
        }
        if is_known(request, &chosen.etag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        set(CONTENT_TYPE, self.content_type);
        set(X_CONTENT_TYPE_OPTIONS, "nosniff");
        if gzip.is_some() {
            set(CONTENT_ENCODING, "gzip");
        }
        if self.content_type.starts_with("text/html") {
            headers.insert(CONTENT_SECURITY_POLICY, POLICY);
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

/// Whether gzip is named, or everything is, and not with a weight of zero.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let mut any = false;
    for member in members(request, &ACCEPT_ENCODING) {
        let (coding, parameter) = member.split_once(';').unwrap_or((member, ""));
        let weight = parameter.trim().strip_prefix("q=").unwrap_or("1");
        let wanted = weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0);
        match coding.trim() {
            coding if coding.eq_ignore_ascii_case("gzip") => return wanted,
            "*" => any = wanted,
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
