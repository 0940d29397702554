"""Every server kind that dragstrip knows."""

from tui.engines import llamacpp, lmdeploy, ollama, openai, sglang, tgi, trtllm, vllm
from tui.engines.base import Engine
from tui.model.text import UserError

ENGINES: dict[str, Engine] = {
    module.ENGINE.kind: module.ENGINE for module in (vllm, sglang, trtllm, lmdeploy, llamacpp, ollama, tgi, openai)
}


def engine(kind: str) -> Engine:
    """The engine of that kind. UserError when there is none."""
    if kind in ENGINES:
        return ENGINES[kind]
    raise UserError(f"there is no engine kind {kind}; there are: {', '.join(ENGINES)}")
