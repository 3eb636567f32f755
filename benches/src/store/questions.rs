//! What people ask of a store, varied, each question with the answer it must have.

use std::fmt;

use model::{DependencyLink, Span, TraceId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use storage::text::words;
use storage::{DependencyQuery, TraceQuery, TraceQueryBuilder};

use super::truth::{AUTOCOMPLETE_KEYS, COMMON_TAG, Place, RARE_KEY, RARE_VALUES, Truth, Window, rare_value};
use crate::workload::Random;

const DAY_MS: u64 = 86_400_000;
/// As the UI asks.
const LIMIT: usize = 10;
/// Some questions that are drawn cannot be answered from what is known; others are drawn then.
const DRAWS_MAX: usize = 60;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Trace,
    ServiceAndName,
    RareTag,
    CommonTagAndDuration,
    Word,
    Names,
    Autocomplete,
    Dependencies,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Trace,
        Self::ServiceAndName,
        Self::RareTag,
        Self::CommonTagAndDuration,
        Self::Word,
        Self::Names,
        Self::Autocomplete,
        Self::Dependencies,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace by id",
            Self::ServiceAndName => "service and span name",
            Self::RareTag => "rare tag",
            Self::CommonTagAndDuration => "common tag and minDuration",
            Self::Word => "text by a word",
            Self::Names => "names",
            Self::Autocomplete => "values of a tag",
            Self::Dependencies => "dependencies",
        }
    }

    /// At most so many milliseconds at the 99th percentile, with a warm and with a cold page cache.
    pub(crate) fn targets_ms(self) -> (Option<f64>, Option<f64>) {
        match self {
            Self::Trace => (Some(1.0), Some(10.0)),
            Self::ServiceAndName => (Some(5.0), None),
            Self::RareTag => (Some(15.0), None),
            Self::CommonTagAndDuration => (Some(20.0), None),
            Self::Word => (Some(30.0), None),
            Self::Names | Self::Autocomplete | Self::Dependencies => (Some(5.0), None),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A path, and what the server has to answer.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) path: String,
    pub(crate) expected: Expected,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// These spans, in any order, equal in every field.
    Spans(Vec<Span>),
    /// These traces, each with so many spans.
    Traces(Vec<(TraceId, usize)>),
    /// These texts, in this order.
    Texts(Vec<String>),
    /// These texts and maybe others.
    TextsAmongOthers(Vec<String>),
    /// These links, sorted.
    Links(Vec<DependencyLink>),
    /// No more calls than these, and some.
    LinksWithin(u64),
}

/// Draws questions of a kind.
pub(crate) struct Questions<'a> {
    pub(crate) truth: &'a Truth,
    pub(crate) random: Random,
}

impl Questions<'_> {
    /// As many as asked for, if that many can be answered from what is known.
    ///
    /// # Errors
    /// Where none can.
    pub(crate) fn draw(&mut self, kind: Kind, count: usize) -> anyhow::Result<Vec<Question>> {
        let mut questions = Vec::with_capacity(count);
        for number in 0..count * DRAWS_MAX {
            if questions.len() == count {
                break;
            }
            let question = match kind {
                Kind::Trace => self.trace(),
                Kind::ServiceAndName => self.service_and_name()?,
                Kind::RareTag => self.rare_tag(),
                Kind::CommonTagAndDuration if number % 2 == 0 => self.common_tag()?,
                Kind::CommonTagAndDuration => self.slowest(),
                Kind::Word if number % 3 == 0 => self.rare_word(),
                Kind::Word => self.word(number % 3 == 1)?,
                Kind::Names => self.names(),
                Kind::Autocomplete => self.values(),
                Kind::Dependencies => self.dependencies()?,
            };
            questions.extend(question);
        }
        anyhow::ensure!(!questions.is_empty(), "no question can be made: {kind}");
        Ok(questions)
    }

    fn trace(&mut self) -> Option<Question> {
        let trace = self.pick(&self.truth.sampled)?;
        Some(Question {
            path: format!("/api/v2/trace/{}", trace[0].trace_id),
            expected: Expected::Spans(trace.clone()),
        })
    }

    fn service_and_name(&mut self) -> anyhow::Result<Option<Question>> {
        let Some(span) = self.span() else { return Ok(None) };
        self.newest(TraceQueryBuilder {
            service_name: span.local_service_name().map(str::to_owned),
            span_name: span.name.clone(),
            ..TraceQuery::builder()
        })
    }

    /// Of a duration that is not too rare for a window.
    fn common_tag(&mut self) -> anyhow::Result<Option<Question>> {
        let Some(span) = self.span() else { return Ok(None) };
        self.newest(TraceQueryBuilder {
            service_name: span.local_service_name().map(str::to_owned),
            annotation_query: Some(format!("{}={}", COMMON_TAG.0, COMMON_TAG.1)),
            min_duration: span.duration.map(|duration| duration as i64 + 1),
            ..TraceQuery::builder()
        })
    }

    /// Of a duration that only few of all spans have.
    fn slowest(&mut self) -> Option<Question> {
        let services: Vec<&String> = self.truth.slowest.keys().collect();
        let service = *self.pick(&services)?;
        let slowest: Vec<Place> = self.truth.slowest[service].iter().rev().copied().collect();
        let found = 1 + self.random.below(LIMIT.min(slowest.len()));
        let least = slowest.get(found - 1)?.rank_us;
        let found: Vec<Place> = slowest
            .into_iter()
            .take_while(|place| place.rank_us >= least)
            .collect();
        if found.len() > LIMIT {
            return None;
        }
        let conditions = [
            ("serviceName", service.clone()),
            ("annotationQuery", format!("{}={}", COMMON_TAG.0, COMMON_TAG.1)),
            ("minDuration", least.to_string()),
        ];
        Some(self.search(&conditions, self.end_ms(), &found))
    }

    fn rare_tag(&mut self) -> Option<Question> {
        let (value, places) = self.rare()?;
        let conditions = [("annotationQuery", format!("{RARE_KEY}={value}"))];
        Some(self.search(&conditions, self.end_ms(), &places))
    }

    fn rare_word(&mut self) -> Option<Question> {
        let (value, places) = self.rare()?;
        Some(self.search(&[("q", value)], self.end_ms(), &places))
    }

    /// A word of a tag's value or an annotation, also of those that few spans have.
    fn word(&mut self, is_unusual: bool) -> anyhow::Result<Option<Question>> {
        let Some(span) = self.span() else { return Ok(None) };
        if is_unusual && !span.is_error() && span.annotations.is_empty() {
            return Ok(None);
        }
        let errors = span.tags.iter().filter(|(key, _)| !is_unusual || key == "error");
        let texts = errors.map(|(_, value)| value);
        let texts = texts.chain(span.annotations.iter().map(|annotation| &annotation.value));
        let words: Vec<&str> = texts
            .flat_map(|text| words(text))
            .filter(|word| word.len() > 2)
            .collect();
        let text = self.pick(&words).map(|&word| word.to_owned());
        self.newest(TraceQueryBuilder {
            text,
            ..TraceQuery::builder()
        })
    }

    /// The value of a rare tag, and the newest that have it.
    fn rare(&mut self) -> Option<(String, Vec<Place>)> {
        let number = self.random.below(RARE_VALUES as usize);
        let mut places = self.truth.rare[number].clone();
        places.sort_unstable_by(|a, b| b.cmp(a));
        places.truncate(LIMIT);
        if places.is_empty() {
            return None;
        }
        Some((rare_value(number as u64), places))
    }

    fn names(&mut self) -> Option<Question> {
        let services: Vec<&String> = self.truth.services.keys().collect();
        let service = *self.pick(&services)?;
        let names = &self.truth.services[service];
        let (path, texts) = match self.random.below(5) {
            0 => (
                "/api/v2/services".to_owned(),
                services.into_iter().cloned().collect(),
            ),
            1 | 2 => (
                format!("/api/v2/spans?serviceName={service}"),
                names.spans.iter().cloned().collect(),
            ),
            _ => (
                format!("/api/v2/remoteServices?serviceName={service}"),
                names.remotes.iter().cloned().collect(),
            ),
        };
        Some(Question {
            path,
            expected: Expected::Texts(texts),
        })
    }

    fn values(&mut self) -> Option<Question> {
        let key = self.random.pick(&AUTOCOMPLETE_KEYS);
        let values = self.truth.values[key].iter().cloned().collect();
        Some(Question {
            path: format!("/api/v2/autocompleteValues?key={key}"),
            expected: Expected::Texts(values),
        })
    }

    /// Of everything, of a window, or of any time in between.
    fn dependencies(&mut self) -> anyhow::Result<Option<Question>> {
        let (from, to) = (self.truth.begin_us / 1_000, self.end_ms());
        let (window, expected) = match self.random.below(3) {
            0 => {
                let mut links = self.truth.links();
                links.sort();
                (
                    Window {
                        from_ms: from,
                        to_ms: to,
                    },
                    Expected::Links(links),
                )
            }
            1 => {
                let Some(&window) = self.pick(&self.truth.windows) else {
                    return Ok(None);
                };
                let lookback = window.to_ms - window.from_ms;
                let query = DependencyQuery::new(window.to_ms as i64, lookback as i64)?;
                let mut links = self.truth.links_within(query)?;
                links.sort();
                (window, Expected::Links(links))
            }
            _ => {
                let calls = self.truth.links().iter().map(|link| link.call_count).sum();
                let to_ms = to - self.random.below((to - from) as usize / 4) as u64;
                let length = (to - from) / 4 + self.random.below((to - from) as usize / 2) as u64;
                let from_ms = to_ms - length.min(to_ms - from);
                (Window { from_ms, to_ms }, Expected::LinksWithin(calls))
            }
        };
        let lookback = window.to_ms - window.from_ms;
        Ok(Some(Question {
            path: format!("/api/v2/dependencies?endTs={}&lookback={lookback}", window.to_ms),
            expected,
        }))
    }

    /// The newest that meet the conditions, looking back a day from the end of one of the windows.
    fn newest(&mut self, conditions: TraceQueryBuilder) -> anyhow::Result<Option<Question>> {
        let Some(&window) = self.pick(&self.truth.windows) else {
            return Ok(None);
        };
        let parameters: Vec<(&str, String)> = [
            ("serviceName", conditions.service_name.clone()),
            ("spanName", conditions.span_name.clone()),
            ("annotationQuery", conditions.annotation_query.clone()),
            (
                "minDuration",
                conditions.min_duration.map(|duration| duration.to_string()),
            ),
            ("q", conditions.text.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        let query = TraceQueryBuilder {
            end_ts: window.to_ms as i64,
            lookback: DAY_MS as i64,
            limit: LIMIT as i64,
            ..conditions
        }
        .build()?;
        let Some(places) = self.truth.newest(window, &query)? else {
            return Ok(None);
        };
        Ok(Some(self.search(&parameters, window.to_ms, &places)))
    }

    fn search(&self, conditions: &[(&str, String)], end_ms: u64, places: &[Place]) -> Question {
        let mut path = format!("/api/v2/traces?endTs={end_ms}&lookback={DAY_MS}&limit={LIMIT}");
        for (name, value) in conditions {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            path += &format!("&{name}={value}");
        }
        let traces = places.iter().map(|place| (place.trace_id, place.spans)).collect();
        Question {
            path,
            expected: Expected::Traces(traces),
        }
    }

    /// After everything.
    fn end_ms(&self) -> u64 {
        self.truth.end_us / 1_000 + 1
    }

    fn span(&mut self) -> Option<Span> {
        let trace = self.pick(&self.truth.sampled)?;
        Some(trace[self.random.below(trace.len())].clone())
    }

    fn pick<'t, T>(&mut self, choices: &'t [T]) -> Option<&'t T> {
        choices.get(self.random.below(choices.len().max(1)))
    }
}
