//! Which deployment made it slow: the traces of two versions are compared, what changed is attributed to where it
//! began, and a verdict is given with its uncertainty.
//!
//! [`statistics`] is the arithmetic beneath, and knows neither traces nor deployments.

pub mod statistics;
