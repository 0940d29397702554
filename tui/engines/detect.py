"""What is at a URL: which engine, which version, which model, and which metrics it shows."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from tui.engines.base import Engine
from tui.engines.metrics_page import is_page_of
from tui.engines.registry import ENGINES, FALLBACK, get_engine
from tui.engines.tokenizer import token_pool
from tui.model.profile import PATHS, LaneProfile
from tui.model.session import LaneInfo
from tui.model.text import UserError, sanitize
from tui.net.http import (
    MAX_REDIRECTS,
    REDIRECTS,
    Answer,
    Site,
    TooLargeError,
    base_url,
    client,
    fetch,
    headers_for,
    redirected,
    request_headers,
)

if TYPE_CHECKING:
    import httpx

SIMULATOR = "dragstrip-simulator"
_NAMES_SHOWN = 8
_MODELS = "/v1/models"


@dataclass(frozen=True, slots=True)
class DetectedServer:
    """A server as detected. `headers` may hold a key: they are for requests, never for showing."""

    info: LaneInfo
    token_pool: list[int]  # empty: prompts must be text
    metrics_url: str  # empty: none, and `metrics_note` says why
    metrics_note: str
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    verify_tls: bool = True

    def client(self, transport: Any = None) -> httpx.AsyncClient:
        """A client for further requests to it."""
        return client(self.headers, verify=self.verify_tls, transport=transport)

    def at(self, base: str) -> DetectedServer:
        """The same server at the base URL that its endpoint redirects to."""
        if base == self.info.url:
            return self
        headers = headers_for(self.headers, self.info.url, base)
        return replace(self, info=msgspec.structs.replace(self.info, url=base), headers=headers)


async def detect_lane(
    lane: LaneProfile, *, timeout_s: float = 5, transport: Any = None, redirects: int = MAX_REDIRECTS
) -> DetectedServer:
    """Detect the server of a lane, with cheap requests only: none of them generates a token.

    The engine, model and endpoint of the profile are taken as given, and checked against what is served. The key
    comes from the environment variable that the profile names; it goes nowhere but into a header. Raises UserError
    with one sentence.
    """
    base = base_url(lane.url)
    key = os.environ.get(lane.api_key_env, "") if lane.api_key_env else ""
    headers = request_headers(lane.url, key, lane.headers)
    async with client(headers, verify=lane.verify_tls, transport=transport) as http:
        site = Site(http, base, timeout_s)
        listed = await _list_models(site, key_env=lane.api_key_env if key else "")
        target = redirected(listed.status, listed.location, base, _MODELS)
        if target and redirects:
            again = _moved(lane, target)
            return await detect_lane(again, timeout_s=timeout_s, transport=transport, redirects=redirects - 1)
        models = _model_entries(listed, base, lenient=bool(lane.engine and lane.model))
        model, entry = _choose_model(models, lane.model, base)
        engine = get_engine(lane.engine) if lane.engine else await _detect_engine(site, listed, entry)
        _check_profile(lane, engine)
        await _check_health(site, engine)
        details = await engine.read_details(site, model) if engine.read_details is not None else {}
        pool = await token_pool(site, engine, model) if engine.takes_ids(lane.endpoint or engine.endpoint) else []
        metrics_url, metrics_note = await _metrics_page(site, engine)
    info = LaneInfo(
        url=base,
        engine=engine.kind,
        title=engine.title,
        version=sanitize(details.get("version") or "", 40),
        model=sanitize(model),
        max_model_len=_count(details.get("max_model_len")) or _count(entry.get("max_model_len")),
        simulated=listed.server.startswith(SIMULATOR) or entry.get("simulated") is True,
        endpoint=lane.endpoint or engine.endpoint,
        prompt_form="ids" if pool else "text",
    )
    return DetectedServer(info, pool, metrics_url, metrics_note, headers, lane.verify_tls)


def _moved(lane: LaneProfile, target: str) -> LaneProfile:
    """The lane at the base URL that it redirects to; what may hold a key stays behind when that is another host."""
    base = base_url(lane.url)
    if not headers_for({"key": ""}, base, target):
        return msgspec.structs.replace(lane, url=target, api_key_env="", headers={})
    credentials, at, _ = lane.url.rpartition("@")
    scheme, _, rest = target.partition("://")
    return msgspec.structs.replace(lane, url=f"{scheme}://{credentials.rpartition('/')[2]}{at}{rest}")


def _check_profile(lane: LaneProfile, engine: Engine) -> None:
    """UserError when the engine cannot do what the profile asks for."""
    if lane.endpoint == "generate" and not engine.generates:
        raise UserError(f"{engine.title} has no {PATHS['generate']}: leave endpoint out, or ask for completions")
    if lane.usage == "each" and engine.usage == "end" and lane.endpoint != "generate":
        raise UserError(f"{engine.title} counts tokens at the end of an answer only: leave usage out, or end")
    if lane.usage == "end" and lane.endpoint == "generate":
        raise UserError(f"{engine.title} counts tokens in every chunk of /generate: leave usage out, or each")


async def _list_models(site: Site, *, key_env: str) -> Answer:
    """The answer of /v1/models. UserError when there is none, or when it takes another key."""
    import httpx

    try:
        answer = await fetch(site.http, f"{site.base}{_MODELS}", timeout_s=site.timeout_s)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, TooLargeError) as error:
        raise UserError(_no_answer(site, error)) from error
    refused = answer.status in (401, 403)
    if refused and key_env:
        raise UserError(f"{site.base} refuses the key in ${key_env} ({answer.status}): put the right one there")
    if refused:
        raise UserError(
            f"{site.base} requires an API key ({answer.status}): put it into an environment variable, "
            "for example DRAGSTRIP_API_KEY, and name that as api_key_env"
        )
    return answer


def _no_answer(site: Site, error: Exception) -> str:
    """Why a request got no answer."""
    import httpx

    base = site.base
    https = base.startswith("https://")
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        tls = ", and does it speak TLS" if https else ""
        return f"{base} does not answer within {site.timeout_s:g} s; is the server up{tls}?"
    if isinstance(error, httpx.ConnectError):
        return _no_connection(base, error)
    if isinstance(error, TooLargeError):
        return f"{base} is not an OpenAI-compatible server: for {_MODELS} {error}"
    return f"{base} dropped the connection{'' if https else ' (does it want https://?)'}: {sanitize(error, 100)}"


def _no_connection(base: str, error: Exception) -> str:
    text = str(error)
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = sanitize(cause.verify_message)
        return f"the certificate of {base} cannot be verified ({reason}): fix it, or set verify_tls = false"
    if isinstance(cause, ssl.SSLError):
        return f"{base} does not speak TLS; give its URL with http://"
    if "Name or service" in text or "getaddrinfo" in text or "name resolution" in text:
        return f"this host cannot resolve the name in {base}; check the spelling"
    return f"nobody answers at {base}; is the server up, and is this its port?"


async def _check_health(site: Site, engine: Engine) -> None:
    """UserError when the engine behind the API is dead or still loading: its front end may answer all the same."""
    health = await site.ask(engine.cheap_health)
    if health.status == 503:
        message = f": {health.error_message()}" if health.error_message() else ""
        raise UserError(f"{site.base} is not ready ({engine.title} answers 503 at {engine.cheap_health}){message}")


def _model_entries(answer: Answer, base: str, *, lenient: bool) -> list[dict[str, Any]]:
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
    if answer.location and answer.status in REDIRECTS:
        where = sanitize(answer.location, 200)
        raise UserError(f"{base} redirects to {where} (HTTP {answer.status}): give the URL of the server there")
    content_type = sanitize(answer.content_type.partition(";")[0], 40) or "no content type"
    shown = f"HTTP {answer.status}, {content_type}: {answer.error_message(60)}"
    raise UserError(f"{base} is not an OpenAI-compatible server: {_MODELS} answered {shown}")


def _choose_model(models: list[dict[str, Any]], wanted: str, base: str) -> tuple[str, dict[str, Any]]:
    """The model to ask for, and its entry."""
    for entry in models:
        aliases = entry.get("aliases")
        if wanted and (entry["id"] == wanted or (isinstance(aliases, list) and wanted in aliases)):
            return wanted, entry
    if wanted and not models:
        return wanted, {}
    served = _join_names(entry["id"] for entry in models)
    if wanted:
        raise UserError(f"{base} does not serve {sanitize(wanted)}; it serves {served}")
    base_models = [entry for entry in models if entry.get("parent") is None]  # the others are LoRA adapters
    if len(base_models) == 1:
        return base_models[0]["id"], base_models[0]
    if not base_models:
        raise UserError(f"{base} lists no model; name the one to ask for as model")
    raise UserError(f"{base} serves several models, name one as model: {served}")


def _join_names(names: Iterable[str]) -> str:
    shown = [sanitize(name, 80) for name in names]
    more = len(shown) - _NAMES_SHOWN
    return ", ".join(shown[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


async def _detect_engine(site: Site, models: Answer, entry: dict[str, Any]) -> Engine:
    """The engine by its model list, else by what only it answers, else by its metrics, else the fallback."""
    for engine in ENGINES.values():
        if entry.get("owned_by") in engine.owned_by:
            return engine
    answers = {_MODELS: models}
    for engine in ENGINES.values():
        if (sign := engine.sign) is not None:
            if sign.path not in answers:
                answers[sign.path] = await site.ask(sign.path)
            if sign.matches(answers[sign.path]):
                return engine
    page = (await site.ask("/metrics")).body
    return next((engine for engine in ENGINES.values() if is_page_of(engine, page)), FALLBACK)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


async def _metrics_page(site: Site, engine: Engine) -> tuple[str, str]:
    """Where to scrape, and a note when that is nowhere or second best."""
    if not engine.metrics_path:
        return "", f"{engine.title} exposes no metrics"
    url = site.base + engine.metrics_path
    answer = await site.ask(engine.metrics_path)
    if answer.status == 200 and not answer.body.lstrip().startswith((b"{", b"[", b"<")):
        return url, ""
    why = f"HTTP {answer.status}" if answer.status else "no answer"
    note = f"{engine.title} shows no metrics at {engine.metrics_path} ({why})"
    note += f": {engine.metrics_hint}" if engine.metrics_hint else ""
    if engine.loads_path and (await site.ask(engine.loads_path)).json_object():
        endpoint = engine.loads_path.partition("?")[0]
        return site.base + engine.loads_path, f"{note}; until then {endpoint} gives its gauges, without counters"
    return "", note
