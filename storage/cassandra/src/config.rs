//! What the store is configured with.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use storage::StoreOptions;

/// What a Cassandra store is configured with.
#[derive(Clone)]
pub struct CassandraConfig {
    /// What every store is configured with.
    pub options: StoreOptions,
    /// Where its tables are.
    pub cluster: Cluster,
    /// What time it is.
    pub now: Clock,
}

/// Milliseconds since the epoch, as whoever owns the clock says.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A cluster, and how to log in.
#[derive(Clone, PartialEq, Eq)]
pub struct Cluster {
    /// `CASSANDRA_CONTACT_POINTS`: `host:port` each, of which one must be there.
    pub contact_points: Vec<String>,
    /// `CASSANDRA_LOCAL_DC`: only nodes of this data centre are asked.
    pub local_datacenter: String,
    /// `CASSANDRA_USERNAME` and `CASSANDRA_PASSWORD`.
    pub login: Option<(String, String)>,
    /// `CASSANDRA_KEYSPACE`: letters, digits and underscores, lower case.
    pub keyspace: String,
    /// `CASSANDRA_MAX_CONNECTIONS`: to each node.
    pub connections: usize,
    /// `CASSANDRA_ENSURE_SCHEMA`: what is missing is created, Zipkin's and our own.
    pub ensure_schema: bool,
    /// `CASSANDRA_USE_SSL`.
    pub tls: Tls,
}

/// Whether connections are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// They are not.
    #[default]
    Off,
    /// They are, and a node's certificate must be of whom is trusted.
    Verified {
        /// Of these authorities (PEM), or, without a file, of those that the system trusts.
        authorities: Option<PathBuf>,
        /// `CASSANDRA_SSL_HOSTNAME_VALIDATION`: and for its address.
        of_node: bool,
    },
}

impl Default for Cluster {
    /// As Zipkin's.
    fn default() -> Self {
        Self {
            contact_points: vec!["localhost:9042".to_owned()],
            local_datacenter: "datacenter1".to_owned(),
            login: None,
            keyspace: "zipkin2".to_owned(),
            connections: 8,
            ensure_schema: true,
            tls: Tls::Off,
        }
    }
}

impl Cluster {
    /// Where the cluster is, without anything secret.
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.contact_points.join(","), self.keyspace)
    }
}

impl fmt::Debug for Cluster {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("place", &self.place())
            .field("local_datacenter", &self.local_datacenter)
            .field("user", &self.login.as_ref().map(|login| &login.0))
            .field("connections", &self.connections)
            .field("ensure_schema", &self.ensure_schema)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CassandraConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CassandraConfig")
            .field("options", &self.options)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}
