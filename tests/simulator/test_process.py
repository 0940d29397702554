"""The simulator's process starts, says why when it does not, and never outlives its parent."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from tui.model.text import UserError
from tui.simulator.process import start_simulator

# A parent that starts a simulator, says its URL and process id, and then waits to be killed.
PARENT = """
import asyncio
from tui.simulator.process import start_simulator

async def main():
    started = await start_simulator("vllm", speed=50)
    print(started.url, started.process.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def gone(pid: int) -> bool:
    """Whether the process ends within ten seconds; a zombie that nobody has waited for has ended."""
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        await asyncio.sleep(0.02)
    return False


async def test_the_process_ends_when_it_is_stopped_and_again() -> None:
    started = await start_simulator("sglang", speed=50)
    assert started.dcgm_url == f"{started.url}/dcgm/metrics"
    await started.stop()
    assert started.process.returncode == 0
    await started.stop()


async def test_the_process_ends_when_its_stdin_does() -> None:
    started = await start_simulator("vllm", speed=50)
    assert started.process.stdin is not None
    started.process.stdin.close()
    assert await asyncio.wait_for(started.process.wait(), 10) == 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
async def test_a_killed_parent_leaves_no_orphan() -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT), stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert parent.stdout is not None
    url, pid = (await asyncio.wait_for(parent.stdout.readline(), 30)).split()
    async with httpx.AsyncClient(base_url=url.decode()) as client:
        assert (await client.get("/health")).status_code == 200
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    assert await gone(int(pid))


async def test_a_stream_under_way_does_not_hold_up_the_end() -> None:
    started = await start_simulator("vllm", speed=1)
    body = {"prompt": [1], "max_tokens": 30_000, "ignore_eos": True, "stream": True}
    async with (
        httpx.AsyncClient(base_url=started.url) as client,
        client.stream("POST", "/v1/completions", json=body) as answer,
    ):
        assert answer.status_code == 200
        await asyncio.wait_for(started.stop(), 10)
    assert started.process.returncode == 0


async def test_an_engine_it_does_not_know_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"ended with code 2 before it served.*invalid choice: 'tgi'"):
        await start_simulator("tgi")
