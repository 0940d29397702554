"""What is at a URL: which engine, which version, which model, and which metrics it shows.

Where the API may be, given a URL as people type it: a base, a path, or a whole endpoint; and what the server lists as
its models.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from tui.engines.base import BodyChanges, Engine, Request
from tui.engines.readings import is_page_of
from tui.engines.registry import ENGINES, FALLBACK, get_engine
from tui.engines.tokenizer import token_pool
from tui.model.profile import API_PATH, PATHS, Endpoint, LaneProfile
from tui.model.session import LaneInfo
from tui.model.text import NotUpError, UserError, sanitize
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


MODELS: Final = "/models"  # behind the path of the API
# What people paste, the longest first, and the endpoint that they mean by it.
_PASTED: Final[Mapping[str, Endpoint | Literal[""]]] = {
    PATHS["chat"].removeprefix(API_PATH): "chat",
    PATHS["completions"].removeprefix(API_PATH): "completions",
    PATHS["generate"]: "generate",
    MODELS: "",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an API may be."""

    base: str  # safe to show, without an end slash
    api_path: str = API_PATH


@dataclass(frozen=True, slots=True)
class TypedUrl:
    """What a URL says: places to look at, the likeliest first."""

    places: tuple[Place, ...]
    query: str  # with its question mark; it may hold a key
    pasted: str  # path of an endpoint that the URL names as a whole; else empty
    endpoint: Endpoint | Literal[""]  # which that is; empty: none that takes a load

    def note(self, place: Place, lane: LaneProfile) -> str:
        """How the URL was read, where that may surprise; else empty."""
        if self.pasted:
            meaning = f"the load goes to {self.endpoint}" if self.endpoint else "it lists the models"
            return f"the URL ends in {self.pasted} ({meaning}): the server is {place.base}"
        if place.api_path != API_PATH and not lane.path:
            return f"the API is at {place.base}{place.api_path}, without {API_PATH}"
        return ""


def read_url(lane: LaneProfile) -> TypedUrl:
    """The URL of a lane, with the path of its API where the profile gives it. UserError for what is no URL."""
    base_url(lane.url)
    text = lane.url.strip()
    parts = urlsplit(text if "://" in text else f"http://{text}")
    root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    path = parts.path.rstrip("/")
    pasted = next((ending for ending in _PASTED if path.endswith(ending)), "")
    places = _places(root, path.removesuffix(pasted).rstrip("/"), lane.path, exact=bool(pasted))
    query = f"?{parts.query}" if parts.query else ""
    return TypedUrl(places, query, sanitize(pasted), _PASTED.get(pasted, ""))


def _places(root: str, path: str, wanted: str, *, exact: bool) -> tuple[Place, ...]:
    """`exact`: the path is that of the API, because an endpoint followed it."""
    if wanted:
        api_path = f"/{wanted.strip('/')}".rstrip("/")
        return (Place(root + path.removesuffix(api_path or "/"), api_path),)
    if path.endswith(API_PATH):
        prefix = path.removesuffix(API_PATH).rstrip("/")
        return Place(root + prefix), Place(root + prefix, "")
    usual, as_given = Place(root + path), Place(root + path, "")
    return (as_given, usual) if exact else (usual, as_given)


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
        raise NotUpError(f"{base} is not ready (HTTP {answer.status}): {answer.error_message()}")
    message = f"{base} is not an OpenAI-compatible server: {path} answered {came}: {answer.error_message(60)}"
    if has_none:
        message += f"; if it only has no list of models, name the model with --model; {OTHER_PLACE}"
    raise UserError(message)


def _join_names(names: Iterable[str]) -> str:
    shown = [sanitize(name, 80) for name in names]
    more = len(shown) - _NAMES_SHOWN
    return ", ".join(shown[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


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
            raise _no_answer(site, error) from error
        if list_models(answer) is not None:
            return place, answer
        answers[place] = answer
    return next(
        ((place, answer) for place, answer in answers.items() if answer.status not in ABSENT),
        next(iter(answers.items())),
    )


def _no_answer(site: Site, error: Exception) -> UserError:
    """Why a request got no answer."""
    import httpx

    base = site.base
    https = base.startswith("https://")
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        tls = ", and does it speak TLS" if https else ""
        return UserError(f"{base} does not answer within {site.timeout_s:g} s; is the server up{tls}?")
    if isinstance(error, httpx.ConnectError):
        return _no_connection(base, error)
    if isinstance(error, TooLargeError):
        return UserError(f"{base} is not an OpenAI-compatible server: for its list of models {error}")
    hint = "" if https else " (does it want https://?)"
    return UserError(f"{base} dropped the connection{hint}: {sanitize(error, 100)}")


def _no_connection(base: str, error: Exception) -> UserError:
    text = str(error)
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = sanitize(cause.verify_message)
        return UserError(
            f"the certificate of {base} cannot be verified ({reason}): fix it, or set verify_tls = false"
        )
    if isinstance(cause, ssl.SSLError):
        return UserError(f"{base} does not speak TLS; give its URL with http://")
    if "Name or service" in text or "getaddrinfo" in text or "name resolution" in text:
        return UserError(f"this host cannot resolve the name in {base}; check the spelling")
    return NotUpError(f"nobody answers at {base}; is the server up, and is this its port?")


async def _check_health(site: Site, engine: Engine) -> None:
    """UserError when the engine behind the API is dead or still loading: its front end may answer all the same."""
    health = await site.ask(engine.cheap_health)
    if health.status == 503:
        message = f": {health.error_message()}" if health.error_message() else ""
        raise NotUpError(f"{site.base} is not ready ({engine.title} answers 503 at {engine.cheap_health}){message}")


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
