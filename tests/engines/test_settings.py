"""Settings read back from what real servers answered."""

from typing import Any

import httpx
import msgspec
import pytest

from tests.engines.sites import LLAMACPP, SGLANG, TOKENS, VLLM, Answers, Site, lane, listing
from tests.telemetry.pages import CAPTURED, page
from tui.engines.base import Settings
from tui.engines.detect import detect_lane
from tui.engines.settings import read_settings

VLLM_PAGE = page("vllm-0.32.0-idle.txt")


async def settings(answers: Answers) -> Settings:
    site = Site(answers)
    return await read_settings(await detect_lane(lane(), transport=site), transport=site)


def info(name: str) -> dict[str, Any]:
    return dict(msgspec.json.decode((CAPTURED / name).read_bytes()))


async def test_vllm_in_dev_mode_tells_everything() -> None:
    found = await settings(
        {**VLLM, "GET /metrics": VLLM_PAGE, "GET /server_info": info("vllm-0.32.0-server-info.json")}
    )
    assert found == {
        "engine": "vllm", "version": "0.32.0", "model": "tiny-llama", "weights": "tiny-llama",
        "quantisation": "none", "dtype": "bfloat16", "tensor_parallel": 1, "max_model_len": 16_384,
        "kv_tokens": 1_048_576, "max_running": 128, "prefix_cache": True, "speculative": "off",
        "cuda_graphs": False, "kv_dtype": "auto", "prefill_budget": 2048, "chunked_prefill": True,
        "mixed_prefill": True, "kv_block": 128, "sampling_defaults": "model", "overlap": False,
        "stream_interval": 1, "seed": 0,
    }  # fmt: skip


async def test_vllm_without_dev_mode_tells_its_cache_and_how_to_hear_more() -> None:
    found = await settings({**VLLM, "GET /metrics": VLLM_PAGE})
    assert (found["kv_tokens"], found.get("prefix_cache"), found.get("max_running")) == (1_048_576, True, None)
    assert "VLLM_SERVER_DEV_MODE=1" in found["note"]


async def test_vllm_that_does_not_answer_in_time_is_not_told_to_turn_development_on() -> None:
    def late(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/server_info":
            raise httpx.ReadTimeout("late", request=request)
        return answered.handle_request(request)

    answered = Site({**VLLM, "GET /metrics": VLLM_PAGE})
    site = httpx.MockTransport(late)
    found = await read_settings(await detect_lane(lane(), transport=site), transport=site)
    assert found["note"] == "vLLM did not answer at /server_info in time: try again"
    assert found["kv_tokens"] == 1_048_576


async def test_an_old_vllms_pool_is_blocks_times_their_size_over_all_replicas() -> None:
    raw = b"".join(
        b'vllm:cache_config_info{block_size="16",engine="%d",num_gpu_blocks="100"} 1\n' % i for i in (0, 1)
    )
    assert (await settings({**VLLM, "GET /metrics": raw}))["kv_tokens"] == 3200


async def test_sglang() -> None:
    assert await settings({**SGLANG, "GET /server_info": info("sglang-0.5.23-server-info.json")}) == {
        "engine": "sglang", "version": "0.5.23", "model": "tiny-llama", "weights": "tiny-llama",
        "quantisation": "none", "tensor_parallel": 1, "max_model_len": 16_384, "kv_tokens": 65_536,
        "max_running": 2048, "prefix_cache": True, "speculative": "off", "cuda_graphs": False, "kv_dtype": "auto",
        "prefill_budget": 4096, "chunked_prefill": True, "mixed_prefill": False, "kv_block": 1,
        "sampling_defaults": "model", "overlap": False, "stream_interval": 1, "seed": 90_714_672,
    }  # fmt: skip


async def test_sglang_with_chunking_off_and_graphs_on() -> None:
    other = info("sglang-0.5.23-server-info.json") | {"chunked_prefill_size": -1, "dp_size": 2}
    other["cuda_graph_config"] = {"decode": {"backend": "full", "max_bs": 256}}
    found = await settings({**SGLANG, "GET /server_info": other})
    assert (found["chunked_prefill"], found["prefill_budget"]) == (False, 16_384)
    assert (found["cuda_graphs"], found["cuda_graph_max"]) == (True, 256)
    assert (found["kv_tokens"], found["max_running"]) == (131_072, 4096)


async def test_an_older_sglang_tells_its_graphs_in_other_words() -> None:
    other = info("sglang-0.5.23-server-info.json") | {"disable_cuda_graph": False, "cuda_graph_max_bs": 160}
    del other["cuda_graph_config"]
    answers = {name: answer for name, answer in SGLANG.items() if "server_info" not in name}
    found = await settings({**answers, "GET /get_server_info": other})
    assert (found["cuda_graphs"], found["cuda_graph_max"]) == (True, 160)


async def test_llamacpp() -> None:
    found = await settings(LLAMACPP)
    assert (found["kv_tokens"], found["max_running"]) == (65_536, 8)
    assert (found["dtype"], found["quantisation"]) == ("float32", "none")


async def test_hostile_or_broken_answers_are_no_settings() -> None:
    for answer in (
        b"[]",
        b'{"vllm_config": "text"}',
        b'{"vllm_config": {"scheduler_config": 3}}',
        httpx.Response(500),
    ):
        found = await settings({**VLLM, "GET /metrics": b"vllm:cache_config_info{", "GET /server_info": answer})
        assert found.get("max_running") is None
        assert found.get("kv_tokens") is None


HOSTILE: tuple[object, ...] = (
    None, True, -1, 10**400, 1.5, "text", "9" * 400, [], [1, "x", None], {}, {"": 0},
    {"models": [{"name": 7, "details": 3}], "details": []},
)  # fmt: skip


@pytest.mark.parametrize("kind", ["vllm", "sglang", "trtllm", "lmdeploy", "llamacpp", "ollama", "tgi"])
async def test_whatever_stands_where_a_setting_should_is_no_crash(kind: str) -> None:
    shapes = {
        "vllm": ("GET /server_info", "vllm_config", ("model_config", "scheduler_config", "parallel_config")),
        "sglang": (
            "GET /server_info",
            "",
            ("internal_states", "max_total_num_tokens", "cuda_graph_config", "dp_size"),
        ),
        "llamacpp": ("GET /props", "", ("total_slots", "model_ftype", "model_path", "default_generation_settings")),
        "ollama": ("GET /api/ps", "", ("models",)),
        "tgi": ("GET /info", "", ("model_id", "model_dtype", "max_batch_size", "max_total_tokens")),
    }
    path, inner, keys = shapes.get(kind, ("GET /metrics", "", ()))
    base = {"GET /v1/models": listing("m"), "POST /tokenize": TOKENS}
    for odd in HOSTILE:
        told: dict[str, object] = dict.fromkeys(keys, odd)
        answers: Answers = {**base, path: {inner: told} if inner else told}
        site = Site(answers)
        found = await detect_lane(lane(engine=kind), transport=site)
        assert (await read_settings(found, transport=site))["model"] == "m"


async def test_an_engine_that_tells_nothing_says_so() -> None:
    found = await settings({"GET /v1/models": listing("m")})
    assert found["note"] == "OpenAI-compatible has no endpoint that reports its settings"
    assert found == {"engine": "openai", "version": "", "model": "m", "note": found["note"]}
