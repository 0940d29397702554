"""A real llama.cpp server."""

import asyncio

from tests.engines.sites import lane
from tui.engines.detect import detect_lane
from tui.engines.probe import probe_stream
from tui.model import gauges
from tui.model.rows import GaugeRow
from tui.telemetry.server import ServerScraper


async def test_it_is_detected_streams_and_counts_what_it_sent(llamacpp_url: str) -> None:
    server = await detect_lane(lane(llamacpp_url))
    assert server.info.engine == "llamacpp"
    assert server.info.prompt_form == "ids"
    assert len(server.token_pool) > 20

    async def gauge_now() -> dict[str, float]:
        rows: list[GaugeRow] = []
        seen = asyncio.Event()

        def emit(more: list[GaugeRow]) -> None:
            rows.extend(more)
            seen.set()

        task = asyncio.create_task(ServerScraper("a", server).run(emit, lambda line: None))
        async with asyncio.timeout(10):
            await seen.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return {row.name: row.value for row in rows}

    before = await gauge_now()
    streamed = await probe_stream(server)
    assert streamed.output_tokens == 4
    after = await gauge_now()
    assert after[gauges.GENERATION_TOKENS_FINISHED] - before[gauges.GENERATION_TOKENS_FINISHED] == 4
