"""Writes the expected values that the statistics are tested against.

    pip install numpy scipy statsmodels; python3 make.py

Whatever SciPy or statsmodels compute is taken from them; the rest is the definition written out, value by value,
which shares nothing with the linear algorithms under test. Made with NumPy 2.4, SciPy 1.17 and statsmodels 0.15.
"""

import itertools
import json
import warnings
from pathlib import Path

import numpy as np
from scipy import integrate, optimize, special, stats
from statsmodels.regression.linear_model import WLS
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from statsmodels.stats.rates import test_poisson_2indep as poisson_2indep
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

warnings.simplefilter("ignore")
LEVEL = 0.95
random = np.random.default_rng(20_240_117)


def plain(value):
    """NumPy's numbers and arrays as JSON has them."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def write(name, cases):
    lines = ",\n".join(json.dumps(plain(case), allow_nan=False) for case in cases)
    Path(__file__).with_name(f"{name}.json").write_text(f"[\n{lines}\n]\n")


# Distributions


def distributions():
    z = [0.0, 1e-3, 0.5, 1.959963984540054, 5.0, 9.0, 20.0]
    yield {"of": "two_sided_p", "cases": [[x, 2 * stats.norm.sf(x)] for x in z]}
    p = [1e-300, 1e-30, 1e-10, 0.001, 0.025, 0.3, 0.5, 0.9, 0.999999]
    yield {"of": "normal_upper", "cases": [[x, stats.norm.isf(x)] for x in p]}
    t = [(t, f) for f in [1, 2.5, 30, 1e4, 1e4 + 1, 1e6, 1e12] for t in [1e-3, 0.5, 2.0, 6.0, 30.0]]
    yield {"of": "two_sided_p_t", "cases": [[x, f, 2 * stats.t.sf(x, f)] for x, f in t]}
    freedom = [1, 3.7, 20, 500, 1e4, 1e4 + 1, 1e6, 1e12]
    yield {
        "of": "critical_t",
        "cases": [[level, f, stats.t.isf((1 - level) / 2, f)] for f in freedom for level in [0.9, 0.99]],
    }
    binomial = [
        (k, n, q)
        for n in [1, 7, 500, 50_000, 5_000_000]
        for q in [0.01, 0.5, 0.99]
        for k in {max(1, int(n * q + s * np.sqrt(n * q * (1 - q)))) for s in [-4, 0, 2]}
        if k <= n
    ]
    yield {"of": "binomial_at_least", "cases": [[k, n, q, stats.binom.sf(k - 1, n, q)] for k, n, q in binomial]}
    # Parts of trials, rare and nearly certain: the incomplete beta function, as the distribution is defined for whole ones.
    rare = [
        (mean + s * np.sqrt(mean), mean / q + 0.37, q)
        for q in [9e-5, 1e-6, 1e-12]
        for mean in [0.4, 5.3, 4061.7, 900_000.25]
        for s in [-2.0, -0.3, 0.0, 1.7, 5.0]
        if mean + s * np.sqrt(mean) > 0
    ]
    certain = [(n - k + 1, n, 1 - q) for k, n, q in rare if q > 1e-9 and 1 <= k < 10_000]
    yield {
        "of": "binomial_at_least",
        "cases": [[k, n, q, special.betainc(k, n - k + 1, q)] for k, n, q in rare + certain],
    }


# Ranks


def rank_sums(strata, shift=0.0):
    """Van Elteren's numerator, variance and weight of pairs, from the ranks of the pooled values."""
    numerator = variance = pairs = 0.0
    for baseline, candidate in strata:
        n, m = len(baseline), len(candidate)
        if min(n, m) < 2:
            continue
        # A shift must not part what is equal but for rounding.
        pooled = np.round(np.concatenate([baseline, np.subtract(candidate, shift)]), 9)
        ranks = stats.rankdata(pooled)
        u = ranks[n:].sum() - m * (m + 1) / 2
        # The variance of a sum of m of N ranks drawn without replacement.
        v = n * m / (n + m) * ranks.var(ddof=1)
        numerator += (u - n * m / 2) / (n + m + 1)
        variance += v / (n + m + 1) ** 2
        pairs += n * m / (n + m + 1)
    return numerator, variance, pairs


def shift_interval(strata, design_effect):
    """By looking at every difference and between every two of them."""
    differences = np.unique(
        np.round(np.concatenate([np.subtract.outer(c, b).ravel() for b, c in strata if min(len(b), len(c)) > 1]), 9)
    )
    between = (differences[1:] + differences[:-1]) / 2
    points = np.sort(np.concatenate([differences, between]))
    critical = stats.norm.isf((1 - LEVEL) / 2)
    numerators, inside = [], []
    for point in points:
        numerator, variance, _ = rank_sums(strata, point)
        numerators.append(numerator)
        if abs(numerator) <= critical * np.sqrt(variance * design_effect):
            inside.append(point)
    numerators = np.round(numerators, 9)
    # The statistic only changes at differences: bounds of a range between two of them are the two.
    low = inside[0] if inside[0] in differences else differences[differences < inside[0]].max()
    high = inside[-1] if inside[-1] in differences else differences[differences > inside[-1]].min()
    zero_from = points[numerators <= 0].min()
    zero_from = zero_from if zero_from in differences else differences[differences < zero_from].max()
    zero_to = points[numerators < 0].min()
    zero_to = zero_to if zero_to in differences else differences[differences < zero_to].max()
    if len(strata) == 1:
        assert np.isclose((zero_from + zero_to) / 2, np.median(np.subtract.outer(strata[0][1], strata[0][0])))
    return {"estimate": (zero_from + zero_to) / 2, "low": low, "high": high}


def ranks():
    def whole(n, scale):
        return np.round(random.lognormal(3, 0.5, n) * scale)

    samples = {
        "published (Hollander and Wolfe, table 4.1)": [
            ([1.15, 0.88, 0.90, 0.74, 1.21], [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46])
        ],
        "no ties": [(random.normal(0, 1, 23), random.normal(0.5, 1, 31))],
        "ties": [(random.integers(0, 6, 40), random.integers(1, 8, 25))],
        "no difference": [(whole(30, 1), whole(30, 1))],
        "two strata": [(whole(30, 1), whole(20, 1.3)), (whole(12, 10), whole(40, 13))],
        "strata that cannot be compared": [(whole(20, 1), whole(15, 1.5)), ([3], whole(9, 1)), (whole(9, 1), [])],
        "many small strata": [(whole(4, s), whole(5, 1.4 * s)) for s in range(1, 9)],
    }
    for name, strata in samples.items():
        for design_effect in [1.0, 1.7]:
            numerator, variance, pairs = rank_sums(strata)
            z = numerator / np.sqrt(variance * design_effect)
            if len(strata) == 1 and design_effect == 1:
                reference = stats.mannwhitneyu(strata[0][1], strata[0][0], method="asymptotic", use_continuity=False)
                assert np.isclose(reference.pvalue, 2 * stats.norm.sf(abs(z)))
            yield {
                "name": name,
                "strata": strata,
                "designEffect": design_effect,
                "z": z,
                "pValue": 2 * stats.norm.sf(abs(z)),
                "effect": 0.5 + numerator / pairs,
                "shift": shift_interval(strata, design_effect),
            }


# Blocks


def blocks():
    def ratio(scores, numbers, squares):
        numbers = np.asarray(numbers)
        sums = [np.asarray(scores)[numbers == b].sum() for b in np.unique(numbers)]
        shares = [np.mean(numbers == b) for b in np.unique(numbers)]
        return max(1.0, np.sum(np.square(sums)) / squares / (1 - np.sum(np.square(shares))))

    for spread in [0.0, 0.5, 2.0]:
        strata, scores, numbers = [], [], []
        of_block = random.normal(0, spread, 9)
        for stratum in range(2):
            values, block = [], []
            for number in range(stratum, 9):
                count = int(random.integers(1, 12))
                values += list(np.round(np.exp(random.normal(3 + stratum + of_block[number], 0.5, count))))
                block += [number] * count
            strata.append({"values": values, "blocks": block})
            rank = stats.rankdata(values)
            scores += list((rank - rank.mean()) / len(values))
            numbers += block
        yield {"kind": "ranks", "strata": strata, "expected": ratio(scores, numbers, np.sum(np.square(scores)))}
        hits = random.random(len(numbers)) < special.expit(-1 + of_block[numbers])
        share = hits.mean()
        yield {
            "kind": "proportion",
            "hits": [int(np.sum(hits[np.array(numbers) == b])) for b in range(9)],
            "totals": [numbers.count(b) for b in range(9)],
            "expected": ratio(hits - share, numbers, len(hits) * share * (1 - share)),
        }


# Quantiles


def quantiles():
    for count, q in [
        (10, 0.5),
        (60, 0.5),
        (60, 0.9),
        (200, 0.95),
        (1000, 0.99),
        (300, 0.99),
        (20, 0.05),
        (100, 0.95),
    ]:
        values = np.round(random.lognormal(5, 1, count))
        interval = stats.quantile_test(values, p=q).confidence_interval(LEVEL)
        bounds = None if np.isnan([interval.low, interval.high]).any() else [interval.low, interval.high]
        estimate = np.quantile(values, q, method="inverted_cdf")
        yield {"values": values, "q": q, "estimate": estimate, "bounds": bounds}


# Proportions


def exact_conditional(tables):
    pmf, least = np.array([1.0]), 0
    for x0, n, x1, m in tables:
        support = np.arange(max(0, x0 + x1 - n), min(x0 + x1, m) + 1)
        pmf, least = np.convolve(pmf, stats.hypergeom.pmf(support, n + m, x0 + x1, m)), least + support[0]
    own = pmf[sum(table[2] for table in tables) - least]
    p = pmf[pmf <= own * (1 + 1e-9)].sum()
    if len(tables) == 1:
        x0, n, x1, m = tables[0]
        assert np.isclose(p, stats.fisher_exact([[x1, m - x1], [x0, n - x0]]).pvalue)
    return {"pValue": min(p, 1), "midPValue": min(p - own / 2, 1)}


def stratified_newcombe(tables):
    x0, n, x1, m = np.array(tables, dtype=float).T
    weight = n * m / (n + m)
    weight /= weight.sum()

    def arm(x, size):
        share, effective = (weight * x / size).sum(), 1 / (weight**2 / size).sum()
        return share, *proportion_confint(share * effective, effective, 1 - LEVEL, "wilson")

    (p0, l0, u0), (p1, l1, u1) = arm(x0, n), arm(x1, m)
    d = p1 - p0
    interval = [d, d - np.hypot(p1 - l1, u0 - p0), d + np.hypot(u1 - p1, p0 - l0)]
    if len(tables) == 1:
        assert np.allclose(
            interval[1:], confint_proportions_2indep(x1[0], m[0], x0[0], n[0], method="newcomb", compare="diff")
        )
    return interval


def score_ratio(tables):
    """Miettinen and Nurminen, with restricted estimates found by maximising the likelihood."""
    x0, n, x1, m = np.array(tables, dtype=float).T
    weight = n * m / (n + m)

    def restricted(x0, n, x1, m, ratio):
        def unlikelihood(p):
            return -(
                special.xlogy(x0, p)
                + special.xlog1py(n - x0, -p)
                + special.xlogy(x1, p * ratio)
                + special.xlog1py(m - x1, -p * ratio)
            )

        found = optimize.minimize_scalar(
            unlikelihood, bounds=(0, min(1, 1 / ratio)), method="bounded", options={"xatol": 1e-13}
        )
        return found.x

    def score(log):
        ratio = np.exp(log)
        p = np.array([restricted(*table, ratio) for table in zip(x0, n, x1, m)])
        v = (p * ratio * (1 - p * ratio) / m + ratio**2 * p * (1 - p) / n) * (n + m) / (n + m - 1)
        return (weight * (x1 / m - ratio * x0 / n)).sum() / np.sqrt((weight**2 * v).sum())

    critical = stats.norm.isf((1 - LEVEL) / 2)
    low = np.exp(optimize.brentq(lambda log: score(log) - critical, -12, 12)) if x1.sum() else 0.0
    high = np.exp(optimize.brentq(lambda log: score(log) + critical, -12, 12)) if x0.sum() else None
    # With a single candidate statsmodels stops at 249, where the score is 0.06 and not 1.96.
    if len(tables) == 1 and x0.sum() and x1.sum() and m[0] > 1:
        reference = confint_proportions_2indep(
            x1[0], m[0], x0[0], n[0], method="score", compare="ratio", correction=True
        )
        assert np.allclose([low, high], reference, rtol=1e-4), ([low, high], reference)
    baseline, candidate = (weight * x0 / n).sum(), (weight * x1 / m).sum()
    return [candidate / baseline if baseline else None, low, high]


def proportions():
    # Baseline's hits and total, candidate's hits and total.
    samples = {
        "published (Newcombe, table II a)": [(48, 80, 56, 70)],
        "published (Newcombe, table II b)": [(3, 10, 9, 10)],
        "published (Newcombe, table II e)": [(0, 29, 5, 56)],
        "no hits in the baseline": [(0, 500, 8, 400)],
        "no hits in the candidate": [(6, 300, 0, 500)],
        "published (Simpson's paradox, kidney stones)": [(81, 87, 234, 270), (192, 263, 55, 80)],
        "small strata": [(1, 20, 4, 18), (0, 11, 2, 9), (2, 30, 3, 31)],
        "many": [(120, 4000, 230, 4100), (15, 900, 40, 700), (300, 1000, 310, 900)],
        "one candidate": [(400, 100_000, 1, 1)],
        "rare": [(3, 100_000, 5, 120_000), (1, 50_000, 9, 60_000)],
    }
    for name, tables in samples.items():
        stratified = StratifiedTable([np.array([[x1, m - x1], [x0, n - x0]], dtype=float) for x0, n, x1, m in tables])
        case = {
            "name": name,
            "tables": tables,
            "squaredZ": stratified.test_null_odds(correction=False).statistic,
            "exact": exact_conditional(tables),
            "difference": stratified_newcombe(tables),
            "ratio": score_ratio(tables),
        }
        yield case


# Counts


def rates():
    for k0, t0, k1, t1 in [
        (60, 51_477.5, 30, 54_308.7),
        (0, 10.0, 4, 5.0),
        (7, 10.0, 0, 30.0),
        (3000, 1.0, 3300, 1.0),
        (5, 3.0, 5, 3.0),
    ]:
        events, share = k0 + k1, t1 / (t0 + t1)
        p = min(1.0, 2 * min(stats.binom.sf(k1 - 1, events, share), stats.binom.cdf(k1, events, share)))
        bounds = stats.binomtest(k1, events, share).proportion_ci(LEVEL, "exact")
        ratio = [share / (1 - share) * t0 / t1 if share < 1 else None for share in bounds]
        minlike = poisson_2indep(k1, t1, k0, t0, method="exact-cond").pvalue
        assert minlike <= p * 1.0001
        yield {
            "kind": "poisson",
            "baseline": [k0, t0],
            "candidate": [k1, t1],
            "pValue": p,
            "ratio": [k1 / k0 * t0 / t1 if k0 else None, *ratio],
        }

    def counted(kind, *arguments):
        return [(random.poisson(*a) if kind == "poisson" else np.full(int(a[1]), a[0])) for a in arguments]

    samples = {
        "poisson": [counted("poisson", (3, 40), (4, 30))],
        "constant": [counted("constant", (2, 12), (3, 9))],
        "two strata": [counted("poisson", (1, 25), (1.6, 20)), counted("poisson", (20, 11), (22, 30))],
    }
    for name, strata in samples.items():
        excess = variance = weighted = 0.0
        for baseline, candidate in strata:
            pooled, n, m = np.concatenate([baseline, candidate]), len(baseline), len(candidate)
            excess += candidate.sum() - m * pooled.mean()
            # Drawn without replacement.
            variance += m * pooled.var(ddof=1) * (1 - m / (n + m))
            weighted += n * m / (n + m) * pooled.mean()
        z = excess / np.sqrt(variance)
        if len(strata) == 1:
            # Mantel's M² is (N-1)·r².
            labels = np.repeat([0, 1], [n, m])
            assert np.isclose(z**2, (n + m - 1) * np.corrcoef(labels, pooled)[0, 1] ** 2)
        yield {
            "kind": "score",
            "name": name,
            "strata": strata,
            "z": z,
            "pValue": 2 * stats.norm.sf(abs(z)),
            "dispersion": variance / weighted,
        }

    for baseline, candidate in [
        ([1, 2, 2, 3, 5], [2, 4, 6, 7]),
        ([0.5, 0.1, 0.4, 0.3], [0.2, 0.9, 1.4, 0.8, 0.6, 0.35]),
    ]:
        pooled = np.concatenate([baseline, candidate])
        means = [np.mean(chosen) for chosen in itertools.combinations(pooled - pooled.mean(), len(candidate))]
        seen = np.mean(candidate) - pooled.mean()
        yield {
            "kind": "permutation",
            "strata": [[baseline, candidate]],
            "pValue": np.mean(np.abs(means) >= abs(seen) - 1e-9),
        }


# Means


def means():
    for n, m, spread in [(20, 30, 3.0), (5, 4, 0.2), (400, 40, 1.0)]:
        baseline, candidate = random.normal(10, 1, n), random.normal(11, spread, m)
        compared = CompareMeans(DescrStatsW(candidate), DescrStatsW(baseline))
        yield {
            "kind": "mean",
            "baseline": baseline,
            "candidate": candidate,
            "difference": [candidate.mean() - baseline.mean(), *compared.tconfint_diff(1 - LEVEL, usevar="unequal")],
        }
    for units in [8, 200]:
        calls = random.poisson(4, units) + 1.0
        time = calls * random.normal(7, 1, units) + random.normal(0, 3, units)
        # Weighted by 1/x, the regression through the origin is the ratio, and its robust variance that of the ratio.
        fitted = WLS(time, calls, weights=1 / calls).fit(cov_type="HC1")
        yield {
            "kind": "ratio",
            "numerators": time,
            "denominators": calls,
            "ratio": fitted.params[0],
            "variance": fitted.bse[0] ** 2,
        }


def multiple():
    for p in [
        [0.01, 0.04, 0.03, 0.005, 0.55],
        [
            0.001,
            0.008,
            0.039,
            0.041,
            0.042,
            0.06,
            0.074,
            0.205,
            0.212,
            0.216,
            0.222,
            0.251,
            0.269,
            0.275,
            0.34,
            0.341,
            0.384,
            0.569,
            0.594,
            0.696,
            0.762,
            0.94,
            0.942,
            0.975,
            0.986,
        ],
        [0.2],
        [1.0, 1.0, 0.0],
    ]:
        yield {"pValues": p, "adjusted": stats.false_discovery_control(p)}


# Sequences


def sequences():
    for alpha, samples, n, z in [(0.05, 300, 300, 3.4), (0.01, 300, 100, 4.4), (0.01, 500, 5000, 3.5)]:
        deviance = -2 * np.log(alpha)
        rate = (deviance + np.log(deviance + 1)) / samples
        # The likelihood ratio of a drift, mixed over a normal prior of the drift with variance `rate`.
        mixture, _ = integrate.quad(
            lambda drift: np.exp(drift * z * np.sqrt(n) - drift**2 * n / 2) * stats.norm.pdf(drift, 0, np.sqrt(rate)),
            -2,
            2,
            points=[z / np.sqrt(n)],
            epsabs=0,
            epsrel=1e-12,
            limit=500,
        )
        yield {"kind": "mixture", "alpha": alpha, "samples": samples, "n": n, "z": z, "pValue": min(1, 1 / mixture)}
    for minutes in [
        [(8, 2, 0.1)],
        [(3, 7, 0.1)],
        [(1, 9, 0.1)],
        [(20, 20, 0.5)],
        [(1, 4, 0.1), (3, 2, 0.5), (6, 0, 0.7)],
    ]:
        s, r = sum(m[0] for m in minutes), sum(m[1] for m in minutes)
        likelihood, _ = integrate.quad(lambda p: p**s * (1 - p) ** r, 0, 1, epsabs=0, epsrel=1e-12)
        null = np.prod([share**a * (1 - share) ** b for a, b, share in minutes])
        yield {
            "kind": "errors",
            "minutes": minutes,
            "eValue": likelihood / null,
            "excess": s - sum((a + b) * share for a, b, share in minutes),
        }


def powers():
    """Normal logarithms, for which the probability of superiority has a formula."""
    for deviation, n, m, design_effect in [(0.5, 552, 552, 1.0), (0.3, 200, 1000, 2.0), (1.2, 5000, 3000, 1.0)]:
        needed = stats.norm.isf(0.025) + stats.norm.isf(0.05)

        def z(shift, n=n, m=m):
            return (
                n
                * m
                / (n + m + 1)
                * (stats.norm.cdf(shift / deviation / np.sqrt(2)) - 0.5)
                / np.sqrt(n * m / 12 / (n + m + 1) * design_effect)
            )

        smallest = optimize.brentq(lambda shift: z(shift) - needed, 1e-9, 20)
        both = optimize.brentq(lambda by: z(smallest / 2, n * by, m * by) - needed, 1, 1000)
        yield {
            "deviation": deviation,
            "counts": [n, m],
            "designEffect": design_effect,
            "smallest": smallest,
            "missingForHalf": [(both - 1) * n, (both - 1) * m],
        }


# Means of what shares its blocks


def fitted(units):
    """Ratios of strata and how they vary together, by regressions through the origin, robust to what blocks share."""
    stratum, place, period, time, calls = (np.asarray(column, float) for column in zip(*units))
    strata = np.unique(stratum)
    cells = np.array([stratum == s for s in strata]).T * calls[:, None]
    block = np.unique(np.stack([place, period]), axis=1, return_inverse=True)[1]
    regression = WLS(time, cells, weights=1 / calls)
    together = regression.fit(cov_type="cluster", cov_kwds={"groups": block, "use_correction": False})
    return together, regression.fit(cov_type="HC0"), block


def arm(units, weights):
    """The weighted ratio with its variances, where all strata have as many units."""
    together, apart, block = fitted(units)
    stratum = np.asarray([unit[0] for unit in units])
    made_up = np.mean(np.bincount(stratum)) / (np.mean(np.bincount(stratum)) - 1)
    count = len(np.unique(block))
    between = weights @ together.cov_params() @ weights * made_up * count / (count - 1)
    independent = weights @ apart.cov_params() @ weights * made_up
    sums = np.array([sum(unit[4] for unit in units if unit[0] == s) for s in range(len(weights))])
    influence = np.array(
        [
            weights[s] * (y - together.params[s] * x) / sums[s] * np.sqrt(made_up)
            for s, _, _, y, x in units
        ]
    )
    of_block = [influence[block == b] for b in range(count)]
    sizes = np.array([np.sum(np.square(e)) for e in of_block])
    even = sizes.sum() ** 2 / np.sum(np.square(sizes))
    place_and_time = [next((u[1], u[2]) for u, b in zip(units, block) if b == wanted) for wanted in range(count)]
    sums_of = dict(zip(place_and_time, (np.sum(e) for e in of_block)))
    pairs = [s * sums_of[(p, t + 1)] for (p, t), s in sums_of.items() if (p, t + 1) in sums_of]
    persistence = np.mean(pairs) / np.mean(np.square(list(sums_of.values()))) if len(pairs) >= 8 else 0.0
    persistence = min(max(persistence, 0.0), 0.8)
    effect = max(1.0, between / independent * (1 + persistence) / (1 - persistence))
    freedom = len(units) - len(weights)
    ratio = weights @ together.params
    return ratio, independent, freedom, (effect, even - 1) if even >= 6 else None


def clusters():
    draw = np.random.default_rng(20_240_621)

    def units(first_place, places, periods, step, each, shift, weather):
        found = []
        state = draw.normal(0, weather, places)
        for period in range(periods):
            state = 0.7 * state + np.sqrt(1 - 0.49) * draw.normal(0, weather, places)
            for stratum in range(2):
                for at in range(each):
                    place = at % places
                    calls = 1 + draw.poisson(2)
                    time = calls * (5 + 3 * stratum + shift + state[place]) + draw.normal(0, 1)
                    found.append((stratum, first_place + place, period * step, time, calls))
        return found

    samples = {
        "blocks far from each other": (units(0, 3, 9, 2, 9, 0, 1.0), units(3, 2, 11, 3, 8, 1, 1.0)),
        "neighbours": (units(0, 2, 14, 1, 6, 0, 1.5), units(2, 3, 12, 1, 6, 0.5, 1.5)),
        "no weather": (units(0, 2, 14, 1, 6, 0, 0.0), units(2, 3, 12, 1, 6, 0.5, 0.0)),
        "a short candidate": (units(0, 3, 10, 1, 6, 0, 1.0), units(3, 1, 2, 1, 10, 1, 1.0)),
        "both short": (units(0, 1, 2, 1, 12, 0, 1.0), units(1, 1, 2, 1, 10, 1, 1.0)),
    }
    for name, (baseline, candidate) in samples.items():
        weights = np.array([sum(unit[4] for unit in candidate if unit[0] == s) for s in range(2)], float)
        weights /= weights.sum()
        (before, *of_before), (after, *of_after) = arm(baseline, weights), arm(candidate, weights)

        def variance(own, other):
            independent, freedom, effect = own
            if effect:
                return independent * effect[0], effect[1]
            if other[2]:
                return independent * other[2][0], min(freedom, other[2][1])
            return independent * 8, freedom

        parts = [variance(of_before, of_after), variance(of_after, of_before)]
        total = sum(part for part, _ in parts)
        freedom = total**2 / sum(part**2 / freedom for part, freedom in parts)
        half = stats.t.isf((1 - LEVEL) / 2, freedom) * np.sqrt(total)
        estimate = after - before
        yield {
            "name": name,
            "baseline": baseline,
            "candidate": candidate,
            "baselineRatio": before,
            "difference": [estimate, estimate - half, estimate + half],
            "pValue": 2 * stats.t.sf(abs(estimate) / np.sqrt(total), freedom),
            "standardError": np.sqrt(total) * stats.t.isf(0.05, freedom) / stats.norm.isf(0.05),
        }


# Ranks of few


def few_ranks():
    draw = np.random.default_rng(20_240_622)
    samples = {
        "apart": [([1, 2, 3, 4, 5, 6, 7, 8, 9], [10, 11, 12, 13, 14, 15])],
        "one among the others": [(list(range(16)), [7.5, *range(20, 27)])],
        "ties": [(draw.integers(0, 6, 9), draw.integers(2, 9, 7))],
        "less": [(draw.normal(1, 1, 12), draw.normal(0, 1, 6))],
        "two strata": [(draw.integers(0, 9, 4), draw.integers(3, 12, 3)), (draw.normal(0, 1, 5), draw.normal(1, 1, 4))],
    }
    for name, strata in samples.items():
        # Every choice of the candidate's values within strata, by doubled midranks.
        ways = [0]
        seen = 0
        for baseline, candidate in strata:
            ranks = 2 * stats.rankdata([*baseline, *candidate])
            seen += ranks[len(baseline) :].sum()
            of_stratum = [sum(chosen) for chosen in itertools.combinations(ranks, len(candidate))]
            ways = np.add.outer(ways, of_stratum).ravel()
        mean = np.mean(ways)
        p_value = np.mean(np.abs(ways - mean) >= abs(seen - mean) - 1e-9)
        if name == "apart":
            assert np.isclose(p_value, stats.mannwhitneyu(*strata[0][::-1], method="exact").pvalue)
        yield {"name": name, "strata": strata, "pValue": p_value, "isGreater": bool(seen > mean)}


write("distributions", distributions())
write("ranks", ranks())
write("blocks", blocks())
write("quantiles", quantiles())
write("proportions", proportions())
write("rates", rates())
write("means", means())
write("multiple", multiple())
write("sequences", sequences())
write("powers", powers())
write("clusters", clusters())
write("few_ranks", few_ranks())
