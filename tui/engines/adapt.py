"""The first request to a server, and what is done otherwise for it when it refuses: fields, endpoint, place.

Which field it may have refused is taken from whatever shape its refusal has; a further request shows which one it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tui.engines.detect import ABSENT, OTHER_PLACE, DetectedServer, key_refused
from tui.engines.probe import FailedAnswerError, RefusedError, StreamedAnswer, probe_stream
from tui.model.text import sanitize
from tui.net.http import Answer

if TYPE_CHECKING:
    from tui.model.session import LaneInfo


# Without these there is no request to measure.
_NEEDED: Final = frozenset({"model", "messages", "prompt", "input_ids", "text", "inputs", "stream"})
# Keys of an error under which servers name the field, by a name or by a path.
_PLACES: Final = frozenset(
    {"param", "parameter", "field", "fields", "loc", "location", "path", "pointer", "property"}
)
_ECHOES: Final = frozenset({"input", "ctx", "url", "request", "body", "id", "request_id"})  # not the server's words
# The name of a field, as what to do instead or what the field is called now.
_INSTEAD: Final = re.compile(
    r"(?:\b(?:use|send|try|set|specify|provide|mean|meant|called|named|by|to|with|of|is|for)|->|→|=>)"
    r"\s+(?:the\s+)?(?:(?:new\s+)?(?:field|parameter|param|name|key)\s+)?"
    r"(?P<quote>[`'\"]?)(?P<name>[A-Za-z]\w*)(?P=quote)",
    re.IGNORECASE,
)
_LENGTHS: Final = ("max_tokens", "max_completion_tokens")  # of the official API, the old name and the new one
_WORDS_LIMIT: Final = 4000


@dataclass(frozen=True, slots=True)
class FieldChange:
    """Leave the field out, or send it under another name."""

    field: str  # a dot leads into a field
    new: str = ""


def proposals(answer: Answer, sent: Mapping[str, Any]) -> list[FieldChange]:
    """What might make the server take the request, the likeliest first; empty: it names no field that was sent.

    A length is never left out, because answers would have no end.
    """
    decoded = answer.json()
    words = " ".join(_words(decoded)) if isinstance(decoded, dict | list) else answer.body.decode("utf-8", "replace")
    words = words[:_WORDS_LIMIT]
    fields = dict.fromkeys([*_at_places(decoded, sent), *_mentioned(words, sent)])
    changes: list[FieldChange] = []
    for field in fields:
        if field.partition(".")[0] in _NEEDED:
            continue
        changes += [FieldChange(field, new) for new in _other_names(field, words, sent)]
        if not _is_length(field):
            changes.append(FieldChange(field))
    return changes


def fingerprint(answer: Answer) -> str:
    """The answer without what differs from request to request, to see whether two refuse the same."""
    decoded = answer.json()
    words = " ".join(_words(decoded)) if isinstance(decoded, dict | list) else answer.body.decode("utf-8", "replace")
    return f"{answer.status} {re.sub(r'[0-9a-fA-F-]*[0-9][0-9a-fA-F-]*', '#', words)}"


def _is_length(field: str) -> bool:
    name = field.rpartition(".")[2]
    return "max" in name and ("token" in name or "length" in name)


def _words(value: object, key: str = "") -> Iterator[str]:
    if isinstance(value, str):
        if key not in _ECHOES:
            yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner, key)
    elif isinstance(value, dict) and key not in _ECHOES:
        for name, inner in value.items():
            yield from _words(inner, name)


def _at_places(value: object, sent: Mapping[str, Any]) -> Iterator[str]:
    """The sent fields that an error names under a key for that."""
    if isinstance(value, list):
        for inner in value:
            yield from _at_places(inner, sent)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in _PLACES and (field := _resolve(inner, sent)):
                yield field
            elif name not in _ECHOES:
                yield from _at_places(inner, sent)


def _resolve(place: object, sent: Mapping[str, Any]) -> str:
    """The sent field at that path, as far down as it was sent; empty when there is none."""
    parts = place if isinstance(place, list) else re.split(r"[./\[\]]+", place) if isinstance(place, str) else []
    known: list[str] = []
    fields: Any = sent
    for part in parts:
        if isinstance(fields, dict) and isinstance(part, str) and part in fields:
            known.append(part)
            fields = fields[part]
        elif known:
            break
    return ".".join(known)


def _mentioned(words: str, sent: Mapping[str, Any]) -> list[str]:
    """The sent fields that the words name, in their order; a field in a field goes before that."""
    at: dict[str, tuple[int, int]] = {}
    for field, depth in _paths(sent):
        if match := re.search(rf"(?<!\w){re.escape(field.rpartition('.')[2])}(?!\w)", words):
            at[field] = (match.start(), -depth)
    for field in [field for field in at if "." in field]:
        outer = field.partition(".")[0]
        if outer in at:
            at[field] = min(at[field], (at[outer][0], -2))
    return sorted(at, key=lambda field: at[field])


def _paths(sent: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name, value in sent.items():
        yield name, 1
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", 2) for inner in value)


def _other_names(field: str, words: str, sent: Mapping[str, Any]) -> Iterator[str]:
    """What else the field may be called: as the words say, or by its other official name."""
    if "." in field:
        return
    for match in _INSTEAD.finditer(words):
        name = match["name"]
        looks_like_a_field = bool(match["quote"]) or "_" in name
        if looks_like_a_field and name not in sent and name.lower() not in ("true", "false", "null", "none"):
            yield name
    if field in _LENGTHS:
        yield from (name for name in _LENGTHS if name not in sent)


_FIELD_REFUSED = (400, 422, 500)  # 500: a Python server that takes the fields as arguments of a function
_ELSEWHERE = (*ABSENT, 400, 422)  # where the other endpoint may take what this one does not
_MOST_REQUESTS = 16
_KEY_REFUSED = (401, 403)


async def probe_and_adapt(
    server: DetectedServer, *, prompt: str = "", timeout_s: float = 30
) -> tuple[DetectedServer, StreamedAnswer]:
    """Probe the server until it takes the request; the server as requests must be made from now on, and its answer.

    `info.adapted` says what is done otherwise. RefusedError when it refuses whatever is sent, with what to do.
    """
    refusals: list[RefusedError] = []
    for info in (server.info, *server.alternatives):
        there = server if info is server.info else _move(server, info, refusals[0])
        try:
            return await _probe_fields(there, prompt, timeout_s)
        except RefusedError as refusal:
            refusals.append(refusal)
            if refusal.answer.status not in _ELSEWHERE:
                break
    telling = next((each for each in refusals if each.answer.status not in ABSENT), refusals[0])
    sentence = _without_secrets(server, _way_on(server, telling))
    raise RefusedError(sentence, telling.answer, telling.request) from telling


async def _probe_fields(
    server: DetectedServer, prompt: str, timeout_s: float
) -> tuple[DetectedServer, StreamedAnswer]:
    """Probe, and leave out or rename the fields that are refused. A change that changes nothing is taken back."""
    tried: set[FieldChange] = set()
    before, refused_before = server, ""
    for _ in range(_MOST_REQUESTS):
        try:
            answer = await probe_stream(server, prompt=prompt, timeout_s=timeout_s)
            return server.at(answer.base), answer
        except FailedAnswerError as failed:
            failed.server = server
            raise
        except RefusedError as refusal:
            if refusal.answer.status not in _FIELD_REFUSED:
                raise
            refused = fingerprint(refusal.answer)
            if refused == refused_before:
                server = before
            options = proposals(refusal.answer, server.body(refusal.request))
            change = next((each for each in options if each not in tried), None)
            if change is None:
                raise
            tried.add(change)
            before, refused_before, last = server, refused, refusal
            server = _change_field(server, change, refusal)
    raise last


def _change_field(server: DetectedServer, change: FieldChange, refusal: RefusedError) -> DetectedServer:
    now = server.changes
    if change.new:
        now = msgspec.structs.replace(now, rename=now.rename | {change.field: change.new})
        done = f"it is sent as {sanitize(change.new, 60)}"
    else:
        now = msgspec.structs.replace(now, drop=[*now.drop, change.field])
        done = "it is left out"
    path, why = server.info.request_path, refusal.answer.error_message()
    return _adapted(server, server.info, f"{path} refuses the field {change.field} ({why}): {done}", changes=now)


def _move(server: DetectedServer, info: LaneInfo, refusal: RefusedError) -> DetectedServer:
    why = f"HTTP {refusal.answer.status}: {refusal.answer.error_message()}"
    there = info.request_path if info.url == server.info.url else info.url + info.request_path
    sentence = f"{server.info.request_path} answers {why}; the load goes to {there}"
    pool = server.token_pool if info.prompt_form == "ids" else []
    return replace(_adapted(server, info, sentence), token_pool=pool)


def _adapted(server: DetectedServer, info: LaneInfo, sentence: str, **changed: Any) -> DetectedServer:
    said = [*info.adapted, _without_secrets(server, sentence)]
    return replace(server, info=msgspec.structs.replace(info, adapted=said), **changed)


def _way_on(server: DetectedServer, refusal: RefusedError) -> str:
    """The refusal, and what to do about it."""
    status, why, info = refusal.answer.status, str(refusal), server.info
    if status in _KEY_REFUSED:
        key = key_refused(info.url + info.request_path, status, server.key_env)
        return f"{key} ({refusal.answer.error_message()})"
    ways: list[str] = []
    if status in (400, 422):
        ways.append("leave a field out or rename it with drop_fields or rename_fields in the profile")
    if status in _ELSEWHERE and info.endpoint != "generate":
        other = "completions" if info.endpoint == "chat" else "chat"
        ways += [] if any(each.endpoint == other for each in server.alternatives) else [f"try --endpoint {other}"]
    if status in ABSENT:
        ways.append(f"name another model with --model, or, {OTHER_PLACE}")
    return "; ".join([why, *dict.fromkeys([*ways, *info.adapted])])


def _without_secrets(server: DetectedServer, sentence: str) -> str:
    """A server's words may repeat the key that it was sent."""
    for secret in _secrets(server):
        sentence = sentence.replace(secret, "(hidden)")
    return sentence


def _secrets(server: DetectedServer) -> Iterable[str]:
    texts = [part for value in server.headers.values() for part in (value, value.rpartition(" ")[2])]
    texts += [server.query, *(part.partition("=")[2] for part in server.query[1:].split("&"))]
    return sorted((text for text in texts if len(text) >= 4), key=len, reverse=True)
