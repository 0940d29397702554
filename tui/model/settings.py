"""The settings that decide whether two servers may be compared, each declared once.

Doctor's table and the warning above the verdict read these: the name in our words, and what a difference does to the
result. How an engine reports a setting, and its flag for it, are in the engine's file.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["incomparable", "note"]
Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class EngineSetting:
    key: str
    label: str
    effect: str  # of a difference on the result
    severity: Severity = "incomparable"
    tolerance: float = 0.0  # a relative difference up to this does not count
    per_stream: bool = False  # it matters only to a load of more streams than the smaller of both values


ENGINE_SETTINGS: tuple[EngineSetting, ...] = (
    EngineSetting("model", "model", "they do different work"),
    EngineSetting("quantisation", "quantisation", "weights of another size, kernels of another speed"),
    EngineSetting("dtype", "data type", "arithmetic of another width"),
    EngineSetting("tensor_parallel", "tensor parallel", "they use a different number of GPUs"),
    EngineSetting("max_model_len", "context", "a request that fits one is cut or refused by the other"),
    EngineSetting("kv_tokens", "KV tokens", "the smaller pool queues and preempts first", tolerance=0.02),
    EngineSetting("max_running", "batch limit", "above the lower limit, requests wait", per_stream=True),
    EngineSetting("prefix_cache", "prefix cache", "one of them skips the beginning of prompts that it has cached"),
    EngineSetting("speculative", "speculative decoding", "one of them drafts several tokens a step"),
    EngineSetting("cuda_graphs", "CUDA graphs", "the one without launches every kernel of every step by itself"),
    EngineSetting("kv_dtype", "KV data type", "a narrower cache holds more and is read faster"),
    EngineSetting("cuda_graph_max", "CUDA graph batch", "larger batches run without a graph, so slower", "note"),
    EngineSetting(
        "prefill_budget",
        "prefill a step",
        "a larger one answers long prompts sooner and stalls decoding longer",
        "note",
    ),
    EngineSetting("chunked_prefill", "chunked prefill", "without it one long prompt stalls every stream", "note"),
    EngineSetting("mixed_prefill", "prefill with decode", "without it new prompts pause running streams", "note"),
    EngineSetting("kv_block", "KV block", "only whole blocks are shared as a prefix and given out", "note"),
    EngineSetting(
        "sampling_defaults",
        "sampling defaults",
        "dragstrip sends every sampling field, but an application that does not gets other answers",
        "note",
    ),
    EngineSetting("overlap", "overlapped scheduling", "without it the GPU waits for the scheduler each step", "note"),
    EngineSetting("stream_interval", "tokens a chunk", "text arrives in larger steps, seen in ITL and TTFT", "note"),
    EngineSetting("seed", "seed", "random sampling draws other tokens", "note"),
    EngineSetting("endpoint", "endpoint", "the server's front end does other work for each token", "note"),
    EngineSetting("prompt_tokens", "token count", "the same prompt is another number of tokens to each"),
    EngineSetting("gpus", "GPUs", "they run on different hardware"),
    EngineSetting("shared_gpu", "shared GPU", "each slows the other down"),
)
ENGINE_SETTING: dict[str, EngineSetting] = {setting.key: setting for setting in ENGINE_SETTINGS}
