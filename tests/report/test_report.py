"""Reports as Markdown and as one page that needs nothing from outside."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import msgspec
import numpy as np
import polars as pl
import pytest

from tests.judge.made import NS, T0, failed, request, requests_frame, second, seconds_frame, session, turned
from tests.judge.simulated import seconds_of
from tests.report.test_study import ran as study_ran
from tui.judge.conditions import fail_if
from tui.judge.sessions import compare, measured
from tui.judge.tables import Tables
from tui.model.gauges import GPU_POWER, GPU_UTILIZATION
from tui.model.profile import Limits
from tui.model.rows import EventRow, Lane, RequestRow, SecondRow
from tui.report.comparison import comparison_report
from tui.report.document import escaped, interval, markdown, page, percent
from tui.report.session import session_report
from tui.report.svg import Mark, thinned, time_chart
from tui.session.state import LatencyHistogram
from tui.stats.verdict import Verdict

VISIT_S = 120
LANES: tuple[Lane, ...] = ("a", "b")
VOID = {"meta"}


def ran(lanes: str = "ab") -> Tables:
    """Three settings of 120 s: A ahead at 8 streams, level at 16, B ahead at 32."""
    rng = np.random.default_rng(1)
    rows: list[RequestRow] = [failed(LANES[0], 9000, "reset")] if lanes == "ab" else []
    ticks: list[SecondRow] = []
    events = [
        EventRow("", T0, "start", text="found"),
        EventRow("a", T0 + 5 * NS, "down", text="<script>alert(1)</script>"),
    ]
    for number, (streams, lead) in enumerate((("8", 0.3), ("16", 0.0), ("32", -0.3))):
        start = number * VISIT_S
        if number:
            events.append(turned(start, "concurrency", streams))
        for lane in LANES:
            if lane in lanes:
                tps = seconds_of(rng, 1, VISIT_S, 0.2, 1000 * (1 + lead * (lane == "a")))[0]
                ticks += [
                    second(lane, start + i, int(tps[i]), segment=number, ttft_p50_ms=100.0) for i in range(VISIT_S)
                ]
                rows += [
                    request(lane, 1000 * number + i, at_s=start + i / 2, segment=number, e2e_ms=1500,
                            ttft_ms=100 * (number + 1) * float(np.exp(0.1 * rng.normal())))
                    for i in range(2 * VISIT_S - 10)
                ]  # fmt: skip
    return Tables(session(3 * VISIT_S, lanes=lanes), requests_frame(rows), seconds_frame(ticks), events)


class Outline(HTMLParser):
    """Checks that every tag is closed, and gathers what a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(html: str) -> Outline:
    parsed = Outline()
    parsed.feed(html)
    assert parsed.open == []
    return parsed


def test_the_markdown_has_the_verdict_the_crossover_and_that_it_is_simulated() -> None:
    text = markdown(session_report(ran()))
    assert text.startswith("# vllm against sglang: made\n")
    assert "**SIMULATED" in text
    assert "A ahead up to 8 streams, level from 16, B from 32" in text or "A ahead up to 8 streams, B from 32" in text
    assert re.search(
        r"\| conc 8 streams \| 1,\d{3}\.\d \| \d{3}\.\d|\| conc 8 streams \| 1,\d{3}\.\d \| 1,\d{3}\.\d", text
    )
    assert "reset 1" in text
    assert "| TTFT p95 |" in text


def test_every_table_of_the_markdown_is_whole() -> None:
    lines = markdown(session_report(ran(), limits=Limits(ttft_ms=500, tpot_ms=200))).splitlines()
    tables = [i for i, line in enumerate(lines) if re.match(r"\| (:--|--:)", line)]
    assert len(tables) >= 6
    for ruler in tables:
        width = lines[ruler].count("|")
        for line in lines[ruler - 1 :]:
            if not line.startswith("|"):
                break
            assert len(re.findall(r"(?<!\\)\|", line)) == width


def test_the_page_needs_nothing_from_outside() -> None:
    html = page(session_report(ran(), {"a": LatencyHistogram(), "b": LatencyHistogram()}, Limits(ttft_ms=500)))
    parsed = outline(html)
    assert parsed.fetched == []
    assert "script" not in parsed.tags
    assert {"svg", "table", "figcaption"} <= parsed.tags
    assert "url(" not in html
    assert "@import" not in html
    assert re.findall(r"https?://[^\s\"<]*", html).count("http://www.w3.org/2000/svg") == len(
        re.findall("https?://", html)
    )
    assert 'name="viewport"' in html
    assert "@media print" in html
    assert len(html) < 200_000


def test_what_a_server_says_is_text_not_markup() -> None:
    html, text = page(session_report(ran())), markdown(session_report(ran()))
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>" not in text
    assert escaped("a|b\n*c* <d>") == r"a\|b \*c\* \<d\>"


def test_simulated_is_marked_at_every_chart_and_only_where_it_holds() -> None:
    tables = ran()
    html = page(session_report(tables))
    assert html.count("<figcaption>SIMULATED.") == html.count("<figcaption>") >= 3
    for lane, info in tables.session.lanes.items():
        tables.session.lanes[lane] = type(info)(url=info.url, engine=info.engine, title=info.title, model=info.model)
    assert "SIMULATED" not in page(session_report(tables))
    assert "SIMULATED" not in markdown(session_report(tables))


def test_one_lane_alone_has_a_report_without_a_verdict() -> None:
    text = markdown(session_report(ran("a")))
    assert "A ahead" not in text
    assert "## The lane" in text
    outline(page(session_report(ran("a"))))


def test_an_imported_result_shows_no_dial_that_it_does_not_have() -> None:
    tables = ran("a")
    tables.session.profile = {"load": {"concurrency": 12, "arrival": "closed"}, "imported": {}}
    text = markdown(session_report(replace(tables, events=())))
    assert "conc 12 streams |" in text
    assert "512" not in text
    tables.session.profile = {}
    assert "settings that are not known" in markdown(session_report(replace(tables, events=())))


def test_an_empty_session_has_a_report() -> None:
    tables = Tables(session(0.0), requests_frame([]), seconds_frame([]))
    assert "cut short" in markdown(session_report(tables))
    outline(page(session_report(tables)))


def test_a_cell_says_how_many_values_are_missing() -> None:
    text = markdown(session_report(ran()))
    row = next(line for line in text.splitlines() if line.startswith("| TTFT p99 |"))
    assert row.count("needs") == 2


def test_the_study_is_in_the_report_where_requests_came_one_at_a_time() -> None:
    text = markdown(session_report(study_ran()))
    for heading in ("Sequential requests", "Concurrent requests", "GPU memory", "Which engine suits which use"):
        assert f"## {heading}" in text
    assert "vllm (lane A) suits latency-bound use on these data" in text
    assert "Both suit throughput-bound use equally" in text
    assert "Sequential requests" not in markdown(session_report(ran()))


def test_how_busy_the_gpus_were_is_of_the_measured_time_of_each_setting() -> None:
    def readings(lane: Lane, source: str, name: str, value: Callable[[int], float]) -> list[tuple[object, ...]]:
        return [(lane, source, name, T0 + at * NS, value(at)) for at in range(3 * VISIT_S)]

    def busy(at: int) -> float:
        return 100.0 if at % VISIT_S < 2 else 50.0 + at // VISIT_S  # as long as a turned dial settles: not measured

    rows = [
        *readings("a", "gpu0", GPU_UTILIZATION, busy),
        *readings("a", "gpu1", GPU_UTILIZATION, busy),
        *(row for gpu in ("gpu0", "gpu1") for row in readings("a", gpu, GPU_POWER, lambda _: 300.0)),
        *readings("b", "server", "running", lambda _: 1.0),
    ]
    gauges = pl.DataFrame(rows, ["lane", "source", "name", "t_ns", "value"], orient="row")
    text = markdown(session_report(replace(ran(), gauges=gauges)))
    for number, streams in enumerate((8, 16, 32)):
        assert f"| conc {streams} streams | {50 + number}.0 | 600 | – | – |" in text
    assert "## GPUs" not in markdown(session_report(ran()))
    b_only = [msgspec.structs.replace(event, lane="b") if event.kind == "dial" else event for event in ran().events]
    text = markdown(session_report(replace(ran(), gauges=gauges, events=b_only)))
    assert "| A conc 8 streams / B conc 16 streams | 51.0 | 600 |" in text
    second_of_visit = (pl.col("t_ns") - T0) // NS
    down = ran().seconds.with_columns(up=~second_of_visit.is_between(60, 100))
    paused = pl.when(pl.col("value").eq(50) & second_of_visit.is_between(60, 100)).then(0.0)
    gauges = gauges.with_columns(value=paused.otherwise(pl.col("value")))
    assert "| conc 8 streams | 50.0 | 600 |" in markdown(session_report(replace(ran(), gauges=gauges, seconds=down)))


def test_lanes_whose_tokens_were_counted_in_different_ways_are_distinguished() -> None:
    at_the_end = pl.col("tokens_from").str.replace("usage", "usage at end")
    b_alone = pl.when(pl.col("lane") == "b").then(at_the_end).otherwise(pl.col("tokens_from"))
    text = markdown(session_report(replace(ran(), requests=ran().requests.with_columns(tokens_from=b_alone))))
    assert "Only lane A reported token counts with each chunk" in text
    for way in (at_the_end, pl.col("tokens_from")):
        same_way = replace(ran(), requests=ran().requests.with_columns(tokens_from=way))
        assert "alone most answers" not in markdown(session_report(same_way))


def test_where_requests_were_is_of_the_seconds_that_the_server_reported() -> None:
    def readings(lane: Lane, name: str, value: float, every_s: int) -> list[tuple[object, ...]]:
        return [(lane, "server", name, T0 + at * NS + NS // 3, value) for at in range(0, 3 * VISIT_S, every_s)]

    rows = [
        *(*readings("a", "running", 4.0, 1), *readings("a", "waiting", 1.5, 1)),
        *(*readings("b", "running", 8.5, 3), *readings("b", "waiting", 0.0, 3)),
    ]
    gauges = pl.DataFrame(rows, ["lane", "source", "name", "t_ns", "value"], orient="row")
    text = markdown(session_report(replace(ran(), gauges=gauges)))
    assert "| conc 8 streams | 8.0 | 4.0 | 1.5 | 2.5 | 8.0 | 8.5 | 0.0 | 0.0 |" in text
    serves_others = gauges.with_columns(
        value=pl.col("value") + pl.when(pl.col("lane") == "b").then(1.0).otherwise(0.0)
    )
    text = markdown(session_report(replace(ran(), gauges=serves_others)))
    assert "| conc 8 streams | 8.0 | 4.0 | 1.5 | 2.5 | 8.0 | 9.5 | 1.0 | – |" in text
    running_only = gauges.filter(pl.col("name") != "waiting")
    assert "## Where requests were" not in markdown(session_report(replace(ran(), gauges=running_only)))


@pytest.mark.parametrize(
    ("ratio", "high", "written"),
    [
        (1.2, 1.5, "+10.0 % to +50.0 %"),
        (1.2, 900.0, "+10.0 % to over +1,000 %"),
        (15.0, 20.0, "+10.0 % to +1,900.0 %"),
    ],
)
def test_the_end_of_an_interval_is_a_figure_where_it_means_something(ratio: float, high: float, written: str) -> None:
    assert interval(Verdict("output_tps", "undecided", ratio, 1.1, high)) == written
    assert percent(float("nan")) == "–"


def test_goodput_has_a_verdict() -> None:
    text = markdown(session_report(ran(), limits=Limits(ttft_ms=500)))
    assert re.search(r"Level within 3 %: [AB] \w+ gives 1.0\d× .* at the end: .* after 11\d s", text)
    assert "is ahead: no request of lane A met the limits" in markdown(
        session_report(slow_a(), limits=Limits(ttft_ms=150))
    )


def slow_a() -> Tables:
    """The same session with every request of lane A half a second later."""
    tables = ran()
    late = pl.when(pl.col("lane") == "a").then(pl.col("t_first_ns") + NS // 2).otherwise(pl.col("t_first_ns"))
    return replace(tables, requests=tables.requests.with_columns(t_first_ns=late))


def test_the_report_of_several_sessions_has_the_condition() -> None:
    sessions = [ran(), ran()]
    condition = fail_if("a.output_tps > b.output_tps * 0.1", [measured(tables) for tables in sessions])
    document = comparison_report([t.session for t in sessions], compare(sessions), condition)
    text = markdown(document)
    assert "The condition holds." in text
    assert "## conc 8" in text
    assert "| output tok/s |" in text
    assert "| TTFT p95 ms |" in text
    outline(page(document))
    alone = markdown(comparison_report([sessions[0].session], compare(sessions[:1])))
    assert "One session says nothing about another launch" in alone


def test_thinning_keeps_the_peaks_and_the_gaps() -> None:
    values: list[float | None] = [100.0] * 3600
    values[1234], values[2345] = 900.0, 1.0
    values[3000:3100] = [None] * 100
    kept = thinned(values)
    assert len(kept) <= 400
    assert (1234.0, 900.0) in kept
    assert (2345.0, 1.0) in kept
    assert any(value is None for _, value in kept)
    assert thinned(values[:20]) == [(float(i), value) for i, value in enumerate(values[:20])]


def test_a_gap_breaks_the_line() -> None:
    svg = time_chart({"a": [1.0, 2.0, None, 3.0, 4.0]}, "tok/s")
    assert svg.count("<polyline") == 2


@pytest.mark.parametrize("lines", [{}, {"a": []}, {"a": [None, None]}, {"a": [0.0]}, {"a": [5.0]}])
def test_a_chart_of_almost_nothing_is_drawn(lines: dict[str, list[float | None]]) -> None:
    assert "nan" not in time_chart(lines, "tok/s")


def test_marks_close_together_do_not_write_over_each_other() -> None:
    svg = time_chart({"a": [1.0] * 100}, "tok/s", [Mark(at, f"conc {at}") for at in (10, 11, 12, 60)])
    assert svg.count('<line class="mark"') == 4
    assert re.findall(r">(conc \d+)<", svg) == ["conc 10", "conc 60"]


def test_a_sweep_without_any_verdict_says_so_once() -> None:
    ticks = [second(lane, i, 1000, segment=i // 20) for i in range(60) for lane in LANES]
    events = [turned(20, "concurrency", "16"), turned(40, "concurrency", "32")]
    text = markdown(session_report(Tables(session(60), requests_frame([]), seconds_frame(ticks), events)))
    head = text.partition("## ")[0]
    assert "**Output tokens/s: undecided so far at all 3 settings, each needs " in head
    assert head.count("undecided") == 1


def test_goodput_in_turns_is_over_the_seconds_of_each_lane() -> None:
    tables = ran()

    def rests(t_ns: str) -> pl.Expr:
        return ((pl.col(t_ns) - tables.session.t0_ns) // (10 * NS) % 2 == 0) == (pl.col("lane") == "a")

    halves = replace(
        tables,
        seconds=tables.seconds.with_columns(resting=rests("t_ns")),
        requests=tables.requests.filter(~rests("t_end_ns")),
    )
    together, in_turns = (markdown(session_report(judged, limits=Limits(ttft_ms=500))) for judged in (tables, halves))
    rates = [
        [float(rate) for rate in re.findall(r"^\| [AB] \| ([\d.]+) \| \d+ of", text, re.MULTILINE)]
        for text in (together, in_turns)
    ]
    assert rates[1] == pytest.approx(rates[0], rel=0.1)


def test_a_lane_that_rests_is_a_gap_and_a_second_alone_a_dot() -> None:
    ticks = [second(lane, i, 1000, resting=(lane == "a") == (i >= 5)) for i in range(11) for lane in LANES]
    ticks[-2:] = [second("a", 10, 900), second("b", 10, 0, resting=True)]
    html = page(session_report(Tables(session(11), requests_frame([]), seconds_frame(ticks), [])))
    lines = {
        lane: [points.split() for points in re.findall(f'<polyline class="{lane}" points="([^"]*)"', html)]
        for lane in LANES
    }
    assert [len(set(line)) for line in lines["a"]] == [5, 1]
    assert len(lines["a"][1]) == 2  # the same place twice: a line of no length has round ends
    assert [len(set(line)) for line in lines["b"]] == [5]


@pytest.mark.parametrize(("greatest", "end"), [(21_300.0, "25,000"), (12_345.0, "15,000"), (0.9, "1"), (51.0, "60")])
def test_an_axis_ends_close_to_what_it_shows(greatest: float, end: str) -> None:
    assert f">{end}<" in time_chart({"a": [0.1, greatest]}, "tok/s")
