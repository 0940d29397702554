"""One tiny request that proves that a server streams.

What a server's own tokenizer makes of a text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tui.engines.base import Ask, Engine
from tui.engines.registry import engine
from tui.model.profile import PATHS
from tui.model.session import LaneInfo
from tui.model.text import UserError, sanitize
from tui.net.http import Answer, Site, client

if TYPE_CHECKING:
    import httpx


OUTPUT_TOKENS = 4
_ANSWER_LIMIT = 1 << 20
_PROMPT = "Count from one to ten."


@dataclass(slots=True)
class Streamed:
    """What one streamed answer held. None: the server does not say."""

    events: int = 0
    text: str = ""
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    finish_reason: str = ""


async def streams(  # noqa: PLR0913 - each keyword is a key of a profile's lane
    url: str,
    info: LaneInfo,
    *,
    headers: Mapping[str, str] = {},
    token_pool: Sequence[int] = (),
    prompt: str = _PROMPT,
    verify: bool = True,
    timeout_s: float = 30,
    transport: Any = None,
) -> Streamed:
    """Ask for four tokens and read the stream to its end; UserError when it is not one.

    `url` is the base URL; `headers` are those of every request (`recognise.Found.headers`). With a `token_pool`
    the prompt is made of its ids, else it is `prompt`.
    """
    import httpx

    ids = list(token_pool[:8]) if info.prompt_form == "ids" else []
    ask = Ask(info.endpoint, info.model, ids or prompt, OUTPUT_TOKENS, 0.0, 0)
    path = PATHS[info.endpoint]
    body = engine(info.engine).body(ask)
    try:
        async with (
            asyncio.timeout(timeout_s),
            client(headers, verify=verify, transport=transport) as http,
            http.stream("POST", url + path, json=body, timeout=timeout_s) as response,
        ):
            return await _read(response, url + path)
    except (httpx.TimeoutException, TimeoutError) as error:
        raise UserError(f"{url} gave no whole answer to a request of four tokens within {timeout_s:g} s") from error
    except httpx.HTTPError as error:
        raise UserError(f"{url} broke off while it answered: {sanitize(error, 100)}") from error


async def _read(response: httpx.Response, where: str) -> Streamed:
    raw = bytearray()
    async for piece in response.aiter_bytes():
        raw += piece
        if len(raw) > _ANSWER_LIMIT:
            raise UserError(f"{where} does not keep to the four tokens asked for")
    content_type = response.headers.get("content-type", "")
    answer = Answer(response.status_code, content_type, "", bytes(raw))
    if answer.status in (404, 405):
        raise UserError(f"{where} answers HTTP {answer.status}: {answer.error_message()}")
    if answer.status != 200:
        raise UserError(f"{where} refuses a small streaming request (HTTP {answer.status}): {answer.error_message()}")
    if not content_type.startswith("text/event-stream"):
        came = sanitize(content_type.partition(";")[0], 40) or "an answer without a type"
        raise UserError(f"{where} does not stream: asked for a stream, it sends {came}, and there is nothing to time")
    streamed = parse_stream(answer.body)
    if not streamed.events:
        raise UserError(f"{where} does not stream: its stream carries no text")
    return streamed


def parse_stream(raw: bytes) -> Streamed:
    """Read a whole SSE answer. UserError when an event carries an error."""
    found = Streamed()
    for line in raw.replace(b"\r\n", b"\n").split(b"\n"):
        if not line.startswith(b"data:") or line[5:].strip() == b"[DONE]":
            continue
        answer = Answer(200, "", "", line[5:])
        event = answer.object()
        if event.get("error") or event.get("object") == "error":
            raise UserError(f"the server answers with an error in its stream: {answer.error_message()}")
        _take(found, event)
    return found


def _take(found: Streamed, event: dict[str, Any]) -> None:
    if isinstance(about := event.get("meta_info"), dict):
        _take_generated(found, event, about)
        return
    usage = event.get("usage")
    if isinstance(usage, dict):
        found.prompt_tokens = usage.get("prompt_tokens", found.prompt_tokens)
        found.output_tokens = usage.get("completion_tokens", found.output_tokens)
    choices = event.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        if not isinstance(choice, dict):
            continue
        told = choice.get("delta")
        delta: dict[str, Any] = told if isinstance(told, dict) else {}
        pieces = (choice.get("text"), delta.get("reasoning"), delta.get("reasoning_content"), delta.get("content"))
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        found.text += text
        found.events += bool(text or delta.get("tool_calls"))
        found.finish_reason = sanitize(choice.get("finish_reason") or found.finish_reason, 40)


def _take_generated(found: Streamed, event: dict[str, Any], about: dict[str, Any]) -> None:
    """An event of `generate`: its text and its counts are those of the whole answer so far."""
    text, reason = event.get("text"), about.get("finish_reason")
    if isinstance(text, str) and text:
        # A server that was started to stream increments sends just what is new.
        found.text = text if text.startswith(found.text) else found.text + text
        found.events += 1
    found.prompt_tokens = about.get("prompt_tokens", found.prompt_tokens)
    found.output_tokens = about.get("completion_tokens", found.output_tokens)
    if isinstance(reason, dict):
        found.finish_reason = sanitize(reason.get("type") or found.finish_reason, 40)


# Common words, each a token of its own in large vocabularies; a small vocabulary gives pieces of them.
WORDS = """
the of and to in is that for it as was with be by on not he his but at are this have from or had an they which
one you were all her she there would their we him been has when who will no more if out so up said what its
about than into them can only other time new some could these two may first then do any like my now over such
our man me even most made after also did many off before must well back through years where much your way down
should because long each just state those people too mister how little world good very year still see own work
men day get here old life both between being under three never know same last another while us might great go
come since against right came take used himself few house use place during without again home around small
however found thought part school high once general upon say every war until always away something fact water
less public put think almost hand enough far took head yet government system better set told nothing night end
why called eyes find going look asked later point knew city next program business group toward young days let
room word side social given present several order national second possible rather per face among form
important often things looked early white large big need four within felt along children saw best church ever
least power development light thing seemed family interest want members others mind country area done turned
although open service certain kind began different problem door help sense means whole matter line human field
paper river mountain garden window table summer winter morning evening letter number machine engine track
signal green yellow orange silver copper
"""


async def tokenize(site: Site, engine: Engine, model: str, text: str) -> list[int]:
    """The token ids of `text` without special tokens, or an empty list when the server does not tell."""
    own = engine.tokenizer
    if own is None:
        return []
    answer = await site.ask(own.path, {"model": model, own.text: text, **own.options})
    decoded = answer.json() if answer.status == 200 else None
    if isinstance(decoded, dict):
        decoded = decoded.get("tokens", decoded.get("input_ids"))
    found = decoded if isinstance(decoded, list) else []
    ids = [token.get("id") if isinstance(token, dict) else token for token in found]
    return [token for token in ids if isinstance(token, int)]


async def token_pool(site: Site, engine: Engine, model: str) -> list[int]:
    """Ordinary token ids of this server's vocabulary, sorted; empty when it has no tokenizer to ask.

    The first and the last id are left out: servers that do not know `add_special_tokens` put special ones there.
    """
    ids = await tokenize(site, engine, model, " ".join(WORDS.split()))
    return sorted(set(ids[1:-1]))
