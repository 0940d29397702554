"""`dragstrip compare` as a gate of CI, and `report`, on recorded sessions: limits, the margin, exit codes, slips."""

import os
from pathlib import Path

import pytest

from tests.judge.made import session
from tests.judge.test_sessions import ran
from tui.cli.main import main
from tui.model.rows import Batch, EventRow
from tui.recording.recorder import Recorder
from tui.recording.schema import rows_of_frame


def recorded(name: str, seed: int, b_ttft: float = 1.3, incomparable: str = "", **profile: object) -> str:
    """A session of 200 s on the disk, in which B's first token takes so many times as long as A's."""
    tables = ran(seed, b_ttft=b_ttft)
    info = session(200.0)
    info.name = name
    info.profile.update(profile)
    folder = Path(os.environ["DRAGSTRIP_HOME"]) / "sessions" / name
    recorder = Recorder(folder, info)
    requests, seconds = rows_of_frame("requests", tables.requests), rows_of_frame("seconds", tables.seconds)
    events = [EventRow("", info.t0_ns, "incomparable", text=incomparable)] if incomparable else []
    recorder(Batch(info.t0_ns, requests=requests, seconds=seconds, events=events))
    recorder.close("done", 200.0)
    return str(folder)


@pytest.mark.parametrize(
    ("condition", "code", "holds"),
    [
        ("b.ttft_p95 > a.ttft_p95 * 1.05", 1, "yes"),
        ("b.ttft_p95 > a.ttft_p95 * 1.5", 0, "no"),
        ("b.output_tps < a.output_tps", 0, "undecided"),
        ("b.goodput < a.goodput * 0.8", 1, "yes"),
        ("b.tpot_p50 > a.tpot_p50 * 2 or b.e2e_p95 > a.e2e_p95 * 1.05", 1, "yes"),
    ],
)
def test_a_gate_fails_only_when_the_condition_surely_holds(
    condition: str, code: int, holds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sessions = [recorded(f"s{seed}", seed, slo={"ttft_ms": 130.0}) for seed in range(3)]
    assert main(["compare", *sessions, "--fail-if", condition]) == code
    output = capsys.readouterr()
    assert output.err.strip() == f"{condition}: {holds}"
    assert "| goodput req/s |" in output.out
    assert "| TTFT p95 ms |" in output.out


def test_the_limits_may_be_given_and_the_margin_is_the_sessions(capsys: pytest.CaptureFixture[str]) -> None:
    one = recorded("s1", 1, delta=0.08, delta_from="calibrated 2026-11-23")
    assert main(["compare", one, "--goodput", "ttft:130", "--fail-if", "b.goodput < a.goodput"]) == 1
    out = capsys.readouterr().out
    assert "δ: ±8 %, calibrated 2026-11-23" in out
    assert main(["report", one, "--goodput", "llama3.1-8b"]) == 0
    out = capsys.readouterr().out
    assert "δ: ±8 %, calibrated 2026-11-23" in out
    assert "Requests within TTFT 2000 ms, TPOT 100 ms" in out
    assert "At conc 8 streams, prompt 512 tok: level within 8 %: " in out


def test_a_session_given_twice_is_not_two_draws(capsys: pytest.CaptureFixture[str]) -> None:
    one = recorded("s1", 1)
    assert main(["compare", one, recorded("s2", 2), "s1"]) == 2
    assert "s1 is given twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("b.ttft_p95 >", "cannot be read"),
        ("b.ttft_p95", "compares nothing"),
        ("b.speed > 1", "is not a figure"),
        ("b.goodput > 1", "no limits"),
        ("", "cannot be read"),  # a variable that nobody set is no gate that passes
    ],
)
def test_a_slip_in_the_condition_is_one_sentence(
    condition: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", recorded("s1", 1), "--fail-if", condition]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line


def test_a_condition_on_servers_that_may_not_be_compared_is_undecided(capsys: pytest.CaptureFixture[str]) -> None:
    one = recorded("s1", 1, incomparable="not comparable because KV tokens differ")
    condition = "b.ttft_p95 > a.ttft_p95 * 1.05"
    assert main(["compare", one, "--fail-if", condition]) == 0
    output = capsys.readouterr()
    assert output.err.strip() == f"{condition}: undecided (not comparable, because KV tokens differ)"
    assert "The condition is undecided: not comparable, because KV tokens differ." in output.out
    assert "ahead |" not in output.out
