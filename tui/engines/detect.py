"""What is at a URL: which engine, which version, which model, and which metrics it shows."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from tui.engines.base import BodyChanges, Engine, Request
from tui.engines.metrics_page import is_page_of
from tui.engines.model_list import ABSENT, choose_model, list_models
from tui.engines.places import MODELS, Place, TypedUrl, read_url
from tui.engines.registry import ENGINES, FALLBACK, get_engine
from tui.engines.tokenizer import token_pool
from tui.model.profile import API_PATH, PATHS, Endpoint, LaneProfile
from tui.model.session import LaneInfo
from tui.model.text import UserError, sanitize
from tui.net.http import (
    MAX_REDIRECTS,
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


@dataclass(frozen=True, slots=True)
class DetectedServer:
    """A server as detected. `headers` and `query` may hold a key: they are for requests, never for showing."""

    info: LaneInfo
    token_pool: list[int]  # empty: prompts must be text
    metrics_url: str  # empty: none, and `metrics_note` says why
    metrics_note: str
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    verify_tls: bool = True
    key_env: str = ""  # the environment variable that the key in them comes from; empty: there is none
    query: str = field(repr=False, default="")  # of every request to the API, with its question mark
    changes: BodyChanges = field(default_factory=BodyChanges)
    alternatives: tuple[LaneInfo, ...] = ()  # other endpoints and places, where this one should be absent

    @property
    def request_path(self) -> str:
        """Where its requests go, behind the URL; not for showing."""
        return self.info.request_path + self.query

    def body(self, request: Request) -> dict[str, Any]:
        """The body of a request, as this server takes it."""
        return self.changes.apply(get_engine(self.info.engine).body(request))

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

    The engine, model and endpoint of the profile are taken as given. The key comes from the environment variable
    that the profile names; it goes nowhere but into a header. Raises UserError with one sentence.
    """
    typed = read_url(lane)
    key = os.environ.get(lane.api_key_env, "") if lane.api_key_env else ""
    key_env = lane.api_key_env if key else ""
    headers = request_headers(lane.url, key, lane.headers)
    async with client(headers, verify=lane.verify_tls, transport=transport) as http:
        place, listed = await _find_api(http, typed, timeout_s)
        target = redirected(listed.status, listed.location, place.base, place.api_path + MODELS)
        if target and redirects:
            again = _moved(lane, typed, target)
            return await detect_lane(again, timeout_s=timeout_s, transport=transport, redirects=redirects - 1)
        site = Site(http, place.base, timeout_s)
        choice = choose_model(listed, lane, place, key_env=key_env)
        engine = get_engine(lane.engine) if lane.engine else await _detect_engine(site, listed, choice.owned_by)
        endpoint = lane.endpoint or typed.endpoint or engine.endpoint
        _check_profile(lane, engine, endpoint)
        await _check_health(site, engine)
        details = await engine.read_details(site, choice.model) if engine.read_details is not None else {}
        pool = await token_pool(site, engine, choice.model) if engine.takes_ids(endpoint) else []
        metrics_url, metrics_note = await _metrics_page(site, engine)
    entry = choice.entry
    info = LaneInfo(
        url=place.base,
        engine=engine.kind,
        title=engine.title,
        version=sanitize(details.get("version") or "", 40),
        model=sanitize(choice.model),
        max_model_len=_count(details.get("max_model_len")) or _count(entry.get("max_model_len")),
        simulated=listed.server.startswith(SIMULATOR) or entry.get("simulated") is True,
        endpoint=endpoint,
        prompt_form="ids" if pool else "text",
        api_path=place.api_path,
        adapted=[note for note in (typed.note(place, lane), choice.note) if note],
    )
    changes = BodyChanges(lane.drop_fields, lane.rename_fields, lane.extra_body)
    others = _alternatives(info, lane, [place] if choice.listed else [place, *typed.places])
    return DetectedServer(
        info,
        pool,
        metrics_url,
        metrics_note,
        headers,
        lane.verify_tls,
        key_env=key_env,
        query=typed.query,
        changes=changes,
        alternatives=others,
    )


def _moved(lane: LaneProfile, typed: TypedUrl, target: str) -> LaneProfile:
    """The lane at the base URL that it redirects to; what may hold a key stays behind when that is another host."""
    lane = msgspec.structs.replace(lane, endpoint=lane.endpoint or typed.endpoint)
    if not headers_for({"key": ""}, base_url(lane.url), target):
        return msgspec.structs.replace(lane, url=target, api_key_env="", headers={})
    credentials, at, _ = lane.url.rpartition("@")
    scheme, _, rest = target.partition("://")
    url = f"{scheme}://{credentials.rpartition('/')[2]}{at}{rest}{typed.query}"
    return msgspec.structs.replace(lane, url=url)


def _alternatives(info: LaneInfo, lane: LaneProfile, places: Iterable[Place]) -> tuple[LaneInfo, ...]:
    """Where else the server may take requests: at the other endpoint, unless the operator chose, and elsewhere."""
    other: Mapping[Endpoint, Endpoint] = {} if lane.endpoint else {"chat": "completions", "completions": "chat"}
    endpoints = dict.fromkeys((info.endpoint, other.get(info.endpoint, info.endpoint)))
    infos = [
        msgspec.structs.replace(
            info,
            url=place.base,
            api_path=place.api_path,
            endpoint=endpoint,
            prompt_form=info.prompt_form if get_engine(info.engine).takes_ids(endpoint) else "text",
        )
        for place in dict.fromkeys(places)
        for endpoint in endpoints
    ]
    return tuple(infos[1:])


def _check_profile(lane: LaneProfile, engine: Engine, endpoint: Endpoint) -> None:
    """UserError when the engine cannot do what the profile asks for."""
    if endpoint == "generate" and not engine.generates:
        raise UserError(f"{engine.title} has no {PATHS['generate']}: leave endpoint out, or ask for completions")
    if lane.usage == "each" and engine.usage == "end" and endpoint != "generate":
        raise UserError(f"{engine.title} counts tokens at the end of an answer only: leave usage out, or end")
    if lane.usage == "end" and endpoint == "generate":
        raise UserError(f"{engine.title} counts tokens in every chunk of /generate: leave usage out, or each")


async def _find_api(http: httpx.AsyncClient, typed: TypedUrl, timeout_s: float) -> tuple[Place, Answer]:
    """The first place that lists models, else the first that has anything there. UserError when nobody answers."""
    import httpx

    answers: dict[Place, Answer] = {}
    for place in typed.places:
        site = Site(http, place.base, timeout_s)
        try:
            answer = await fetch(http, f"{place.base}{place.api_path}{MODELS}{typed.query}", timeout_s=timeout_s)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, TooLargeError) as error:
            raise UserError(_no_answer(site, error)) from error
        if list_models(answer) is not None:
            return place, answer
        answers[place] = answer
    return next(
        ((place, answer) for place, answer in answers.items() if answer.status not in ABSENT),
        next(iter(answers.items())),
    )


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
        return f"{base} is not an OpenAI-compatible server: for its list of models {error}"
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


async def _detect_engine(site: Site, models: Answer, owner: object) -> Engine:
    """The engine by its model list, else by what only it answers, else by its metrics, else the fallback."""
    for engine in ENGINES.values():
        if owner in engine.owned_by:
            return engine
    answers = {API_PATH + MODELS: models}
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
