//! The connections to a cluster, and how statements are sent by them.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use scylla::client::PoolSize;
use scylla::client::caching_session::CachingSession;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session_builder::SessionBuilder;
use scylla::deserialize::row::DeserializeRow;
use scylla::frame::types::{Consistency, SerialConsistency};
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::serialize::row::SerializeRow;
use scylla::statement::Statement;
use scylla::statement::batch::{Batch, BatchType};

use crate::config::{Cluster, Tls};
use crate::error::Failure;
use crate::schema::Schema;

/// How long it may take to connect to a node.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a node that says nothing is asked whether it is there, and how long it has to answer: of one that was cut off no
/// other word comes.
const ASK_ALIVE_EVERY: Duration = Duration::from_secs(10);
const ALIVE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an answer may take; the cluster itself gives up after 2 s for a write and 5 to 10 s for what is read.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the nodes may take to agree on a change of the schema.
const AGREEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// Different statements; there are fewer.
const STATEMENTS_MAX: usize = 64;
/// Rows of a page.
const PAGE_ROWS: i32 = 2_000;

/// Connections, in the keyspace, and what is known of its tables.
#[derive(Debug)]
pub(crate) struct Link {
    session: CachingSession,
    pub(crate) schema: Schema,
}

/// A row of an answer, whatever bytes it came in.
pub(crate) trait Row: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata> {}

impl<T> Row for T where T: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata> {}

impl Link {
    /// Connects, and finds the tables, which are created where that is asked for.
    pub(crate) async fn open(cluster: &Cluster, is_searched: bool) -> Result<Self, Failure> {
        let session = connect(cluster).await?;
        require_datacenter(&session, &cluster.local_datacenter)?;
        let schema = Schema::find(&session, cluster, is_searched).await?;
        session
            .get_session()
            .use_keyspace(&cluster.keyspace, false)
            .await?;
        Ok(Self { session, schema })
    }

    /// All rows of an answer.
    pub(crate) async fn rows<R: Row>(
        &self,
        text: &str,
        values: impl SerializeRow,
    ) -> Result<Vec<R>, Failure> {
        self.rows_of(read(text), values).await
    }

    /// All rows of an answer to a statement with settings of its own.
    pub(crate) async fn rows_of<R: Row>(
        &self,
        statement: Statement,
        values: impl SerializeRow,
    ) -> Result<Vec<R>, Failure> {
        rows(&self.session, statement, values).await
    }

    /// Gives rows as they come, so that there need never be all of them.
    pub(crate) async fn for_each<R: Row>(
        &self,
        text: &str,
        values: impl SerializeRow,
        mut take: impl FnMut(R) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let pager = self.session.execute_iter(read(text), values).await?;
        let mut stream = pager
            .rows_stream::<R>()
            .map_err(|error| Failure::other(error.to_string()))?;
        while let Some(row) = stream.next().await {
            take(row?)?;
        }
        Ok(())
    }

    /// Writes something that may be written twice.
    pub(crate) async fn write(&self, text: &str, values: impl SerializeRow) -> Result<(), Failure> {
        self.session.execute_unpaged(read(text), values).await?;
        Ok(())
    }

    /// Writes rows of one partition at once, which may be written twice.
    pub(crate) async fn write_together<V: SerializeRow>(
        &self,
        text: &str,
        rows: &[V],
    ) -> Result<(), Failure> {
        if let [row] = rows {
            return self.write(text, row).await;
        }
        let statement = self.session.add_prepared_statement(&read(text)).await?;
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_is_idempotent(true);
        for _ in rows {
            batch.append_statement(statement.clone());
        }
        self.session.batch(&batch, rows).await?;
        Ok(())
    }

    /// Changes a row if it is as a condition says, and tells whether it was.
    pub(crate) async fn change(&self, text: &str, values: impl SerializeRow) -> Result<bool, Failure> {
        // Not to be sent twice: the second would find what the first has done.
        let statement = Statement::new(text);
        let answer = self.session.execute_unpaged(statement, values).await?;
        let rows = answer
            .into_rows_result()
            .map_err(|error| Failure::other(error.to_string()))?;
        let row: scylla::value::Row = rows
            .first_row()
            .map_err(|error| Failure::other(error.to_string()))?;
        let is_applied = row
            .columns
            .first()
            .and_then(|column| column.as_ref()?.as_boolean());
        is_applied.ok_or_else(|| Failure::other("a condition was not answered"))
    }

    /// Asks for nothing but an answer.
    pub(crate) async fn ping(&self) -> Result<(), Failure> {
        self.rows::<(String,)>("SELECT release_version FROM system.local", ())
            .await?;
        Ok(())
    }
}

/// A statement that reads, or writes what may be written twice.
pub(crate) fn read(text: &str) -> Statement {
    let mut statement = Statement::new(text).with_page_size(PAGE_ROWS);
    statement.set_is_idempotent(true);
    statement
}

/// All rows of an answer.
pub(crate) async fn rows<R: Row>(
    session: &CachingSession,
    statement: Statement,
    values: impl SerializeRow,
) -> Result<Vec<R>, Failure> {
    let pager = session.execute_iter(statement, values).await?;
    let mut stream = pager
        .rows_stream::<R>()
        .map_err(|error| Failure::other(error.to_string()))?;
    let mut rows = Vec::new();
    while let Some(row) = stream.next().await {
        rows.push(row?);
    }
    Ok(rows)
}

async fn connect(cluster: &Cluster) -> Result<CachingSession, Failure> {
    let nodes = DefaultPolicy::builder()
        .prefer_datacenter(cluster.local_datacenter.clone())
        .token_aware(true)
        .build();
    // By a quorum, so that what was acknowledged is found whichever node is away, and by whichever server.
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .request_timeout(Some(ANSWER_TIMEOUT))
        .load_balancing_policy(nodes)
        .build();
    let connections = NonZeroUsize::new(cluster.connections).unwrap_or(NonZeroUsize::MIN);
    let mut builder = SessionBuilder::new()
        .known_nodes(&cluster.contact_points)
        .default_execution_profile_handle(profile.into_handle())
        .connection_timeout(CONNECT_TIMEOUT)
        .keepalive_interval(ASK_ALIVE_EVERY)
        .keepalive_timeout(ALIVE_TIMEOUT)
        .schema_agreement_timeout(AGREEMENT_TIMEOUT)
        .pool_size(PoolSize::PerHost(connections))
        .tls_context(tls(&cluster.tls)?);
    if let Some((user, password)) = &cluster.login {
        builder = builder.user(user, password);
    }
    Ok(CachingSession::from(builder.build().await?, STATEMENTS_MAX))
}

/// With a data centre that is not there, no node would ever be asked.
fn require_datacenter(session: &CachingSession, name: &str) -> Result<(), Failure> {
    let state = session.get_session().get_cluster_state();
    let mut known: Vec<&str> = state
        .get_nodes_info()
        .iter()
        .filter_map(|node| node.datacenter.as_deref())
        .collect();
    known.sort_unstable();
    known.dedup();
    match known.contains(&name) {
        true => Ok(()),
        false => Err(Failure::other(format!(
            "no node is in the data centre {name}, see CASSANDRA_LOCAL_DC; there are {}",
            known.join(", ")
        ))),
    }
}

fn tls(tls: &Tls) -> Result<Option<openssl::ssl::SslConnectorBuilder>, Failure> {
    let Tls::Verified { authorities, of_node } = tls else {
        return Ok(None);
    };
    let no_tls = |error: openssl::error::ErrorStack| Failure::other(format!("no TLS: {error}"));
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(no_tls)?;
    let mut trusted = X509StoreBuilder::new().map_err(no_tls)?;
    for certificate in certificates(authorities.as_deref())? {
        trusted.add_cert(certificate).map_err(no_tls)?;
    }
    builder.set_cert_store(trusted.build());
    if !of_node {
        let accepts = |is_fine: bool, context: &mut openssl::x509::X509StoreContextRef| {
            is_fine || context.error().as_raw() == ADDRESS_MISMATCH
        };
        builder.set_verify_callback(SslVerifyMode::PEER, accepts);
    }
    Ok(Some(builder))
}

/// The certificate is for another address (`X509_V_ERR_IP_ADDRESS_MISMATCH`).
const ADDRESS_MISMATCH: i32 = 64;

/// Of those in a file, or that the system trusts.
fn certificates(file: Option<&Path>) -> Result<Vec<X509>, Failure> {
    let Some(file) = file else {
        let system = rustls_native_certs::load_native_certs();
        let certificates = system
            .certs
            .iter()
            .filter_map(|certificate| X509::from_der(certificate).ok());
        return Ok(certificates.collect());
    };
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::other(format!("CASSANDRA_SSL_CA_FILE={}: {error}", file.display()))
    };
    let text = std::fs::read(file).map_err(|error| unreadable(&error))?;
    X509::stack_from_pem(&text).map_err(|error| unreadable(&error))
}
