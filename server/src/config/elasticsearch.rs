//! Where Elasticsearch or OpenSearch is.

use std::path::PathBuf;
use std::time::Duration;

use storage_elasticsearch::{Cluster, Login, Trust};

use super::parse;
use super::values::Reader;

/// Zipkin's own port for nodes among each other, which many configured by mistake.
const TRANSPORT_PORT: &str = ":9300";
const HTTP_PORT: &str = ":9200";
/// What names of indexes must not have.
const NO_NAME: &[char] = &[
    '\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':', '%', '&',
];

/// Mistakes are found also where another storage is used.
pub(super) fn read(reader: &mut Reader<'_>) -> Cluster {
    let login = login(reader);
    let is_anybody_trusted = reader.read("ES_SSL_NO_VERIFY", parse::boolean);
    let authorities = reader.optional("ES_SSL_CA_FILE", parse::path);
    if authorities.is_some() && is_anybody_trusted {
        reader.mistake("ES_SSL_CA_FILE: nobody is asked for it with ES_SSL_NO_VERIFY=true");
    }
    let is_checked = reader.read("ES_HEALTH_CHECK_ENABLED", parse::boolean);
    let check_every = reader.read("ES_HEALTH_CHECK_INTERVAL", parse::duration);
    Cluster {
        hosts: reader
            .secret("ES_HOSTS", hosts)
            .unwrap_or_else(|| Cluster::default().hosts),
        index: reader.read("ES_INDEX", index),
        date_separator: reader.read("ES_DATE_SEPARATOR", separator),
        shards: reader.read("ES_INDEX_SHARDS", shards),
        replicas: reader.read("ES_INDEX_REPLICAS", parse::number),
        pipeline: reader.optional("ES_PIPELINE", parse::text),
        timeout: reader.read("ES_TIMEOUT", timeout),
        template_priority: reader.optional("ES_TEMPLATE_PRIORITY", parse::number),
        ensure_templates: reader.read("ES_ENSURE_TEMPLATES", parse::boolean),
        login,
        trust: trust(is_anybody_trusted, authorities),
        health_check: is_checked.then_some(check_every),
    }
}

fn login(reader: &mut Reader<'_>) -> Login {
    let user = reader.optional("ES_USERNAME", parse::text);
    let password = reader.secret("ES_PASSWORD", parse::text);
    let file = reader.optional("ES_CREDENTIALS_FILE", parse::path);
    let every = reader.read("ES_CREDENTIALS_REFRESH_INTERVAL", seconds);
    if user.is_some() != password.is_some() {
        reader.mistake("ES_USERNAME and ES_PASSWORD: one is nothing without the other");
    }
    if user.is_some() && file.is_some() {
        reader.mistake("ES_CREDENTIALS_FILE: is not read where ES_USERNAME says who logs in");
    }
    match (user.zip(password), file) {
        (Some((user, password)), _) => Login::Known(user, password),
        (None, Some(file)) => Login::File(file, every),
        (None, None) => Login::Nobody,
    }
}

/// A bare number is seconds, as with Zipkin.
fn seconds(value: &str) -> Result<Duration, String> {
    match value.parse::<u32>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds.max(1).into())),
        Err(_) => parse::duration(value),
    }
}

fn trust(is_anybody_trusted: bool, authorities: Option<PathBuf>) -> Trust {
    match authorities {
        _ if is_anybody_trusted => Trust::Anybody,
        Some(path) => Trust::Authorities(path),
        None => Trust::System,
    }
}

/// As Zipkin reads them: without a scheme it is HTTP at port 9200, one with HTTPS makes all of them HTTPS.
fn hosts(list: &str) -> Result<Vec<String>, String> {
    let hosts: Vec<&str> = list
        .split(',')
        .map(str::trim)
        .filter(|host| !host.is_empty())
        .collect();
    let is_encrypted = hosts.iter().any(|host| host.starts_with("https://"));
    let scheme = if is_encrypted { "https" } else { "http" };
    let base = |host: &&str| {
        let (named, address) = host
            .split_once("://")
            .map_or((None, *host), |(named, rest)| (Some(named), rest));
        let address = address.strip_suffix('/').unwrap_or(address);
        if named.is_some_and(|named| !["http", "https"].contains(&named)) {
            return Err(
                "must be a comma list of hosts, with http:// or https:// before them or without".to_owned(),
            );
        }
        if address.is_empty() || address.contains(['/', '@', '?', '#', ' ']) {
            return Err("must be a comma list of hosts, without paths, and without a login".to_owned());
        }
        let has_port = address
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.contains(']'));
        let address = match address.strip_suffix(TRANSPORT_PORT) {
            Some(name) => format!("{name}{HTTP_PORT}"),
            None if !has_port && named.is_none() => format!("{address}{HTTP_PORT}"),
            None => address.to_owned(),
        };
        Ok(format!("{scheme}://{address}"))
    };
    match hosts.is_empty() {
        true => Err("names no host".to_owned()),
        false => hosts.iter().map(base).collect(),
    }
}

fn index(name: &str) -> Result<String, String> {
    if name.is_empty()
        || name.contains(NO_NAME)
        || name.to_lowercase() != name
        || name.starts_with(['-', '_', '+', '.'])
    {
        return Err("must be what a name of an index can begin with: lower case, without signs".to_owned());
    }
    Ok(name.to_owned())
}

/// An empty variable is one that is not set: `none` is a word for it.
fn separator(text: &str) -> Result<Option<char>, String> {
    if text == "none" {
        return Ok(None);
    }
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(separator), None) if !separator.is_ascii_digit() && !NO_NAME.contains(&separator) => {
            Ok(Some(separator))
        }
        _ => Err("must be one character that names of indexes can have, such as - or ., or none".to_owned()),
    }
}

fn shards(value: &str) -> Result<u32, String> {
    match parse::number(value)? {
        0 => Err("must be greater than 0".to_owned()),
        shards => Ok(shards),
    }
}

fn timeout(value: &str) -> Result<Duration, String> {
    match parse::duration(value)? {
        Duration::ZERO => Err("must be greater than 0".to_owned()),
        timeout => Ok(timeout),
    }
}

#[cfg(test)]
mod tests {
    use super::super::values::read_from;
    use super::*;

    fn load(environment: &[(&str, &str)]) -> (Cluster, Vec<String>) {
        read_from(environment, read)
    }

    #[test]
    fn without_a_word_it_is_zipkins() {
        assert_eq!(load(&[]), (Cluster::default(), Vec::new()));
    }

    #[test]
    fn everything_can_be_said_as_in_zipkin() {
        let (cluster, mistakes) = load(&[
            ("ES_HOSTS", "a, b:9201"),
            ("ES_INDEX", "traces"),
            ("ES_DATE_SEPARATOR", "."),
            ("ES_INDEX_SHARDS", "2"),
            ("ES_INDEX_REPLICAS", "0"),
            ("ES_PIPELINE", "p"),
            ("ES_TIMEOUT", "2500"),
            ("ES_TEMPLATE_PRIORITY", "7"),
            ("ES_ENSURE_TEMPLATES", "false"),
            ("ES_USERNAME", "u"),
            ("ES_PASSWORD", "p"),
            ("ES_SSL_CA_FILE", "/ca.pem"),
            ("ES_HEALTH_CHECK_ENABLED", "false"),
        ]);
        assert_eq!(mistakes, [""; 0]);
        let expected = Cluster {
            hosts: ["http://a:9200", "http://b:9201"].map(str::to_owned).into(),
            index: "traces".to_owned(),
            date_separator: Some('.'),
            shards: 2,
            replicas: 0,
            pipeline: Some("p".to_owned()),
            timeout: Duration::from_millis(2500),
            template_priority: Some(7),
            ensure_templates: false,
            login: Login::Known("u".to_owned(), "p".to_owned()),
            trust: Trust::Authorities(PathBuf::from("/ca.pem")),
            health_check: None,
        };
        assert_eq!(cluster, expected);
        assert_eq!(load(&[("ES_SSL_NO_VERIFY", "true")]).0.trust, Trust::Anybody);
        let file = [
            ("ES_CREDENTIALS_FILE", "/login"),
            ("ES_CREDENTIALS_REFRESH_INTERVAL", "2"),
        ];
        let expected = Login::File(PathBuf::from("/login"), Duration::from_secs(2));
        assert_eq!(load(&file).0.login, expected);
        assert_eq!(load(&[("ES_DATE_SEPARATOR", "none")]).0.date_separator, None);
    }

    #[test]
    fn hosts_are_read_as_zipkin_reads_them() {
        let of = |list: &str| load(&[("ES_HOSTS", list)]).0.hosts;
        assert_eq!(
            of("https://a,b,[::1]"),
            ["https://a", "https://b:9200", "https://[::1]:9200"]
        );
        assert_eq!(of("http://a:9300/"), ["http://a:9200"]);
    }

    #[test]
    fn nobody_logs_in_twice() {
        let (_, mistakes) = load(&[
            ("ES_USERNAME", "u"),
            ("ES_PASSWORD", "p"),
            ("ES_CREDENTIALS_FILE", "/login"),
        ]);
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    }

    #[test]
    fn mistakes_are_told_without_secrets() {
        for (name, value) in [
            ("ES_HOSTS", "http://u:secret@a"),
            ("ES_HOSTS", ","),
            ("ES_HOSTS", "ftp://a"),
            ("ES_INDEX", "Zipkin"),
            ("ES_INDEX", "a*"),
            ("ES_DATE_SEPARATOR", "--"),
            ("ES_INDEX_SHARDS", "0"),
            ("ES_TIMEOUT", "0"),
            ("ES_PASSWORD", "secret"),
        ] {
            let (_, mistakes) = load(&[(name, value)]);
            assert_eq!(mistakes.len(), 1, "{name}={value}: {mistakes:?}");
            assert!(!mistakes[0].contains("secret"), "{mistakes:?}");
        }
    }
}
