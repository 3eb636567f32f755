//! The last events, and those who listen.
//!
//! There is one ring, and every listener is a number in it: one that falls behind costs no memory, and is told how much it
//! missed once what it did not read is gone.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use model::{Deployment, environments_agree};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::event::{Change, EventJson, EventKind};
use super::standing::Standing;

/// Bounds of what is kept for listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLimits {
    /// Events kept for those who come back or are slow.
    pub events_max: usize,
    /// Bytes of them; the last event is kept whatever its length.
    pub event_bytes_max: usize,
    /// Listeners at one time, webhooks not counted.
    pub listeners_max: usize,
}

impl Default for EventLimits {
    fn default() -> Self {
        Self {
            events_max: 1_000,
            event_bytes_max: 8 << 20,
            listeners_max: 100,
        }
    }
}

/// An event, written once for everybody.
#[derive(Debug)]
pub struct Event {
    /// Of this event alone, as listeners give it when they come back.
    pub id: String,
    /// What happened.
    pub kind: EventKind,
    /// JSON.
    pub body: String,
    service_name: String,
    environment: Option<String>,
}

impl Event {
    /// Whether it is about a service, in an environment; `None` asks for any.
    pub(crate) fn is_about(&self, service_name: Option<&str>, environment: Option<&str>) -> bool {
        service_name.is_none_or(|name| name == self.service_name)
            && environments_agree(environment, self.environment.as_deref())
    }
}

/// See the head of this file. Clones are the same events.
#[derive(Clone)]
pub struct Events {
    shared: Arc<Shared>,
}

struct Shared {
    /// Tells events of this process from those of the one before, whose numbers began at 0 as well.
    run: u64,
    limits: EventLimits,
    ring: Mutex<Ring>,
    /// Wakes listeners.
    head: watch::Sender<Head>,
    listeners: AtomicUsize,
    refused: AtomicU64,
    missed: AtomicU64,
    sent: [AtomicU64; EventKind::ALL.len()],
}

#[derive(Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// The number of the next event.
    next: u64,
}

impl Ring {
    /// The number of the oldest event that is kept.
    fn oldest(&self) -> u64 {
        self.next - self.events.len() as u64
    }
}

/// What listeners wait for a change of.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    next: u64,
    is_closed: bool,
}

/// What happened to listeners since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventStats {
    /// Events by what happened.
    pub sent: [(EventKind, u64); EventKind::ALL.len()],
    /// Who listens now.
    pub listeners: usize,
    /// Who was not let in because there were too many.
    pub listeners_refused: u64,
    /// Events that were gone before a listener read them, each counted for each listener.
    pub missed: u64,
}

/// Why somebody may not listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// So many do already.
    TooMany(usize),
    /// There will be no more events.
    Closed,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    /// None yet. `started_ts` is when this process began, epoch milliseconds.
    pub fn new(started_ts: u64, limits: EventLimits) -> Self {
        let shared = Shared {
            run: started_ts,
            limits,
            ring: Mutex::default(),
            head: watch::Sender::default(),
            listeners: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            sent: Default::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Where nothing is watched: nobody can listen.
    pub fn none() -> Self {
        let events = Self::new(0, EventLimits::default());
        events.close();
        events
    }

    /// Tells everybody.
    pub(super) fn publish(
        &self,
        event_ts: u64,
        deployment: &Deployment,
        standing: Standing,
        change: &Change,
    ) {
        let kind = change.kind();
        let mut ring = self.shared.ring.lock();
        let id = format!("{}-{}", self.shared.run, ring.next);
        let event = EventJson::new(&id, event_ts, deployment, standing, change);
        let body = match serde_json::to_string(&event) {
            Ok(body) => body,
            // Only maps with keys that are no text could not be written, and an event has no map.
            Err(error) => return tracing::error!(%error, "an event cannot be written"),
        };
        ring.bytes += body.len();
        ring.next += 1;
        ring.events.push_back(Arc::new(Event {
            id,
            kind,
            body,
            service_name: deployment.service_name.clone(),
            environment: deployment.environment.clone(),
        }));
        let limits = &self.shared.limits;
        while ring.events.len() > 1
            && (ring.events.len() > limits.events_max || ring.bytes > limits.event_bytes_max)
        {
            let oldest = ring.events.pop_front();
            ring.bytes -= oldest.map_or(0, |oldest| oldest.body.len());
        }
        self.shared.sent[kind as usize].fetch_add(1, Ordering::Relaxed);
        let next = ring.next;
        self.shared.head.send_modify(|head| head.next = next);
    }

    /// There will be no more: who listens gets what there is, and then the end.
    pub fn close(&self) {
        self.shared.head.send_modify(|head| head.is_closed = true);
    }

    /// Listens from now on, or from the event after the one that a listener had last.
    pub(crate) fn listen(&self, last_id: Option<&str>) -> Result<Listener, Refusal> {
        if self.shared.head.borrow().is_closed {
            return Err(Refusal::Closed);
        }
        let most = self.shared.limits.listeners_max;
        let one_more = |listeners: usize| (listeners < most).then_some(listeners + 1);
        let listeners = &self.shared.listeners;
        let admitted = listeners.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        if admitted.is_err() {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Refusal::TooMany(most));
        }
        Ok(Listener {
            cursor: self.cursor(last_id),
            _place: Place(Arc::clone(&self.shared)),
        })
    }

    /// As [`Events::listen`], for those who are there from the start, and are not counted.
    pub(super) fn cursor(&self, last_id: Option<&str>) -> Cursor {
        let next = match last_id {
            None => Some(self.shared.ring.lock().next),
            Some(id) => self.after(id),
        };
        Cursor {
            shared: Arc::clone(&self.shared),
            head: self.shared.head.subscribe(),
            next,
        }
    }

    /// The number after that of an identifier; `None` where that is of no event of this process.
    fn after(&self, id: &str) -> Option<u64> {
        let (run, number) = id.split_once('-')?;
        let next = number.parse::<u64>().ok()?.checked_add(1)?;
        let is_ours = run.parse() == Ok(self.shared.run) && next <= self.shared.ring.lock().next;
        is_ours.then_some(next)
    }

    /// How many there have been.
    pub(super) fn published(&self) -> u64 {
        self.shared.ring.lock().next
    }

    /// What was told so far.
    pub fn stats(&self) -> EventStats {
        let shared = &self.shared;
        EventStats {
            sent: EventKind::ALL.map(|kind| (kind, shared.sent[kind as usize].load(Ordering::Relaxed))),
            listeners: shared.listeners.load(Ordering::Relaxed),
            listeners_refused: shared.refused.load(Ordering::Relaxed),
            missed: shared.missed.load(Ordering::Relaxed),
        }
    }
}

/// What a listener is told next.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// Something happened.
    Event(Arc<Event>),
    /// So many events are gone that the listener should have been told; `None` where nobody knows how many.
    Missed(Option<u64>),
}

/// How far somebody has read.
#[derive(Debug)]
pub(crate) struct Cursor {
    shared: Arc<Shared>,
    head: watch::Receiver<Head>,
    /// The number of the event to be read next; `None` until somebody who comes back was told that nobody knows.
    next: Option<u64>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Cursor {
    /// The next one, once there is one; `None` where there will be no more.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(told) = self.ready() {
                return Some(told);
            }
            let next = self.next.unwrap_or_default();
            // An error means that nobody is left to tell anything.
            let head = self.head.wait_for(|head| head.next > next || head.is_closed);
            if head.await.is_err() || self.is_at_the_end() {
                return None;
            }
        }
    }

    fn is_at_the_end(&self) -> bool {
        self.head.borrow().is_closed && self.next == Some(self.shared.ring.lock().next)
    }

    fn ready(&mut self) -> Option<Told> {
        let ring = self.shared.ring.lock();
        let oldest = ring.oldest();
        let Some(next) = self.next else {
            self.next = Some(oldest);
            return Some(Told::Missed(None));
        };
        if next < oldest {
            self.next = Some(oldest);
            self.shared.missed.fetch_add(oldest - next, Ordering::Relaxed);
            return Some(Told::Missed(Some(oldest - next)));
        }
        let event = ring.events.get((next - oldest) as usize)?;
        self.next = Some(next + 1);
        Some(Told::Event(Arc::clone(event)))
    }
}

/// Somebody who listens, and is counted as long.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) cursor: Cursor,
    _place: Place,
}

#[derive(Debug)]
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(events: &Events, times: usize) {
        for _ in 0..times {
            let change = Change::Rollout(EventKind::DeploymentBegan);
            events.publish(5, &Deployment::default(), Standing::UNKNOWN, &change);
        }
    }

    fn events(events_max: usize) -> Events {
        let limits = EventLimits {
            events_max,
            listeners_max: 2,
            ..EventLimits::default()
        };
        Events::new(9, limits)
    }

    /// The numbers of events, and how many were missed, until nothing is there.
    fn read(cursor: &mut Cursor) -> Vec<String> {
        let ready = std::iter::from_fn(|| cursor.ready());
        let text = |told| match told {
            Told::Event(event) => event.id.clone(),
            Told::Missed(count) => format!("missed {count:?}"),
        };
        ready.map(text).collect()
    }

    #[test]
    fn a_listener_that_falls_behind_is_told_how_much_it_missed() {
        let events = events(3);
        let mut cursor = events.cursor(None);
        publish(&events, 2);
        assert_eq!(read(&mut cursor), ["9-0", "9-1"]);
        publish(&events, 5);
        assert_eq!(events.published(), 7);
        assert_eq!(read(&mut cursor), ["missed Some(2)", "9-4", "9-5", "9-6"]);
        assert_eq!(events.stats().missed, 2);
    }

    #[test]
    fn who_comes_back_goes_on_after_the_last_event_it_had() {
        let events = events(3);
        publish(&events, 5);
        let come_back = |id: &str| read(&mut events.cursor(Some(id)));
        assert_eq!(come_back("9-3"), ["9-4"]);
        assert_eq!(come_back("9-4"), [""; 0]);
        assert_eq!(come_back("9-0"), ["missed Some(1)", "9-2", "9-3", "9-4"]);
        let all = ["missed None", "9-2", "9-3", "9-4"];
        for other in ["8-3", "9-5", "9-18446744073709551615", "9", "", "x-1", "9--1"] {
            assert_eq!(come_back(other), all, "{other}: nobody knows what that is");
        }
        assert_eq!(read(&mut events.cursor(None)), [""; 0], "only what comes");
    }

    #[test]
    fn bytes_are_bounded_as_well_and_the_last_event_is_always_there() {
        let limits = EventLimits {
            event_bytes_max: 1,
            ..EventLimits::default()
        };
        let events = Events::new(9, limits);
        let mut cursor = events.cursor(None);
        publish(&events, 3);
        assert_eq!(read(&mut cursor), ["missed Some(2)", "9-2"]);
    }

    #[tokio::test]
    async fn the_end_comes_after_what_there_is() {
        let events = events(3);
        let mut cursor = events.cursor(None);
        let mut listener = events.listen(None).unwrap();
        let waiting = tokio::spawn(async move { listener.cursor.next().await.is_none() });
        publish(&events, 1);
        events.close();
        assert!(matches!(cursor.next().await, Some(Told::Event(_))));
        assert!(cursor.next().await.is_none());
        assert!(!waiting.await.unwrap(), "there was an event");
        assert_eq!(events.listen(None).unwrap_err(), Refusal::Closed);
        assert_eq!(Events::none().listen(None).unwrap_err(), Refusal::Closed);
    }

    #[test]
    fn listeners_are_bounded_and_leave_their_place_when_they_go() {
        let events = events(3);
        let first = events.listen(None).unwrap();
        let second = events.listen(None).unwrap();
        assert_eq!(events.listen(None).unwrap_err(), Refusal::TooMany(2));
        let stats = events.stats();
        assert_eq!((stats.listeners, stats.listeners_refused), (2, 1));
        drop(first);
        assert!(events.listen(None).is_ok());
        drop(second);
        assert_eq!(events.stats().listeners, 0);
    }

    #[test]
    fn events_are_told_apart_by_service_and_environment() {
        let events = events(3);
        let deployment = Deployment {
            service_name: "cart".to_owned(),
            environment: Some("prod".to_owned()),
            ..Deployment::default()
        };
        let mut cursor = events.cursor(None);
        let change = Change::Rollout(EventKind::DeploymentEnded);
        events.publish(5, &deployment, Standing::UNKNOWN, &change);
        let Some(Told::Event(event)) = cursor.ready() else {
            panic!("there is no event");
        };
        for (service_name, environment, is_about) in [
            (None, None, true),
            (Some("cart"), Some("prod"), true),
            (Some("cart"), Some("staging"), false),
            (Some("checkout"), None, false),
        ] {
            assert_eq!(event.is_about(service_name, environment), is_about);
        }
    }
}
