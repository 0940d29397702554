"""Starting and stopping engines: progress, death, order, and no orphan in any case."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tui.launcher.launcher import EngineDiedError, EngineProcess, Launcher, commands, shell_commands
from tui.model.profile import Profile
from tui.model.text import UserError

FAKE = str(Path(__file__).with_name("fake_engine.py"))
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def profile(pids: Path, *, port: int | None = None, extra: list[str] | None = None, **lane: object) -> Profile:
    launch = {"model": "weights", "command": [sys.executable, FAKE, str(pids)], "extra": extra or []}
    server = {"url": f"http://127.0.0.1:{port or free_port()}", "engine": "vllm", "model": "m", "launch": launch}
    return msgspec.convert({"a": server | lane}, Profile)


def pids_in(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until_gone(pids: list[int]) -> None:
    async with asyncio.timeout(30):
        while any(lives(pid) for pid in pids):
            await asyncio.sleep(0.05)


async def test_an_engine_is_started_reported_and_ended_with_its_stubborn_worker(tmp_path: Path) -> None:
    stages: list[str] = []
    pids = tmp_path / "pids"
    async with Launcher(profile(pids), lambda lane, text: stages.append(f"{lane} {text}"), tmp_path) as launcher:
        servers = await launcher.start()
        assert servers["a"].info.engine == "vllm"
        assert servers["a"].info.model == "m"
        running = pids_in(pids)
        assert len(running) == 2
        assert all(lives(pid) for pid in running)
    assert not any(lives(pid) for pid in running)
    assert stages[0] == f"a starting, its log is {tmp_path / 'a-vllm.log'}"
    assert stages[-3:] == ["a ready", "a stopping", "a stopped"]
    assert "a loading weights 50 %" in stages


async def test_an_engine_is_asked_as_the_load_will_ask_it(tmp_path: Path) -> None:
    stages: list[str] = []
    picky = profile(tmp_path / "pids", extra=["--picky"])
    async with Launcher(picky, lambda lane, text: stages.append(text), tmp_path) as launcher:
        server = (await launcher.start())["a"]
    assert "ignore_eos" in server.changes.drop
    assert any("refuses the field ignore_eos" in stage for stage in stages)
    assert not any("nobody answers" in stage for stage in stages)


async def test_an_engine_that_dies_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(
        EngineDiedError, match=r"lane A's engine ended \(status 3\); its log is .*a-vllm.log"
    ) as caught:
        async with Launcher(profile(tmp_path / "pids", extra=["--die"]), lambda *_: None, tmp_path) as launcher:
            await launcher.start()
    assert caught.value.tail[-1] == "torch.OutOfMemoryError: CUDA out of memory"


async def test_engines_on_separate_gpus_start_together_and_one_that_dies_ends_both(tmp_path: Path) -> None:
    one, other = profile(tmp_path / "one"), profile(tmp_path / "two", extra=["--die"])
    lanes = {"a": msgspec.to_builtins(one.a), "b": msgspec.to_builtins(other.a)}
    for gpu, lane in enumerate(lanes.values()):
        lane["launch"]["gpus"] = [gpu]
    stages: list[str] = []
    with pytest.raises(EngineDiedError, match="lane B's engine ended"):
        async with Launcher(
            msgspec.convert(lanes, Profile), lambda lane, text: stages.append(f"{lane} {text}"), tmp_path
        ) as launcher:
            await launcher.start()
    before_a_was_ready = stages[: stages.index("a ready")] if "a ready" in stages else stages
    assert any(line.startswith("b starting") for line in before_a_was_ready)
    if (tmp_path / "one").exists():
        assert not any(lives(pid) for pid in pids_in(tmp_path / "one"))


async def test_an_engine_that_dies_later_ends_the_wait(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(EngineDiedError, match="lane A's engine ended"):
        async with Launcher(profile(pids), lambda *_: None, tmp_path) as launcher:
            await launcher.start()
            os.kill(pids_in(pids)[1], signal.SIGKILL)
            async with asyncio.timeout(30):
                await launcher.ended()
    assert not any(lives(pid) for pid in pids_in(pids))


async def test_a_command_that_does_not_exist_says_so(tmp_path: Path) -> None:
    launch = {"model": "w", "command": ["no-such-engine"]}
    with pytest.raises(EngineDiedError, match="status 127") as caught:
        async with Launcher(profile(tmp_path / "pids", launch=launch), lambda *_: None, tmp_path) as launcher:
            await launcher.start()
    assert caught.value.tail == ["no-such-engine: No such file or directory"]


async def test_nothing_outlives_a_program_that_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = f"""
import asyncio
from pathlib import Path
from tui.launcher.launcher import EngineProcess
async def main():
    await EngineProcess.start({[sys.executable, FAKE, str(pids), "--port", str(free_port())]!r}, {{}}, Path({str(tmp_path / "log")!r}))
    print("started", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""  # noqa: E501
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"started\n"
        async with asyncio.timeout(30):
            while not pids.exists() or len(pids_in(pids)) < 2:
                await asyncio.sleep(0.05)
        program.kill()
    await until_gone(pids_in(pids))


async def test_the_engine_gets_its_environment_and_no_terminal(tmp_path: Path) -> None:
    code = "import os, sys; print(os.environ['X'], sys.stdin.read() == '', os.getsid(0) == os.getpid())"
    process = await EngineProcess.start([sys.executable, "-c", code], {"X": "y"}, tmp_path / "log")
    assert await process.ended() == 0
    assert process.tail() == ["y True True"]


async def test_a_taken_port_and_another_host_are_refused(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    async with server:
        taken = profile(tmp_path / "pids", port=server.sockets[0].getsockname()[1])
        with pytest.raises(UserError, match=r"something answers already at http://127\.0\.0\.1"):
            await Launcher(taken, lambda *_: None, tmp_path).start()
    away = profile(tmp_path / "pids", url="http://203.0.113.7:8000")
    with pytest.raises(UserError, match="on another host: print its command with --print"):
        await Launcher(away, lambda *_: None, tmp_path).start()


def test_the_commands_are_printed_ready_to_paste(tmp_path: Path) -> None:
    text = shell_commands(profile(tmp_path / "pids", port=8001))
    assert text.startswith("# lane A: vllm at http://127.0.0.1:8001\nVLLM_SERVER_DEV_MODE=1 ")
    assert "--served-model-name m" in text


def test_a_profile_without_launch_tables_or_half_a_lane_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"add a table \[a.launch\]"):
        commands(profile(tmp_path / "pids", launch=None))
    with pytest.raises(UserError, match="lane A needs engine"):
        commands(profile(tmp_path / "pids", engine=""))
    with pytest.raises(UserError, match="lane A needs a url"):
        commands(profile(tmp_path / "pids", url=""))
