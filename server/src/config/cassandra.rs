//! Where Cassandra is.

use storage_cassandra::{Cluster, Tls};

use super::parse;
use super::values::Reader;

const PORT: u16 = 9042;
/// A keyspace has no longer name.
const KEYSPACE_CHARS_MAX: usize = 48;
const CONNECTIONS_MAX: u32 = 1_000;

/// Mistakes are found also where another storage is used.
pub(super) fn read(reader: &mut Reader<'_>) -> Cluster {
    let tls = tls(reader);
    let user = reader.optional("CASSANDRA_USERNAME", parse::text);
    let password = reader.secret("CASSANDRA_PASSWORD", parse::text);
    if user.is_some() != password.is_some() {
        reader.mistake("CASSANDRA_USERNAME and CASSANDRA_PASSWORD: one is nothing without the other");
    }
    Cluster {
        contact_points: reader.read("CASSANDRA_CONTACT_POINTS", contact_points),
        local_datacenter: reader.read("CASSANDRA_LOCAL_DC", parse::text),
        login: user.zip(password),
        keyspace: reader.read("CASSANDRA_KEYSPACE", keyspace),
        connections: reader.read("CASSANDRA_MAX_CONNECTIONS", connections),
        ensure_schema: reader.read("CASSANDRA_ENSURE_SCHEMA", parse::boolean),
        tls,
    }
}

fn tls(reader: &mut Reader<'_>) -> Tls {
    let is_encrypted = reader.read("CASSANDRA_USE_SSL", parse::boolean);
    let authorities = reader.optional("CASSANDRA_SSL_CA_FILE", parse::path);
    let of_node = reader.read("CASSANDRA_SSL_HOSTNAME_VALIDATION", parse::boolean);
    if authorities.is_some() && !is_encrypted {
        reader.mistake("CASSANDRA_SSL_CA_FILE: nothing is encrypted without CASSANDRA_USE_SSL=true");
    }
    match is_encrypted {
        true => Tls::Verified { authorities, of_node },
        false => Tls::Off,
    }
}

/// A comma list of hosts, with ports or without.
fn contact_points(list: &str) -> Result<Vec<String>, String> {
    let hosts = list.split(',').map(str::trim).filter(|host| !host.is_empty());
    let points: Vec<String> = hosts.map(contact_point).collect::<Result<_, _>>()?;
    match points.is_empty() {
        true => Err("names no host".to_owned()),
        false => Ok(points),
    }
}

fn contact_point(host: &str) -> Result<String, String> {
    if host.contains(['/', '@', ' ']) {
        return Err("must be a comma list of hosts, with ports or without".to_owned());
    }
    match host.rsplit_once(':') {
        // An address of version 6 is in brackets where a port follows.
        Some((name, port)) if !port.contains(']') && (!name.contains(':') || name.ends_with(']')) => {
            parse::port(port).map(|port| format!("{name}:{port}"))
        }
        Some(_) if !host.starts_with('[') => Ok(format!("[{host}]:{PORT}")),
        _ => Ok(format!("{host}:{PORT}")),
    }
}

/// Without quotes around it, Cassandra takes a name for lower case.
fn keyspace(name: &str) -> Result<String, String> {
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '_');
    match is_name && name.len() <= KEYSPACE_CHARS_MAX {
        true => Ok(name.to_ascii_lowercase()),
        false => Err(format!(
            "must be a letter, then letters, digits and underscores, {KEYSPACE_CHARS_MAX} in all at most"
        )),
    }
}

fn connections(value: &str) -> Result<usize, String> {
    match parse::small_count(value)? {
        0 => Err("must be greater than 0".to_owned()),
        count if count > CONNECTIONS_MAX => Err(format!("must be at most {CONNECTIONS_MAX}")),
        count => Ok(count as usize),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

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
            ("CASSANDRA_CONTACT_POINTS", "a, b:9043"),
            ("CASSANDRA_LOCAL_DC", "east"),
            ("CASSANDRA_USERNAME", "u"),
            ("CASSANDRA_PASSWORD", "p"),
            ("CASSANDRA_KEYSPACE", "Traces_2"),
            ("CASSANDRA_MAX_CONNECTIONS", "3"),
            ("CASSANDRA_ENSURE_SCHEMA", "false"),
            ("CASSANDRA_USE_SSL", "true"),
            ("CASSANDRA_SSL_CA_FILE", "/ca.pem"),
            ("CASSANDRA_SSL_HOSTNAME_VALIDATION", "false"),
        ]);
        assert_eq!(mistakes, [""; 0]);
        let expected = Cluster {
            contact_points: ["a:9042", "b:9043"].map(str::to_owned).into(),
            local_datacenter: "east".to_owned(),
            login: Some(("u".to_owned(), "p".to_owned())),
            keyspace: "traces_2".to_owned(),
            connections: 3,
            ensure_schema: false,
            tls: Tls::Verified {
                authorities: Some(PathBuf::from("/ca.pem")),
                of_node: false,
            },
        };
        assert_eq!(cluster, expected);
    }

    #[test]
    fn addresses_of_version_6_are_hosts_as_well() {
        let of = |list: &str| load(&[("CASSANDRA_CONTACT_POINTS", list)]).0.contact_points;
        assert_eq!(
            of("::1,[::1],[::1]:9043"),
            ["[::1]:9042", "[::1]:9042", "[::1]:9043"]
        );
    }

    #[test]
    fn mistakes_are_told_without_secrets() {
        for (name, value) in [
            ("CASSANDRA_CONTACT_POINTS", ","),
            ("CASSANDRA_CONTACT_POINTS", "cassandra://a"),
            ("CASSANDRA_CONTACT_POINTS", "a:b"),
            ("CASSANDRA_KEYSPACE", "a-b"),
            ("CASSANDRA_KEYSPACE", "1"),
            ("CASSANDRA_MAX_CONNECTIONS", "0"),
            ("CASSANDRA_SSL_CA_FILE", "/ca.pem"),
            ("CASSANDRA_PASSWORD", "secret"),
        ] {
            let (_, mistakes) = load(&[(name, value)]);
            assert_eq!(mistakes.len(), 1, "{name}={value}: {mistakes:?}");
            assert!(!mistakes[0].contains("secret"), "{mistakes:?}");
        }
    }
}
