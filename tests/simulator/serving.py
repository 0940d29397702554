"""A simulator served in the test's event loop, and what a client sees of it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tui.simulator.server import serve


@asynccontextmanager
async def serving(engine: str, *, speed: float = 50.0) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a simulator on a free port."""
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(engine, "127.0.0.1", 0, speed=speed, on_ready=port.set_result))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await port}", timeout=20) as client:
        yield client
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def events(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> list[Any]:
    """A stream's events without the end mark."""
    answer = await client.post(path, json=body | {"stream": True})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    lines = [line for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


async def samples(client: httpx.AsyncClient, path: str = "/metrics") -> dict[str, float]:
    """A metrics page: each series' value, by its name alone and by its name with labels."""
    page = (await client.get(path)).text
    values: dict[str, float] = {}
    for line in page.splitlines():
        if line and line[0] != "#":
            series, value = line.rsplit(" ", 1)
            values[series] = float(value)
            name = series.split("{")[0]
            values[name] = values.get(name, 0.0) + float(value)
    return values


async def until_idle(client: httpx.AsyncClient, engine: str) -> None:
    """Wait until the server's gauge says that nothing runs."""
    running = "vllm:num_requests_running" if engine == "vllm" else "sglang:num_running_reqs"
    for _ in range(200):
        if (await samples(client))[running] == 0:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("streams still run")
