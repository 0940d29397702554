"""What a server lists as its models, and which of them to ask for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tui.engines.places import MODELS, Place
from tui.model.profile import LaneProfile
from tui.model.text import UserError, sanitize
from tui.net.http import REDIRECTS, Answer

ABSENT = (404, 405, 501)
_NO_LIST = (*ABSENT, 400, 403)  # what a server may answer that takes requests all the same
_NAMES_SHOWN = 8
OTHER_PLACE = "if its API is at another path, give that in the URL, or as path in the profile"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    model: str
    entry: dict[str, Any] = field(default_factory=dict)  # of the list; empty: it is not in it
    owned_by: object = None
    listed: bool = True  # whether the server has a list
    note: str = ""  # where it is asked for although the server does not list it


def list_models(answer: Answer) -> list[dict[str, Any]] | None:
    """The entries of a list of models, in an object or bare; None when it is none."""
    decoded = answer.json() if answer.status == 200 else None
    entries = decoded.get("data", decoded.get("models")) if isinstance(decoded, dict) else decoded
    if isinstance(entries, list) and all(isinstance(e, dict) and isinstance(e.get("id"), str) for e in entries):
        return entries
    return None


def key_refused(base: str, status: int, key_env: str) -> str:
    """What to do about an answer that asks for a key, or for another one."""
    if key_env:
        return f"{base} refuses the key in ${key_env} ({status}): put the right one there"
    return (
        f"{base} requires an API key ({status}): put it into an environment variable, "
        "for example DRAGSTRIP_API_KEY, and name that as api_key_env"
    )


def choose_model(answer: Answer, lane: LaneProfile, place: Place, *, key_env: str) -> ModelChoice:
    """The model that the lane names, listed or not, else the only one of the list.

    UserError when the answer is that of another kind of server, or one that is not ready or wants a key.
    """
    models = list_models(answer)
    if models is None:
        return _without_list(answer, lane.model, place, key_env)
    owner = models[0].get("owned_by") if models else None
    for entry in models:
        aliases = entry.get("aliases")
        if lane.model and (entry["id"] == lane.model or (isinstance(aliases, list) and lane.model in aliases)):
            return ModelChoice(lane.model, entry, entry.get("owned_by"))
    served = _join_names(entry["id"] for entry in models)
    if lane.model:
        lists = f"lists {served}, not {sanitize(lane.model)}" if models else "lists no model"
        note = f"{place.base} {lists}: it is asked for {sanitize(lane.model)} all the same"
        return ModelChoice(lane.model, owned_by=owner, note=note)
    base_models = [entry for entry in models if entry.get("parent") is None]  # the others are LoRA adapters
    if len(base_models) == 1:
        return ModelChoice(base_models[0]["id"], base_models[0], base_models[0].get("owned_by"))
    if not base_models:
        raise UserError(f"{place.base} lists no model; name the one to ask for with --model, or as model")
    raise UserError(f"{place.base} serves several models, name one with --model, or as model: {served}")


def _without_list(answer: Answer, wanted: str, place: Place, key_env: str) -> ModelChoice:
    base, path = place.base, place.api_path + MODELS
    came = f"HTTP {answer.status}, {sanitize(answer.content_type.partition(';')[0], 40) or 'no content type'}"
    if answer.status == 401 or (answer.status == 403 and not (wanted and key_env)):
        raise UserError(key_refused(base, answer.status, key_env))
    if answer.status == 400 and b"HTTPS" in answer.body[:2000]:
        raise UserError(f"{base} speaks TLS; give its URL with https://")
    if answer.location and answer.status in REDIRECTS:
        where = sanitize(answer.location, 200)
        raise UserError(f"{base} redirects to {where} (HTTP {answer.status}): give the URL of the server there")
    has_none = answer.status in _NO_LIST or (answer.status == 200 and answer.json() is not None)
    if wanted and has_none:
        note = f"{base} has no list of models at {path} ({came}): it is asked for {sanitize(wanted)} all the same"
        return ModelChoice(wanted, listed=False, note=note)
    if answer.status >= 500 and answer.status not in ABSENT:
        raise UserError(f"{base} is not ready (HTTP {answer.status}): {answer.error_message()}")
    message = f"{base} is not an OpenAI-compatible server: {path} answered {came}: {answer.error_message(60)}"
    if has_none:
        message += f"; if it only has no list of models, name the model with --model; {OTHER_PLACE}"
    raise UserError(message)


def _join_names(names: Iterable[str]) -> str:
    shown = [sanitize(name, 80) for name in names]
    more = len(shown) - _NAMES_SHOWN
    return ", ".join(shown[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
