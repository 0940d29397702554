"""Hugging Face Text Generation Inference (read at 3.3.7)."""

from typing import Any

from tui.engines.base import Ask, Engine, Selector
from tui.engines.bodies import official
from tui.model import gauges

_LEFT_OUT = ("top_p", "presence_penalty", "frequency_penalty")


def body(ask: Ask) -> dict[str, Any]:
    """An official body less three fields: TGI refuses a `top_p` of 1 and adds 2 to a presence penalty."""
    return {key: value for key, value in official(ask).items() if key not in _LEFT_OUT}


ENGINE = Engine(
    kind="tgi",
    title="TGI",
    owned_by=(),
    endpoint="chat",
    prompt_form="text",
    body=body,
    metrics_path="/metrics",
    gauges={
        gauges.RUNNING: (Selector("tgi_batch_current_size"),),
        gauges.WAITING: (Selector("tgi_queue_size"),),
        gauges.GENERATION_TOKENS_FINISHED: (Selector("tgi_request_generated_tokens_sum"),),
        gauges.PROMPT_TOKENS: (Selector("tgi_request_input_length_sum"),),
    },
    tokenize_path="/tokenize",
    kv_preallocated=True,
    cheap_health="/health",
)
