//! A shop of two services and a database: web asks cart, cart asks its database. Requests are made call by call, so
//! that a test says exactly what is otherwise.

use std::net::Ipv4Addr;

use model::{
    Call, CallPlace, CallSums, Callee, Deployment, Entry, InstanceNumber, IpAddresses, Kind, OperationNumber,
    ProfileTable, TimeCut, TraceId, TraceProfile,
};
use storage::{Completeness, Profiles};

use super::super::gather::Gathered;
use super::super::options::Options;
use super::super::rollout;
use crate::report::Report;
use crate::statistics::Random;

/// When the rollout of cart begins, epoch milliseconds; a whole minute.
pub(super) const START: u64 = 1_732_100_040_000;
pub(super) const MINUTE_MS: u64 = 60_000;
/// All requests are before it, epoch milliseconds.
pub(super) const UNTIL: u64 = START + 20 * MINUTE_MS;

/// One request for the cart. Times are microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Epoch milliseconds.
    pub(super) at: u64,
    pub(super) version: &'static str,
    pub(super) web_version: &'static str,
    /// Of cart; 0 tells no address.
    pub(super) instance: u8,
    pub(super) web_own: u64,
    pub(super) gap: u64,
    pub(super) cart_own: u64,
    /// What cart does in a span of its own; none for 0.
    pub(super) prepare: u64,
    pub(super) queries: u32,
    /// Queries that follow a failed one.
    pub(super) retries: u32,
    pub(super) query: u64,
    /// Of the queries' time, how much runs side by side with others.
    pub(super) overlap: u64,
    pub(super) has_failed: bool,
    /// A call to the recommendations, which are otherwise not called.
    pub(super) recommendations: Option<u64>,
    /// A call to the advertisements, which runs beside that to cart.
    pub(super) advertisements: Option<u64>,
    /// What web is asked for.
    pub(super) entry: &'static str,
}

impl Request {
    pub(super) fn at(at: u64, version: &'static str, instance: u8) -> Self {
        Self {
            at,
            version,
            web_version: "",
            instance,
            web_own: 5_000,
            gap: 1_500,
            cart_own: 20_000,
            prepare: 0,
            queries: 2,
            retries: 0,
            query: 4_000,
            overlap: 0,
            has_failed: false,
            recommendations: None,
            advertisements: None,
            entry: "get /",
        }
    }

    /// The same with every time drawn about what it is.
    pub(super) fn vary(mut self, random: &mut Random) -> Self {
        let mut about = |time: u64| {
            let unit = random.integer() as f64 / u64::MAX as f64;
            (time as f64 * (0.7 + 0.6 * unit)) as u64
        };
        self.web_own = about(self.web_own);
        self.gap = about(self.gap);
        self.cart_own = about(self.cart_own);
        if self.prepare > 0 {
            self.prepare = about(self.prepare);
        }
        self.query = about(self.query);
        self
    }
}

/// One of two entry operations.
pub(super) fn entry_of(is_other: bool) -> &'static str {
    if is_other { "get /other" } else { "get /" }
}

/// Makes profiles, in one table.
pub(super) struct Shop {
    table: ProfileTable,
    profiles: Vec<TraceProfile>,
}

impl Shop {
    pub(super) fn new() -> Self {
        Self {
            table: ProfileTable::new(100_000),
            profiles: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, request: Request) {
        let calls = self.calls(&request);
        let number = self.profiles.len() as u64;
        let entry = calls
            .iter()
            .find(|sums| sums.place.call.caller.is_none())
            .unwrap();
        self.profiles.push(TraceProfile {
            trace_id: TraceId::new(0, number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1).unwrap(),
            timestamp: request.at * 1000 + number % 1000,
            entry: Entry {
                operation: entry.place.call.operation,
                duration: Some(entry.duration_micros),
                failed: request.has_failed,
            },
            cut: TimeCut::default(),
            calls,
        });
    }

    fn calls(&mut self, request: &Request) -> Vec<CallSums> {
        let table = &mut self.table;
        let entry = table.operation("web", request.entry, Some(Kind::Server));
        let client = table.operation("web", "get /cart", Some(Kind::Client));
        let cart = table.operation("cart", "get /cart", Some(Kind::Server));
        let select = table.operation("cart", "select", Some(Kind::Client));
        let database = table.operation("postgres", "select", Some(Kind::Server));
        let web_at = table.instance("web", request.web_version, address(9), 80);
        let cart_at = table.instance("cart", request.version, address(request.instance), 80);
        let queries = u64::from(request.queries) * request.query - request.overlap;
        let answered = request.cart_own + request.prepare + queries + request.recommendations.unwrap_or(0);
        let called = request.gap + answered;
        let (client_callee, failed) = (Callee::Instrumented(cart), u32::from(request.has_failed));
        let mut calls = vec![
            timed(
                call(None, entry, Callee::None, (web_at, 0)),
                request.web_own,
                request.web_own + called,
            ),
            timed(
                call(Some(entry), client, client_callee, (web_at, web_at)),
                request.gap,
                called,
            ),
            CallSums {
                failed_first: failed,
                overlap_micros: request.overlap,
                ..timed(
                    call(Some(client), cart, Callee::None, (cart_at, web_at)),
                    request.cart_own,
                    answered,
                )
            },
        ];
        calls.iter_mut().for_each(|sums| sums.failed = failed);
        calls.push(CallSums {
            calls: request.queries,
            failed: request.retries,
            retries: request.retries,
            path_micros: queries,
            self_micros: queries + request.overlap,
            duration_micros: queries + request.overlap,
            ..call(
                Some(cart),
                select,
                Callee::Uninstrumented(database),
                (cart_at, cart_at),
            )
        });
        self.add_optional_calls(request, &mut calls);
        calls.sort_unstable_by_key(|sums| sums.place);
        calls
    }

    /// Calls that only some requests make: a local span, a call to a service that answers, and one beside its caller.
    fn add_optional_calls(&mut self, request: &Request, calls: &mut Vec<CallSums>) {
        let table = &mut self.table;
        let web_at = table.instance("web", request.web_version, address(9), 80);
        let cart_at = table.instance("cart", request.version, address(request.instance), 80);
        let cart = table.operation("cart", "get /cart", Some(Kind::Server));
        if request.prepare > 0 {
            let prepare = table.operation("cart", "prepare", None);
            let site = call(Some(cart), prepare, Callee::None, (cart_at, cart_at));
            calls.push(timed(site, request.prepare, request.prepare));
        }
        if let Some(liked) = request.recommendations {
            let ask = table.operation("cart", "get /like", Some(Kind::Client));
            let like = table.operation("recommendations", "get /like", Some(Kind::Server));
            let like_at = table.instance("recommendations", "", address(200), 80);
            let site = call(Some(cart), ask, Callee::Instrumented(like), (cart_at, cart_at));
            let answer = call(Some(ask), like, Callee::None, (like_at, cart_at));
            calls.extend([timed(site, 0, liked), timed(answer, liked, liked)]);
        }
        if let Some(shown) = request.advertisements {
            let entry = table.operation("web", request.entry, Some(Kind::Server));
            let show = table.operation("web", "get /ads", Some(Kind::Client));
            let callee = Callee::Uninstrumented(table.operation("ads", "", None));
            let site = call(Some(entry), show, callee, (web_at, web_at));
            put_beside(calls, request.web_own, timed(site, shown, shown));
        }
    }

    /// The same but for some requests, by when they were made, epoch milliseconds, and which version of cart answered.
    pub(super) fn without(mut self, is_gone: impl Fn(u64, &str) -> bool) -> Self {
        let table = &self.table;
        let version_of = |profile: &TraceProfile| {
            let mut instances = profile
                .calls
                .iter()
                .map(|sums| table.instances()[sums.place.instance as usize]);
            let of_cart = instances.find(|instance| table.name(instance.service) == "cart");
            of_cart.map_or("", |instance| table.name(instance.version))
        };
        self.profiles
            .retain(|profile| !is_gone(profile.timestamp / 1000, version_of(profile)));
        self
    }

    /// The traces of a time, as a source answers them.
    pub(super) fn profiles(&self, from: u64, to: u64) -> Profiles {
        let is_inside = |profile: &&TraceProfile| (from * 1000..to * 1000).contains(&profile.timestamp);
        let mut profiles: Vec<TraceProfile> = self.profiles.iter().filter(is_inside).cloned().collect();
        let table = self.table.canonical(&mut profiles);
        profiles.sort_unstable_by_key(|profile| (profile.timestamp, profile.trace_id));
        Profiles {
            table,
            matched: profiles.len() as u64,
            profiles,
            completeness: Completeness::Complete,
        }
    }

    /// The same, last first.
    pub(super) fn reversed(mut self) -> Self {
        self.profiles.reverse();
        self
    }

    pub(super) fn gathered(&self, deployment: &Deployment, until: u64) -> Gathered {
        Gathered {
            before: self.profiles(0, deployment.start_ts),
            since: self.profiles(deployment.start_ts, until),
            history: vec![std::sync::Arc::new(deployment.clone())].into(),
            others: Vec::new(),
            until: until * 1000,
            now: until,
        }
    }

    pub(super) fn report(&self, deployment: &Deployment, until: u64) -> Report {
        rollout::report(&self.gathered(deployment, until), deployment, &Options::default())
    }
}

/// Adds a call that the entry makes beside all others. Only what takes longer is waited for.
fn put_beside(calls: &mut Vec<CallSums>, entry_own: u64, mut site: CallSums) {
    let called = calls[0].duration_micros - entry_own;
    if site.duration_micros > called {
        calls[0].duration_micros = entry_own + site.duration_micros;
        calls[1..].iter_mut().for_each(|sums| sums.path_micros = 0);
    } else {
        site.path_micros = 0;
    }
    calls.push(site);
}

fn call(
    caller: Option<OperationNumber>,
    operation: OperationNumber,
    callee: Callee,
    (instance, caller_instance): (InstanceNumber, InstanceNumber),
) -> CallSums {
    CallSums {
        place: CallPlace {
            call: Call {
                caller,
                operation,
                callee,
            },
            instance,
            caller_instance,
        },
        calls: 1,
        ..CallSums::default()
    }
}

fn timed(sums: CallSums, own: u64, duration: u64) -> CallSums {
    CallSums {
        path_micros: own,
        self_micros: own,
        duration_micros: duration,
        ..sums
    }
}

/// None for 0.
fn address(last: u8) -> IpAddresses {
    IpAddresses {
        v4: (last > 0).then_some(Ipv4Addr::new(10, 0, 0, last)),
        v6: None,
    }
}

/// cart 2.0 in the place of 1.0.
pub(super) fn deployment(end_ts: Option<u64>) -> Deployment {
    Deployment {
        id: "d1".to_owned(),
        service_name: "cart".to_owned(),
        version: "2.0".to_owned(),
        previous_version: Some("1.0".to_owned()),
        start_ts: START,
        end_ts,
        ..Deployment::default()
    }
}

/// A canary: from the start on, every second request is served by 2.0, as `candidate` makes it. Twenty minutes, two
/// requests a second, three instances of either version.
pub(super) fn canary(candidate: impl Fn(Request, u64) -> Request) -> Shop {
    canary_of(|request| request, candidate)
}

/// The same where every request is as `common` makes it, before its times are drawn.
pub(super) fn canary_of(
    common: impl Fn(Request) -> Request,
    candidate: impl Fn(Request, u64) -> Request,
) -> Shop {
    let mut shop = Shop::new();
    let random = &mut Random::new(7);
    for number in 0..2_400u64 {
        let at = START - 5 * MINUTE_MS + number * 500;
        let is_new = at >= START && number % 2 == 1;
        let instance = (number / 2 % 3) as u8;
        let request = if is_new {
            candidate(common(Request::at(at, "2.0", 10 + instance)).vary(random), number)
        } else {
            common(Request::at(at, "1.0", 1 + instance)).vary(random)
        };
        shop.add(request);
    }
    shop
}

/// What is said of a canary.
pub(super) fn of_canary(candidate: impl Fn(Request, u64) -> Request) -> Report {
    canary(candidate).report(&deployment(None), UNTIL)
}

/// Everything at once: 1.0 before the start, 2.0 after it, ten minutes each, two requests a second.
pub(super) fn switched(change: impl Fn(Request, u64) -> Request) -> Shop {
    let mut shop = Shop::new();
    let random = &mut Random::new(11);
    for number in 0..2_400u64 {
        let at = START - 10 * MINUTE_MS + number * 500;
        let instance = (number % 3) as u8;
        let request = if at >= START {
            Request::at(at, "2.0", 10 + instance)
        } else {
            Request::at(at, "1.0", 1 + instance)
        };
        shop.add(change(request.vary(random), number));
    }
    shop
}
