//! The router from outside: addresses, headers, bytes.

use std::io::Read;

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

async fn ask(config: UiConfig, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = router(config).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes(),
    }
}

async fn get(path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(UiConfig::default(), Method::GET, path, headers).await
}

/// Files that were embedded beside the page: none where there was no Node.js to build them.
fn files() -> impl Iterator<Item = &'static File> {
    FILES.iter().filter(|file| file.path != INDEX)
}

fn path_of(file: &File) -> String {
    format!("/zipkin/{}", file.path)
}

#[tokio::test]
async fn the_ways_to_the_app_lead_to_it() {
    for (from, to) in [
        ("/", "/zipkin/"),
        ("/zipkin", "/zipkin/"),
        ("/favicon.ico", "/zipkin/favicon.ico"),
        ("/dependencies", "/zipkin/dependency"),
        ("/trace/463ac35c9f6413ad", "/zipkin/traces/463ac35c9f6413ad"),
        ("/trace/1...2", "/zipkin/compare?a=1&b=2"),
        (
            "/search?service=shop&lookback=1h",
            "/zipkin/?serviceName=shop&lookback=1h",
        ),
    ] {
        let answer = get(from, &[]).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::FOUND, Some(to))
        );
    }
}

#[tokio::test]
async fn every_page_is_the_same_and_kept_for_a_minute() {
    let first = get("/zipkin/", &[]).await;
    assert!(first.body.starts_with(b"<!doctype html>"));
    for path in [
        "/zipkin/",
        "/zipkin/?serviceName=web&lookback=15m",
        "/zipkin/index.html",
        "/zipkin/traces/463ac35c9f6413ad48485a3953bb6124",
        "/zipkin/dependency?startTime=1&endTime=2",
        "/zipkin/traceViewer",
        "/zipkin/map",
        "/zipkin/deployments?q=a.b",
        "/zipkin/deployments/2f1c",
        "/zipkin/compare?a=1&b=2",
        "/zipkin/services",
        "/zipkin/services/shop.checkout",
        "/zipkin/services/shop/get%20%2Fcart.html",
        "/zipkin/slo",
        "/zipkin/slo/checkout-latency",
        "/zipkin/settings",
    ] {
        let answer = get(path, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header("cache-control"), Some("max-age=60"), "{path}");
        assert_eq!(
            answer.header("content-type"),
            Some("text/html; charset=utf-8"),
            "{path}"
        );
        assert!(
            answer
                .header("content-security-policy")
                .unwrap()
                .contains("default-src 'self'")
        );
        assert_eq!(answer.body, first.body, "{path}");
    }
}

#[tokio::test]
async fn the_app_says_itself_that_there_is_no_such_page() {
    let page = get("/zipkin/", &[]).await;
    for path in [
        "/zipkin/nothing",
        "/zipkin/traces",
        "/zipkin/traces/1/2",
        "/zipkin/assets/",
        "/zipkin/apis",
    ] {
        let answer = get(path, &[("if-none-match", "*")]).await;
        assert_eq!(
            (answer.status, &answer.body),
            (StatusCode::NOT_FOUND, &page.body),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
        assert_eq!(
            answer.header("content-type"),
            page.header("content-type"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_is_no_page_is_not_found() {
    for path in [
        "/zipkin/nothing.js",
        "/zipkin/assets/index.css",
        "/zipkin/api/v2/nothing",
        "/zipkin/api/",
        "/config.json",
        "/nothing",
    ] {
        let answer = get(path, &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!answer.body.starts_with(b"<!doctype"), "{path}");
    }
}

#[tokio::test]
async fn the_page_may_send_traces_to_the_archive_and_nowhere_else() {
    let policy_with = async |archive: Option<&str>| {
        let config = UiConfig {
            archive_post_url: archive.map(str::to_owned),
            ..UiConfig::default()
        };
        let answer = ask(config, Method::GET, "/zipkin/", &[]).await;
        answer.header("content-security-policy").unwrap().to_owned()
    };
    let without = policy_with(None).await;
    assert!(without.contains("connect-src 'self';"), "{without}");
    for (archive, origin) in [
        ("https://archive.example/api/v2/spans", "https://archive.example"),
        ("http://[::1]:9411?a=b", "http://[::1]:9411"),
    ] {
        let policy = policy_with(Some(archive)).await;
        assert!(
            policy.contains(&format!("connect-src 'self' {origin};")),
            "{policy}"
        );
    }
    for elsewhere in [
        "/api/v2/spans",
        "https://a;b/",
        "ftp://archive.example/",
        "https://",
        "a b",
    ] {
        assert_eq!(policy_with(Some(elsewhere)).await, without, "{elsewhere}");
    }
}

#[tokio::test]
async fn the_configuration_is_kept_for_ten_minutes() {
    let config = UiConfig {
        environment: "staging".to_owned(),
        ..UiConfig::default()
    };
    let expected = config.json();
    let answer = ask(config, Method::GET, "/zipkin/config.json", &[]).await;
    assert_eq!(answer.header("cache-control"), Some("max-age=600"));
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(answer.body, expected);
    assert!(expected.contains("\"environment\" : \"staging\""));
}

#[tokio::test]
async fn the_page_is_told_where_browsers_reach_it() {
    let config = UiConfig {
        base_path: "/admin/zipkin".to_owned(),
        ..UiConfig::default()
    };
    let answer = ask(config, Method::GET, "/zipkin/", &[]).await;
    let page = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(page.contains("<base href=\"/admin/zipkin/\">"), "{page}");
}

#[tokio::test]
async fn files_are_kept_and_typed() {
    for file in files() {
        let answer = get(&path_of(file), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", file.path);
        assert_eq!(answer.body, file.content, "{}", file.path);
        assert_eq!(answer.header("content-encoding"), None, "{}", file.path);
        let expected = if file.path.starts_with("assets/") {
            "max-age=31536000, immutable"
        } else if file.path.ends_with(".js") {
            "max-age=600"
        } else {
            "max-age=31536000"
        };
        assert_eq!(answer.header("cache-control"), Some(expected), "{}", file.path);
        assert_ne!(
            answer.header("content-type"),
            Some("application/octet-stream"),
            "{}",
            file.path
        );
    }
}

fn plain(encoding: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match encoding {
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_end(&mut plain),
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_end(&mut plain),
        _ => return body.to_vec(),
    }
    .unwrap();
    plain
}

#[tokio::test]
async fn files_are_sent_in_the_shortest_encoding_that_is_accepted() {
    for file in files().filter(|file| file.gzip.is_some() && file.brotli.is_some()) {
        for (accepted, encoding) in [
            ("gzip", Some("gzip")),
            ("gzip, br", Some("br")),
            ("br, GZIP;q=0.5", Some("br")),
            ("BR;q=0, gzip", Some("gzip")),
            ("deflate, *", Some("br")),
            ("*, br;q=0", Some("gzip")),
            ("", None),
            ("zstd", None),
            ("gzip;q=0", None),
            ("gzip; q=0.0, br;q=0, *", None),
        ] {
            let answer = get(&path_of(file), &[("accept-encoding", accepted)]).await;
            assert_eq!(answer.header("content-encoding"), encoding, "{accepted}");
            assert_eq!(answer.header("vary"), Some("accept-encoding"));
            assert_eq!(plain(encoding, &answer.body), file.content, "{accepted}");
        }
    }
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() {
    let paths = files()
        .map(path_of)
        .chain(["/zipkin/", "/zipkin/config.json"].map(str::to_owned));
    for path in paths {
        for encoding in ["identity", "gzip", "br"] {
            let encoding = ("accept-encoding", encoding);
            let first = get(&path, &[encoding]).await;
            let etag = first.header("etag").unwrap();
            for known in [etag, &format!("W/{etag}"), &format!("\"other\", {etag}"), "*"] {
                let again = get(&path, &[encoding, ("if-none-match", known)]).await;
                assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{path} {known}");
                assert_eq!(again.header("etag"), Some(etag));
                assert_eq!(again.header("cache-control"), first.header("cache-control"));
                assert!(again.body.is_empty());
            }
            let other = get(&path, &[encoding, ("if-none-match", "\"other\"")]).await;
            assert_eq!((other.status, other.body), (StatusCode::OK, first.body.clone()));
        }
    }
}

#[tokio::test]
async fn encodings_have_names_of_their_own() {
    for file in files().filter(|file| file.gzip.is_some()) {
        let plain = get(&path_of(file), &[]).await;
        let gzip = get(&path_of(file), &[("accept-encoding", "gzip")]).await;
        let brotli = get(&path_of(file), &[("accept-encoding", "br")]).await;
        let names = [&plain, &gzip, &brotli].map(|answer| answer.header("etag").unwrap());
        assert!(
            names[0] != names[1] && names[1] != names[2],
            "{}: {names:?}",
            file.path
        );
    }
}

#[tokio::test]
async fn a_head_is_the_answer_without_its_body() {
    let whole = get("/zipkin/", &[]).await;
    let head = ask(UiConfig::default(), Method::HEAD, "/zipkin/", &[]).await;
    assert_eq!(
        (head.status, head.header("etag")),
        (StatusCode::OK, whole.header("etag"))
    );
    assert!(head.body.is_empty());
    let post = ask(UiConfig::default(), Method::POST, "/zipkin/", &[]).await;
    assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);
}
