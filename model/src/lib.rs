//! What is a span, a trace, a deployment?
//!
//! Pure values and rules: no I/O, no clock, no async, no serde on domain types. Every other package
//! of the workspace may depend on this one; it depends on nothing.
//!
//! Spans on the way in are borrowed: a reader fills a [`SpanBatch`], a sink reads [`SpanRef`]s.
//! Spans on the way out are owned: [`Span`].

mod batch;
mod endpoint;
mod id;
mod span;

pub use batch::{AnnotationRef, EndpointDraft, EndpointRef, SpanBatch, SpanDraft, SpanError, SpanRef, Text};
pub use endpoint::{Endpoint, InvalidPort, IpAddresses};
pub use id::{IdError, SpanId, TraceId};
pub use span::{Annotation, Kind, Span, UnknownKind};

mod critical_path;
mod dependency;
mod deployment;
mod merge;
mod outline;
mod profile;
mod sketch;
mod slo;
mod timeline;
mod trace;
mod tree;

pub use critical_path::{CriticalPath, Piece};
pub use dependency::{
    DependencyLink, DependencyLinker, LinkCall, LinkCount, LinkCounts, LinkFinder, merge_links,
};
pub use deployment::{
    Bearings, Deployment, ServedBy, ServingVersions, Strategy, SwitchedInstance, UnknownStrategy,
    WAVE_GAP_MS, Wave, environments_agree, waves,
};
pub use merge::{merge, merge_outlines};
pub use outline::{NameNumber, Place, SpanOutline, TraceNode};
pub use profile::{
    ArrangedTrace, Call, CallPlace, CallSums, Callee, Entry, Instance, InstanceNumber, Key, Operation,
    OperationNumber, ProfileTable, Renumbering, SpanFacts, TraceProfile, TraceProfiler,
};
pub use sketch::{
    BUCKET_BITS, Bucket, PackedSketches, Sketch, SketchError, SketchSum, SketchTotals, bucket_number,
};
pub use slo::{Indicator, Slo};
pub use timeline::{Interval, TimeCut, Timeline};
pub use trace::trace_timestamp;
pub use tree::SpanTree;
