"""A session as one object: what `dragstrip run --json` prints, and the same of a recording."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, Protocol

import polars as pl

from tui.judge.ledger import LedgerRow, VisitedSetting, ledger, main_setting, steps_held
from tui.judge.plausible import unknown_of
from tui.judge.sentence import Setup, lane_names, settings_named, verdict_sentence
from tui.judge.sweep import crossover
from tui.judge.tables import LATENCY, Tables, for_lane, within
from tui.model.metrics import METRICS, NS_PER_S, PERCENTILES, SHOWN_PERCENTILES
from tui.model.rows import LANES, Lane
from tui.model.session import LaneInfo
from tui.stats.distributions import summary_percentiles
from tui.stats.verdict import not_comparable

SUMMARY_SCHEMA: Final = 1
MAX_FAILURES: Final = 20  # of a lane: words with a number in them may differ each time
NO_SECOND: Final = "the lanes have no second in common"


class Distribution(Protocol):
    """Inter-token latencies, however they were kept: a histogram of a live session or the gaps of a recording."""

    @property
    def n(self) -> int:
        """How many values, or the sum of their weights."""
        ...

    def percentile(self, share: float) -> float | None:
        """The percentile in ms at `share` (0 to 1)."""
        ...


def summary(
    tables: Tables,
    itl: Mapping[Lane, Distribution],
    steps_itl: Sequence[Mapping[Lane, Distribution]] = (),
) -> dict[str, Any]:
    """The object of `run --json`, of one session.

    Rates are over the whole seconds of the session, of lanes that take turns over their own; output tokens are those
    that arrived, of whatever request. `requests` counts those that ended well, next to `failed` and those cut off by
    the operator or the end (`cancelled`). Latencies are of requests that ended well, but `itl_ms`, which is of every
    chunk that came; a percentile is given of however few values there are, with their number as `n`, and a script
    decides (the screen shows none under `PERCENTILES`). A figure that
    most answers do not support is null, and `unknown` says why. `ttft_sched_ms`, from the moment when a
    request was due, is there when requests came at a rate. The verdict is of the main setting, which its `dials`
    name, with all visits to it. `ledger` has every setting visited, and `crossover`
    where the lead changes hands, of two lanes. `steps` has every step of a plan or sweep in the order in which they
    were held, with both lanes over its settled time (`steps_itl`: their inter-token latencies). `sentence` is
    the verdict in the words of the screen and the report.
    """
    session = tables.session
    duration_s = session.duration_s or tables.seconds["t_ns"].n_unique() * 1.0
    lanes = lanes_summary(tables, itl)
    judged = _judged(tables) if len(lanes) == 2 else {"verdict": {}}
    steps = [
        _step(tables, visit, steps_itl[number] if number < len(steps_itl) else {})
        for number, visit in steps_held(tables).items()
    ]
    head = {"schema": SUMMARY_SCHEMA, "session": session.name, "duration_s": round(duration_s, 3)}
    return {**head, "lanes": lanes, **judged, "steps": steps}


def lanes_summary(tables: Tables, itl: Mapping[Lane, Distribution]) -> dict[str, dict[str, Any]]:
    """The figures of each lane over the whole session."""
    infos = tables.session.lanes
    return {
        lane: _lane(infos[lane], for_lane(tables.requests, lane), for_lane(tables.seconds, lane), itl.get(lane))
        for lane in LANES
        if lane in infos
    }


def _step(tables: Tables, visit: VisitedSetting, itl: Mapping[Lane, Distribution]) -> dict[str, Any]:
    """Requests sent in the settled time of the step, and its seconds that count."""
    lanes: dict[str, Any] = {}
    for lane in visit.dials:
        counted_ns = [round(at_s * NS_PER_S) for segment in visit.segments for at_s in segment.lane(lane).at_s]
        seconds = for_lane(tables.seconds, lane).filter(pl.col("t_ns").is_in(counted_ns))
        requests = for_lane(tables.requests, lane).filter(within(visit.spans(lane), "t_send_ns"))
        lanes[lane] = _lane(tables.session.lanes[lane], requests, seconds, itl.get(lane))
    row = visit.row(tables.circumstances, delta=tables.margin.delta, frozen=not tables.session.watched)
    verdict = asdict(row.verdict) if len(lanes) == 2 else {}
    return {"dials": visit.dials, **lanes, "verdict": verdict, "settled_s": visit.settled_s}


def _lane(info: LaneInfo, requests: pl.DataFrame, seconds: pl.DataFrame, itl: Distribution | None) -> dict[str, Any]:
    figures = {**_figures(info, requests, seconds), "itl_ms": _itl(itl)}
    _without_unknown(figures, unknown_of(requests))
    return figures


def _figures(info: LaneInfo, requests: pl.DataFrame, seconds: pl.DataFrame) -> dict[str, Any]:
    outcome = requests["outcome"]
    failed = requests.filter(pl.col("outcome") == "failed")
    causes = failed.group_by("cause").len().sort("len", "cause", descending=[True, False])
    in_turn = seconds.filter(~pl.col("resting").fill_null(value=False))
    output, prompt = int(in_turn["output_tokens"].sum()), int(in_turn["prompt_tokens"].sum())
    return {
        "engine": info.engine,
        "model": info.model,
        "simulated": info.simulated,
        "adapted": info.adapted,
        "requests": int((outcome == "ok").sum()),
        "failed": failed.height,
        "cancelled": int((outcome == "cancelled").sum()),
        "refused": int((outcome == "refused").sum()),
        "errors": dict(zip(causes["cause"].to_list(), causes["len"].to_list(), strict=True)),
        "failures": _failures(requests),
        "output_tokens": int(seconds["output_tokens"].sum()),
        "output_tps": output / max(in_turn.height, 1),
        "total_tps": (output + prompt) / max(in_turn.height, 1),
        "prefix_hit_share": prefix_hit_share(requests),
        **_latencies(requests, seconds),
        "client": _client(requests, seconds),
    }


def prefix_hit_share(requests: pl.DataFrame) -> float | None:
    """Share of the prompt tokens that the server had cached, of good answers that say so; None where none does.

    Of requests and not of gauges: vLLM's counts what is computed again after a preemption as hits.
    """
    good = requests.filter((pl.col("outcome") == "ok") & pl.col("cached_tokens").is_not_null())
    cached, prompt = good.select(pl.col("cached_tokens", "prompt_tokens").sum()).row(0) if good.height else (0, 0)
    return cached / prompt if prompt else None


def _failures(requests: pl.DataFrame) -> list[dict[str, Any]]:
    """The words of failed and refused requests with how often each came, the most frequent first."""
    words = requests.filter(pl.col("outcome").is_in(["failed", "refused"])).select("cause", words="detail")
    counted = words.group_by("cause", "words").agg(count=pl.len())
    return counted.sort("count", "cause", "words", descending=[True, False, False]).head(MAX_FAILURES).to_dicts()


def _without_unknown(lane: dict[str, Any], unknown: Mapping[str, str]) -> None:
    """Take out the figures that the answers do not support, and say why in `unknown`."""
    lane["unknown"] = {}
    for figure, why in unknown.items():
        if (name := f"{figure}_ms") in lane:
            lane[name] = summary_percentiles([])
        elif (name := figure) in lane:
            lane[name] = None
        else:
            lane["client"][name] = None
        lane["unknown"][name] = why


def unknown_sentences(lanes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Of the lanes of a summary what they do that makes figures unknown, a sentence each."""
    sentences = []
    for name, lane in lanes.items():
        for why in dict.fromkeys(lane["unknown"].values()):
            labels = [_label(figure) for figure, reason in lane["unknown"].items() if reason == why]
            verb = "is" if len(labels) == 1 else "are"
            sentences.append(f"Lane {name.upper()} {why}. Unknown {verb} {', '.join(labels)}.")
    return sentences


def _label(figure: str) -> str:
    metric = METRICS.get(figure.removesuffix("_ms"))
    return figure.replace("_", " ") if metric is None else f"{metric.label} {metric.unit}".removesuffix(" ms")


def _latencies(requests: pl.DataFrame, seconds: pl.DataFrame) -> dict[str, Any]:
    good = requests.filter(pl.col("outcome") == "ok")
    at_a_rate = seconds.filter((pl.col("concurrency") == 0) & (pl.col("started") > 0)).height > 0
    wanted = [name for name in LATENCY if name != "ttft_sched" or at_a_rate]
    values = good.select(**{name: LATENCY[name] for name in wanted})
    return {f"{name}_ms": summary_percentiles(values[name].drop_nulls().to_numpy()) for name in wanted}


def _itl(distribution: Distribution | None) -> dict[str, float | int | None]:
    if distribution is None:
        return summary_percentiles([])
    percentiles = {name: distribution.percentile(PERCENTILES[name].share) for name in SHOWN_PERCENTILES}
    # A histogram reports a gap of over 1,000 s as infinity, which JSON cannot express.
    return {
        **{name: v if v is not None and math.isfinite(v) else None for name, v in percentiles.items()},
        "n": distribution.n,
    }


def _client(requests: pl.DataFrame, seconds: pl.DataFrame) -> dict[str, Any]:
    """What the instrument says of itself. `stamp` is `user` as soon as one token had no kernel stamp.

    `merged_share`: of the reads, those that joined several tokens, of which only the last one's moment is known.
    `tokens_from`: whole answers by how their tokens were counted; `tokens_a_chunk`: tokens per chunk of these.
    """
    good = requests.filter(pl.col("outcome") == "ok")
    ways = good.group_by("tokens_from").len().sort("len", "tokens_from", descending=[True, False])
    chunks = int(good["chunks"].sum())
    stamps = set(requests.filter(pl.col("t_first_ns").is_not_null())["stamp"].to_list())
    lag_ms = summary_percentiles(seconds["loop_lag_ms"].to_numpy())["p99"]
    return {
        "cpu_s": float(seconds["client_cpu_s"].sum()),
        "loop_lag_ms_p99": lag_ms,
        "bound_s": int(seconds["bound"].sum()),
        "stamp": "user" if "user" in stamps else "kernel" if stamps else "",
        "merged_share": min(float(seconds["merged_reads"].sum()) / max(int(seconds["reads"].sum()), 1), 1.0),
        "tokens_from": dict(zip(ways["tokens_from"].to_list(), ways["len"].to_list(), strict=True)),
        "tokens_a_chunk": _shown_tokens(good) / chunks if chunks else None,
    }


def _shown_tokens(requests: pl.DataFrame) -> int:
    """Output tokens but for the hidden ones, of which older recordings do not tell."""
    return int(requests["output_tokens"].sum()) - int(requests["hidden_tokens"].fill_null(0).sum())


def _judged(tables: Tables) -> dict[str, Any]:
    """The verdict with the δ that it was given and where that comes from, and the ledger."""
    rows, margin = ledger(tables), tables.margin
    names = lane_names({lane: tables.session.lanes.get(lane) for lane in LANES})
    sentences = [sentence.text for _, sentence in settings_named(rows, names, margin.delta)]
    first = main_setting(rows)
    judged = {"delta": margin.delta, "delta_from": margin.source, "dials": {} if first is None else first.dials}
    if first is None:
        verdict = not_comparable("output_tps", NO_SECOND)
        sentence = verdict_sentence(verdict, Setup(names=names)).text
    else:
        verdict, sentence = first.verdict, sentences[rows.index(first)]
    return {
        "verdict": {**asdict(verdict), "sentence": sentence, **judged},
        "ledger": [_row(row, sentence) for row, sentence in zip(rows, sentences, strict=True)],
        "crossover": crossover(rows),
    }


def _row(row: LedgerRow, sentence: str) -> dict[str, Any]:
    names = ("dials", "visits", "settled_s", "tps", "requests", "failed", "bound")
    verdict = {**asdict(row.verdict), "sentence": sentence}
    return {**{name: getattr(row, name) for name in names}, "verdict": verdict}
