"""What an engine file declares, as one `Engine`, and the parts of a request body that engines share."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from tui.model.profile import Endpoint
from tui.model.session import LaneInfo
from tui.model.settings import Value
from tui.net.http import Answer, Site

PromptForm = Literal["ids", "text"]
Usage = Literal["each", "end"]
# What a server reports about itself, by key: those of `model.settings`, `version`, `weights`, `note`. None: nothing.
Settings = dict[str, Any]
KV_BLOCK = 16  # tokens, where nothing else is known


@dataclass(frozen=True, slots=True)
class Request:
    """One request, which an engine writes as a body."""

    endpoint: Endpoint
    model: str
    prompt: str | list[int]
    output_tokens: int
    temperature: float
    seed: int
    usage: Usage = "each"  # how often the answer should report its token count, where the engine can
    messages: Sequence[Any] = ()  # of a chat, in place of the prompt
    fields: Mapping[str, Any] = field(default_factory=dict)  # of the body, as a traffic file has them
    natural: bool = False  # the answer ends by itself, and `output_tokens` is only the most


class BodyChanges(msgspec.Struct, frozen=True):
    """What the operator or a server wants otherwise in each body. A dot in a name leads into a field."""

    drop: list[str] = []
    rename: dict[str, str] = {}
    extra: dict[str, Any] = {}

    def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body with these changes; what is left out stays out, whoever put it in."""
        body = body | self.extra
        for name, new in self.rename.items():
            for value in _pop(body, name):
                body[new] = value
        for name in self.drop:
            _pop(body, name)
        return body


def _pop(body: dict[str, Any], name: str) -> list[Any]:
    """Take the field out; an object that is empty then goes with it. Its value, if it was there."""
    if name in body:
        return [body.pop(name)]
    outer, dot, inner = name.partition(".")
    if not dot or not isinstance(body.get(outer), dict):
        return []
    fields = body[outer] = dict(body[outer])
    values = _pop(fields, inner)
    if not fields:
        del body[outer]
    return values


@dataclass(frozen=True, slots=True)
class Sign:
    """An endpoint whose answer shows that it is this engine. `/v1/models` costs no further request."""

    path: str
    matches: Callable[[Answer], bool]


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """The endpoint that tokenizes: the field that holds the text, and what keeps special tokens out."""

    path: str
    text: str
    options: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selector:
    """Picks samples of one exposed metric: every label in `where` must have one of the values given.

    `label` reads the value from that label instead of the sample; `times` multiplies it by another label.
    `scale` converts it to our unit. The samples of the metric `plus` are added if there are any; the value is
    multiplied by the metric `by`, which must be there.
    """

    metric: str
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    label: str = ""
    times: str = ""
    scale: float = 1.0
    plus: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Flag:
    """How an engine takes a setting: as `value`, with {} or, in KV blocks, {blocks} in its place; or as a switch.

    A text that begins with `env:` or `file:` is a variable or a key of the engine's configuration file instead.
    """

    value: str = ""
    on: str = ""
    off: str = ""
    spelled: Mapping[str, str] = field(default_factory=dict)  # our word: the engine's; it takes no other
    times: str = ""  # the engine wants the value multiplied by this setting
    least: int = 0  # it takes no smaller value
    since: tuple[int, ...] = ()
    before: Flag | None = None  # in versions below `since`

    def for_version(self, version: str) -> Flag:
        """The flag in that version; an unknown version is taken as new."""
        numbers = version_numbers(version)
        return self.before if self.before is not None and numbers and numbers < self.since else self

    def text(self, value: Value, settings: Mapping[str, object] = {}) -> str:
        """The flag that sets `value` next to the other `settings`; empty when the engine has none for it."""
        if isinstance(value, bool):
            return self.on if value else self.off
        if self.spelled:
            value = self.spelled.get(str(value), "")
        if value == "" or (isinstance(value, int) and value < self.least):
            return ""
        if isinstance(value, int | float):
            value *= _count(settings, self.times, 1)
            blocks = math.ceil(value / _count(settings, "kv_block", KV_BLOCK))
            return self.value.replace("{blocks}", str(blocks)).replace("{}", str(value))
        return self.value.replace("{}", value)


def _count(settings: Mapping[str, object], key: str, default: int) -> int:
    number = settings.get(key)
    return number if isinstance(number, int) and number > 0 else default


def version_numbers(version: str) -> tuple[int, ...]:
    """`0.5.20.post1` as (0, 5, 20); empty when it does not begin with numbers."""
    numbers: list[int] = []
    for part in version.removeprefix("v").split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


@dataclass(frozen=True, slots=True)
class Start:
    """How the engine is started, and what its log says meanwhile."""

    command: tuple[str, ...]
    model: str = "{}"  # the weights
    served_name: str = ""  # empty: it cannot serve them under another name
    host: str = "--host {}"
    port: str = "--port {}"
    always: tuple[str, ...] = ()  # turns on what dragstrip reads
    env: Mapping[str, str] = field(default_factory=dict)
    # Patterns of log lines, the first match counts: the stage that begins, with {} for what the groups caught.
    progress: Mapping[str, str] = field(default_factory=dict)


def _no_loads(page: bytes) -> dict[str, float]:
    raise ValueError("JSON where metrics should be")


@dataclass(frozen=True, slots=True)
class Engine:
    """One kind of server."""

    kind: str
    title: str
    endpoint: Endpoint  # the one that measures it best
    prompt_form: PromptForm  # of completions
    body: Callable[[Request], dict[str, Any]]
    cheap_health: str  # an endpoint that costs no generation
    owned_by: tuple[str, ...] = ()  # in /v1/models
    sign: Sign | None = None  # asked for when no `owned_by` is known
    usage: Usage = "end"  # the most it does: count its tokens in each chunk, or only at the end of an answer
    finish_reasons: frozenset[str] = frozenset()  # of a good answer, other than the official ones
    generates: bool = False  # it has the endpoint `generate` as well, which takes ids and counts tokens in each chunk
    chat_ids: str = ""  # the field of a chat that takes the prompt as ids
    tokenizer: Tokenizer | None = None

    metrics_path: str = ""  # empty: it has none
    metrics_hint: str = ""  # how to turn them on
    gauges: Mapping[str, tuple[Selector, ...]] = field(default_factory=dict)  # by name in `model.gauges`, best first
    mean_of: frozenset[str] = frozenset()  # gauges that are averaged over ranks; the others are summed
    rank_labels: tuple[str, ...] = ()  # series that differ only in these report the same: the lowest rank counts
    refresh_s: float = 0.0  # its gauges are renewed only so often, whenever they are read
    refresh_at_end: bool = False  # its gauges are renewed only when a request ends
    kv_preallocated: bool = False  # it takes its whole KV pool when it starts
    loads_path: str = ""  # JSON in place of metrics that are off
    read_loads: Callable[[bytes], dict[str, float]] = _no_loads  # its gauges; ValueError: not that JSON

    # Reports `version` and `max_model_len` of the model of that name.
    read_details: Callable[[Site, str], Awaitable[Settings]] | None = None
    read_settings: Callable[[Site, LaneInfo], Awaitable[Settings]] | None = None  # as reported: types are checked
    flags: Mapping[str, Flag] = field(default_factory=dict)  # by key in `model.settings` or field of `Launch`
    start: Start | None = None  # None: dragstrip cannot start it

    reset_path: str = ""  # a POST to it empties the prefix cache; with {slot} in it, that of one slot
    reset_needs: str = ""  # when it has that endpoint
    read_slots: Callable[[Site], Awaitable[int]] | None = None  # how many slots there are

    def takes_ids(self, endpoint: Endpoint) -> bool:
        """Whether a prompt may be token ids there, and so have an exact length."""
        return bool(self.chat_ids) if endpoint == "chat" else endpoint == "generate" or self.prompt_form == "ids"


async def read_version(site: Site, model: str) -> Settings:
    """`read_details` of engines that answer `/version`."""
    return {"version": (await site.ask("/version")).json_object().get("version")}


def lasting(request: Request) -> dict[str, Any]:
    """The field that forbids the end token, unless the answer may end by itself."""
    return {} if request.natural else {"ignore_eos": True}


# A field that one engine accepts another refuses (TensorRT-LLM answers 400 to any field it does not know), so each
# engine file adds its own. Every sampling field that an engine knows is sent, because defaults differ by engine, by
# endpoint and by the model's `generation_config.json`.
#
# `min_tokens` is not sent: `ignore_eos` alone gives the exact length, and both vLLM and SGLang would mask the end
# token in the logits at every step for it, work that no ordinary request asks for.


def official_body(request: Request, *, length_field: str = "max_tokens", chat_ids: str = "") -> dict[str, Any]:
    """A streaming body of fields in OpenAI's own API. A chat gets its prompt as one user message, ids in `chat_ids`.

    Without a field that forbids the end token, the answer may end early. ValueError for a chat with token ids where
    there is no field for them.
    """
    body: dict[str, Any] = {"model": request.model}
    if request.messages:
        body["messages"] = request.messages
    elif request.endpoint == "completions":
        body["prompt"] = request.prompt
    elif isinstance(request.prompt, str):
        body["messages"] = [{"role": "user", "content": request.prompt}]
    elif chat_ids:
        body |= {"messages": [], chat_ids: request.prompt}
    else:
        raise ValueError("a chat takes its prompt as text, not as token ids")
    return body | {
        length_field: request.output_tokens,
        "temperature": request.temperature,
        "top_p": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": request.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
        **request.fields,
    }


def exact_body(request: Request, *, top_k: int, seed_when_random: bool = True, chat_ids: str = "") -> dict[str, Any]:
    """A body for an answer of exact length that can report usage with every chunk. `top_k`: what turns that off.

    Usage with each chunk makes a chunk's tokens exact, at a cost (`load.body`); at the end only, a chunk counts as
    one token until the total is known. Without `seed_when_random` the seed is left out where tokens are drawn at
    random. vLLM draws each seeded request by itself, one kernel a request at every step ("this can be slow", says
    `v1/sample/ops/topk_topp_sampler.py` of 0.32), while SGLang ignores the seed unless it was started for
    deterministic inference: the seed would cost one of them and give neither the other's tokens.
    """
    length_field = "max_completion_tokens" if request.endpoint == "chat" else "max_tokens"
    body = official_body(request, length_field=length_field, chat_ids=chat_ids)
    if request.temperature and not seed_when_random:
        del body["seed"]
    if request.usage == "each":
        body["stream_options"]["continuous_usage_stats"] = True
    return {"top_k": top_k, "min_p": 0.0, "repetition_penalty": 1.0} | body | lasting(request)
