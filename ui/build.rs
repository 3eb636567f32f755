//! Builds the web app of `web/` and hands its files to the crate: plain, and compressed where that is shorter.
//!
//! `npm ci` runs only when the lock file is not the one that is installed, and Cargo runs all of this only when a
//! source of the app changed. Without Node.js the crate still builds, with a page that says how to get the app.
//!
//! | variable | effect |
//! | --- | --- |
//! | `UI_DIST` | directory of a ready app to embed; nothing is built |
//! | `UI_SKIP=1` | embed the page that says what is missing; nothing is built |
//! | `UI_REQUIRED=1` | fail where that page would be embedded instead of the app |

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;

/// What the app is made of, below `web/`.
const SOURCES: [&str; 8] = [
    ".npmrc",
    "index.html",
    "package-lock.json",
    "package.json",
    "public",
    "src",
    "tsconfig.json",
    "vite.config.ts",
];

/// Says which lock file `node_modules` was installed from: its content, copied.
const INSTALLED_LOCK: &str = "node_modules/.installed-lock.json";

/// What is compressed at a time; says nothing about how well.
const BROTLI_BUFFER_BYTES: usize = 64 << 10;

/// Beyond the end of a failed command's output nobody looks.
const OUTPUT_LINES_MAX: usize = 20;

type Result<T> = std::result::Result<T, String>;

fn main() -> Result<()> {
    for variable in ["UI_DIST", "UI_SKIP", "UI_REQUIRED"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(|error| error.to_string())?);
    let dist = match dist(&out) {
        Ok(dist) => dist,
        Err(reason) if is_set("UI_REQUIRED") => return Err(format!("UI_REQUIRED is set, but {reason}")),
        Err(reason) => {
            println!(
                "cargo::warning=the UI is not embedded: {}",
                reason.replace('\n', " | ")
            );
            placeholder(&out, &reason)?
        }
    };
    embed(&dist, &out)
}

fn is_set(variable: &str) -> bool {
    env::var(variable).is_ok_and(|value| !["", "0", "false"].contains(&value.as_str()))
}

/// The directory of the app's files, or why there is none.
fn dist(out: &Path) -> Result<PathBuf> {
    if let Some(given) = env::var_os("UI_DIST").filter(|given| !given.is_empty()) {
        let given = PathBuf::from(given);
        println!("cargo::rerun-if-changed={}", given.display());
        if !given.join("index.html").is_file() {
            return Err(format!("UI_DIST has no index.html: {}", given.display()));
        }
        return Ok(given);
    }
    if is_set("UI_SKIP") {
        return Err("UI_SKIP is set".to_owned());
    }
    let web = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(|error| error.to_string())?).join("web");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", web.join(source).display());
    }
    install(&web)?;
    let dist = out.join("dist");
    let vite = web.join("node_modules/vite/bin/vite.js");
    let arguments = ["build", "--emptyOutDir", "--logLevel", "warn", "--outDir"];
    run(Command::new("node")
        .arg(vite)
        .args(arguments)
        .arg(&dist)
        .current_dir(&web))?;
    Ok(dist)
}

/// Brings `node_modules` to what the lock file says, without running any package's own scripts.
fn install(web: &Path) -> Result<()> {
    let lock = read(&web.join("package-lock.json"))?;
    let installed = web.join(INSTALLED_LOCK);
    if fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let arguments = [
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefer-offline",
    ];
    run(Command::new(npm).args(arguments).current_dir(web))?;
    write(&installed, &lock)
}

fn run(command: &mut Command) -> Result<()> {
    let name = format!("{command:?}");
    let output = command
        .output()
        .map_err(|error| format!("{name} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(OUTPUT_LINES_MAX)..].join("\n");
    Err(format!("{name} failed with {}\n{end}", output.status))
}

/// An app that says why it is not one.
fn placeholder(out: &Path, reason: &str) -> Result<PathBuf> {
    let dist = out.join("placeholder");
    fs::create_dir_all(&dist).map_err(|error| format!("{}: {error}", dist.display()))?;
    let reason = reason.replace('&', "&amp;").replace('<', "&lt;");
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<base href=\"/zipkin/\">\n\
         <title>Tracehound</title>\n</head>\n<body>\n<h1>Tracehound runs, without its UI</h1>\n\
         <p>This server was built where the UI could not be. The API works: try <a href=\"api/v2/services\">the \
         names of all services</a>.</p>\n<p>To get the UI, install Node.js 20.19 or newer with npm, then \
         <code>touch ui/build.rs &amp;&amp; cargo build --release</code>.</p>\n<pre>{reason}</pre>\n\
         </body>\n</html>\n"
    );
    write(&dist.join("index.html"), page.as_bytes())?;
    Ok(dist)
}

/// Writes `files.rs`: a table of everything below `dist`, by path.
fn embed(dist: &Path, out: &Path) -> Result<()> {
    let compressed = out.join("compressed");
    fs::create_dir_all(&compressed).map_err(|error| format!("{}: {error}", compressed.display()))?;
    let mut table = String::from("&[\n");
    for (index, file) in files(dist)?.iter().enumerate() {
        let path = file.strip_prefix(dist).map_err(|error| error.to_string())?;
        let path = path.to_string_lossy().replace('\\', "/");
        let content = read(file)?;
        let failed = |error: std::io::Error| format!("{path}: {error}");
        let keep = |short: Vec<u8>, extension: &str| {
            if short.len() >= content.len() {
                return Ok("None".to_owned());
            }
            let file = compressed.join(format!("{index}.{extension}"));
            write(&file, &short)?;
            Ok::<_, String>(format!("Some(include_bytes!({:?}))", file.display().to_string()))
        };
        let gzip = keep(gzip(&content).map_err(failed)?, "gz")?;
        let brotli = keep(brotli(&content).map_err(failed)?, "br")?;
        let content = file.canonicalize().map_err(|error| format!("{path}: {error}"))?;
        let content = content.display().to_string();
        writeln!(
            table,
            "    File {{ path: {path:?}, content: include_bytes!({content:?}), gzip: {gzip}, brotli: {brotli} }},"
        )
        .map_err(|error| error.to_string())?;
    }
    table.push_str("]\n");
    write(&out.join("files.rs"), table.as_bytes())
}

/// Every file below a directory, in the order of their paths.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries =
            fs::read_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| error.to_string())?.path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn gzip(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}

fn brotli(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), BROTLI_BUFFER_BYTES, 11, 22);
    encoder.write_all(content)?;
    encoder.flush()?;
    Ok(encoder.into_inner())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).map_err(|error| format!("{}: {error}", path.display()))
}
