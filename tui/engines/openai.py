"""Any other OpenAI-compatible server: only fields of the official API, because some refuse others (422)."""

from typing import Any

from tui.engines.base import Ask, Engine
from tui.engines.bodies import official


def body(ask: Ask) -> dict[str, Any]:
    """An official body. The answer may end early: there is no official field that forbids the end token."""
    return official(ask)


ENGINE = Engine(
    kind="openai",
    title="OpenAI-compatible",
    owned_by=(),
    endpoint="chat",
    prompt_form="text",
    body=body,
    cheap_health="/v1/models",
)
