"""The command that starts an engine, from settings that suit every engine, and what its log says of the start.

Pure: nothing is started here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tui.engines.base import KV_BLOCK, Engine, Flag
from tui.engines.registry import ENGINES, get_engine
from tui.model.profile import Launch
from tui.model.settings import Value
from tui.model.text import UserError

# Fields of `Launch` that a flag sets, in the order of the command line.
_FLAGS = (
    "dtype", "quantisation", "tensor_parallel", "max_model_len", "max_running", "prefill_budget", "kv_block",
    "kv_tokens", "kv_dtype", "prefix_cache", "cuda_graphs", "cuda_graph_max", "seed", "memory_fraction",
    "dummy_weights",
)  # fmt: skip


def command(
    kind: str, launch: Launch, port: int, *, host: str = "127.0.0.1", served_name: str = ""
) -> tuple[list[str], dict[str, str]]:
    """The arguments that start an engine, and the variables to add to its environment.

    UserError when that engine cannot be started so, or has no flag for a setting that is asked for: a setting is
    never left out in silence.
    """
    engine = get_engine(kind)
    start = engine.start
    if start is None:
        raise UserError(f"dragstrip cannot start {engine.title}; there are: {', '.join(startable())}")
    arguments = [*_prefix(start.command, launch.command), *_filled(start.model, launch.model)]
    if served_name and start.served_name:
        arguments += _filled(start.served_name, served_name)
    elif served_name not in ("", launch.model):
        raise UserError(
            f"{engine.title} cannot serve its weights under another name: leave model out of the lane, not of launch"
        )
    arguments += [*_filled(start.host, host), *_filled(start.port, port)]
    env = dict(start.env)
    settings = _settings(engine, launch)
    for key, value in settings.items():
        words = _flag(engine, launch.version, key, value, settings)
        if words and words[0].startswith("env:"):
            name, _, text = words[0].removeprefix("env:").partition("=")
            env[name] = text
        else:
            arguments += words
    return [*arguments, *start.always, *launch.extra], {**env, **_gpu_env(launch.gpus), **launch.env}


def startable() -> list[str]:
    """The kinds of engine that can be started."""
    return [kind for kind, engine in ENGINES.items() if engine.start is not None]


def _settings(engine: Engine, launch: Launch) -> dict[str, Value]:
    """The settings that the launch table asks for, by key."""
    wanted: dict[str, Value | None] = {key: getattr(launch, key) for key in _FLAGS}
    wanted["dummy_weights"] = launch.dummy_weights or None
    if launch.kv_tokens is not None and "{blocks}" in engine.flags.get("kv_tokens", Flag()).value:
        # The pool is asked for in blocks, so their size must be known.
        wanted["kv_block"] = launch.kv_block or KV_BLOCK
    if launch.neutral_sampling and "sampling_defaults" in engine.flags:
        wanted["sampling_defaults"] = "neutral"
    return {key: value for key, value in wanted.items() if value is not None and value != ""}


def _flag(engine: Engine, version: str, key: str, value: Value, settings: Mapping[str, Value]) -> list[str]:
    """The words of the flag that sets this value. UserError when there is no such flag."""
    flag = engine.flags.get(key, Flag()).for_version(version)
    text = flag.text(value, settings)
    if text.startswith("file:"):
        raise UserError(
            f"{engine.title} takes {key} only from its configuration file: write {text.removeprefix('file:')} there "
            "and name the file in extra, as --config FILE"
        )
    if not text and not (isinstance(value, bool) and (flag.on or flag.off)):  # else it is the engine's default
        raise UserError(f"{engine.title} has no flag for {key}; leave it out of its launch table")
    return text.split()


def _prefix(command: Sequence[str], given: str | Sequence[str]) -> list[str]:
    """What comes before the model. A path may begin with ~, which no shell resolves here."""
    words = [given, *command[1:]] if given and isinstance(given, str) else [*(given or command)]
    return [str(Path(words[0]).expanduser()) if words[0].startswith("~") else words[0], *words[1:]]


def _filled(template: str, value: Value) -> list[str]:
    return [word.replace("{}", str(value)) for word in template.split()]


def _gpu_env(gpus: Sequence[int]) -> dict[str, str]:
    """GPUs by the index that NVML counts: CUDA's own order may be another."""
    if not gpus:
        return {}
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))}


def shell(arguments: Sequence[str], env: Mapping[str, str]) -> str:
    """The command ready to paste into a shell, a flag a line."""
    pieces = [f"{name}={shlex.quote(value)}" for name, value in env.items()]
    for argument in arguments:
        if argument.startswith("--") or (argument.startswith("-") and "\n" in pieces[-1]):
            pieces.append("\\\n  " + shlex.quote(argument))
        else:
            pieces.append(shlex.quote(argument))
    return " ".join(pieces)


QUARTER: Final = 25  # per cent


def stage(kind: str, line: str) -> str:
    """The stage of the start that a log line shows, in plain words; empty when it shows none.

    A share is given in quarters: engines write a line at each per cent.
    """
    start = get_engine(kind).start
    for pattern, text in start.progress.items() if start is not None else ():
        if match := re.search(pattern, line):
            if text.endswith("%"):
                return text.format(int(match[1]) // QUARTER * QUARTER)
            return text.format(*(f"{int(n):,}" if n.isdigit() else n for n in match.groups()))
    return ""
