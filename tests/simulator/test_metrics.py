"""The metrics pages mean what the real engines' mean, and the GPU follows the load."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulator.serving import samples, serving, until_idle
from tui.simulator.engine import SimulatedGpu
from tui.simulator.scheduler import SGLANG, VLLM, Scheduler, Stream
from tui.simulator.sglang import SglangMetrics

BUCKETS: dict[str, dict[str, list[float]]] = json.loads(
    Path(__file__).with_name("captured").joinpath("buckets.json").read_text()
)
BODY: dict[str, Any] = {"prompt": list(range(64)), "max_tokens": 20, "ignore_eos": True}
DECODED = 'sglang:realtime_tokens_total{engine_type="unified",mode="decode",model_name="simulated-8b",moe_ep_rank="0"'
DECODED += ',pp_rank="0",tp_rank="0"}'


async def post(client: httpx.AsyncClient, body: dict[str, Any] = BODY) -> None:
    assert (await client.post("/v1/completions", json=body)).status_code == 200


async def test_vllm_counts_live_and_shows_its_pool() -> None:
    async with serving("vllm", speed=10) as client:
        long = BODY | {"max_tokens": 20_000, "stream": True}
        async with client.stream("POST", "/v1/completions", json=long) as answer:
            pieces = answer.aiter_bytes()
            await anext(pieces)
            before = (await samples(client))["vllm:generation_tokens_total"]
            came = 0
            while came <= before:  # every token counted then has arrived, and one more
                came += (await anext(pieces)).count(b"data: ")
            now = await samples(client)
            assert now["vllm:generation_tokens_total"] > before > 0
            assert now["vllm:num_requests_running"] == 1
            assert now["vllm:kv_cache_usage_perc"] > 0
            assert now["vllm:request_success_total"] == 0
        await until_idle(client, "vllm")
        after = await samples(client)
        aborted = 'vllm:request_success_total{engine="0",finished_reason="abort",model_name="simulated-8b"}'
        assert after[aborted] == 1
        assert "vllm:generation_tokens_created" in after
        page = (await client.get("/metrics")).text
        assert 'kv_cache_size_tokens="131072"' in page
        assert 'kv_cache_memory_bytes="8589934592"' in page


async def test_sglang_counts_a_request_when_it_ends_and_decoded_tokens_live() -> None:
    async with serving("sglang", speed=10) as client:
        long = BODY | {"max_tokens": 20_000, "stream": True}
        async with client.stream("POST", "/v1/completions", json=long) as answer:
            pieces = answer.aiter_bytes()
            await anext(pieces)
            for _ in range(200):
                now = await samples(client)
                if now[DECODED] > 1:
                    break
                await asyncio.sleep(0.01)
            assert now[DECODED] > 1
            assert "sglang:generation_tokens_total" not in now
            assert now["sglang:num_running_reqs"] == 1
            await anext(pieces)
        await until_idle(client, "sglang")
        decoded = (await samples(client))[DECODED]
        await post(client)
        after = await samples(client)
        assert after["sglang:generation_tokens_total"] == 20
        assert after[DECODED] - decoded == 19  # the first token comes out of the prefill
        assert after["sglang:num_aborted_requests_total"] == 1
        assert after["sglang:max_total_num_tokens"] == 131_072
        assert not [name for name in after if "_created" in name]


@pytest.mark.parametrize(("engine", "hit"), [("vllm", 48), ("sglang", 63)])
async def test_prefix_hits_are_counted_in_tokens_until_the_cache_is_reset(engine: str, hit: int) -> None:
    names = {
        "vllm": ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total"),
        "sglang": ("sglang:cached_tokens_total", "sglang:prompt_tokens_total"),
    }
    hits, queries = names[engine]
    async with serving(engine) as client:
        for _ in range(2):
            await post(client)
        counted = await samples(client)
        assert (counted[hits], counted[queries]) == (hit, 128)
        reset = "/reset_prefix_cache" if engine == "vllm" else "/flush_cache"
        assert (await client.post(reset)).status_code == 200
        await post(client)
        counted = await samples(client)
        assert (counted[hits], counted[queries]) == (hit, 192)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
async def test_histograms_have_the_buckets_of_a_real_server(engine: str) -> None:
    async with serving(engine) as client:
        await client.post("/v1/completions", json=BODY | {"stream": True})
        page = (await client.get("/metrics")).text
    for name, edges in BUCKETS[engine].items():
        shown = re.findall(rf'^{name}_bucket{{.*le="([0-9.e+-]+)"', page, re.MULTILINE)
        assert [float(edge) for edge in shown] == edges, name


def test_sglang_refreshes_its_gauges_every_40_decode_steps() -> None:
    scheduler = Scheduler(SGLANG)
    metrics = SglangMetrics(scheduler)
    scheduler.add(Stream([1] * 10, 500))
    shown = []
    for _ in range(82):
        metrics.stepped(scheduler.step())
        usage = [line for line in metrics.text().decode().splitlines() if line.startswith("sglang:num_used_tokens{")]
        shown.append(float(usage[0].rsplit(" ", 1)[1]))
    assert [step for step in range(1, 82) if shown[step] != shown[step - 1]] == [40, 80]


def test_a_gpu_uses_energy_when_idle_and_more_under_load() -> None:
    gpu = SimulatedGpu(VLLM, 0.0)
    for second in range(1, 11):
        gpu.advance(float(second), 0)
    assert gpu.energy_j == pytest.approx(10 * VLLM.idle_w)
    powers = []
    for batch, until in ((1, 20), (64, 30)):
        for second in range(until - 9, until + 1):
            gpu.advance(float(second), batch)
        powers.append(gpu.power_w)
    assert VLLM.idle_w * 2 < powers[0] < powers[1] < VLLM.busy_w
    assert gpu.busy == pytest.approx(1.0, abs=0.01)
    gpu.advance(40.0, 0)
    assert gpu.busy < 0.01


async def test_the_gpus_page_is_a_dcgm_exporters_and_says_simulated() -> None:
    async with serving("vllm") as client:
        idle = await samples(client, "/dcgm/metrics")
        assert idle["DCGM_FI_DEV_GPU_UTIL"] == 0
        await asyncio.gather(*(post(client, BODY | {"max_tokens": 800}) for _ in range(4)))
        loaded = await samples(client, "/dcgm/metrics")
        memory = [loaded[f"DCGM_FI_DEV_FB_{part}"] for part in ("USED", "FREE", "RESERVED")]
        assert sum(memory) == 40 * 1024
        assert memory[0] == idle["DCGM_FI_DEV_FB_USED"]
        assert loaded["DCGM_FI_DEV_GPU_UTIL"] > 10
        assert loaded["DCGM_FI_DEV_POWER_USAGE"] > idle["DCGM_FI_DEV_POWER_USAGE"]
        assert loaded["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"] > idle["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"]
        page = (await client.get("/dcgm/metrics")).text
        assert 'gpu="0"' in page
        assert 'modelName="SIMULATED A100-SXM4-40GB"' in page
