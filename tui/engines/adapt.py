"""The first request to a server, and what is done otherwise for it when it refuses: fields, endpoint, place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from tui.engines.detect import DetectedServer
from tui.engines.model_list import ABSENT, OTHER_PLACE, key_refused
from tui.engines.probe import FailedAnswerError, RefusedError, StreamedAnswer, probe_stream
from tui.engines.refusal import FieldChange, fingerprint, proposals
from tui.model.text import sanitize

if TYPE_CHECKING:
    from tui.model.session import LaneInfo

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
