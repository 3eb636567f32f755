//! The web app, embedded: its built files, plain and compressed, and the page that loads them. `build.rs` builds
//! them from `web/`, [`http`] serves them.

mod config;
pub mod http;
mod jaeger;

pub use config::UiConfig;

/// One file of the built app.
struct File {
    /// Below the app's directory, with `/`.
    path: &'static str,
    content: &'static [u8],
    /// The same as gzip, where that is shorter.
    gzip: Option<&'static [u8]>,
    /// The same as Brotli, where that is shorter.
    brotli: Option<&'static [u8]>,
}

/// Written by `build.rs`, in the order of their paths.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The page that loads the app, which is the same for every address.
const INDEX: &str = "index.html";

/// What the page of `web/` says it is reached by. Everything it loads is relative to that.
const BASE: &str = "<base href=\"/zipkin/\">";

/// The page, reached by `base_path`: as browsers see it, which a proxy may make another than the server's.
fn index(base_path: &str) -> String {
    let file = FILES.iter().find(|file| file.path == INDEX);
    let page = String::from_utf8_lossy(file.map_or(&[][..], |file| file.content));
    let trimmed = base_path.trim_matches('/');
    let path = if trimmed.is_empty() {
        "/".to_owned()
    } else {
        format!("/{trimmed}/")
    };
    let path = path
        .replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;");
    page.replacen(BASE, &format!("<base href=\"{path}\">"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_where_it_is_reached() {
        assert!(index("/zipkin").contains(BASE));
        for (base_path, href) in [
            ("", "/"),
            ("/", "/"),
            ("/admin/zipkin", "/admin/zipkin/"),
            ("admin/zipkin/", "/admin/zipkin/"),
            ("/a\"><script>", "/a&quot;>&lt;script>/"),
        ] {
            let page = index(base_path);
            assert!(
                page.contains(&format!("<base href=\"{href}\">")),
                "{base_path}: {page}"
            );
        }
    }

    #[test]
    fn the_app_is_small() {
        let bytes = |file: &File| match (file.gzip, file.brotli) {
            (None, None) => file.content.len(),
            (gzip, brotli) => gzip.map_or(0, <[u8]>::len) + brotli.map_or(0, <[u8]>::len),
        };
        let compressed: usize = FILES.iter().map(bytes).sum();
        assert!(compressed <= 400 << 10, "{compressed} bytes as gzip and Brotli");
    }

    #[test]
    fn the_page_loads_nothing_by_an_absolute_address() {
        let page = index("/elsewhere");
        for attribute in ["src=\"/", "href=\"/z", "src=\"http", "href=\"http"] {
            assert!(!page.contains(attribute), "{attribute} in {page}");
        }
    }
}
