"""Any other OpenAI-compatible server: only fields of the official API, because some refuse others (422)."""

from tui.engines.base import Engine, official_body

ENGINE = Engine(
    kind="openai",
    title="OpenAI-compatible",
    endpoint="chat",
    prompt_form="text",
    finish_reasons=frozenset({"eos", "eos_token", "stop_sequence"}),
    body=official_body,
    cheap_health="/v1/models",
)
