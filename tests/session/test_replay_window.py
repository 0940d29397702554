"""A window marked in a replay: its percentiles and verdicts are those of its rows, with the interval of one look."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from tests.recording import synthetic
from tui.model.metrics import ttft_ms
from tui.model.profile import Limits, Profile
from tui.model.rows import LANES, Batch, EventRow, SecondRow
from tui.recording.reader import Selection, open_session
from tui.recording.recorder import Recorder
from tui.recording.tape import Tape, token_gaps
from tui.session.timeline import profile_of
from tui.session.window import window_of
from tui.stats.distributions import percentiles
from tui.stats.verdict import throughput_verdict

NS = synthetic.SECOND_NS
SECONDS = 260
TURN_S, BOUND_S = 120, range(200, 220)


def uneven(batch: Batch) -> Batch:
    """B puts out a tenth less than A, unevenly; a dial is turned once, and the client is the limit for a while."""
    second = (batch.t_ns - synthetic.T0_NS) // NS - 1
    turn = [EventRow("", batch.t_ns - NS, "dial", "concurrency", "8", "16")] if second == TURN_S else []

    def row(of: SecondRow) -> SecondRow:
        tokens = of.output_tokens * (100 if of.lane == "a" else 90) + second % 7
        return msgspec.structs.replace(of, output_tokens=tokens, bound=second in BOUND_S)

    return replace(batch, events=turn, seconds=[row(of) for of in batch.seconds])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sessions") / "uneven"
    profile = {"a": {"url": "http://a"}, "b": {"url": "http://b"}, "slo": {"ttft_ms": 100.0}}
    recorder = Recorder(folder, synthetic.info("uneven", profile=profile))
    for batch in synthetic.batches(SECONDS, synthetic.Load(5, 6, failed_every=0)):
        recorder(uneven(batch))
    recorder.close("done", float(SECONDS))
    return folder


@pytest.fixture
def tape(folder: Path) -> Tape:
    return Tape(open_session(folder))


@pytest.fixture
def profile(tape: Tape) -> Profile:
    return profile_of(tape.info)


def test_percentiles_are_those_of_the_rows(tape: Tape, profile: Profile, folder: Path) -> None:
    figures = window_of(tape, profile, 10.7, 110.2)
    assert (figures.start_s, figures.end_s) == (10.0, 110.0)
    t0_ns, t1_ns = synthetic.T0_NS + 10 * NS, synthetic.T0_NS + 110 * NS
    batch = tape.between(t0_ns, t1_ns)
    for lane in LANES:
        rows = [row for row in batch.requests if row.lane == lane]
        assert (figures.requests[lane], figures.failed[lane]) == (len(rows), 0)
        ttft = [ttft_ms(row) for row in rows]
        ttft_figures = figures.latencies[lane]["ttft"]
        assert ttft_figures.n == len(ttft) == 500
        assert [ttft_figures.ms["p50"], ttft_figures.ms["p99"]] == pytest.approx(
            percentiles(np.array(ttft), (0.50, 0.99))
        )
        exact = token_gaps(open_session(folder), Selection(t0_ns=t0_ns, t1_ns=t1_ns, lane=lane))[lane]
        assert figures.latencies[lane]["itl"].ms["p50"] == pytest.approx(exact.percentile(0.5), rel=0.011)
    tps = [row.output_tokens for row in batch.seconds if row.lane == "b"]
    assert figures.output_tps["b"] == pytest.approx(sum(tps) / 100)


def test_the_verdict_is_that_of_one_look(tape: Tape, profile: Profile) -> None:
    figures = window_of(tape, profile, 0, TURN_S)
    rows = tape.second_rows(tape.t0_ns, tape.t0_ns + TURN_S * NS)
    a, b = ([float(row.output_tokens) for row in rows if row.lane == lane] for lane in ("a", "b"))
    once, watched = throughput_verdict(a, b, frozen=True), throughput_verdict(a, b)
    verdict = figures.verdicts["output_tps"]
    assert (verdict.word, verdict.low, verdict.high) == ("A ahead", once.low, once.high)
    assert watched.low is not None
    assert once.low is not None
    assert once.low > watched.low
    assert figures.verdicts["ttft_p50"].word in {"level", "undecided"}
    assert figures.verdicts["ttft_p50"].ratio is not None
    assert figures.verdicts["goodput"].ratio is not None
    assert figures.note == ""


def test_dials_that_moved_inside_forbid_a_verdict(tape: Tape, profile: Profile) -> None:
    figures = window_of(tape, profile, 60, 180)
    assert figures.note == "dials moved inside the window"
    assert {verdict.word for verdict in figures.verdicts.values()} == {"not comparable"}
    assert figures.latencies["a"]["ttft"].n == 600


def test_what_settles_and_what_the_client_limited_is_left_out_and_said(tape: Tape, profile: Profile) -> None:
    figures = window_of(tape, profile, 122, SECONDS)
    assert figures.note == "3 s settling, 20 s client-bound left out"
    assert figures.verdicts["output_tps"].word == "A ahead"
    assert window_of(tape, profile, 198, 222).note == "the client was the limit in most seconds"


@pytest.mark.parametrize(("start_s", "end_s"), [(5, 5), (5.2, 5.9), (999, 1200), (-9, -3)])
def test_a_window_without_a_second_says_so(tape: Tape, profile: Profile, start_s: float, end_s: float) -> None:
    assert window_of(tape, profile, start_s, end_s).note == "the window holds no whole second"


def test_its_ends_may_come_in_any_order_and_reach_beyond(tape: Tape, profile: Profile) -> None:
    assert repr(window_of(tape, profile, 9, 3)) == repr(window_of(tape, profile, 3, 9))
    assert window_of(tape, profile, -5, 10_000).end_s == SECONDS
    no_limits = msgspec.structs.replace(profile, slo=Limits())
    assert "goodput" not in window_of(tape, no_limits, 0, 100).verdicts


def test_a_lane_without_a_turn_inside_has_no_rate(tmp_path: Path) -> None:
    folder = tmp_path / "turns"
    recorder = Recorder(folder, synthetic.info("turns", profile={"mode": "alternate"}))
    for batch in synthetic.batches(20, synthetic.Load(5, 6, failed_every=0)):
        recorder(
            replace(batch, seconds=[msgspec.structs.replace(row, resting=row.lane == "a") for row in batch.seconds])
        )
    recorder.close("done", 20.0)
    tape = Tape(open_session(folder))
    figures = window_of(tape, profile_of(tape.info), 5, 15)
    assert set(figures.output_tps) == {"b"}
    assert figures.output_tps["b"] is not None
    assert figures.output_tps["b"] > 0
