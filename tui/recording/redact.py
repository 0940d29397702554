"""What never reaches a file: keys, header values, and the secrets in URLs. On request also hosts and paths."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import msgspec

from tui.model.session import LaneInfo, SessionInfo

HIDDEN = "(not recorded)"
_SECRET_NAME = re.compile(r"authorization|api[-_]?key|token$|secret|password|passwd|credential|cookie", re.IGNORECASE)
_KEY_VARIABLE = "api_key_env"  # names the environment variable that holds the key
_HOST_NAME = "name"
_ADDRESSES = frozenset({"url", "dcgm"})
_MIN_SECRET = 4  # shorter ones would blot out ordinary words
_MIN_QUERY_SECRET = 8  # most of a query is no secret: `?version=2024`


def session_without_secrets(info: SessionInfo) -> SessionInfo:
    """The same session, fit to be written down."""
    secrets = secrets_of(info.profile)

    def clean(lane: LaneInfo) -> LaneInfo:
        version, model = scrub(lane.version, secrets), scrub(lane.model, secrets)
        return msgspec.structs.replace(lane, url=clean_url(lane.url), version=version, model=model)

    return msgspec.structs.replace(
        info,
        profile=profile_without_secrets(info.profile),
        lanes={name: clean(lane) for name, lane in info.lanes.items()},
        ended=scrub(info.ended, secrets),
    )


def profile_without_secrets(profile: dict[str, Any]) -> dict[str, Any]:
    """A profile fit to be written down: the same keys, with every secret value hidden and every URL cleaned.

    Hidden are the values of headers and of anything named like a secret, and the key in the variable that
    `api_key_env` names, wherever its text appears.
    """
    secrets = secrets_of(profile)
    return {name: _cleaned(name, value, secrets) for name, value in profile.items()}


def secrets_of(profile: dict[str, Any]) -> tuple[str, ...]:
    """The secret texts that a profile holds or names, longest first.

    They are header values, values named like a secret, passwords and queries of URLs, and the API keys in the
    environment variables that it names.
    """
    secrets = set(_secrets_in(profile))
    secrets.update(text.removeprefix("Bearer ") for text in tuple(secrets))
    return _longest_first(secrets - {HIDDEN})


def scrub(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret in it hidden."""
    for secret in filter(None, secrets):
        text = text.replace(secret, HIDDEN)
    return text


def clean_url(url: str) -> str:
    """A URL without user, password, query and fragment. What is no URL comes back unchanged."""
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _longest_first(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted((text for text in texts if len(text) >= _MIN_SECRET), key=len, reverse=True))


def _secrets_in(profile: dict[str, Any]) -> Iterator[str]:
    for name, value in profile.items():
        if isinstance(value, dict):
            yield from map(str, value.values()) if name == "headers" else _secrets_in(value)
        elif isinstance(value, list | tuple):
            yield from _secrets_in_list(name, value)
        elif isinstance(value, str) and name == _KEY_VARIABLE:
            yield os.environ.get(value, "")
        elif isinstance(value, str):
            yield from [value] if _SECRET_NAME.search(name) else _secrets_in_url(_with_scheme(name, value))


def _secrets_in_list(name: str, items: Sequence[Any]) -> Iterator[str]:
    """Those of tables and texts in a list, and what follows a flag named like a secret: `--api-key KEY`, `KEY=…`."""
    before = ""
    for item in items:
        yield from _secrets_in({name: item})
        flag, is_set, value = str(item).partition("=")
        if is_set and _SECRET_NAME.search(flag):
            yield value
        elif before.startswith("-") and _SECRET_NAME.search(before):
            yield str(item)
        before = "" if is_set else flag


def _secrets_in_url(text: str) -> list[str]:
    """Errors quote URLs whole and in pieces: the query counts as a whole and by its values. Some may be empty."""
    try:
        parts = urlsplit(text if "://" in text else "")
    except ValueError:
        return []
    values = (value for _, value in parse_qsl(parts.query) if len(value) >= _MIN_QUERY_SECRET)
    return [parts.query, parts.password or "", unquote(parts.password or ""), *values]


def _cleaned(name: str, value: Any, secrets: tuple[str, ...]) -> Any:
    if name == "headers" and isinstance(value, dict):
        return dict.fromkeys(value, HIDDEN)
    if isinstance(value, dict):
        return {key: _cleaned(key, inner, secrets) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(name, inner, secrets) for inner in value]
    if not isinstance(value, str) or name == _KEY_VARIABLE:
        return value
    return HIDDEN if value and _SECRET_NAME.search(name) else scrub(clean_url(_with_scheme(name, value)), secrets)


def _with_scheme(name: str, value: str) -> str:
    """A server's address may lack its scheme; a password in it is recognised only with one."""
    return f"http://{value.removeprefix('//')}" if name in _ADDRESSES and value and "://" not in value else value


def session_without_places(info: SessionInfo) -> SessionInfo:
    """A session fit to be shown to strangers: no host, no URL, and only the last part of a model's path."""
    private = private_texts(info)
    lanes = {
        name: msgspec.structs.replace(lane, url=HIDDEN, model=_last_part(lane.model))
        for name, lane in info.lanes.items()
    }
    return msgspec.structs.replace(
        info,
        profile=_without_private("", info.profile, private),
        lanes=lanes,
        host={key: value for key, value in info.host.items() if key != _HOST_NAME},
    )


def private_texts(info: SessionInfo) -> tuple[str, ...]:
    """The texts of a session that name a place: hosts, URLs, paths of models. Longest first."""
    texts = {info.host.get(_HOST_NAME, "")}
    for url in (*(lane.url for lane in info.lanes.values()), *_urls(info.profile)):
        texts.update({url, urlsplit(url).netloc, urlsplit(url).hostname or ""})
    texts.update(lane.model for lane in info.lanes.values() if _is_path(lane.model))
    return _longest_first(texts)


def _urls(value: Any) -> Iterable[str]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _urls(inner)
    elif isinstance(value, str) and "://" in value:
        yield value


def _is_path(model: str) -> bool:
    """A path on a disk, and not a name of the form `owner/model`."""
    return model.startswith(("/", "~", ".")) or model.count("/") > 1


def _last_part(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2] if _is_path(model) else model


def _without_private(name: str, value: Any, private: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _without_private(key, inner, private) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_private(name, inner, private) for inner in value]
    if not isinstance(value, str):
        return value
    return _last_part(value) if name == "model" else scrub(value, private)
