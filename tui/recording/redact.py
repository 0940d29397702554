"""What never reaches a file: keys, header values, and the tokens that hide in URLs."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import msgspec

from tui.model.session import SessionInfo

HIDDEN = "(not recorded)"
_SECRET_NAME = re.compile(r"authorization|api[-_]?key|token$|secret|password|passwd|credential|cookie", re.IGNORECASE)
_KEY_ENV = "api_key_env"
_HOST_NAME = "name"
_PLACES = frozenset({"url", "dcgm"})
_SHORTEST_SECRET = 4  # shorter ones would blot out ordinary words
_SHORTEST_IN_QUERY = 8  # most of a query is no secret: `?version=2024`


def without_secrets(profile: dict[str, Any]) -> dict[str, Any]:
    """A profile that may be written down: the same keys, with every secret value hidden and every URL cleaned.

    Hidden are the values of headers, of anything that is named like a secret, and the key of an `api_key_env`
    wherever its text turns up.
    """
    secrets = secrets_of(profile)
    return {name: _cleaned(name, value, secrets) for name, value in profile.items()}


def secrets_of(profile: dict[str, Any]) -> tuple[str, ...]:
    """The secret texts that a profile holds or names, longest first.

    They are header values, what is named like a secret, passwords and queries of URLs, and the API keys in the
    variables that it names.
    """
    found = set(_secrets_in(profile))
    found.update(text.removeprefix("Bearer ") for text in tuple(found))
    return tuple(sorted((s for s in found - {HIDDEN} if len(s) >= _SHORTEST_SECRET), key=len, reverse=True))


def _secrets_in(profile: dict[str, Any]) -> Iterator[str]:
    for name, value in profile.items():
        if isinstance(value, dict):
            yield from map(str, value.values()) if name == "headers" else _secrets_in(value)
        elif isinstance(value, list | tuple):
            yield from _secrets_in_list(name, value)
        elif isinstance(value, str) and name == _KEY_ENV:
            yield os.environ.get(value, "")
        elif isinstance(value, str):
            yield from [value] if _SECRET_NAME.search(name) else secrets_in_url(_in_full(name, value))


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


def secrets_in_url(text: str) -> list[str]:
    """What is secret in a URL, and empty texts: errors quote URLs in whole and in pieces."""
    try:
        parts = urlsplit(text if "://" in text else "")
    except ValueError:
        return []
    values = (value for _, value in parse_qsl(parts.query) if len(value) >= _SHORTEST_IN_QUERY)
    return [parts.query, parts.password or "", unquote(parts.password or ""), *values]


def clean_url(url: str) -> str:
    """A URL without user, password, query and fragment; what is no URL comes back as it is."""
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def scrub(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret in it hidden."""
    for secret in filter(None, secrets):
        text = text.replace(secret, HIDDEN)
    return text


def _cleaned(name: str, value: Any, secrets: tuple[str, ...]) -> Any:
    if name == "headers" and isinstance(value, dict):
        return dict.fromkeys(value, HIDDEN)
    if isinstance(value, dict):
        return {key: _cleaned(key, inner, secrets) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(name, inner, secrets) for inner in value]
    if not isinstance(value, str) or name == _KEY_ENV:
        return value
    return HIDDEN if value and _SECRET_NAME.search(name) else scrub(clean_url(_in_full(name, value)), secrets)


def _in_full(name: str, value: str) -> str:
    """A server's address with its scheme, which may be left out, so that what stands before its host is found."""
    return f"http://{value.removeprefix('//')}" if name in _PLACES and value and "://" not in value else value


def without_places(info: SessionInfo) -> SessionInfo:
    """A session fit to be shown to strangers: no host, no URL, and of a model's path only the last part."""
    private = private_texts(info)
    lanes = {
        lane: msgspec.structs.replace(of, url=HIDDEN, model=_last_part(of.model)) for lane, of in info.lanes.items()
    }
    return msgspec.structs.replace(
        info,
        profile=_without_private("", info.profile, private),
        lanes=lanes,
        host={key: value for key, value in info.host.items() if key != _HOST_NAME},
    )


def private_texts(info: SessionInfo) -> tuple[str, ...]:
    """The texts of a session that name a place: hosts, URLs, paths of models. Longest first."""
    found = {info.host.get(_HOST_NAME, "")}
    for url in (*(of.url for of in info.lanes.values()), *_urls(info.profile)):
        found.update({url, urlsplit(url).netloc, urlsplit(url).hostname or ""})
    found.update(of.model for of in info.lanes.values() if _is_path(of.model))
    return tuple(sorted((text for text in found if len(text) >= _SHORTEST_SECRET), key=len, reverse=True))


def _urls(value: Any) -> Iterable[str]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _urls(inner)
    elif isinstance(value, str) and "://" in value:
        yield value


def _is_path(model: str) -> bool:
    """A place on a disk, and not a name of the form `owner/model`."""
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
