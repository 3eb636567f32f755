//! The embedded default storage: journal, head, sealed segments.
//!
//! A batch is written to the journal and synced (`storage-record`, `store.rs`), goes into the head (`head.rs`), where
//! it is searchable at once, and is sealed into an immutable segment with its neighbours (`seal.rs`,
//! `writer.rs`). Segments are read by pages through bounded caches (`reader.rs`), joined (`compact.rs`) and
//! dropped (`retention.rs`) in the background. `FORMAT.md` describes every byte of a segment.
//!
//! It is not: a database, or shared between processes.

mod api;
mod config;
mod store;
mod untimed;
mod view;

mod bits;
mod fields;
mod registry;
mod row;
mod rows;
mod segment_shapes;
mod shape;
mod shape_cache;
mod shape_plan;
mod shape_text;
mod strings;
mod term;

mod head;
mod recover;

mod deployments;

mod doctor;

mod format;
mod hour_sums;
mod known_names;
mod manifest;
mod names;
mod ordinals;
mod page;
mod postings;
mod profile_codes;
mod profile_facts;
#[cfg(test)]
mod profile_tests;
mod profiles;
mod reader;
mod rollup;
mod sketch_codes;
mod sketches;
mod slots;
mod term_pages;
mod text;
mod trace_pages;
mod trace_set;
mod trace_table;
mod writer;

mod compact;
mod maintenance;
mod output;
mod pace;
mod retention;
mod seal;
mod warm;

mod candidates;
mod conditions;
mod dependencies;
mod generation_links;
mod head_candidates;
mod head_links;
mod head_section;
mod head_sections;
mod latency;
mod link_sums;
mod needle;
mod search;
mod segment_links;
mod split_links;
mod splits;
mod timed_links;
mod trace_links;

#[cfg(test)]
mod dependency_tests;
#[cfg(test)]
mod fixture_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod rollup_tests;
#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod seal_tests;
#[cfg(test)]
mod search_tests;
#[cfg(test)]
mod testing;

pub use api::{SegmentStore, StoreStats};
pub use config::{Clock, Retention, SegmentConfig};
pub use doctor::{Doctor, Finding, JournalReport, Report, SectionBytes, SegmentReport};
pub use store::Opened;
