"""What a client asked for, checked as the engine checks it; refused in the engine's own words."""

import json
import random
from dataclasses import dataclass
from typing import Any

from tui.simulator.presets import Preset
from tui.simulator.words import CHAT_TEMPLATE_TOKENS, tokenize

MEAN_OUTPUT_TOKENS = 256  # where a model that may stop does so, on average


class RefusedError(Exception):
    """An answer that is an error: status, message, type and the parameter at fault."""

    def __init__(self, status: int, message: str, kind: str = "BadRequestError", param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param = status, message, kind, param

    def body(self, engine: str) -> dict[str, Any]:
        """The error as that engine writes it: vLLM under `error`, SGLang flat."""
        fields = {"message": self.message, "type": self.kind, "param": self.param, "code": self.status}
        return {"error": fields} if engine == "vllm" else {"object": "error", **fields}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, understood."""

    chat: bool
    model: str
    prompt: list[int]
    output_tokens: int
    finish_reason: str
    stream: bool
    usage: bool  # at the end
    usage_always: bool  # on every chunk


def understand(body: bytes, preset: Preset, model: str, *, chat: bool, seed: int) -> Asked:
    """The request in `body`. Raises RefusedError."""
    try:
        fields = json.loads(body)
    except ValueError as error:
        raise RefusedError(
            400, f"1 validation error:\n  {{'type': 'json_invalid', 'msg': '{error}'}}", "Bad Request"
        ) from None
    if not isinstance(fields, dict):
        raise RefusedError(400, "1 validation error:\n  {'type': 'dict_type'}", "Bad Request")
    asked_model = str(fields.get("model") or model)
    if asked_model != model and preset.engine == "vllm":  # SGLang serves what it has under any name
        raise RefusedError(
            404, f"The model `{asked_model}` does not exist. Valid aliases: {model}.", "NotFoundError", "model"
        )
    prompt = _prompt(fields, chat=chat)
    wanted = _output_tokens(fields, preset, len(prompt), chat=chat)
    stops = not fields.get("ignore_eos")
    drawn = int(random.Random(seed).expovariate(1 / MEAN_OUTPUT_TOKENS)) + 1
    least = max(1, int(fields.get("min_tokens") or 0))
    ends = min(wanted, max(drawn, least)) if stops else wanted
    options = fields.get("stream_options") or {}
    if options and not fields.get("stream") and preset.engine == "vllm":
        raise RefusedError(400, "Stream options can only be defined when `stream=True`.", param="stream_options")
    continuous = bool(options.get("continuous_usage_stats"))
    include = bool(options.get("include_usage"))
    return Asked(
        chat=chat,
        model=asked_model,
        prompt=prompt,
        output_tokens=ends,
        finish_reason="length" if ends == wanted else "stop",
        stream=bool(fields.get("stream")),
        usage=include,
        usage_always=continuous and (include or preset.engine == "sglang"),
    )


def _prompt(fields: dict[str, Any], *, chat: bool) -> list[int]:
    if chat:
        messages = fields.get("messages")
        if not isinstance(messages, list) or not messages:
            raise RefusedError(
                400,
                "1 validation error:\n  {'type': 'missing', 'loc': 'body.messages'}",
                "Bad Request",
                "body.messages",
            )
        text = " ".join(str(message.get("content") or "") for message in messages if isinstance(message, dict))
        return [0] * CHAT_TEMPLATE_TOKENS + tokenize(text)
    prompt = fields.get("prompt")
    if isinstance(prompt, list) and prompt and all(isinstance(token, int) for token in prompt):
        return prompt
    if isinstance(prompt, str) and prompt:
        return tokenize(prompt) or [0]
    raise RefusedError(
        400, "Either prompt or prompt_embeds must be provided and non-empty. (parameter=prompt)", param="prompt"
    )


def _output_tokens(fields: dict[str, Any], preset: Preset, prompt_tokens: int, *, chat: bool) -> int:
    """How many tokens may come. vLLM clamps what does not fit the context; SGLang refuses."""
    room = preset.max_model_len - prompt_tokens
    if room <= 0:
        raise RefusedError(
            400, _too_long(preset, prompt_tokens), param="input_tokens" if preset.engine == "vllm" else None
        )
    temperature = float(fields.get("temperature") or 0)
    if temperature < 0:
        raise RefusedError(400, f"temperature must be non-negative, got {temperature}.", param="temperature")
    wanted = fields.get("max_completion_tokens") if chat else None
    wanted = wanted or fields.get("max_tokens") or (room if chat else 16)
    if not isinstance(wanted, int) or wanted < 1:
        raise RefusedError(
            400, f"max_tokens must be at least 1, got {wanted}. (parameter=max_tokens)", param="max_tokens"
        )
    if wanted > room and preset.engine == "sglang":
        raise RefusedError(
            400,
            "Requested token count exceeds the model's maximum context length of "
            f"{preset.max_model_len} tokens. You requested a total of {prompt_tokens + wanted} tokens.",
        )
    return min(wanted, room)


def _too_long(preset: Preset, tokens: int) -> str:
    if preset.engine == "vllm":
        return (
            f"This model's maximum context length is {preset.max_model_len} tokens. However, your prompt contains "
            f"at least {tokens} input tokens. Please reduce the length of the input prompt."
        )
    return f"The input ({tokens} tokens) is longer than the model's context length ({preset.max_model_len} tokens)."
