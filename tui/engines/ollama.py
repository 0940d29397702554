"""Ollama (read at 0.33.0). It has no metrics, and cuts a prompt that is too long without saying so."""

from typing import Any

from tui.engines.base import Ask, Engine
from tui.engines.bodies import official


def body(ask: Ask) -> dict[str, Any]:
    """An official body. The answer may end early: Ollama has no field that forbids the end token."""
    return official(ask)


ENGINE = Engine(
    kind="ollama",
    title="Ollama",
    owned_by=("library",),
    endpoint="chat",
    prompt_form="text",
    body=body,
    metrics_hint="Ollama exposes none",
    cheap_health="/",
)
