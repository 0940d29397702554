"""The settings that decide whether two servers may be compared, each declared once.

Read by doctor's table and the warning above the verdict: the label, and what a difference does to the result. How an
engine reports a setting, and its flag for it, are in the engine's file.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["incomparable", "note"]
Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class EngineSetting:
    key: str
    type: type[int] | type[bool] | type[str]
    label: str
    effect: str  # of a difference on the result
    severity: Severity = "incomparable"
    tolerance: float = 0.0  # a relative difference up to this does not count
    per_stream: bool = False  # it matters only to a load of more streams than the smaller of both values


ENGINE_SETTINGS: tuple[EngineSetting, ...] = (
    EngineSetting("model", str, "model", "they do different work"),
    EngineSetting("quantisation", str, "quantisation", "weights of another size, kernels of another speed"),
    EngineSetting("dtype", str, "data type", "arithmetic of another width"),
    EngineSetting("tensor_parallel", int, "tensor parallel", "they use a different number of GPUs"),
    EngineSetting("max_model_len", int, "context", "a request that fits one is cut or refused by the other"),
    EngineSetting("kv_tokens", int, "KV tokens", "the smaller pool queues and preempts first", tolerance=0.02),
    EngineSetting("max_running", int, "batch limit", "above the lower limit, requests wait", per_stream=True),
    EngineSetting("prefix_cache", bool, "prefix cache", "one of them skips prompt beginnings that it has cached"),
    EngineSetting("speculative", str, "speculative decoding", "one of them drafts several tokens a step"),
    EngineSetting("cuda_graphs", bool, "CUDA graphs", "the one without launches each kernel of each step"),
    EngineSetting("kv_dtype", str, "KV data type", "a narrower cache holds more and is read faster"),
    EngineSetting("cuda_graph_max", int, "CUDA graph batch", "larger batches run without a graph, so slower", "note"),
    EngineSetting(
        "prefill_budget", int, "prefill a step", "larger ones read long prompts sooner but stall decoding", "note"
    ),
    EngineSetting("chunked_prefill", bool, "chunked prefill", "without it a long prompt stalls every stream", "note"),
    EngineSetting("mixed_prefill", bool, "prefill with decode", "without it new prompts pause all streams", "note"),
    EngineSetting("kv_block", int, "KV block", "only whole blocks are shared as a prefix and given out", "note"),
    EngineSetting(
        "sampling_defaults",
        str,
        "sampling defaults",
        "dragstrip sends every sampling field, but an application that does not gets other answers",
        "note",
    ),
    EngineSetting("overlap", bool, "overlapped scheduling", "without it the GPU waits for the scheduler", "note"),
    EngineSetting(
        "stream_interval", int, "tokens a chunk", "text comes in larger steps, seen in ITL and TTFT", "note"
    ),
    EngineSetting("seed", int, "seed", "random sampling draws other tokens", "note"),
    EngineSetting("endpoint", str, "endpoint", "the server's front end does other work for each token", "note"),
    EngineSetting("prompt_tokens", int, "token count", "the same prompt is another number of tokens to each"),
    EngineSetting("gpus", str, "GPUs", "they run on different hardware"),
    EngineSetting("shared_gpu", str, "shared GPU", "each slows the other down"),
)
ENGINE_SETTING: dict[str, EngineSetting] = {setting.key: setting for setting in ENGINE_SETTINGS}
