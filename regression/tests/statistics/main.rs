//! The statistics against computations that share nothing with them (`testdata/make.py`), and against chance
//! itself: by simulation, that p-values are even when nothing changed and that intervals hold what they promise.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod draws;
mod edges;
mod families;
mod intervals;
mod reference;
mod sequences;
mod under_null;
