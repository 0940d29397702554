"""What is at a URL: which engine, which version, which model, and what it lets us see.

The server of a lane, recognised as its profile describes it.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tui.engines.base import Engine
from tui.engines.probe import token_pool
from tui.engines.registry import ENGINES, FALLBACK, engine
from tui.model.profile import PATHS, Endpoint, LaneProfile
from tui.model.session import LaneInfo
from tui.model.text import UserError, sanitize
from tui.net.http import Answer, Site, TooLargeError, base_url, client, fetch, request_headers

SIMULATOR = "dragstrip-simulator"
_NAMES_SHOWN = 8
_MODELS = "/v1/models"


@dataclass(frozen=True, slots=True)
class DetectedServer:
    """A server as recognised. `headers` may hold a key: they are for requests, never for showing."""

    info: LaneInfo
    token_pool: list[int]  # empty: prompts must be text
    metrics_url: str  # empty: none, and `metrics_note` says why
    metrics_note: str
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)


async def recognise(  # noqa: PLR0913 - each keyword is a key of a profile's lane
    url: str,
    *,
    key: str = "",
    kind: str = "",
    model: str = "",
    endpoint: Endpoint | Literal[""] = "",
    headers: Mapping[str, str] = {},
    verify: bool = True,
    timeout_s: float = 5,
    key_env: str = "",
    transport: Any = None,
) -> DetectedServer:
    """Ask the server at `url` who it is, with cheap requests only: none of them generates a token.

    `kind`, `model` and `endpoint` given by the operator are taken as given, and checked against what is served.
    `key_env` names the variable that `key` came from, for the error text. Raises UserError with one sentence.
    """
    base = base_url(url)
    sent = request_headers(url, key, headers)
    async with client(sent, verify=verify, transport=transport) as http:
        site = Site(http, base, timeout_s)
        answer = await _reach(site, key_env=key_env if key else "")
        models = _models(answer, base, lenient=bool(kind and model))
        name, entry = _choose(models, model, base)
        found_kind = engine(kind) if kind else await _kind(site, answer, entry)
        if endpoint == "generate" and not found_kind.generates:
            raise UserError(
                f"{found_kind.title} has no {PATHS[endpoint]}: leave endpoint out, or ask for completions"
            )
        await _alive(site, found_kind)
        details = await found_kind.read_details(site, name) if found_kind.read_details is not None else {}
        takes_ids = found_kind.prompt_form == "ids" and endpoint != "chat"
        pool = await token_pool(site, found_kind, name) if takes_ids else []
        metrics_url, metrics_note = await _metrics(site, found_kind)
    info = LaneInfo(
        url=base,
        engine=found_kind.kind,
        title=found_kind.title,
        version=sanitize(details.get("version") or "", 40),
        model=sanitize(name),
        max_model_len=_count(details.get("max_model_len")) or _count(entry.get("max_model_len")),
        simulated=answer.server.startswith(SIMULATOR) or entry.get("simulated") is True,
        endpoint=endpoint or found_kind.endpoint,
        prompt_form="ids" if pool else "text",
    )
    return DetectedServer(info, pool, metrics_url, metrics_note, sent)


async def _reach(site: Site, *, key_env: str) -> Answer:
    """The answer of /v1/models, or one sentence that says why there is none."""
    import httpx

    base = site.base
    try:
        answer = await fetch(site.http, f"{base}{_MODELS}", timeout_s=site.timeout_s)
    except (httpx.TimeoutException, TimeoutError) as error:
        other = ", and does it speak TLS" if base.startswith("https://") else ""
        raise UserError(f"{base} does not answer within {site.timeout_s:g} s; is the server up{other}?") from error
    except httpx.ConnectError as error:
        raise UserError(_refused(base, error)) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        other = " (does it want https://?)" if base.startswith("http://") else ""
        raise UserError(f"{base} broke the connection off{other}: {sanitize(error, 100)}") from error
    except TooLargeError as error:
        raise UserError(f"{base} is not an OpenAI-compatible server: for /v1/models {error}") from error
    if answer.status in (401, 403):
        if key_env:
            raise UserError(f"{base} refuses the key in ${key_env} ({answer.status}): put the right one there")
        raise UserError(
            f"{base} wants an API key ({answer.status}): put it into an environment variable, "
            "for example DRAGSTRIP_API_KEY, and name that as api_key_env"
        )
    return answer


async def _alive(site: Site, found: Engine) -> None:
    """UserError when the engine behind the API is dead or still loading: the API may answer all the same."""
    health = await site.ask(found.cheap_health)
    if health.status == 503:
        words = f": {health.error_message()}" if health.error_message() else ""
        raise UserError(f"{site.base} is not ready ({found.title} says 503 at {found.cheap_health}){words}")


def _refused(base: str, error: Exception) -> str:
    text = str(error)
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = sanitize(cause.verify_message)
        return f"the certificate of {base} cannot be verified ({reason}): or set verify_tls = false"
    if isinstance(cause, ssl.SSLError):
        return f"{base} does not speak TLS; give its URL with http://"
    if "Name or service" in text or "getaddrinfo" in text or "name resolution" in text:
        return f"the name in {base} is not known to this host; check it for a slip"
    return f"nobody answers at {base}; is the server up, and is this its port?"


def _models(answer: Answer, base: str, *, lenient: bool) -> list[dict[str, Any]]:
    """The entries of /v1/models. `lenient`: engine and model were both named, so it may have no list."""
    listed = answer.json_object().get("data")
    if isinstance(listed, list) and all(isinstance(e, dict) and isinstance(e.get("id"), str) for e in listed):
        return listed
    if lenient and answer.status == 404:
        return []
    if answer.status >= 500:
        raise UserError(f"{base} is not ready (HTTP {answer.status}): {answer.error_message()}")
    if answer.status == 400 and b"HTTPS" in answer.body[:2000]:
        raise UserError(f"{base} speaks TLS; give its URL with https://")
    came = sanitize(answer.content_type.partition(";")[0], 40) or "no content type"
    said = f"HTTP {answer.status}, {came}: {answer.error_message(60)}"
    raise UserError(f"{base} is not an OpenAI-compatible server: /v1/models answered {said}")


def _choose(models: list[dict[str, Any]], wanted: str, base: str) -> tuple[str, dict[str, Any]]:
    """The model to ask for, and its entry."""
    for entry in models:
        if wanted and (entry["id"] == wanted or wanted in _aliases(entry)):
            return wanted, entry
    if wanted and not models:
        return wanted, {}
    served = _listing(entry["id"] for entry in models)
    if wanted:
        raise UserError(f"{base} does not serve {sanitize(wanted)}; it serves {served}")
    own = [entry for entry in models if entry.get("parent") is None]  # the others are LoRA adapters
    if len(own) == 1:
        return own[0]["id"], own[0]
    if not own:
        raise UserError(f"{base} lists no model; name the one to ask for as model")
    raise UserError(f"{base} serves several models, name one as model: {served}")


def _aliases(entry: dict[str, Any]) -> list[Any]:
    aliases = entry.get("aliases")
    return aliases if isinstance(aliases, list) else []


def _listing(names: Iterable[str]) -> str:
    shown = [sanitize(name, 80) for name in names]
    more = len(shown) - _NAMES_SHOWN
    return ", ".join(shown[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


async def _kind(site: Site, models: Answer, entry: dict[str, Any]) -> Engine:
    """The engine by its model list, else by what only it answers, else any OpenAI-compatible server."""
    for own in ENGINES.values():
        if entry.get("owned_by") in own.owned_by:
            return own
    answers = {_MODELS: models}
    for own in ENGINES.values():
        if (sign := own.sign) is not None:
            if sign.path not in answers:
                answers[sign.path] = await site.ask(sign.path)
            if sign.matches(answers[sign.path]):
                return own
    exposed = (await site.ask("/metrics")).body
    for own in ENGINES.values():
        if any(selector.metric.encode() in exposed for options in own.gauges.values() for selector in options):
            return own
    return FALLBACK


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


async def _metrics(site: Site, found: Engine) -> tuple[str, str]:
    """Where to scrape, and a note when that is nowhere or second best."""
    if not found.metrics_path:
        return "", f"{found.title} exposes no metrics"
    url = site.base + found.metrics_path
    answer = await site.ask(found.metrics_path)
    if answer.status == 200 and not answer.body.lstrip().startswith((b"{", b"[", b"<")):
        return url, ""
    why = f"HTTP {answer.status}" if answer.status else "no answer"
    note = f"{found.title} shows no metrics at {found.metrics_path} ({why})"
    note += f": {found.metrics_hint}" if found.metrics_hint else ""
    if found.loads_path and (await site.ask(found.loads_path)).json_object():
        endpoint = found.loads_path.partition("?")[0]
        return site.base + found.loads_path, f"{note}; until then {endpoint} gives its gauges, without counters"
    return "", note


async def detect_lane(server: LaneProfile, *, timeout_s: float = 5) -> DetectedServer:
    """Recognise it. UserError when there is none, or it cannot do what the profile asks of it.

    The key comes from the environment variable that the profile names; it goes nowhere but into a header.
    """
    found = await recognise(
        server.url,
        key=os.environ.get(server.api_key_env, "") if server.api_key_env else "",
        key_env=server.api_key_env,
        kind=server.engine,
        model=server.model,
        endpoint=server.endpoint,
        headers=server.headers,
        verify=server.verify_tls,
        timeout_s=timeout_s,
    )
    if server.usage == "each" and engine(found.info.engine).usage == "end":
        raise UserError(f"{found.info.title} counts tokens at the end of an answer only: leave usage out, or end")
    if server.usage == "end" and found.info.endpoint == "generate":
        raise UserError(f"{found.info.title} counts tokens in every chunk of /generate: leave usage out, or each")
    return found
