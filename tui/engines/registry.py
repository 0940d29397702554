"""Every kind of server that dragstrip knows."""

from collections.abc import Iterable
from importlib import import_module

from tui.engines.base import Engine
from tui.model.text import UserError

# The files of this folder that declare an engine, in the order in which detection tries them.
FILES = (
    "vllm",
    "sglang",
    "trtllm",
    "lmdeploy",
    "llamacpp",
    "ollama",
    "tgi",
    "openai",
)


def load_engines(files: Iterable[str]) -> dict[str, Engine]:
    """The engines declared in these files, by kind."""
    engines: list[Engine] = [import_module(f"tui.engines.{name}").ENGINE for name in files]
    return {each.kind: each for each in engines}


ENGINES = load_engines(FILES)
FALLBACK = ENGINES["openai"]  # any other server with an OpenAI-compatible API


def get_engine(kind: str) -> Engine:
    """The engine of that kind. UserError when there is none."""
    if kind in ENGINES:
        return ENGINES[kind]
    raise UserError(f"there is no engine kind {kind}; there are: {', '.join(ENGINES)}")
