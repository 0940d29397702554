"""Neutral settings as each engine's flags, and lines of real logs as stages of a start."""

import shlex
from pathlib import Path

import pytest

from tui.engines.launch import command, shell, stage
from tui.model.profile import Launch
from tui.model.text import UserError

PAIR = {
    "model": "org/model",
    "tensor_parallel": 1,
    "dtype": "bfloat16",
    "max_model_len": 8192,
    "max_running": 256,
    "prefill_budget": 4096,
    "kv_tokens": 65_536,
    "cuda_graph_max": 512,
    "prefix_cache": False,
    "seed": 0,
}


def launch(**more: object) -> Launch:
    import msgspec

    return msgspec.convert(PAIR | more, Launch)


def flags(arguments: list[str]) -> set[str]:
    """The flags with their values, in no order."""
    joined = " ".join(arguments).replace(" --", "\n--")
    return set(joined.splitlines()[1:])


def test_the_equalised_pair() -> None:
    vllm, vllm_env = command("vllm", launch(), 8001, served_name="m")
    assert vllm[:3] == ["vllm", "serve", "org/model"]
    assert flags(vllm) == {
        "--served-model-name m", "--host 127.0.0.1", "--port 8001", "--tensor-parallel-size 1", "--dtype bfloat16",
        "--max-model-len 8192", "--max-num-seqs 256", "--max-num-batched-tokens 4096", "--block-size 16",
        "--num-gpu-blocks-override 4096", "--max-cudagraph-capture-size 512", "--no-enable-prefix-caching",
        "--generation-config vllm", "--seed 0", "--enable-prompt-tokens-details",
    }  # fmt: skip
    assert vllm_env == {"VLLM_SERVER_DEV_MODE": "1"}
    sglang, sglang_env = command("sglang", launch(), 8002, served_name="m")
    assert sglang[:3] == ["python", "-m", "sglang.launch_server"]
    assert flags(sglang) == {
        "--model-path org/model", "--served-model-name m", "--host 127.0.0.1", "--port 8002", "--tp-size 1",
        "--dtype bfloat16", "--context-length 8192", "--max-running-requests 256", "--chunked-prefill-size 4096",
        "--max-total-tokens 65536", "--cuda-graph-max-bs-decode 512", "--disable-radix-cache",
        "--sampling-defaults openai", "--random-seed 0", "--enable-metrics", "--enable-cache-report",
    }  # fmt: skip
    assert sglang_env == {}


def test_older_versions_get_older_flags() -> None:
    old = flags(command("sglang", launch(version="0.5.10", cuda_graphs=False), 1)[0])
    assert {"--cuda-graph-max-bs 512", "--disable-cuda-graph"} <= old
    new = flags(command("sglang", launch(version="0.5.23", cuda_graphs=False), 1)[0])
    assert {"--cuda-graph-backend-decode=disabled", "--cuda-graph-backend-prefill=disabled"} <= new
    assert "--cuda-graph-sizes 512" in flags(command("vllm", launch(version="0.10.2"), 1)[0])


def test_what_is_the_engines_default_needs_no_flag() -> None:
    assert not [word for word in command("sglang", launch(prefix_cache=True), 1)[0] if "radix" in word]
    assert "--enable-prefix-caching" in command("vllm", launch(prefix_cache=True), 1)[0]
    bare = command("vllm", Launch(model="m", neutral_sampling=False), 1)[0]
    assert bare == ["vllm", "serve", "m", "--host", "127.0.0.1", "--port", "1", "--enable-prompt-tokens-details"]


def test_the_pool_is_asked_for_in_blocks_of_the_size_given() -> None:
    arguments = command("vllm", launch(kv_block=128, kv_tokens=1000), 1)[0]
    assert {"--block-size 128", "--num-gpu-blocks-override 8"} <= flags(arguments)


def test_gpus_are_named_as_nvml_counts_them_and_the_profile_has_the_last_word() -> None:
    made = launch(gpus=[2, 3], env={"VLLM_SERVER_DEV_MODE": "0"}, extra=["--enforce-eager"], command=["x", "serve"])
    arguments, env = command("vllm", made, 1)
    assert env == {
        "VLLM_SERVER_DEV_MODE": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "2,3",
    }  # fmt: skip
    assert arguments[:2] == ["x", "serve"]
    assert arguments[-1] == "--enforce-eager"


@pytest.mark.parametrize(
    ("kind", "given", "begins"),
    [
        ("vllm", "/envs/vllm/bin/vllm", ["/envs/vllm/bin/vllm", "serve", "org/model"]),
        ("sglang", "/envs/sglang/bin/python",
         ["/envs/sglang/bin/python", "-m", "sglang.launch_server", "--model-path", "org/model"]),
        ("sglang", ["nice", "-n", "5", "./start.sh"], ["nice", "-n", "5", "./start.sh", "--model-path", "org/model"]),
        ("vllm", "~/envs/bin/vllm", [str(Path.home() / "envs/bin/vllm"), "serve", "org/model"]),
        ("vllm", "", ["vllm", "serve", "org/model"]),
        ("vllm", [], ["vllm", "serve", "org/model"]),
    ],
)  # fmt: skip
def test_an_engine_of_another_environment_is_started_by_its_path_or_by_any_command(
    kind: str, given: object, begins: list[str]
) -> None:
    assert command(kind, launch(command=given), 1)[0][: len(begins)] == begins


def test_llamacpp_shares_its_context_out_over_its_slots() -> None:
    made = Launch(model="m.gguf", max_model_len=4096, max_running=8, prefix_cache=False)
    assert command("llamacpp", made, 9, served_name="m")[0] == shlex.split(
        "llama-server -m m.gguf --alias m --host 127.0.0.1 --port 9 -c 32768 -np 8 --no-cache-prompt --metrics"
    )


@pytest.mark.parametrize(
    ("kind", "made", "words"),
    [
        ("ollama", Launch(model="m"), "dragstrip cannot start Ollama"),
        ("openai", Launch(model="m"), "dragstrip cannot start OpenAI-compatible"),
        ("trtllm", Launch(model="m", kv_tokens=9), "write kv_cache_config.max_tokens 9 there"),
        ("llamacpp", Launch(model="m", tensor_parallel=2), "llama.cpp has no flag for tensor_parallel"),
        ("lmdeploy", Launch(model="m", seed=1), "LMDeploy has no flag for seed"),
        ("llamacpp", Launch(model="m", dummy_weights=True), "llama.cpp has no flag for dummy_weights"),
    ],
)
def test_a_setting_is_never_left_out_in_silence(kind: str, made: Launch, words: str) -> None:
    with pytest.raises(UserError, match=words):
        command(kind, made, 1)


def test_an_engine_that_names_its_weights_itself_is_given_no_other_name() -> None:
    assert command("tgi", Launch(model="org/m"), 1, served_name="org/m") == command("tgi", Launch(model="org/m"), 1)
    with pytest.raises(UserError, match="TGI cannot serve its weights under another name: leave model out"):
        command("tgi", Launch(model="org/m"), 1, served_name="m")


def test_a_shell_reads_the_printed_command_back() -> None:
    arguments, env = command("vllm", launch(model="/models/with space", gpus=[0], extra=["--x", '{"a": 1}']), 8001)
    printed = shell(arguments, env)
    assert shlex.split(printed.replace("\\\n", "")) == [*(f"{k}={v}" for k, v in env.items()), *arguments]
    assert printed.count("\\\n") > 8


@pytest.mark.parametrize(
    ("kind", "line", "text"),
    [
        ("vllm", "Loading safetensors checkpoint shards: 100% Completed | 1/1 [00:00<00:00, 104.49it/s]",
         "loading weights 100 %"),
        ("vllm", "(Worker pid=1) INFO 11-23 07:27:29 [default_loader.py:501] Loading weights took 0.01 seconds",
         "weights are loaded"),
        ("vllm", "INFO 11-23 [gpu_model_runner.py] Model loading took 14.99 GiB memory and 3.2 seconds",
         "weights are loaded, 14.99 GiB on each GPU"),
        ("vllm", "INFO 11-23 [gpu_worker.py] Available KV cache memory: 52.31 GiB",
         "KV pool of 52.31 GiB on each GPU"),
        ("sglang", "Load weight end. elapsed=2.08 s, type=LlamaForCausalLM, avail mem=63.7 GB, mem usage=14.98 GB.",
         "weights are loaded, 14.98 GiB on each GPU"),
        ("vllm", "(EngineCore pid=1) INFO 11-23 07:28:00 [kv_cache_utils.py] CPU KV cache size: 1,048,576 tokens",
         "KV pool of 1,048,576 tokens"),
        ("vllm", "Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  51%|█████ | 34/67 [00:01<00:01]",
         "capturing CUDA graphs 50 %"),
        ("vllm", "(APIServer pid=1) INFO 11-23 07:28:03 [entry.py:140] Starting vLLM server on http://127.0.0.1:8001",
         "serving"),
        ("vllm", "(APIServer pid=1) INFO 11-23 07:28:03 [launcher.py:195] Route: /docs, Methods: HEAD, GET", ""),
        ("vllm", "WARNING [vllm.py:1703] Enforce eager set, disabling torch.compile, CUDAGraphs, and JIT kernel", ""),
        ("vllm", "(Worker pid=1) INFO [decorators.py:743] [backbone] saved AOT compiled function to x", "compiling"),
        ("sglang", "[2026-11-23 07:28:52] Load weight begin. avail mem=18.87 GB", "loading weights"),
        ("sglang", "Multi-thread loading shards: 100% Completed | 1/1 [00:00<00:00, 303.78it/s]",
         "loading weights 100 %"),
        ("sglang", "[2026-11-23 07:28:53] KV Cache is allocated. dtype: torch.bfloat16, #tokens: 65536",
         "KV pool of 65,536 tokens"),
        ("sglang", "[2026-11-23 07:28:53] INFO:     Uvicorn running on http://127.0.0.1:8002 (Press CTRL+C to quit)",
         "warming up"),
        ("llamacpp", "main: server is listening on http://127.0.0.1:8080 - starting the main loop", "serving"),
        ("trtllm", "anything", ""),
    ],
)  # fmt: skip
def test_a_line_names_its_stage(kind: str, line: str, text: str) -> None:
    assert stage(kind, line) == text


def test_a_share_is_reported_five_times_and_not_at_each_per_cent() -> None:
    lines = (f"Capturing CUDA graphs (decode, FULL): {share:3}%|#| {share}/100" for share in range(101))
    assert len({stage("vllm", line) for line in lines}) == 5
