"""A real driver against a source that keeps its own log: its accuracy, and that what it reports was sent."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import ArrayLike

from tui.judge.itl import ChunkGaps
from tui.load import accuracy
from tui.load.accuracy import MAX_STAMP_ERROR_US, Accuracy, measure
from tui.load.requests import RequestBuilder
from tui.model.dials import Dials
from tui.model.metrics import e2e_ms, tpot_ms, ttft_ms
from tui.model.rows import Frame, RequestRow
from tui.session.state import LatencyHistogram


async def test_it_reports_what_the_client_adds_and_what_can_be_trusted() -> None:
    accuracy = await measure(step_s=1.0)
    assert 0 < accuracy.ttft_added_p50_us <= accuracy.ttft_added_p99_us
    assert 0 <= accuracy.itl_error_p50_us <= accuracy.itl_error_p99_us
    assert 0 < accuracy.stamp_error_p50_us <= accuracy.stamp_error_p99_us  # nothing arrives before it was sent
    assert accuracy.bulk_tokens_s > accuracy.paced_tokens_s > 0
    assert accuracy.cpu_us_a_token > 0
    assert 0 <= accuracy.merged_share <= 1


def test_a_machine_on_which_even_a_small_load_is_measured_badly_is_not_trusted() -> None:
    quiet = Accuracy(50.0, 200.0, 3.0, 9.0, 8000.0, 5.0, 30.0, 20.0, 1e6, kernel_stamps=True, bound=False)
    assert quiet.trusted_tokens_s == 25_000
    assert "trusted up to at least 25,000 output tokens/s" in quiet.conclusion()
    for busy in (replace(quiet, bound=True), replace(quiet, stamp_error_p99_us=2 * MAX_STAMP_ERROR_US)):
        assert busy.trusted_tokens_s == 0
        assert "too busy" in busy.conclusion()
        assert busy.lines()[-1] == busy.conclusion()


TTFT_US, STEP_US = 20_000, 5_000


DIALS = Dials(concurrency=8, prompt_tokens=16, output_tokens=20)


SHARES = (0.5, 0.9)  # a host that takes the source's core away between its look at the clock and its send: beyond


def near(ours: LatencyHistogram, sent_ms: ArrayLike, shares: Sequence[float] = SHARES) -> bool:
    """Within 1 % or 0.1 ms of the same percentile of what was sent."""
    reported = [ours.percentile(share) for share in shares]
    truth = np.percentile(np.asarray(sent_ms), [100 * share for share in shares], method="inverted_cdf")
    return reported == [pytest.approx(true, rel=0.01, abs=0.1) for true in truth]


def counted(values_ms: list[float | None]) -> LatencyHistogram:
    histogram = LatencyHistogram()
    histogram.add([value for value in values_ms if value is not None])
    return histogram


def itl(frames: list[Frame]) -> LatencyHistogram:
    """As the screen counts it, frame by frame."""
    stream, histogram = ChunkGaps(), LatencyHistogram()
    for frame in frames:
        gaps = stream.feed(frame.chunks)
        histogram.add(gaps.itl_ms, gaps.tokens)
    return histogram


async def test_reported_percentiles_are_those_of_the_servers_log() -> None:
    async with accuracy._source() as source:
        plan = accuracy._plan(f"{source.url}/p/{TTFT_US}/{STEP_US}")
        run = await accuracy._drive(plan, DIALS, 1.0)
        log = {answer.seed: answer.sent_ns for answer in await source.log()}
    builder = RequestBuilder(plan)
    rows: list[RequestRow] = [row for row in run.rows if row.outcome == "ok"]
    sent = [np.array(log[builder.spec(row.request, DIALS).seed]) for row in rows]
    merged = sum(frame.merged_reads for frame in run.frames)
    if merged > 0.005 * len(rows) * DIALS.output_tokens or any(frame.bound for frame in run.frames):
        pytest.skip("this host kept the driver from its core, and the driver says so: no claim is made then")
    assert len(rows) >= DIALS.concurrency
    assert [row.output_tokens for row in rows] == [len(times) for times in sent]
    begun = [row.t_send_ns or 0 for row in rows]
    pairs = list(zip(sent, begun, strict=True))
    assert near(counted([ttft_ms(row) for row in rows]), [(times[0] - t) / 1e6 for times, t in pairs])
    assert near(counted([e2e_ms(row) for row in rows]), [(times[-1] - t) / 1e6 for times, t in pairs])
    means = [(times[-1] - times[0]) / 1e6 / (len(times) - 1) for times in sent]
    assert near(counted([tpot_ms(row) for row in rows]), means)
    assert near(itl(run.frames), np.concatenate([np.diff(times) / 1e6 for times in sent]), [0.5])
