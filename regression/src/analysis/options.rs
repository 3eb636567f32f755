//! What an analysis can be told otherwise.

/// Sizes, levels and times that an analysis goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Traces of an entry operation that each side needs, or twice as many of several.
    pub min_traces: usize,
    /// Changes of less than this a call are no finding, microseconds.
    pub min_micros: f64,
    /// Changes of less than this share are no finding where both versions served at the same time.
    pub min_relative_concurrent: f64,
    /// The same where one served before the other.
    pub min_relative_before_after: f64,
    /// A change that moves no entry operation by this share of its mean, nor by `min_entry_micros`, is no finding.
    pub min_entry_relative: f64,
    /// See `min_entry_relative`, microseconds.
    pub min_entry_micros: f64,
    /// Changes of the share of requests that fail below this are no finding.
    pub min_error_rate: f64,
    /// How long a new instance is not warm, milliseconds.
    pub warm_up_ms: u64,
    /// The shortest window on either side of a rollout, milliseconds.
    pub window_min_ms: u64,
    /// The longest, milliseconds.
    pub window_max_ms: u64,
    /// Traces a side after which a window need not be longer.
    pub window_traces: usize,
    /// Traces a side; of more, a sample.
    pub traces_max: usize,
    /// The share of false discoveries among what is found.
    pub false_discovery_rate: f64,
    /// Of intervals.
    pub level: f64,
    /// Of what is reported to be visible.
    pub power: f64,
    /// The chance that a rollout that goes on is ever taken back without a reason.
    pub sequence_alpha: f64,
    /// Requests a side at which the sequence is narrowest.
    pub sequence_samples: f64,
    /// A deployment passes with this score.
    pub min_score: f64,
    /// Below this it fails; between it is marginal.
    pub marginal_score: f64,
    /// After the end of a rollout, for how long more data may be waited for, milliseconds.
    pub monitor_ms: u64,
    /// Traces that show a finding, of each side.
    pub exemplars_max: usize,
    /// Findings of a report.
    pub findings_max: usize,
    /// Operations of a report.
    pub operations_max: usize,
    /// Other deployments that are looked at.
    pub deployments_max: usize,
    /// Decides what is sampled.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            min_traces: 30,
            min_micros: 1_000.0,
            min_relative_concurrent: 0.05,
            min_relative_before_after: 0.10,
            min_entry_relative: 0.01,
            min_entry_micros: 1_000.0,
            min_error_rate: 0.005,
            warm_up_ms: 60_000,
            window_min_ms: 5 * 60_000,
            window_max_ms: 60 * 60_000,
            window_traces: 4_000,
            traces_max: 20_000,
            false_discovery_rate: 0.05,
            level: 0.95,
            power: 0.95,
            sequence_alpha: 0.01,
            sequence_samples: 500.0,
            min_score: 90.0,
            marginal_score: 75.0,
            monitor_ms: 60 * 60_000,
            exemplars_max: 3,
            findings_max: 100,
            operations_max: 500,
            deployments_max: 64,
            seed: 0,
        }
    }
}
