//! Service-level objectives: which share of a service's responses has to be good, over how many days.

/// An objective, by a name of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// Not empty.
    pub name: String,
    /// Lower case, not empty.
    pub service_name: String,
    /// Lower case; `None` means every operation of the service.
    pub span_name: Option<String>,
    /// What makes a response good.
    pub indicator: Indicator,
    /// The share of good responses, above 0 and below 1.
    pub objective: f64,
    /// Over how many days, at least 1.
    pub window_days: u32,
}

/// What makes a response good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indicator {
    /// It did not fail on the server's side.
    Availability,
    /// It took at most so many milliseconds.
    Latency {
        /// Milliseconds, at least 1.
        threshold_ms: u64,
    },
}
