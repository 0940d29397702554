"""Real vLLM and SGLang servers, named by DRAGSTRIP_VLLM_URL and DRAGSTRIP_SGLANG_URL."""

import asyncio
import os

import pytest

from tests.engines.sites import lane
from tui.engines.detect import detect_lane
from tui.engines.probe import probe_stream
from tui.engines.readings import gauges_from
from tui.engines.registry import get_engine
from tui.model import gauges
from tui.model.profile import Endpoint
from tui.telemetry.server import reading

pytestmark = pytest.mark.engines


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
async def test_the_live_counter_ends_where_the_exact_one_does(kind: str) -> None:
    server = await detect_lane(lane(os.environ[f"DRAGSTRIP_{kind.upper()}_URL"]))
    assert server.info.engine == kind
    assert server.info.version
    assert server.info.max_model_len
    assert len(server.token_pool) > 100
    assert (await probe_stream(server)).prompt_tokens == 8
    with reading(server.metrics_url, server.headers) as read:
        for _ in range(20):  # the counters of a request that has just ended arrive a moment after it
            counted = gauges_from(get_engine(kind), await read())
            if counted[gauges.GENERATION_TOKENS] == counted[gauges.GENERATION_TOKENS_FINISHED] > 0:
                return
            await asyncio.sleep(0.25)
    pytest.fail(f"live {counted[gauges.GENERATION_TOKENS]}, exact {counted[gauges.GENERATION_TOKENS_FINISHED]}")


async def test_generate_gives_the_answer_of_completions() -> None:
    asked: tuple[Endpoint, ...] = ("completions", "generate")
    servers = [await detect_lane(lane(os.environ["DRAGSTRIP_SGLANG_URL"], endpoint=endpoint)) for endpoint in asked]
    streamed = [await probe_stream(each) for each in servers]
    answers = [(one.text, one.prompt_tokens, one.output_tokens, one.finish_reason) for one in streamed]
    assert answers[0] == answers[1]
