"""Settings read back from what servers answered, and the flag that gives a running server another.

TensorRT-LLM, LMDeploy, Ollama and TGI do not run here: their answers are written after their sources and documents.
"""

from typing import Any

import httpx
import msgspec
import pytest

from tests.engines.sites import LLAMACPP, SGLANG, TOKENS, VLLM, Answers, Site, lane, listing
from tests.telemetry.pages import CAPTURED, page
from tui.engines.base import Settings
from tui.engines.detect import detect_lane
from tui.engines.readings import gauges_from
from tui.engines.registry import ENGINES
from tui.engines.settings import flag_for, read_settings
from tui.model import gauges

VLLM_PAGE = page("vllm-0.32.0-idle.txt")


async def settings(answers: Answers) -> Settings:
    site = Site(answers)
    return await read_settings(await detect_lane(lane(), transport=site), transport=site)


def info(name: str) -> dict[str, Any]:
    return dict(msgspec.json.decode((CAPTURED / name).read_bytes()))


async def test_vllm_in_dev_mode_reports_everything() -> None:
    known = await settings(
        {**VLLM, "GET /metrics": VLLM_PAGE, "GET /server_info": info("vllm-0.32.0-server-info.json")}
    )
    assert known == {
        "engine": "vllm", "version": "0.32.0", "model": "tiny-llama", "weights": "tiny-llama",
        "quantisation": "none", "dtype": "bfloat16", "tensor_parallel": 1, "max_model_len": 16_384,
        "kv_tokens": 1_048_576, "max_running": 128, "prefix_cache": True, "speculative": "off",
        "cuda_graphs": False, "kv_dtype": "auto", "prefill_budget": 2048, "chunked_prefill": True,
        "mixed_prefill": True, "kv_block": 128, "sampling_defaults": "model", "overlap": False,
        "stream_interval": 1, "seed": 0,
    }  # fmt: skip


async def test_vllm_without_dev_mode_reports_its_cache_and_how_to_get_more() -> None:
    known = await settings({**VLLM, "GET /metrics": VLLM_PAGE})
    assert (known["kv_tokens"], known.get("prefix_cache"), known.get("max_running")) == (1_048_576, True, None)
    assert "VLLM_SERVER_DEV_MODE=1" in known["note"]


async def test_vllm_that_does_not_answer_in_time_gets_no_advice_to_turn_development_on() -> None:
    def late(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/server_info":
            raise httpx.ReadTimeout("late", request=request)
        return answered.handle_request(request)

    answered = Site({**VLLM, "GET /metrics": VLLM_PAGE})
    site = httpx.MockTransport(late)
    known = await read_settings(await detect_lane(lane(), transport=site), transport=site)
    assert known["note"] == "vLLM did not answer at /server_info in time: try again"
    assert known["kv_tokens"] == 1_048_576


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
    known = await settings({**SGLANG, "GET /server_info": other})
    assert (known["chunked_prefill"], known["prefill_budget"]) == (False, 16_384)
    assert (known["cuda_graphs"], known["cuda_graph_max"]) == (True, 256)
    assert (known["kv_tokens"], known["max_running"]) == (131_072, 4096)


async def test_an_older_sglang_reports_its_graphs_under_other_keys() -> None:
    other = info("sglang-0.5.23-server-info.json") | {"disable_cuda_graph": False, "cuda_graph_max_bs": 160}
    del other["cuda_graph_config"]
    answers = {name: answer for name, answer in SGLANG.items() if "server_info" not in name}
    known = await settings({**answers, "GET /get_server_info": other})
    assert (known["cuda_graphs"], known["cuda_graph_max"]) == (True, 160)


async def test_llamacpp() -> None:
    known = await settings(LLAMACPP)
    assert (known["kv_tokens"], known["max_running"]) == (65_536, 8)
    assert (known["dtype"], known["quantisation"]) == ("float32", "none")


async def test_hostile_or_broken_answers_are_no_settings() -> None:
    for answer in (
        b"[]",
        b'{"vllm_config": "text"}',
        b'{"vllm_config": {"scheduler_config": 3}}',
        httpx.Response(500),
    ):
        known = await settings({**VLLM, "GET /metrics": b"vllm:cache_config_info{", "GET /server_info": answer})
        assert known.get("max_running") is None
        assert known.get("kv_tokens") is None


HOSTILE: tuple[object, ...] = (
    None, True, -1, 10**400, 1.5, "text", "9" * 400, [], [1, "x", None], {}, {"": 0},
    {"models": [{"name": 7, "details": 3}], "details": []},
)  # fmt: skip


@pytest.mark.parametrize("kind", ["vllm", "sglang", "trtllm", "lmdeploy", "llamacpp", "ollama", "tgi"])
async def test_no_value_of_a_setting_is_a_crash(kind: str) -> None:
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
        reported: dict[str, object] = dict.fromkeys(keys, odd)
        answers: Answers = {**base, path: {inner: reported} if inner else reported}
        site = Site(answers)
        server = await detect_lane(lane(engine=kind), transport=site)
        assert (await read_settings(server, transport=site))["model"] == "m"


async def test_an_engine_without_settings_says_so() -> None:
    known = await settings({"GET /v1/models": listing("m")})
    assert known["note"] == "OpenAI-compatible has no endpoint that reports its settings"
    assert known == {"engine": "openai", "version": "", "model": "m", "note": known["note"]}


MODEL = "meta-llama/Llama-3.1-8B-Instruct"


async def settings_of(kind: str, answers: Answers) -> Settings:
    site = Site({"GET /v1/models": listing(MODEL), **answers})
    server = await detect_lane(lane(engine=kind), transport=site)
    return await read_settings(server, transport=site)


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
    known = await settings_of(
        "trtllm", {"GET /prometheus/metrics": TRTLLM.encode(), "GET /version": {"version": "1.3"}}
    )
    assert known == {
        "engine": "trtllm", "version": "1.3", "model": MODEL, "weights": "Llama-3.1-8B-Instruct",
        "quantisation": "none", "dtype": "bfloat16", "tensor_parallel": 2, "max_model_len": 8192,
        "kv_tokens": 262_144, "max_running": 2048, "prefix_cache": True, "speculative": "off", "kv_dtype": "auto",
        "prefill_budget": 8192, "kv_block": 32,
    }  # fmt: skip


async def test_trtllm_that_guesses_ahead_and_one_without_gauges() -> None:
    page = (
        TRTLLM + 'trtllm_speculative_config_info{spec_enabled="true",spec_method="Eagle",spec_num_tokens="5"} 1.0\n'
    )
    assert (await settings_of("trtllm", {"GET /prometheus/metrics": page.encode()})).get("speculative") == "Eagle"
    bare = await settings_of("trtllm", {"GET /prometheus/metrics": b"request_success_total 3\n"})
    assert "return_perf_metrics: true" in bare["note"]


async def test_lmdeploys_configuration_where_the_gauge_has_labels() -> None:
    page = (
        b'lmdeploy:backend_config_info{dtype="auto",tp="2",session_len="16384",max_batch_size="128",'
        b'cache_max_entry_count="0.8",cache_block_seq_len="64",enable_prefix_caching="False",quant_policy="8",'
        b'max_prefill_token_num="8192",model_format="awq"} 1.0\n'
    )
    assert await settings_of("lmdeploy", {"GET /metrics": page}) == {
        "engine": "lmdeploy", "version": "", "model": MODEL, "quantisation": "awq", "tensor_parallel": 2,
        "max_model_len": 16_384, "max_running": 128, "prefix_cache": False, "kv_dtype": "int8",
        "prefill_budget": 8192, "kv_block": 64,
    }  # fmt: skip


OLLAMA_ROW = {
    "name": "llama3.1:8b", "model": "llama3.1:8b", "size": 6654289920, "digest": "46e0c10c039e",
    "details": {"format": "gguf", "family": "llama", "parameter_size": "8.0B", "quantization_level": "Q4_K_M"},
}  # fmt: skip


async def test_ollamas_loaded_model_and_one_that_is_not_loaded_yet() -> None:
    models = {"GET /v1/models": listing("llama3.1:8b", owner="library")}
    loaded = {"models": [OLLAMA_ROW | {"size_vram": 6654289920, "context_length": 4096}]}
    known = await settings_of("ollama", {**models, "GET /api/ps": loaded, "GET /api/version": {"version": "0.33.0"}})
    assert (known.get("weights"), known["quantisation"], known.get("dtype")) == ("llama3.1:8b", "Q4_K_M", None)
    assert (known["max_model_len"], known["version"]) == (4096, "0.33.0")
    assert "OLLAMA_NUM_PARALLEL" in known["note"]
    cold = await settings_of(
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
    known = await settings_of("tgi", {"GET /info": new})
    assert (known["weights"], known["max_model_len"]) == ("Llama-3.1-8B-Instruct", 4096)
    assert "max_running" not in known
    old = {
        "model_id": "bigscience/bloom", "model_dtype": "torch.float16", "max_total_tokens": 2048,
        "max_batch_total_tokens": 32_000, "max_batch_size": 16, "version": "2.0.4",
    }  # fmt: skip
    known = await settings_of("tgi", {"GET /info": old})
    assert (known["dtype"], known["kv_tokens"], known["max_running"]) == ("float16", 32_000, 16)


def test_trtllms_pool_is_its_blocks_times_their_size() -> None:
    assert gauges_from(ENGINES["trtllm"], TRTLLM.encode())[gauges.KV_POOL_TOKENS] == 262_144
    halved = TRTLLM.replace("trtllm_kv_cache_tokens_per_block{", "something_else{").encode()
    assert gauges.KV_POOL_TOKENS not in gauges_from(ENGINES["trtllm"], halved)


VLLM_KNOWN: dict[str, object] = {"engine": "vllm", "version": "0.33.0", "kv_block": 128}
SGLANG_KNOWN = VLLM_KNOWN | {"engine": "sglang", "version": "0.5.23"}


def test_a_pool_is_given_in_tokens_or_in_blocks_of_the_servers_size() -> None:
    assert flag_for(VLLM_KNOWN, "kv_tokens", 65_536) == "--num-gpu-blocks-override 512"
    assert flag_for(SGLANG_KNOWN, "kv_tokens", 1_048_576) == "--max-total-tokens 1048576"


def test_a_switch_names_the_flag_that_turns_it_and_none_for_a_default() -> None:
    assert flag_for(VLLM_KNOWN, "prefix_cache", False) == "--no-enable-prefix-caching"
    assert flag_for(SGLANG_KNOWN, "prefix_cache", True) == ""
    assert flag_for(SGLANG_KNOWN | {"version": "0.5.10"}, "cuda_graphs", False) == "--disable-cuda-graph"


def test_no_flag_is_given_a_value_that_the_engine_does_not_take() -> None:
    assert (flag_for(VLLM_KNOWN, "kv_block", 1), flag_for(SGLANG_KNOWN, "kv_block", 128)) == ("", "--page-size 128")


def test_sampling_defaults_are_named_as_each_engine_names_them() -> None:
    assert flag_for(VLLM_KNOWN, "sampling_defaults", "model") == "--generation-config auto"
    assert flag_for(SGLANG_KNOWN, "sampling_defaults", "neutral") == "--sampling-defaults openai"
    assert flag_for(SGLANG_KNOWN, "sampling_defaults", "other") == ""


def test_a_context_that_slots_share_is_asked_for_times_their_number() -> None:
    assert flag_for({"engine": "llamacpp", "max_running": 8}, "max_model_len", 4096) == "-c 32768"
    assert flag_for({"engine": "llamacpp"}, "max_model_len", 4096) == "-c 4096"


@pytest.mark.parametrize("settings", [{}, {"engine": "openai"}, {"engine": "of old"}, VLLM_KNOWN])
def test_what_an_engine_has_no_flag_for_gets_none(settings: dict[str, object]) -> None:
    assert flag_for(settings, "gpus", "1 × H100") == ""
