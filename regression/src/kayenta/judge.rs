//! Compares series of values that somebody else measured, as Spinnaker's remote judge is asked to, by our rules: a change
//! has to be significant among all metrics and large, and what is far worse costs more than what is just worse.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{CONFIG, GroupScore, JudgeResult, MetricResult, Score};
use crate::analysis::Options;
use crate::fields::Wrong;
use crate::statistics::{Arms, DesignEffect, Histogram, Interval, benjamini_hochberg, rank_test, shift};

/// Metrics of a request.
const METRICS_MAX: usize = 1_000;
/// Values of a side: Kayenta has one a minute, so these are a week.
const VALUES_MAX: usize = 10_000;
/// Greater values have squares whose sum no number holds.
const VALUE_MAX: f64 = 1e150;
/// Fewer values of a side say nothing.
const VALUES_MIN: u64 = 8;

/// Which change of a metric is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Increase,
    Decrease,
    Either,
}

/// What is to be judged.
#[derive(Debug)]
pub(super) struct Request {
    metrics: Vec<Metric>,
    /// Of groups, by name; those that are not named share what is left.
    weights: BTreeMap<String, f64>,
    pass: f64,
    marginal: f64,
}

#[derive(Debug)]
struct Metric {
    name: String,
    id: String,
    tags: Map<String, Value>,
    groups: Vec<String>,
    direction: Direction,
    is_critical: bool,
    values: Arms<Vec<f64>>,
}

impl Request {
    /// Reads Kayenta's request.
    pub(super) fn read(body: &Value, options: &Options) -> Result<Self, Wrong> {
        let pairs = body.get("metricSetPairList").and_then(Value::as_array);
        let pairs = pairs.ok_or("metricSetPairList: is required, and has to be a list")?;
        if pairs.len() > METRICS_MAX {
            let count = pairs.len();
            return Err(format!(
                "metricSetPairList: has {count} elements, more than {METRICS_MAX}"
            ));
        }
        let config = &body["canaryConfig"];
        let metrics = pairs.iter().enumerate().map(|(index, pair)| {
            Metric::read(pair, config).map_err(|what| format!("metricSetPairList[{index}].{what}"))
        });
        let weights = config["classifier"]["groupWeights"].as_object();
        let weight =
            |(group, weight): (&String, &Value)| Some((group.clone(), weight.as_f64()?.clamp(0.0, 100.0)));
        let threshold = |name: &str, default: f64| body["scoreThresholds"][name].as_f64().unwrap_or(default);
        Ok(Self {
            metrics: metrics.collect::<Result<_, _>>()?,
            weights: weights.into_iter().flatten().filter_map(weight).collect(),
            pass: threshold("pass", options.min_score),
            marginal: threshold("marginal", options.marginal_score),
        })
    }
}

impl Metric {
    fn read(pair: &Value, config: &Value) -> Result<Self, Wrong> {
        let name = pair["name"]
            .as_str()
            .ok_or("name: is required, and has to be a string")?;
        let configured = config["metrics"].as_array().into_iter().flatten();
        let configured = configured
            .into_iter()
            .find(|metric| metric["name"] == name)
            .unwrap_or(&Value::Null);
        let canary = &configured["analysisConfigurations"]["canary"];
        let groups = configured["groups"].as_array().into_iter().flatten();
        let groups: Vec<String> = groups
            .filter_map(|group| group.as_str().map(str::to_owned))
            .collect();
        Ok(Self {
            name: name.to_owned(),
            id: pair["id"].as_str().unwrap_or(name).to_owned(),
            tags: pair["tags"].as_object().cloned().unwrap_or_default(),
            groups: if groups.is_empty() {
                vec!["all".to_owned()]
            } else {
                groups
            },
            direction: match canary["direction"].as_str() {
                Some("increase") => Direction::Increase,
                Some("decrease") => Direction::Decrease,
                _ => Direction::Either,
            },
            is_critical: canary["critical"] == true,
            values: Arms {
                baseline: read_values(pair, "control")?,
                candidate: read_values(pair, "experiment")?,
            },
        })
    }
}

fn read_values(pair: &Value, side: &str) -> Result<Vec<f64>, Wrong> {
    let values = pair["values"][side].as_array().map_or(&[][..], Vec::as_slice);
    if values.len() > VALUES_MAX {
        let count = values.len();
        return Err(format!(
            "values.{side}: has {count} elements, more than {VALUES_MAX}"
        ));
    }
    // Kayenta writes what was not measured as "NaN" or null.
    let values: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
    match values.iter().find(|value| value.abs() > VALUE_MAX) {
        Some(value) => Err(format!("values.{side}: {value:e} is beyond {VALUE_MAX:e}")),
        None => Ok(values),
    }
}

/// What a comparison of one metric came to.
struct Compared {
    p_value: f64,
    shift: Interval,
    /// The change relative to the baseline's mean.
    relative: f64,
}

/// Judges all metrics together.
pub(super) fn judge(request: &Request, options: &Options) -> JudgeResult {
    let compared: Vec<_> = request
        .metrics
        .iter()
        .map(|metric| compare(metric, options))
        .collect();
    let p_values: Vec<f64> = compared
        .iter()
        .flatten()
        .map(|compared| compared.p_value)
        .collect();
    let mut adjusted = benjamini_hochberg(&p_values).into_iter();
    let mut graded = Vec::with_capacity(compared.len());
    for (metric, compared) in request.metrics.iter().zip(&compared) {
        let p_value = compared.as_ref().and_then(|_| adjusted.next()).unwrap_or(1.0);
        graded.push(grade(metric, compared.as_ref(), p_value, options));
    }
    let group_scores = group_scores(request, &graded);
    let score = score(request, &graded, &group_scores);
    JudgeResult {
        judge_name: CONFIG,
        results: graded.into_iter().map(|(_, result)| result).collect(),
        group_scores,
        score,
    }
}

fn compare(metric: &Metric, options: &Options) -> Option<Compared> {
    let sample = |values: &Vec<f64>| values.iter().map(|value| (*value, 1)).collect::<Histogram>();
    let arms = [metric.values.as_ref().map(sample)];
    if arms[0].baseline.count().min(arms[0].candidate.count()) < VALUES_MIN {
        return None;
    }
    let test = rank_test(&arms, DesignEffect::NONE)?;
    let shift = shift(&arms, options.level, DesignEffect::NONE)?;
    let mean = mean(&metric.values.baseline).abs();
    let relative = if shift.estimate == 0.0 {
        0.0
    } else {
        shift.estimate / mean.max(f64::MIN_POSITIVE)
    };
    Some(Compared {
        p_value: test.p_value,
        shift,
        relative: relative.clamp(-1e9, 1e9),
    })
}

/// The grade, 1 to 0, `None` without data, and how Kayenta tells it.
fn grade(
    metric: &Metric,
    compared: Option<&Compared>,
    p_value: f64,
    options: &Options,
) -> (Option<f64>, MetricResult) {
    let least = options.min_relative_concurrent;
    let is_real =
        |compared: &Compared| p_value <= options.false_discovery_rate && compared.relative.abs() >= least;
    let classification = match compared {
        None => "Nodata",
        Some(compared) if !is_real(compared) => "Pass",
        Some(compared) if compared.relative > 0.0 && metric.direction != Direction::Decrease => "High",
        Some(compared) if compared.relative < 0.0 && metric.direction != Direction::Increase => "Low",
        Some(_) => "Pass",
    };
    let is_bad = ["High", "Low"].contains(&classification);
    let grade = compared.map(|compared| match is_bad {
        true => (1.0 - (compared.relative.abs() - least) / (1.0 - least)).clamp(0.0, 1.0),
        false => 1.0,
    });
    let reason = compared.filter(|_| is_bad).map(|compared| {
        let Compared { shift, relative, .. } = compared;
        let percent = 100.0 * relative;
        format!(
            "moved by {:.4} ({:.4} to {:.4}), {percent:+.1} %",
            shift.estimate, shift.low, shift.high
        )
    });
    let result_metadata =
        compared.map(|compared| json!({"ratio": 1.0 + compared.relative, "pValue": p_value}));
    let result = MetricResult {
        name: metric.name.clone(),
        id: metric.id.clone(),
        tags: metric.tags.clone(),
        classification,
        classification_reason: reason,
        groups: metric.groups.clone(),
        experiment_metadata: metadata(&metric.values.candidate),
        control_metadata: metadata(&metric.values.baseline),
        result_metadata: result_metadata
            .and_then(|data| data.as_object().cloned())
            .unwrap_or_default(),
        critical: metric.is_critical,
    };
    (grade, result)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / (values.len().max(1) as f64)
}

/// Kayenta reads `stats` of every series.
fn metadata(values: &[f64]) -> Map<String, Value> {
    let mean = mean(values);
    let variance =
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len().max(1) as f64;
    let least = values.iter().copied().reduce(f64::min).unwrap_or(0.0);
    let most = values.iter().copied().reduce(f64::max).unwrap_or(0.0);
    let stats =
        json!({"count": values.len(), "mean": mean, "min": least, "max": most, "std": variance.sqrt()});
    Map::from_iter([("stats".to_owned(), stats)])
}

fn group_scores(request: &Request, graded: &[(Option<f64>, MetricResult)]) -> Vec<GroupScore> {
    let mut groups: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (grade, result) in graded {
        for group in &result.groups {
            groups.entry(group).or_default().extend(grade);
        }
    }
    let scored = groups.into_iter().filter(|(_, grades)| !grades.is_empty());
    let scored = scored.map(|(name, grades)| {
        let score = round(100.0 * mean(&grades));
        let Score { classification, .. } = Score::new(score, request.pass, request.marginal, String::new());
        GroupScore {
            name: name.to_owned(),
            score,
            classification,
            classification_reason: format!("{} metrics with data", grades.len()),
        }
    });
    scored.collect()
}

fn score(request: &Request, graded: &[(Option<f64>, MetricResult)], groups: &[GroupScore]) -> Score {
    let of = |score, reason: String| Score::new(score, request.pass, request.marginal, reason);
    let with_data = graded.iter().filter(|(grade, _)| grade.is_some()).count();
    if with_data * 2 <= graded.len() {
        let reason = format!("{with_data} of {} metrics have enough data", graded.len());
        return of(0.0, reason);
    }
    let failed = graded
        .iter()
        .find(|(_, result)| result.critical && ["High", "Low"].contains(&result.classification));
    if let Some((_, critical)) = failed {
        return of(
            0.0,
            format!("{} is critical, and {}", critical.name, critical.classification),
        );
    }
    let named: f64 = groups
        .iter()
        .filter_map(|group| request.weights.get(&group.name))
        .sum();
    let unnamed = groups
        .iter()
        .filter(|group| !request.weights.contains_key(&group.name))
        .count();
    let rest = (100.0 - named).max(0.0) / unnamed.max(1) as f64;
    let weighted = groups.iter().map(|group| {
        let weight = request.weights.get(&group.name).copied().unwrap_or(rest);
        (weight, weight * group.score)
    });
    let (weights, sum) = weighted.fold((0.0, 0.0), |(weights, sum), (weight, score)| {
        (weights + weight, sum + score)
    });
    let score = if weights > 0.0 { round(sum / weights) } else { 0.0 };
    let bad = graded
        .iter()
        .filter(|(_, result)| ["High", "Low"].contains(&result.classification))
        .count();
    of(
        score,
        format!("{bad} of {} metrics changed for the worse", graded.len()),
    )
}

fn round(score: f64) -> f64 {
    (score * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A series around a level.
    fn series(level: f64, count: u32) -> Vec<f64> {
        (0..count)
            .map(|index| level * (0.9 + 0.2 * f64::from(index * 7 % count) / f64::from(count)))
            .collect()
    }

    fn pair(name: &str, control: Vec<f64>, experiment: Vec<f64>) -> Value {
        json!({"name": name, "id": name, "tags": {}, "values": {"control": control, "experiment": experiment}})
    }

    fn metric(name: &str, group: &str, canary: Value) -> Value {
        json!({"name": name, "groups": [group], "analysisConfigurations": {"canary": canary}})
    }

    fn judged(metrics: Value, pairs: Value) -> JudgeResult {
        let body = json!({
            "canaryConfig": {"metrics": metrics, "classifier": {"groupWeights": {"latency": 60, "errors": 40}}},
            "scoreThresholds": {"pass": 95, "marginal": 75},
            "metricSetPairList": pairs,
        });
        let options = Options::default();
        judge(&Request::read(&body, &options).unwrap(), &options)
    }

    #[test]
    fn grades_fall_with_the_change_and_groups_weigh_as_configured() {
        let metrics = json!([
            metric("p95", "latency", json!({"direction": "increase"})),
            metric("errors", "errors", json!({"direction": "increase"})),
        ]);
        let same = pair("errors", series(5.0, 60), series(5.0, 60));
        let result = judged(
            metrics.clone(),
            json!([pair("p95", series(100.0, 60), series(152.5, 60)), same]),
        );
        assert_eq!(
            (result.results[0].classification, result.results[1].classification),
            ("High", "Pass")
        );
        let grade = result
            .group_scores
            .iter()
            .find(|group| group.name == "latency")
            .unwrap()
            .score;
        assert!((48.0..52.0).contains(&grade), "{grade}");
        assert!(
            (result.score.score - (0.6 * grade + 40.0)).abs() < 0.02,
            "{:?}",
            result.score
        );
        assert_eq!(result.score.classification, "Fail");
        assert_eq!(result.results[0].control_metadata["stats"]["count"], 60);
        let faster = judged(
            metrics,
            json!([pair("p95", series(100.0, 60), series(50.0, 60)), same]),
        );
        assert_eq!((faster.score.score, faster.score.classification), (100.0, "Pass"));
    }

    #[test]
    fn small_changes_pass_critical_ones_fail_and_no_data_never_passes() {
        let critical = json!([metric("p95", "latency", json!({"critical": true}))]);
        let small = json!([pair("p95", series(100.0, 400), series(103.0, 400))]);
        assert_eq!(judged(critical.clone(), small).score.score, 100.0);
        let large = json!([pair("p95", series(100.0, 60), series(130.0, 60))]);
        assert_eq!(judged(critical.clone(), large).score.score, 0.0);
        let missing =
            json!([{"name": "p95", "values": {"control": ["NaN", null], "experiment": series(1.0, 60)}}]);
        let result = judged(critical, missing);
        assert_eq!(
            (result.score.score, result.results[0].classification),
            (0.0, "Nodata")
        );
        assert_eq!(judged(json!([]), json!([])).score.classification, "Fail");
    }

    #[test]
    fn the_greatest_values_give_finite_results() {
        let metrics = json!([metric("p95", "latency", json!({}))]);
        let greatest = |sign: f64| vec![sign * VALUE_MAX; VALUES_MAX];
        for (control, experiment) in [
            (greatest(1.0), greatest(-1.0)),
            (
                [greatest(1.0), greatest(-1.0)].concat()[5_000..15_000].to_vec(),
                greatest(1.0),
            ),
            (vec![0.0; 60], greatest(1.0)),
            (vec![5e-324; 60], greatest(1.0)),
        ] {
            let result = judged(metrics.clone(), json!([pair("p95", control, experiment)]));
            let text = serde_json::to_string(&result).unwrap();
            assert!(!text.contains("null"), "{text}");
        }
    }

    #[test]
    fn what_is_malformed_is_told_with_its_place() {
        let options = Options::default();
        let read = |body: Value| Request::read(&body, &options).map(|_| ()).unwrap_err();
        assert_eq!(
            read(json!({})),
            "metricSetPairList: is required, and has to be a list"
        );
        let told = "metricSetPairList[0].name: is required, and has to be a string";
        assert_eq!(read(json!({"metricSetPairList": [7]})), told);
        let of = |values: Vec<f64>| json!({"metricSetPairList": [pair("p95", series(1.0, 60), values)]});
        let told = "metricSetPairList[0].values.experiment: has 10001 elements, more than 10000";
        assert_eq!(read(of(vec![1.0; VALUES_MAX + 1])), told);
        let told = "metricSetPairList[0].values.experiment: -1e151 is beyond 1e150";
        assert_eq!(read(of(vec![-1e151])), told);
        let many = vec![json!({"name": "a"}); METRICS_MAX + 1];
        assert_eq!(
            read(json!({"metricSetPairList": many})),
            "metricSetPairList: has 1001 elements, more than 1000"
        );
    }
}
