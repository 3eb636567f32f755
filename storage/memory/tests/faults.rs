//! The battery finds out a store that is wrong in one thing: a fault each, and the case it must fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex};

use model::{Span, SpanBatch, TraceId};
use storage::contract::{Stores, check_case};
use storage::{
    BoxFuture, Capabilities, Completeness, Dependencies, DependencyQuery, Found, Order, Result, SpanSink,
    SpanSource, StoreOptions, TraceQuery, TraceQueryBuilder,
};
use storage_memory::{MemoryConfig, MemoryStore};

/// What a store may get wrong. Each is something a real one has done.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// Options that are not looked at.
    AlwaysStrict,
    NeverStrict,
    SearchAlwaysEnabled,
    CompletesAnyKey,
    /// On the way in.
    ForgetsStragglers,
    TruncatesText,
    DropsEmptyTags,
    LosesShared,
    VisibleLater,
    /// Conditions and windows.
    WindowOpenAtStart,
    WindowOpenAtEnd,
    EverythingIsInTheWindow,
    IgnoresRemoteService,
    IgnoresSpanName,
    IgnoresAnnotations,
    IgnoresText,
    IgnoresMaxDuration,
    MillisecondDurations,
    OneSpanMeetsAll,
    /// Answers.
    IgnoresLimit,
    LimitsBeforeConditions,
    NewestByBegin,
    NewestOnly,
    AnswersOnlyMatchingSpans,
    AnswersTwice,
    MergesById,
    NamesUnsorted,
    NamesOfRemotes,
    LinksOfAllTime,
    LinksTwice,
    LinksInPart,
}

struct Faulty {
    store: MemoryStore,
    fault: Fault,
    known: Mutex<HashSet<TraceId>>,
    late: Mutex<Option<SpanBatch>>,
}

fn open(fault: Fault, options: StoreOptions) -> BoxFuture<'static, Stores> {
    let options = match fault {
        Fault::AlwaysStrict => StoreOptions {
            strict_trace_id: true,
            ..options
        },
        Fault::NeverStrict => StoreOptions {
            strict_trace_id: false,
            ..options
        },
        Fault::SearchAlwaysEnabled => StoreOptions {
            search_enabled: true,
            ..options
        },
        Fault::CompletesAnyKey => StoreOptions {
            autocomplete_keys: vec!["http.method".to_owned()],
            ..options
        },
        _ => options,
    };
    let store = MemoryStore::new(MemoryConfig {
        options,
        ..MemoryConfig::default()
    });
    let faulty = Faulty {
        store,
        fault,
        known: Mutex::default(),
        late: Mutex::default(),
    };
    Box::pin(async {
        Stores {
            store: Arc::new(faulty),
            reopen: None,
            deployments: None,
        }
    })
}

impl Faulty {
    fn spoil(&self, span: &mut Span) -> bool {
        match self.fault {
            Fault::ForgetsStragglers => return !self.known.lock().unwrap().contains(&span.trace_id),
            Fault::TruncatesText => span
                .tags
                .iter_mut()
                .for_each(|tag| tag.1 = tag.1.chars().take(256).collect()),
            Fault::DropsEmptyTags => span.tags.retain(|tag| !tag.1.is_empty()),
            Fault::LosesShared => span.shared = false,
            _ => {}
        }
        true
    }

    fn spoil_query(&self, query: &TraceQuery) -> TraceQuery {
        let (start, end) = query.window();
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let conditions = query.annotation_query().conditions().iter();
        let conditions: Vec<_> = conditions.map(|(key, value)| format!("{key}={value}")).collect();
        let mut asked = TraceQueryBuilder {
            service_name: owned(query.service_name()),
            remote_service_name: owned(query.remote_service_name()),
            span_name: owned(query.span_name()),
            annotation_query: Some(conditions.join(" and ")),
            text: owned(Some(query.text().source())),
            min_duration: query.min_duration().map(|duration| duration as i64),
            max_duration: query.max_duration().map(|duration| duration as i64),
            end_ts: (end / 1000) as i64,
            lookback: ((end - start) / 1000) as i64,
            limit: query.limit() as i64,
            order: query.order(),
            after: query.after(),
        };
        match self.fault {
            Fault::WindowOpenAtStart => asked.lookback = (asked.lookback - 1).max(1),
            Fault::WindowOpenAtEnd => asked.end_ts -= 1,
            Fault::EverythingIsInTheWindow => (asked.end_ts, asked.lookback) = (i64::MAX, i64::MAX),
            Fault::IgnoresRemoteService => asked.remote_service_name = None,
            Fault::IgnoresSpanName => asked.span_name = None,
            Fault::IgnoresAnnotations => asked.annotation_query = None,
            Fault::IgnoresText => asked.text = None,
            Fault::IgnoresMaxDuration => asked.max_duration = None,
            Fault::MillisecondDurations => {
                asked.min_duration = asked.min_duration.map(|d| (d / 1000 * 1000).max(1))
            }
            Fault::IgnoresLimit | Fault::NewestByBegin => asked.limit = i64::MAX,
            Fault::LimitsBeforeConditions => {
                asked = TraceQueryBuilder {
                    annotation_query: None,
                    min_duration: None,
                    max_duration: None,
                    ..asked
                };
            }
            Fault::NewestOnly => asked.order = Order::Newest,
            _ => {}
        }
        asked.build().unwrap()
    }

    fn spoil_traces(&self, query: &TraceQuery, traces: &mut Vec<Vec<Span>>) {
        let alone = |span: &Span| query.matches(std::slice::from_ref(span));
        match self.fault {
            Fault::OneSpanMeetsAll => traces.retain(|trace| trace.iter().any(alone)),
            Fault::AnswersOnlyMatchingSpans => traces.iter_mut().for_each(|trace| trace.retain(alone)),
            Fault::LimitsBeforeConditions => traces.retain(|trace| query.matches(trace)),
            Fault::NewestByBegin => {
                traces.sort_by_key(|trace| std::cmp::Reverse(model::trace_timestamp(trace)));
                traces.truncate(query.limit());
            }
            _ => {}
        }
    }

    fn spoil_trace(&self, trace: Vec<Span>) -> Vec<Span> {
        match self.fault {
            Fault::AnswersTwice => [trace.clone(), trace].concat(),
            Fault::MergesById => trace
                .into_iter()
                .map(|span| (span.id, span))
                .collect::<BTreeMap<_, _>>()
                .into_values()
                .collect(),
            _ => trace,
        }
    }
}

impl SpanSink for Faulty {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut spoilt = SpanBatch::new();
            for mut span in batch.iter().map(|span| span.to_span()) {
                if self.spoil(&mut span) {
                    spoilt.push_span(&span);
                }
            }
            self.known
                .lock()
                .unwrap()
                .extend(batch.iter().map(|span| span.trace_id()));
            if matches!(self.fault, Fault::VisibleLater) {
                // Each batch becomes visible with the next.
                let earlier = self.late.lock().unwrap().replace(spoilt);
                return self.store.accept(&earlier.unwrap_or_default()).await;
            }
            self.store.accept(&spoilt).await
        })
    }
}

impl SpanSource for Faulty {
    fn trace(&self, trace_id: TraceId) -> BoxFuture<'_, Result<Vec<Span>>> {
        Box::pin(async move { Ok(self.spoil_trace(self.store.trace(trace_id).await?)) })
    }

    fn traces<'a>(&'a self, trace_ids: &'a [TraceId]) -> BoxFuture<'a, Result<Vec<Vec<Span>>>> {
        self.store.traces(trace_ids)
    }

    fn search<'a>(&'a self, query: &'a TraceQuery) -> BoxFuture<'a, Result<Found>> {
        Box::pin(async move {
            let mut found = self.store.search(&self.spoil_query(query)).await?;
            self.spoil_traces(query, &mut found.traces);
            Ok(found)
        })
    }

    fn untimed(&self, after: Option<TraceId>, limit: usize) -> BoxFuture<'_, Result<Found>> {
        self.store.untimed(after, limit)
    }

    fn service_names(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        Box::pin(async move {
            let mut names = self.store.service_names().await?;
            match self.fault {
                Fault::NamesUnsorted => names.reverse(),
                Fault::NamesOfRemotes => {
                    let mut all: BTreeSet<_> = names.iter().cloned().collect();
                    for name in &names {
                        all.extend(self.store.remote_service_names(name).await?);
                    }
                    names = all.into_iter().collect();
                }
                _ => {}
            }
            Ok(names)
        })
    }

    fn span_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.store.span_names(service_name)
    }

    fn remote_service_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.store.remote_service_names(service_name)
    }

    fn autocomplete_values<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.store.autocomplete_values(key)
    }

    fn dependencies(&self, query: DependencyQuery) -> BoxFuture<'_, Result<Dependencies>> {
        Box::pin(async move {
            let all = DependencyQuery::new(i64::MAX, i64::MAX).unwrap();
            let query = if matches!(self.fault, Fault::LinksOfAllTime) {
                all
            } else {
                query
            };
            let mut found = self.store.dependencies(query).await?;
            if matches!(self.fault, Fault::LinksTwice) {
                found.links.extend(found.links.clone());
            }
            if matches!(self.fault, Fault::LinksInPart) {
                found.completeness = Completeness::Partial("left out".to_owned());
            }
            Ok(found)
        })
    }

    fn completeness(&self) -> Completeness {
        self.store.completeness()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.store.health()
    }
}

const FOUND_OUT_BY: [(Fault, &str); 31] = [
    (
        Fault::AlwaysStrict,
        "strict_trace_id_false/get_traces_128_bit_trace_id_mixed",
    ),
    (
        Fault::NeverStrict,
        "span_store/get_traces_considers_bits_above_64bit",
    ),
    (
        Fault::SearchAlwaysEnabled,
        "search_enabled_false/get_service_names_is_empty",
    ),
    (
        Fault::CompletesAnyKey,
        "autocomplete_tags/ignores_when_key_not_in_autocomplete_tags",
    ),
    (
        Fault::ForgetsStragglers,
        "stragglers/span_by_span_is_as_good_as_whole",
    ),
    (Fault::TruncatesText, "span_store/reads_back_large_values"),
    (Fault::DropsEmptyTags, "span_store/readback_minimal_error_span"),
    (
        Fault::LosesShared,
        "traces/get_trace_differentiates_debug_from_shared",
    ),
    (
        Fault::VisibleLater,
        "concurrency/what_is_acknowledged_is_visible_at_once",
    ),
    (
        Fault::WindowOpenAtStart,
        "windows/bounds_are_inclusive_to_the_microsecond",
    ),
    (
        Fault::WindowOpenAtEnd,
        "span_store/get_traces_end_ts_and_lookback",
    ),
    (
        Fault::EverythingIsInTheWindow,
        "windows/the_root_decides_not_the_first_span",
    ),
    (
        Fault::IgnoresRemoteService,
        "search_conditions/get_traces_service_names",
    ),
    (Fault::IgnoresSpanName, "search_conditions/get_traces_span_name"),
    (Fault::IgnoresAnnotations, "search_conditions/get_traces_tags"),
    (Fault::IgnoresText, "text_search/phrases_do_not_reach_over_texts"),
    (
        Fault::IgnoresMaxDuration,
        "search_conditions/get_traces_max_duration",
    ),
    (
        Fault::MillisecondDurations,
        "search_conditions/get_traces_min_duration",
    ),
    (
        Fault::OneSpanMeetsAll,
        "windows/different_spans_of_a_service_meet_different_conditions",
    ),
    (Fault::IgnoresLimit, "span_store/get_traces_limit"),
    (
        Fault::LimitsBeforeConditions,
        "span_store/get_traces_filtering_matches_most_recent_traces",
    ),
    (
        Fault::NewestByBegin,
        "windows/newest_goes_by_the_newest_span_in_the_window",
    ),
    (Fault::NewestOnly, "orders/slowest_first"),
    (
        Fault::AnswersOnlyMatchingSpans,
        "stragglers/a_straggler_brings_what_the_trace_is_found_by",
    ),
    (Fault::AnswersTwice, "traces/get_trace_deduplicates"),
    (
        Fault::MergesById,
        "duplicates/both_halves_of_a_shared_span_are_kept",
    ),
    (
        Fault::NamesUnsorted,
        "service_and_span_names/get_local_service_names_includes_local_service_name",
    ),
    (
        Fault::NamesOfRemotes,
        "service_and_span_names/get_local_service_names_includes_local_service_name",
    ),
    (Fault::LinksOfAllTime, "dependencies/lookback_after_data"),
    (Fault::LinksTwice, "dependencies/replay_overwrites"),
    (Fault::LinksInPart, "dependencies/get_dependencies"),
];

#[tokio::test]
async fn each_fault_fails_its_case_and_the_faultless_store_passes_it() {
    for (fault, case) in FOUND_OUT_BY {
        assert_eq!(
            check_case(|options| open(Fault::None, options), case).await,
            Ok(()),
            "{case}"
        );
        let outcome = check_case(|options| open(fault, options), case).await;
        assert!(outcome.is_err(), "{fault:?} passes {case}");
    }
    assert!(
        check_case(|options| open(Fault::None, options), "traces/no_such_case")
            .await
            .is_err()
    );
}
