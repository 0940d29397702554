"""Emptying a prefix cache."""

import httpx
import pytest

from tests.engines.sites import LLAMACPP, SGLANG, VLLM, Answers, Site, lane, listing
from tui.doctor.examine import reset_cache
from tui.engines.detect import detect_lane

OLLAMA: Answers = {"GET /v1/models": listing("llama3:8b", owner="library"), "GET /": b"Ollama is running"}


@pytest.mark.parametrize(
    ("answers", "line"),
    [
        ({**VLLM, "POST /reset_prefix_cache": {"success": True}}, ""),
        ({**VLLM, "POST /reset_prefix_cache": {"success": False}},
         'vLLM did not empty its prefix cache (HTTP 200: {"success":false})'),
        (VLLM, "vLLM empties its prefix cache only when started with VLLM_SERVER_DEV_MODE=1 in its environment"),
        ({**SGLANG, "POST /flush_cache": b"Cache flushed."}, ""),
        ({**SGLANG, "POST /flush_cache": httpx.Response(400, text="requests are \x1b[1mrunning")},
         "SGLang did not empty its prefix cache (HTTP 400: requests are running)"),
        (LLAMACPP, "llama.cpp empties its prefix cache only when started with --slot-save-path DIR"),
        (OLLAMA, "Ollama has no endpoint that empties its prefix cache; restart it"),
    ],
)  # fmt: skip
async def test_it_is_done_or_said_why_not(answers: Answers, line: str) -> None:
    site = Site(answers)
    server = await detect_lane(lane(), transport=site)
    assert await reset_cache(server, transport=site) == line


async def test_every_slot_of_llamacpp_is_erased() -> None:
    props = {"total_slots": 3, "default_generation_settings": {"n_ctx": 8}}
    erased = {f"POST /slots/{slot}": {"id_slot": slot, "n_erased": 24} for slot in range(3)}
    site = Site({**LLAMACPP, "GET /props": props, **erased})
    server = await detect_lane(lane(), transport=site)
    assert await reset_cache(server, transport=site) == ""
    asked = [str(request.url) for request in site.asked if request.url.path.startswith("/slots")]
    assert asked == [f"http://engine.test/slots/{slot}?action=erase" for slot in range(3)]
