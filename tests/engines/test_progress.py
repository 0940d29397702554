"""Lines of real logs as stages of a start."""

import pytest

from tui.engines.launch import stage


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
def test_a_line_tells_its_stage(kind: str, line: str, text: str) -> None:
    assert stage(kind, line) == text


def test_a_share_is_told_five_times_and_not_at_each_per_cent() -> None:
    lines = (f"Capturing CUDA graphs (decode, FULL): {share:3}%|#| {share}/100" for share in range(101))
    assert len({stage("vllm", line) for line in lines}) == 5
