"""`dragstrip run` as a script uses it: one object, exit codes, a recording that survives whatever ends it."""

import argparse
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from tui.cli.main import main
from tui.cli.options import session_argument
from tui.model.rows import TABLES
from tui.profile.reading import read_profile

DRAGSTRIP = (sys.executable, "-m", "tui")
LANE_KEYS = {
    *("engine", "model", "simulated", "requests", "failed", "errors", "output_tokens", "output_tps", "total_tps"),
    *("ttft_ms", "tpot_ms", "itl_ms", "e2e_ms", "client"),
}


def sessions() -> list[Path]:
    return sorted((Path(os.environ["DRAGSTRIP_HOME"]) / "sessions").iterdir())


def test_the_demo_profile_runs_and_prints_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "demo", "--for", "4s", "--json", "--random-output-len", "16"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["schema"] == 1
    assert summary["duration_s"] == 4
    assert set(summary["lanes"]) == {"a", "b"}
    for lane in summary["lanes"].values():
        assert set(lane) >= LANE_KEYS
        assert lane["simulated"] is True
        assert lane["requests"] > 0
        assert lane["failed"] == 0
        assert lane["output_tps"] * 4 == pytest.approx(lane["output_tokens"])
        assert 200 < lane["ttft_ms"]["p50"] < 3000
        assert lane["client"]["stamp"] == "kernel"
        assert 0 <= lane["client"]["merged_share"] <= 1
    assert summary["verdict"]["word"] == "undecided"
    (session,) = sessions()
    assert session.name == summary["session"]
    assert summary["session_path"] == str(session)
    assert summary["steps"] == []
    assert "SIMULATED" in (session / "session.toml").read_text().upper()
    for table in TABLES:
        assert pl.scan_parquet(session / table / "*.parquet").collect().height, table
    seconds = pl.scan_parquet(session / "seconds/*.parquet").collect()
    for name, lane in summary["lanes"].items():
        assert seconds.filter(pl.col("lane") == name)["output_tokens"].sum() == lane["output_tokens"]


def test_what_is_in_flight_at_the_end_is_recorded_as_cancelled_and_a_rate_tells_ttft_from_due(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = ["--request-rate", "4", "--arrival", "constant", "--random-output-len", "2048"]
    assert main(["run", "demo", "--for", "3s", "--json", *long]) == 1  # no answer ends in this time
    summary = json.loads(capsys.readouterr().out)["lanes"]
    (session,) = sessions()
    rows = pl.scan_parquet(session / "requests/*.parquet").collect()
    seconds = pl.scan_parquet(session / "seconds/*.parquet").collect()
    chunks = pl.scan_parquet(session / "chunks/*.parquet").collect()
    for name, lane in summary.items():
        lane_rows = rows.filter(pl.col("lane") == name)
        started = seconds.filter(pl.col("lane") == name)["started"].sum()
        assert lane_rows.filter(pl.col("t_send_ns").is_not_null()).height >= started > 0
        assert lane["cancelled"] == (lane_rows["outcome"] == "cancelled").sum() > 0
        assert lane["ttft_sched_ms"]["n"] == lane["requests"]
        assert set(chunks.filter(pl.col("lane") == name)["request"]) <= set(lane_rows["request"])


def test_one_lane_on_a_real_llamacpp_server_is_recorded_and_exported(
    llamacpp_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    flags = ["--max-concurrency", "3", "--random-input-len", "48", "--random-output-len", "24"]
    assert main(["run", "--a", llamacpp_url, "--for", "3s", "--json", *flags]) == 0
    summary = json.loads(capsys.readouterr().out)
    lane = summary["lanes"]["a"]
    assert (lane["engine"], lane["simulated"], lane["failed"]) == ("llamacpp", False, 0)
    assert lane["requests"] > 5
    assert main(["sessions"]) == 0
    assert summary["session"] in capsys.readouterr().out
    assert main(["export", summary["session"], "--format", "csv", "--to", str(tmp_path / "out")]) == 0
    requests = pl.read_csv(tmp_path / "out" / "requests.csv")
    good = requests.filter(pl.col("outcome") == "ok")
    assert good["prompt_tokens"].unique().to_list() == [48]
    assert (good["output_tokens"] == good["output_tokens_asked"]).all()
    for form in ("json", "parquet"):
        assert main(["export", summary["session"], "--format", form, "--to", str(tmp_path / form)]) == 0
    assert json.loads(next((tmp_path / "json").glob("*.json")).read_text())


def start(*flags: str, seconds: int) -> subprocess.Popen[bytes]:
    """A run on a terminal, which has recorded so many seconds: each is drawn over the one before."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*DRAGSTRIP, "run", "demo", "--for", "60s", *flags], stderr=theirs)
    os.close(theirs)
    seen = b""
    while seen.count(b" tok/s") < seconds:
        seen += os.read(ours, 4096)
    return process


def test_kill_minus_nine_leaves_files_that_can_be_read_with_at_most_the_last_second_missing() -> None:
    process = start("--random-output-len", "24", seconds=3)
    killed_ns = time.monotonic_ns()
    process.kill()
    process.wait()
    (session,) = sessions()
    chunks = pl.scan_parquet(session / "chunks/*.parquet").collect()
    requests = pl.scan_parquet(session / "requests/*.parquet").collect()
    seconds = pl.scan_parquet(session / "seconds/*.parquet").collect()
    assert chunks.height > 20
    assert requests.height
    assert seconds.height >= 4
    for lane in ("a", "b"):
        last_ns = chunks.filter(pl.col("lane") == lane)["t_ns"].max()
        assert isinstance(last_ns, int)
        assert (killed_ns - last_ns) / 1e9 < 1.3  # the second, and the scheduling of a busy machine
    assert main(["export", session.name, "--to", str(session.parent / "out")]) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_is_recorded_in_full(number: signal.Signals, code: int) -> None:
    process = start("--random-output-len", "16", seconds=1)
    process.send_signal(number)
    assert process.wait(15) == code
    (session,) = sessions()
    assert f'ended = "signal {number.name}"' in (session / "session.toml").read_text()
    assert [path.name for path in (session / "requests").iterdir()] == ["requests.parquet"]  # compacted


def test_the_key_is_in_no_file_and_no_output(
    llamacpp_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    key = "sk-very-secret-0123456789"
    monkeypatch.setenv("MY_KEY", key)
    url = llamacpp_url.replace("://", f"://user:{key}@")
    flags = ["--random-input-len", "16", "--random-output-len", "4", "--api-key-env", "MY_KEY"]
    assert main(["run", "--a", url, "--for", "1s", *flags]) == 0
    out, err = capfd.readouterr()
    assert key not in out + err
    for path in Path(os.environ["DRAGSTRIP_HOME"]).rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes(), path


def test_a_session_elsewhere_is_named_by_its_folder(tmp_path: Path) -> None:
    profile = read_profile("demo")
    at_home, elsewhere = (argparse.Namespace(out=out) for out in (None, str(tmp_path / "my runs")))
    assert session_argument(at_home, profile, "2026_demo") == "2026_demo"
    assert session_argument(elsewhere, profile, "2026_demo") == f"'{tmp_path}/my runs/2026_demo'"


def test_nothing_is_written_when_that_is_asked(llamacpp_url: str) -> None:
    flags = ["--random-input-len", "16", "--random-output-len", "4"]
    assert main(["run", "--a", llamacpp_url, "--for", "1s", "--no-record", *flags]) == 0
    assert not (Path(os.environ["DRAGSTRIP_HOME"]) / "sessions").exists()
