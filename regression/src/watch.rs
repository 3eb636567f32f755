//! Watches rollouts while they go on: keeps their verdicts up to date at bounded cost, and tells who listens what changed.
//!
//! Watching decides nothing. A report that is made because somebody watches is the report that anybody would get who asks
//! at that moment; that it may be asked for often without a decision coming from that alone is the business of the
//! analysis.
//!
//! `watcher` is the loop, `pace` how often it looks, `rollout` one rollout that is followed, `standing` what is thought of
//! it and which change of that is worth telling. `event` says how it is told, `events` keeps the last of them for
//! listeners; `http` is how one listens, `webhook` how events are delivered to those who do not ask.

mod event;
mod events;
pub(crate) mod http;
mod pace;
mod rollout;
mod standing;
#[cfg(test)]
mod tests;
mod watcher;
mod webhook;

pub use event::EventKind;
pub use events::{Event, EventLimits, EventStats, Events};
pub use pace::WatchOptions;
pub use standing::{Effect, Standing};
pub use watcher::{Ask, Watch, WatchMonitor, WatchSources, WatchStats, WatchedDeployment};
pub use webhook::{Delivery, Post, Target, WebhookOptions, WebhookStats, Webhooks};
