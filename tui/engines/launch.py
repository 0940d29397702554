"""The command that starts an engine, from settings in neutral terms. Pure: nothing is started here.

How far a starting engine is, by the lines of its log.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tui.engines.registry import engine
from tui.model.profile import Launch
from tui.model.settings import ENGINE_SETTING, Value
from tui.model.text import UserError

# Fields of `Launch` that are terms, by the term's key.
_TERMS = (
    "dtype", "quantisation", "tensor_parallel", "max_model_len", "max_running", "prefill_budget", "kv_block",
    "kv_tokens", "kv_dtype", "prefix_cache", "cuda_graphs", "cuda_graph_max", "seed",
)  # fmt: skip
_KV_BLOCK = 16


@dataclass(frozen=True, slots=True)
class _Start:
    """What is an engine's own: how it is called, and flags whose meaning no other engine shares."""

    command: tuple[str, ...]
    model: str = ""  # the flag before the model; empty: its place is enough
    name: str = ""
    host: str = "--host {}"
    port: str = "--port {}"
    memory_fraction: str = ""
    dummy_weights: str = ""
    neutral_sampling: str = ""
    always: tuple[str, ...] = ()  # what dragstrip wants to see
    env: Mapping[str, str] = field(default_factory=dict)


_STARTS: Mapping[str, _Start] = {
    "vllm": _Start(
        ("vllm", "serve"),
        name="--served-model-name {}",
        memory_fraction="--gpu-memory-utilization {}",
        dummy_weights="--load-format dummy",
        neutral_sampling="--generation-config vllm",
        always=("--enable-prompt-tokens-details",),
        env={"VLLM_SERVER_DEV_MODE": "1"},  # without it /server_info does not tell the settings
    ),
    "sglang": _Start(
        ("python", "-m", "sglang.launch_server"),
        "--model-path {}",
        "--served-model-name {}",
        memory_fraction="--mem-fraction-static {}",
        dummy_weights="--load-format dummy",
        neutral_sampling="--sampling-defaults openai",
        always=("--enable-metrics", "--enable-cache-report"),
    ),
    "trtllm": _Start(("trtllm-serve",), memory_fraction="--kv_cache_free_gpu_memory_fraction {}"),
    "lmdeploy": _Start(
        ("lmdeploy", "serve", "api_server"),
        name="--model-name {}",
        host="--server-name {}",
        port="--server-port {}",
        memory_fraction="--cache-max-entry-count {}",
        dummy_weights="--empty-init",
    ),
    "llamacpp": _Start(("llama-server",), "-m {}", "--alias {}", always=("--metrics",)),
    "tgi": _Start(
        ("text-generation-launcher",),
        "--model-id {}",
        host="--hostname {}",
        memory_fraction="--cuda-memory-fraction {}",
    ),
}


def command(
    kind: str, launch: Launch, port: int, *, host: str = "127.0.0.1", served_name: str = ""
) -> tuple[list[str], dict[str, str]]:
    """The arguments that start an engine, and the variables to add to its environment.

    UserError when that engine cannot be started so, or has no flag for a setting that is asked for: a setting is
    never left out in silence.
    """
    start = _STARTS.get(kind)
    if start is None:
        raise UserError(f"dragstrip cannot start {engine(kind).title}; there are: {', '.join(_STARTS)}")
    arguments = [*_prefix(start, launch), *_filled(start.model or "{}", launch.model)]
    if served_name:
        arguments += _wanted(kind, "model", start.name, served_name)
    arguments += [*_filled(start.host, host), *_filled(start.port, port)]
    for key in _TERMS:
        value = _value(kind, launch, key)
        if value is not None and value != "":
            arguments += _term(kind, launch, key, value)
    if launch.memory_fraction is not None:
        arguments += _wanted(kind, "memory_fraction", start.memory_fraction, launch.memory_fraction)
    if launch.dummy_weights:
        arguments += _wanted(kind, "dummy_weights", start.dummy_weights, True)
    if launch.neutral_sampling:
        arguments += start.neutral_sampling.split()
    return [*arguments, *start.always, *launch.extra], {**start.env, **_gpu_env(launch.gpus), **launch.env}


def _prefix(start: _Start, launch: Launch) -> list[str]:
    """What comes before the model. A path may begin with ~; without a shell nobody else would resolve it."""
    given = launch.command
    words = [given, *start.command[1:]] if given and isinstance(given, str) else [*(given or start.command)]
    return [str(Path(words[0]).expanduser()) if words[0].startswith("~") else words[0], *words[1:]]


def shell(arguments: Sequence[str], env: Mapping[str, str]) -> str:
    """The command ready to paste into a shell, a flag a line."""
    pieces = [f"{name}={shlex.quote(value)}" for name, value in env.items()]
    for argument in arguments:
        if argument.startswith("--") or (argument.startswith("-") and "\n" in pieces[-1]):
            pieces.append("\\\n  " + shlex.quote(argument))
        else:
            pieces.append(shlex.quote(argument))
    return " ".join(pieces)


def _value(kind: str, launch: Launch, key: str) -> Value | None:
    value: Value | None = getattr(launch, key)
    if kind == "llamacpp" and key == "max_model_len" and launch.max_model_len is not None:
        return launch.max_model_len * (launch.max_running or 1)  # its context is shared out over the slots
    if kind in ("vllm", "lmdeploy") and key == "kv_block" and value is None and launch.kv_tokens is not None:
        return _KV_BLOCK  # the pool is asked for in blocks, so their size must be known
    return value


def _term(kind: str, launch: Launch, key: str, value: Value) -> list[str]:
    term = ENGINE_SETTING[key]
    if kind not in term.flags:
        return _wanted(kind, key, "", value)
    flag = term.flags[kind].of(launch.version)
    text = flag.text(value, launch.kv_block or _KV_BLOCK)
    if not text and isinstance(value, bool) and (flag.on or flag.off):
        return []  # the engine's default already
    return _wanted(kind, key, text, value)


def _wanted(kind: str, key: str, text: str, value: Value) -> list[str]:
    """The flag's words. UserError when there is no such flag."""
    title = engine(kind).title
    if text.startswith("file:"):
        raise UserError(
            f"{title} takes {key} only from its configuration file: write {text.removeprefix('file:')} there "
            "and name the file in extra, as --config FILE"
        )
    if not text:
        raise UserError(f"{title} has no flag for {key}; leave it out of its launch table")
    return _filled(text, value)


def _filled(template: str, value: Value) -> list[str]:
    return [word.replace("{}", str(value)) for word in template.split()]


def _gpu_env(gpus: Sequence[int]) -> dict[str, str]:
    """GPUs by the index that NVML counts: CUDA's own order may be another."""
    if not gpus:
        return {}
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))}


QUARTER: Final = 25  # per cent
_VLLM = (
    (r"Loading .*checkpoint shards: +(\d+)%", "loading weights {} %"),
    (r"Resolved architecture|Initializing a V1 LLM engine", "reading the model's configuration"),
    (r"Starting to load model|Initializing model took", "loading weights"),
    (r"Model loading took ([\d.]+) GiB", "weights are loaded, {} GiB on each GPU"),
    (r"Loading weights took|Model loading took", "weights are loaded"),
    (r"Available KV cache memory: ([\d.]+) GiB", "KV pool of {} GiB on each GPU"),
    (r"torch\.compile takes|Dynamo bytecode|Compiling a graph|saved AOT compiled", "compiling"),
    (r"KV cache size: ([\d,]+) tokens", "KV pool of {} tokens"),
    (r"Capturing CUDA graphs.*?(\d+)%", "capturing CUDA graphs {} %"),
    (r"Capturing CUDA graph|Graph capturing", "capturing CUDA graphs"),
    (r"Starting vLLM (?:API )?server|Application startup complete", "serving"),
)
_SGLANG = (
    (r"server_args=", "reading the model's configuration"),
    (r"shards: +(\d+)%", "loading weights {} %"),
    (r"Load weight begin", "loading weights"),
    (r"Load weight end.*mem usage=([\d.]+) GB", "weights are loaded, {} GiB on each GPU"),
    (r"Load weight end", "weights are loaded"),
    (r"KV Cache is allocated.*#tokens: (\d+)", "KV pool of {} tokens"),
    (r"Capturing batches.*?(\d+)%", "capturing CUDA graphs {} %"),
    (r"Capture (?:\w+ )*cuda graph begin", "capturing CUDA graphs"),
    (r"Uvicorn running", "warming up"),
    (r"fired up and ready", "serving"),
)
_LLAMACPP = (
    (r"load_tensors|loading model", "loading weights"),
    (r"warming up", "warming up"),
    (r"server is listening|listening on", "serving"),
)
_PATTERNS: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    kind: tuple((re.compile(pattern), stage) for pattern, stage in stages)
    for kind, stages in (("vllm", _VLLM), ("sglang", _SGLANG), ("llamacpp", _LLAMACPP))
}


def stage(kind: str, line: str) -> str:
    """What a log line says about the start, as people say it; empty when it says nothing about it.

    A share is told in quarters: engines write a line at each per cent.
    """
    for pattern, text in _PATTERNS.get(kind, ()):
        if match := pattern.search(line):
            if text.endswith("%"):
                return text.format(int(match[1]) // QUARTER * QUARTER)
            return text.format(*(f"{int(n):,}" if n.isdigit() else n for n in match.groups()))
    return ""
