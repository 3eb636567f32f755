//! Where MySQL is.

use storage_mysql::{MySqlServer, Tls};

use super::parse;
use super::values::Reader;

/// Mistakes are found also where another storage is used.
pub(super) fn read(reader: &mut Reader<'_>) -> MySqlServer {
    let is_encrypted = reader.read("MYSQL_USE_SSL", parse::boolean);
    let authorities = reader.optional("MYSQL_SSL_CA_FILE", parse::path);
    if authorities.is_some() && !is_encrypted {
        reader.mistake("MYSQL_SSL_CA_FILE: nothing is encrypted without MYSQL_USE_SSL=true");
    }
    let server = MySqlServer {
        host: reader.read("MYSQL_HOST", parse::text),
        port: reader.read("MYSQL_TCP_PORT", parse::port),
        user: reader.optional("MYSQL_USER", parse::text),
        password: reader.secret("MYSQL_PASS", parse::text),
        database: reader.read("MYSQL_DB", parse::text),
        connections_max: reader.read("MYSQL_MAX_CONNECTIONS", connections),
        tls: if is_encrypted {
            Tls::Verified(authorities)
        } else {
            Tls::Off
        },
        ensure_schema: reader.read("MYSQL_ENSURE_SCHEMA", parse::boolean),
    };
    let by_url = reader.secret("MYSQL_JDBC_URL", |url| with_url(server.clone(), url));
    by_url.unwrap_or(server)
}

/// One is always taken by what is written.
fn connections(value: &str) -> Result<u32, String> {
    match parse::small_count(value)? {
        count if count < 2 => Err("must be at least 2".to_owned()),
        count => Ok(count),
    }
}

/// A URL says everything that it can say, as in Zipkin. What only Java's driver knows is passed over.
fn with_url(mut server: MySqlServer, url: &str) -> Result<MySqlServer, String> {
    let shape = "must be jdbc:mysql://host:port/database, with parameters behind ? where there are some";
    let rest = url
        .strip_prefix("jdbc:mysql://")
        .or_else(|| url.strip_prefix("jdbc:mariadb://"));
    let (place, parameters) = rest
        .map(|rest| rest.split_once('?').unwrap_or((rest, "")))
        .ok_or(shape)?;
    let (address, database) = place.split_once('/').ok_or(shape)?;
    if address.contains(',') {
        return Err("names several hosts: one is supported".to_owned());
    }
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (address, None),
    };
    if host.is_empty() || database.is_empty() {
        return Err(shape.to_owned());
    }
    server.host = host.trim_matches(['[', ']']).to_owned();
    server.database = database.to_owned();
    server.port = port.map_or(Ok(3306), parse::port)?;
    for parameter in parameters.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name {
            "user" => server.user = Some(value.to_owned()),
            "password" => server.password = Some(value.to_owned()),
            "useSSL" | "useSsl" => server.tls = tls(server.tls, parse::boolean(value)?),
            "sslMode" => server.tls = tls(server.tls, is_verified(value)?),
            _ => {}
        }
    }
    Ok(server)
}

/// Whom to trust stays as it was said.
fn tls(said: Tls, is_encrypted: bool) -> Tls {
    match (is_encrypted, said) {
        (false, _) => Tls::Off,
        (true, Tls::Off) => Tls::Verified(None),
        (true, said) => said,
    }
}

/// The names of MySQL's driver and of MariaDB's.
fn is_verified(mode: &str) -> Result<bool, String> {
    match mode.to_lowercase().replace('_', "-").as_str() {
        "disable" | "disabled" => Ok(false),
        "verify-full" | "verify-identity" => Ok(true),
        _ => Err("sslMode must be DISABLED or VERIFY_IDENTITY: TLS to anybody is none".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::values::read_from;
    use super::*;

    fn load(environment: &[(&str, &str)]) -> (MySqlServer, Vec<String>) {
        read_from(environment, read)
    }

    #[test]
    fn without_a_word_it_is_zipkins() {
        assert_eq!(load(&[]), (MySqlServer::default(), Vec::new()));
    }

    #[test]
    fn everything_can_be_said_as_in_zipkin() {
        let (server, mistakes) = load(&[
            ("MYSQL_HOST", "db"),
            ("MYSQL_TCP_PORT", "3307"),
            ("MYSQL_USER", "u"),
            ("MYSQL_PASS", "p"),
            ("MYSQL_DB", "traces"),
            ("MYSQL_MAX_CONNECTIONS", "4"),
            ("MYSQL_USE_SSL", "true"),
            ("MYSQL_SSL_CA_FILE", "/ca.pem"),
            ("MYSQL_ENSURE_SCHEMA", "true"),
        ]);
        assert_eq!(mistakes, [""; 0]);
        let expected = MySqlServer {
            host: "db".to_owned(),
            port: 3307,
            user: Some("u".to_owned()),
            password: Some("p".to_owned()),
            database: "traces".to_owned(),
            connections_max: 4,
            tls: Tls::Verified(Some(PathBuf::from("/ca.pem"))),
            ensure_schema: true,
        };
        assert_eq!(server, expected);
    }

    #[test]
    fn a_url_wins() {
        let url = "jdbc:mysql://db:3307/traces?user=u&password=p&useSSL=true&autoReconnect=true";
        let (server, mistakes) = load(&[("MYSQL_JDBC_URL", url), ("MYSQL_HOST", "other")]);
        assert_eq!(mistakes, [""; 0]);
        assert_eq!(
            (server.host.as_str(), server.port, server.database.as_str()),
            ("db", 3307, "traces")
        );
        assert_eq!(
            (server.user.as_deref(), server.password.as_deref()),
            (Some("u"), Some("p"))
        );
        assert_eq!(server.tls, Tls::Verified(None));
        let (server, _) = load(&[("MYSQL_JDBC_URL", "jdbc:mariadb://[::1]/zipkin")]);
        assert_eq!((server.host.as_str(), server.port), ("::1", 3306));
    }

    #[test]
    fn mistakes_are_told_without_the_password() {
        for url in [
            "mysql://a/b?password=secret",
            "jdbc:mysql://a:x/b?password=secret",
            "jdbc:mysql://a,b/c",
            "jdbc:mysql://a",
        ] {
            let (_, mistakes) = load(&[("MYSQL_JDBC_URL", url)]);
            assert_eq!(mistakes.len(), 1, "{url}");
            assert!(!mistakes[0].contains("secret"), "{mistakes:?}");
        }
        assert_eq!(
            load(&[("MYSQL_MAX_CONNECTIONS", "1"), ("MYSQL_SSL_CA_FILE", "a")])
                .1
                .len(),
            2
        );
    }
}
