"""`dragstrip run --plan` to the plan's end: once on simulators, and in virtual time."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.session.scripted_lane import virtual_time
from tui.cli import run
from tui.cli.main import main
from tui.model.profile import Step
from tui.profile.reading import parse_profile, read_profile
from tui.recording.reader import open_session
from tui.session.live import LiveSession
from tui.stats.verdict import MIN_SETTLED_S

__all__ = ["virtual_time"]

PROFILE = """
[a]
simulate = "vllm"
[b]
simulate = "sglang"
[load]
concurrency = 2
prompt_tokens = 16
output_tokens = 4
[[plan]]
dials = { concurrency = 3 }
requests = 3
[[plan]]
dials = { concurrency = 4 }
for_s = 2
"""


def test_a_plan_runs_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.toml").write_text(PROFILE)
    assert main(["run", str(tmp_path / "p.toml"), "--plan", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert 3 <= summary["duration_s"] < 15
    assert all(lane["requests"] >= 3 for lane in summary["lanes"].values())


def test_the_demo_has_a_plan_of_a_minute_to_show() -> None:
    assert sum(step.for_s or 0 for step in read_profile("demo").plan) == 60


def test_a_repetition_needs_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "demo", "--repeat", "2", "--no-record"]) == 2
    assert "--plan" in capsys.readouterr().err
    assert main(["run", "demo", "--sweep", "concurrency=1..8", "--repeat", "2", "--no-record"]) == 2
    assert "listed settings" in capsys.readouterr().err
    assert main(["run", "sequential", "--plan", "--repeat", "0", "--no-record"]) == 2
    assert "between 1 and" in capsys.readouterr().err


@pytest.mark.usefixtures("virtual_time")
def test_a_warm_up_holds_each_step_once_and_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[int, bool, float | None]] = []
    start_plan = LiveSession.start_plan

    def noted(session: LiveSession, steps: Sequence[Step], *args: Any, **flags: Any) -> None:
        started.append((session.profile.repeat, session.recorder is not None, steps[-1].for_s))
        start_plan(session, steps, *args, **flags)

    monkeypatch.setattr(LiveSession, "start_plan", noted)
    monkeypatch.setattr(run, "WARM_STEP_S", 1.0)
    (tmp_path / "p.toml").write_text(PROFILE)
    out = tmp_path / "out"
    assert main(["run", str(tmp_path / "p.toml"), "--plan", "--repeat", "2", "--warm-up", "--out", str(out)]) == 0
    assert started == [(1, False, 1.0), (2, True, 2.0)]
    assert len(list(out.iterdir())) == 1
    assert "warming up" in capsys.readouterr().err


@pytest.mark.usefixtures("virtual_time")
def test_a_sweep_of_listed_settings_goes_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.toml").write_text(PROFILE)
    sweep = ["--sweep", "concurrency=1,3", "--repeat", "2", "--for", "1s"]
    assert main(["run", str(tmp_path / "p.toml"), *sweep, "--json", "--out", str(tmp_path / "out")]) == 0
    session = open_session(tmp_path / "out" / json.loads(capsys.readouterr().out)["session"])
    steps = session.scan("events").filter(pl.col("kind") == "plan").collect()["text"].to_list()
    assert [text.rpartition(" ")[2] for text in steps if text.startswith("step")] == ["1", "3", "3", "1"]


@pytest.mark.usefixtures("virtual_time")
def test_a_step_lasts_until_its_verdict_and_is_reported_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.toml").write_text(PROFILE)
    sweep = ["run", str(tmp_path / "p.toml"), "--sweep", "concurrency=3", "--until-decided", "--no-record"]
    assert main([*sweep, "--at-most", "5m", "--json"]) == 0
    out, err = capsys.readouterr()
    summary = json.loads(out)
    (step,) = summary["steps"]
    assert step["dials"]["b"]["concurrency"] == "3"
    assert step["verdict"]["word"] == "level"  # the scripted lanes are equal
    assert MIN_SETTLED_S <= step["settled_s"] < 300
    assert set(step["a"]) == set(summary["lanes"]["a"])
    assert step["a"]["itl_ms"]["n"] > 0
    assert summary["session_path"] is None
    lines = err.splitlines()
    assert lines[0] == "1 step: at most 5:00 and the time to settle"
    assert lines[1].startswith("step 1 of 1  conc 3  0 s of at most 300  at most 5:00 left  A ")


@pytest.mark.usefixtures("virtual_time")
def test_a_sweep_ends_with_its_ledger_and_says_before_that_its_steps_are_too_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.toml").write_text(PROFILE)
    assert main(["run", str(tmp_path / "p.toml"), "--sweep", "concurrency=1,3", "--for", "4s", "--no-record"]) == 0
    out, err = capsys.readouterr()
    assert "4 s are too short for a verdict" in err.splitlines()[1]
    assert "| conc 1 streams |" in out
    assert "| conc 3 streams |" in out
    assert "tok/s out" not in out  # a mean over settings
    assert "SIMULATED" in out
    steps = [line.partition("  ")[0] for line in err.splitlines() if line.startswith("step")]
    assert list(dict.fromkeys(steps)) == ["step 1 of 2", "step 2 of 2"]


def test_a_verdict_cannot_be_waited_for_without_a_second_server_or_for_a_given_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "demo", "--for", "9s", "--until-decided"]) == 2
    assert "--at-most limits how long" in capsys.readouterr().err
    assert main(["run", "--a", "http://127.0.0.1:1", "--until-decided"]) == 2
    assert "one alone has no verdict" in capsys.readouterr().err
    assert main(["run", "demo", "--at-most", "9s"]) == 2
    assert "--at-most needs --until-decided" in capsys.readouterr().err


@pytest.mark.usefixtures("virtual_time")
def test_the_moves_of_a_session_are_a_plan_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.toml").write_text(PROFILE)
    assert main(["run", str(tmp_path / "p.toml"), "--plan", "--repeat", "2", "--json"]) == 0
    session = json.loads(capsys.readouterr().out)["session"]
    assert main(["plan", session]) == 0
    again = parse_profile('[a]\nsimulate = "vllm"\n' + capsys.readouterr().out, "again.toml")
    assert [step.dials["concurrency"] for step in again.plan][-3:] == [3, 4, 3]
    assert all(step.for_s for step in again.plan)
    assert main(["plan", session, "--to", str(tmp_path / "again.toml")]) == 0
    profile = read_profile(str(tmp_path / "again.toml"))
    assert profile.plan == again.plan
    assert (profile.a.simulate, profile.a.url, profile.load.concurrency) == ("vllm", "", 2)
    assert main(["plan", session, "--to", str(tmp_path / "again")]) == 2
    assert "must end in .toml" in capsys.readouterr().err
