"""What never reaches a file: keys, header values, and the secrets in URLs. On request also hosts and paths."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from tui.model.session import LaneInfo, SessionInfo
from tui.model.text import HIDDEN, clean_url

_SECRET_NAME = re.compile(r"authorization|api[-_]?key|token$|secret|password|passwd|credential|cookie", re.IGNORECASE)
_KEY_VARIABLE = "api_key_env"  # names the environment variable that holds the key
_HEADERS = "headers"
_HOST_NAME = "name"
_ADDRESSES = frozenset({"url", "dcgm"})
_MIN_SECRET = 4  # shorter ones would blot out ordinary words
_MIN_QUERY_SECRET = 8  # most of a query is no secret: `?version=2024`


def session_without_secrets(info: SessionInfo) -> SessionInfo:
    """The same session, fit to be written down."""
    secrets = secrets_of(info.profile)

    def clean(lane: LaneInfo) -> LaneInfo:
        version, model = scrub(lane.version, secrets), scrub(lane.model, secrets)
        adapted = [scrub(sentence, secrets) for sentence in lane.adapted]
        return msgspec.structs.replace(lane, url=clean_url(lane.url), version=version, model=model, adapted=adapted)

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

    def clean(name: str, text: str) -> str:
        if name == _KEY_VARIABLE:
            return text
        return HIDDEN if text and _is_secret(name) else scrub(clean_url(_with_scheme(name, text)), secrets)

    return _with_texts(profile, clean)  # type: ignore[no-any-return]


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


def _longest_first(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted((text for text in texts if len(text) >= _MIN_SECRET), key=len, reverse=True))


def _texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """All texts of a table with their names. All in `headers` are named so; a text after a flag by the flag.

    Flags and environment variables are `--api-key KEY`, `--api-key=KEY` and `API_KEY=KEY`.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, name if name == _HEADERS else key)
    elif isinstance(value, list | tuple):
        flag = ""
        for inner in value:
            yield from _texts(inner, name)
            word, is_set, text = str(inner).partition("=")
            if is_set:
                yield word, text
            if flag.startswith("-"):
                yield flag, str(inner)
            flag = "" if is_set else word
    elif isinstance(value, str):
        yield name, value


def _with_texts(value: Any, change: Callable[[str, str], str], name: str = "") -> Any:
    """The same table with every text changed by its name and its content."""
    if isinstance(value, dict):
        return {key: _with_texts(inner, change, name if name == _HEADERS else key) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_texts(inner, change, name) for inner in value]
    return change(name, value) if isinstance(value, str) else value


def _is_secret(name: str) -> bool:
    return name == _HEADERS or bool(_SECRET_NAME.search(name))


def _secrets_in(profile: dict[str, Any]) -> Iterator[str]:
    for name, text in _texts(profile):
        if name == _KEY_VARIABLE:
            yield os.environ.get(text, "")
        else:
            yield from [text] if _is_secret(name) else _secrets_in_url(_with_scheme(name, text))


def _secrets_in_url(text: str) -> list[str]:
    """Errors quote URLs whole and in pieces: the query counts as a whole and by its values. Some may be empty."""
    try:
        parts = urlsplit(text if "://" in text else "")
    except ValueError:
        return []
    values = (value for _, value in parse_qsl(parts.query) if len(value) >= _MIN_QUERY_SECRET)
    return [parts.query, parts.password or "", unquote(parts.password or ""), *values]


def _with_scheme(name: str, value: str) -> str:
    """A server's address may lack its scheme; a password in it is recognised only with one."""
    return f"http://{value.removeprefix('//')}" if name in _ADDRESSES and value and "://" not in value else value


def session_without_places(info: SessionInfo) -> SessionInfo:
    """A session fit to be shown to strangers: no host, no URL, and only the last part of a model's path."""
    private = private_texts(info)
    lanes = {
        name: msgspec.structs.replace(
            lane, url=HIDDEN, model=_last_part(lane.model), adapted=[scrub(text, private) for text in lane.adapted]
        )
        for name, lane in info.lanes.items()
    }
    return msgspec.structs.replace(
        info,
        profile=_with_texts(
            info.profile, lambda name, text: _last_part(text) if name == "model" else scrub(text, private)
        ),
        lanes=lanes,
        host={key: value for key, value in info.host.items() if key != _HOST_NAME},
    )


def private_texts(info: SessionInfo) -> tuple[str, ...]:
    """The texts of a session that name a place: hosts, URLs, paths of models. Longest first."""
    texts = {info.host.get(_HOST_NAME, "")}
    urls = (text for _, text in _texts(info.profile) if "://" in text)
    for url in (*(lane.url for lane in info.lanes.values()), *urls):
        texts.update({url, urlsplit(url).netloc, urlsplit(url).hostname or ""})
    texts.update(lane.model for lane in info.lanes.values() if _is_path(lane.model))
    return _longest_first(texts)


def _is_path(model: str) -> bool:
    """A path on a disk, and not a name of the form `owner/model`."""
    return model.startswith(("/", "~", ".")) or model.count("/") > 1


def _last_part(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2] if _is_path(model) else model
