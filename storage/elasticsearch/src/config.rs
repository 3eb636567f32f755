//! What the store is configured with.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use storage::StoreOptions;

/// What a store in Elasticsearch is configured with.
#[derive(Clone)]
pub struct ElasticsearchConfig {
    /// What every store is configured with.
    pub options: StoreOptions,
    /// Where its indexes are.
    pub cluster: Cluster,
    /// What time it is.
    pub now: Clock,
}

/// Milliseconds since the epoch, as whoever owns the clock says.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A cluster, how to log in, and how its indexes are made (`zipkin.md` 3).
#[derive(Clone, PartialEq, Eq)]
pub struct Cluster {
    /// `ES_HOSTS`: addresses of nodes, such as `http://localhost:9200`, at least one, without a path.
    pub hosts: Vec<String>,
    /// `ES_INDEX`: what names of indexes begin with.
    pub index: String,
    /// `ES_DATE_SEPARATOR`: what is between year, month and day in them.
    pub date_separator: Option<char>,
    /// `ES_INDEX_SHARDS`.
    pub shards: u32,
    /// `ES_INDEX_REPLICAS`.
    pub replicas: u32,
    /// `ES_PIPELINE`: what documents go through on their way.
    pub pipeline: Option<String>,
    /// `ES_TIMEOUT`: how long an answer may take.
    pub timeout: Duration,
    /// `ES_TEMPLATE_PRIORITY`: with it templates are composable ones, of this priority.
    pub template_priority: Option<u32>,
    /// `ES_ENSURE_TEMPLATES`: templates are written, in the place of those before.
    pub ensure_templates: bool,
    /// Who logs in, by basic authentication.
    pub login: Login,
    /// Whom to trust, where hosts speak TLS.
    pub trust: Trust,
    /// `ES_HEALTH_CHECK_ENABLED` and `ES_HEALTH_CHECK_INTERVAL`: for how long a host that cannot be reached is asked only
    /// where the others cannot either.
    pub health_check: Option<Duration>,
}

/// Who logs in.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Login {
    /// Nobody.
    #[default]
    Nobody,
    /// `ES_USERNAME` and `ES_PASSWORD`.
    Known(String, String),
    /// `ES_CREDENTIALS_FILE`, a file of properties that may change, and `ES_CREDENTIALS_REFRESH_INTERVAL`, how often it is
    /// read.
    File(PathBuf, Duration),
}

/// Whose certificates are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those of the authorities that the system trusts.
    #[default]
    System,
    /// Those of the authorities in a file, PEM.
    Authorities(PathBuf),
    /// `ES_SSL_NO_VERIFY`: anybody's.
    Anybody,
}

impl Default for Cluster {
    /// As Zipkin's.
    fn default() -> Self {
        Self {
            hosts: vec!["http://localhost:9200".to_owned()],
            index: "zipkin".to_owned(),
            date_separator: Some('-'),
            shards: 5,
            replicas: 1,
            pipeline: None,
            timeout: Duration::from_secs(10),
            template_priority: None,
            ensure_templates: true,
            login: Login::Nobody,
            trust: Trust::System,
            health_check: Some(Duration::from_secs(3)),
        }
    }
}

impl fmt::Debug for Login {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("Nobody"),
            Self::Known(user, _) => write!(f, "Known({user:?})"),
            Self::File(path, every) => write!(f, "File({}, {every:?})", path.display()),
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("hosts", &self.hosts)
            .field("index", &self.index)
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ElasticsearchConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElasticsearchConfig")
            .field("options", &self.options)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}
