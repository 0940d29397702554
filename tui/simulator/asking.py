"""What a client asked for, checked as the engine checks it.

Known and ignored, as is every unknown field: `stop`, `logprobs`, `top_p` and the other sampling fields, since there
is no distribution to sample from. One prompt and one choice a request.
"""

import json
import random
from dataclasses import dataclass
from typing import Any

from tui.records.endpoints import Endpoint
from tui.simulator import refusals
from tui.simulator.presets import Preset
from tui.simulator.refusals import RefusedError
from tui.simulator.words import CHAT_TEMPLATE, VOCABULARY, tokenize

MEAN_OUTPUT_TOKENS = 256  # where an answer that may stop does so, on average: geometric, as with real end tokens


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, understood."""

    endpoint: Endpoint
    model: str
    prompt: list[int]
    output_tokens: int
    finish_reason: str
    stream: bool
    usage: bool  # at the end
    usage_always: bool  # on every chunk
    seed: int  # of the words that answer it

    @property
    def chat(self) -> bool:
        """Whether it is answered as a chat."""
        return self.endpoint == "chat"


class Body:
    """A decoded request body whose fields are read with their types checked."""

    def __init__(self, raw: bytes, engine: str) -> None:
        self.engine = engine
        self._fields: Any
        try:
            self._fields = json.loads(raw)
        except ValueError:
            raise refusals.malformed(engine, "json_invalid", "1", "JSON decode error") from None
        if not isinstance(self._fields, dict):
            raise refusals.malformed(engine, "model_attributes_type", "", "Input should be a valid dictionary")

    def get(self, name: str) -> Any:
        """The field as it came, None when it is missing."""
        return self._fields.get(name)

    def whole(self, name: str) -> int | None:
        """An integer; refused when it is something else."""
        value = self.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise refusals.malformed(self.engine, "int_parsing", name, "Input should be a valid integer")
        return value

    def number(self, name: str, default: float) -> float:
        """A number; refused when it is something else."""
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise refusals.malformed(self.engine, "float_parsing", name, "Input should be a valid number")
        return float(value)

    def turn_into_completion(self) -> None:
        """Name the fields of a request for `generate` as a completion names them."""
        sampling = self.table("sampling_params")
        prompt = self.get("input_ids") or self.get("text")
        self._fields = self._fields | sampling | {"prompt": prompt, "max_tokens": sampling.get("max_new_tokens", 128)}

    def table(self, name: str) -> dict[str, Any]:
        """An object, empty when missing; refused when it is something else."""
        value = self.get(name)
        if value is not None and not isinstance(value, dict):
            raise refusals.malformed(self.engine, "model_attributes_type", name, "Input should be a valid dictionary")
        return value or {}


def understand(raw: bytes, preset: Preset, model: str, endpoint: Endpoint, *, number: int) -> Asked:
    """The request in `raw`; `number` tells requests apart that leave their words to chance. Raises RefusedError."""
    body = Body(raw, preset.engine)
    if endpoint == "generate":
        body.turn_into_completion()
    chat = endpoint == "chat"
    asked_model = str(body.get("model") or model)
    if asked_model != model and preset.engine == "vllm":
        raise refusals.unknown_model(asked_model, model)
    options = body.table("stream_options")
    stream = bool(body.get("stream"))
    if options and not stream and preset.engine == "vllm":
        raise RefusedError(
            400,
            "Stream options can only be defined when `stream=True`. (parameter=stream_options)",
            param="stream_options",
        )
    prompt = messages_tokens(body) if chat else _prompt(body)
    seed = _seed(body, prompt, number)
    output_tokens, finish_reason = _output(body, preset, len(prompt), seed, chat=chat)
    usage = bool(options.get("include_usage"))
    # vLLM heeds `continuous_usage_stats` only together with `include_usage`.
    usage_always = bool(options.get("continuous_usage_stats")) and (usage or preset.engine == "sglang")
    return Asked(endpoint, asked_model, prompt, output_tokens, finish_reason, stream, usage, usage_always, seed)


def messages_tokens(body: Body) -> list[int]:
    """A chat as token ids, with what its template puts around each message."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise refusals.malformed(body.engine, "missing", "messages", "Field required")
    tokens: list[int] = []
    for message in messages:
        if not isinstance(message, dict):
            raise refusals.malformed(body.engine, "dict_type", "messages", "Input should be a valid dictionary")
        tokens += [*CHAT_TEMPLATE, *tokenize(_content(message.get("content")))]
    return tokens


def _content(content: Any) -> str:
    """A message's text, which may come in parts."""
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def _prompt(body: Body) -> list[int]:
    prompt = body.get("prompt")
    if isinstance(prompt, str) and prompt:
        return tokenize(prompt) or [0]
    if not prompt:
        raise refusals.no_prompt(body.engine)
    if not isinstance(prompt, list) or not all(type(token) is int for token in prompt):
        raise refusals.malformed(body.engine, "list_type", "prompt", "the simulator takes one text or list of ids")
    for token in prompt:
        if not 0 <= token < VOCABULARY:
            raise refusals.unknown_token(token)
    return prompt


def _seed(body: Body, prompt: list[int], number: int) -> int:
    """Of the answer's words. A greedy answer follows from its prompt, as a model's does; a sampled one does not."""
    given = body.whole("seed")
    temperature = body.number("temperature", 1.0)
    if temperature < 0:
        raise refusals.cold_temperature(body.engine, temperature)
    chance = 0 if temperature == 0 else number if given is None else given
    return hash((*prompt, chance))


def _output(body: Body, preset: Preset, prompt_tokens: int, seed: int, *, chat: bool) -> tuple[int, str]:
    """How many tokens will come and why they end."""
    most = _most(body, preset, prompt_tokens, chat=chat)
    least = body.whole("min_tokens") or 0
    if least > most:
        raise refusals.least_over_most(preset.engine, least, most)
    if body.get("ignore_eos"):
        return most, "length"
    drawn = int(random.Random(seed).expovariate(1 / MEAN_OUTPUT_TOKENS)) + 1
    ends = max(drawn, least)
    return (ends, "stop") if ends < most else (most, "length")


def _most(body: Body, preset: Preset, prompt_tokens: int, *, chat: bool) -> int:
    """The most tokens that may come. vLLM cuts down what does not fit the context; SGLang refuses it."""
    limit = preset.max_model_len
    room = limit - prompt_tokens
    if room <= 0:
        raise refusals.prompt_too_long(preset.engine, prompt_tokens, limit)
    wanted = body.whole("max_completion_tokens") if chat else None
    wanted = body.whole("max_tokens") if wanted is None else wanted
    if wanted is None:
        return room if chat else min(16, room)
    if wanted < (1 if preset.engine == "vllm" else 0):
        raise refusals.too_few_output_tokens(preset.engine, wanted)
    if wanted > limit and (chat or preset.engine == "vllm"):
        raise refusals.output_over_context(preset.engine, wanted, limit)
    if wanted > room and preset.engine == "sglang":
        raise refusals.sum_over_context(prompt_tokens, wanted, limit)
    return min(wanted, room)
