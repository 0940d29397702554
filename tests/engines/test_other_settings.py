"""Settings of the engines that do not run here, from answers in the words of their own sources and documents."""

from tests.engines.sites import Answers, Site, lane, listing
from tui.engines.base import Settings
from tui.engines.detect import detect_lane
from tui.engines.registry import ENGINES
from tui.engines.settings import read_settings
from tui.model import gauges
from tui.telemetry.server import gauges_from

MODEL = "meta-llama/Llama-3.1-8B-Instruct"


async def settings(kind: str, answers: Answers) -> Settings:
    site = Site({"GET /v1/models": listing(MODEL), **answers})
    found = await detect_lane(lane(engine=kind), transport=site)
    return await read_settings(found, transport=site)


TRTLLM_LABELS = 'model_name="llama",engine_type="pytorch"'
TRTLLM = f"""\
# HELP trtllm_model_config_info Model configuration info
# TYPE trtllm_model_config_info gauge
trtllm_model_config_info{{{TRTLLM_LABELS},model="/models/Llama-3.1-8B-Instruct",served_model_name="llama",\
dtype="bfloat16",quantization="none",max_model_len="8192",gpu_type="NVIDIA H100 80GB HBM3"}} 1.0
trtllm_parallel_config_info{{{TRTLLM_LABELS},tensor_parallel_size="2",pipeline_parallel_size="1",gpu_count="2"}} 1.0
trtllm_kv_cache_config_info{{{TRTLLM_LABELS},page_size="32",enable_block_reuse="True",enable_partial_reuse="True",\
free_gpu_memory_fraction="0.9",cache_dtype="auto"}} 1.0
trtllm_kv_cache_max_blocks{{{TRTLLM_LABELS}}} 8192.0
trtllm_kv_cache_tokens_per_block{{{TRTLLM_LABELS}}} 32.0
trtllm_max_batch_size_runtime{{{TRTLLM_LABELS}}} 2048.0
trtllm_max_num_tokens_runtime{{{TRTLLM_LABELS}}} 8192.0
"""


async def test_trtllms_configuration_gauges() -> None:
    found = await settings("trtllm", {"GET /prometheus/metrics": TRTLLM.encode(), "GET /version": {"version": "1.3"}})
    assert found == {
        "engine": "trtllm", "version": "1.3", "model": MODEL, "weights": "Llama-3.1-8B-Instruct",
        "quantisation": "none", "dtype": "bfloat16", "tensor_parallel": 2, "max_model_len": 8192,
        "kv_tokens": 262_144, "max_running": 2048, "prefix_cache": True, "speculative": "off", "kv_dtype": "auto",
        "prefill_budget": 8192, "kv_block": 32,
    }  # fmt: skip


async def test_trtllm_that_guesses_ahead_and_one_without_gauges() -> None:
    page = (
        TRTLLM + 'trtllm_speculative_config_info{spec_enabled="true",spec_method="Eagle",spec_num_tokens="5"} 1.0\n'
    )
    assert (await settings("trtllm", {"GET /prometheus/metrics": page.encode()})).get("speculative") == "Eagle"
    bare = await settings("trtllm", {"GET /prometheus/metrics": b"request_success_total 3\n"})
    assert "return_perf_metrics: true" in bare["note"]


async def test_lmdeploys_configuration_where_the_gauge_has_labels() -> None:
    page = (
        b'lmdeploy:backend_config_info{dtype="auto",tp="2",session_len="16384",max_batch_size="128",'
        b'cache_max_entry_count="0.8",cache_block_seq_len="64",enable_prefix_caching="False",quant_policy="8",'
        b'max_prefill_token_num="8192",model_format="awq"} 1.0\n'
    )
    assert await settings("lmdeploy", {"GET /metrics": page}) == {
        "engine": "lmdeploy", "version": "", "model": MODEL, "quantisation": "awq", "tensor_parallel": 2,
        "max_model_len": 16_384, "max_running": 128, "prefix_cache": False, "kv_dtype": "int8",
        "prefill_budget": 8192, "kv_block": 64,
    }  # fmt: skip
    silent = await settings("lmdeploy", {"GET /metrics": b"lmdeploy:backend_config_info 1.0\n"})
    assert silent["note"] == "LMDeploy does not report its settings: compare the commands that started both"


OLLAMA_ROW = {
    "name": "llama3.1:8b", "model": "llama3.1:8b", "size": 6654289920, "digest": "46e0c10c039e",
    "details": {"format": "gguf", "family": "llama", "parameter_size": "8.0B", "quantization_level": "Q4_K_M"},
}  # fmt: skip


async def test_ollamas_loaded_model_and_one_that_is_not_loaded_yet() -> None:
    models = {"GET /v1/models": listing("llama3.1:8b", owner="library")}
    loaded = {"models": [OLLAMA_ROW | {"size_vram": 6654289920, "context_length": 4096}]}
    found = await settings("ollama", {**models, "GET /api/ps": loaded, "GET /api/version": {"version": "0.33.0"}})
    assert (found.get("weights"), found["quantisation"], found.get("dtype")) == ("llama3.1:8b", "Q4_K_M", None)
    assert (found["max_model_len"], found["version"]) == (4096, "0.33.0")
    assert "OLLAMA_NUM_PARALLEL" in found["note"]
    cold = await settings(
        "ollama", {**models, "GET /api/ps": {"models": []}, "GET /api/tags": {"models": [OLLAMA_ROW]}}
    )
    assert (cold.get("quantisation"), cold.get("max_model_len")) == ("Q4_K_M", None)
    assert cold["note"].endswith("has not loaded the model yet")


async def test_tgis_info_of_new_and_old() -> None:
    new = {
        "model_id": MODEL, "model_sha": "0e9e39f", "max_concurrent_requests": 128,
        "max_best_of": 2, "max_input_tokens": 4095, "max_total_tokens": 4096, "max_client_batch_size": 4,
        "router": "text-generation-router", "version": "3.3.7",
    }  # fmt: skip
    found = await settings("tgi", {"GET /info": new})
    assert (found["weights"], found["max_model_len"]) == ("Llama-3.1-8B-Instruct", 4096)
    assert "max_running" not in found
    old = {
        "model_id": "bigscience/bloom", "model_dtype": "torch.float16", "max_total_tokens": 2048,
        "max_batch_total_tokens": 32_000, "max_batch_size": 16, "version": "2.0.4",
    }  # fmt: skip
    found = await settings("tgi", {"GET /info": old})
    assert (found["dtype"], found["kv_tokens"], found["max_running"]) == ("float16", 32_000, 16)


def test_trtllms_pool_is_its_blocks_times_their_size() -> None:
    assert gauges_from(ENGINES["trtllm"], TRTLLM.encode())[gauges.KV_POOL_TOKENS] == 262_144
    halved = TRTLLM.replace("trtllm_kv_cache_tokens_per_block{", "something_else{").encode()
    assert gauges.KV_POOL_TOKENS not in gauges_from(ENGINES["trtllm"], halved)
