"""One lane looked at before it is measured: everything that a comparison could fail on."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

from tui.engines.address import base_url
from tui.engines.fetch import Site, client
from tui.engines.recognise import Found, Streamed, streams
from tui.engines.registry import engine
from tui.engines.tokens import tokenize
from tui.profile.model import LaneProfile
from tui.records import gauges
from tui.records.endpoints import PATHS
from tui.records.errors import UserError
from tui.records.rows import Lane
from tui.session.doctor.second_opinion import ask
from tui.session.finding import find
from tui.telemetry.beat import ReadingError
from tui.telemetry.gauging import read_page
from tui.telemetry.gpu import gpu_reader
from tui.telemetry.page import Page
from tui.telemetry.processes import is_this_host
from tui.telemetry.settings import Settings, read_settings

PROMPT = "The quick brown fox jumps over 13 lazy dogs; naïve façades, 東京 and λ-calculus follow. " * 4
TOKENIZER_TIMEOUT_S = 5.0


@dataclass(slots=True)
class Examined:
    """What one lane's examination found. `trouble` is a sentence when it cannot be measured at all."""

    lane: Lane
    url: str
    trouble: str = ""
    found: Found | None = None
    answer_ms: float | None = None
    settings: Settings | None = None
    tokens_served: float | None = None  # before we asked for any
    streamed: Streamed | None = None
    prompt_tokens: int | None = None  # of PROMPT, as the server counts
    opinion: str = ""  # how the official client's reading differs from ours
    gpus: Mapping[int, str] = field(default_factory=dict)
    gpu_note: str = ""
    dcgm: str = ""  # the exporter that knows its GPUs; empty: this host's own NVML
    here: bool = False  # it runs on this host

    def comparable(self) -> dict[str, object]:
        """Its settings by the keys of `records.terms`, with what only an examination tells."""
        known = self.settings.known() if self.settings is not None else {}
        if self.found is not None:
            known["endpoint"] = PATHS[self.found.info.endpoint]
        if self.prompt_tokens is not None:
            known["prompt_tokens"] = self.prompt_tokens
        if self.gpus:
            kinds = sorted(self.gpus.values())
            known["gpus"] = ", ".join(f"{kinds.count(kind)} × {kind}" for kind in dict.fromkeys(kinds))
        return known


async def examine_lane(lane: Lane, server: LaneProfile) -> Examined:
    """Ask one server everything; two requests of four tokens are all the work it gets."""
    result = Examined(lane, "")
    began = time.monotonic()
    try:
        result.url = base_url(server.url)  # what was typed may hold credentials
        found = result.found = await find(server)
        result.here = await asyncio.to_thread(is_this_host, urlsplit(found.info.url).hostname or "")
        result.answer_ms = (time.monotonic() - began) * 1e3
        result.tokens_served = await _tokens_served(found, server)
        result.settings = await read_settings(found, verify=server.verify_tls)
        in_words = msgspec.structs.replace(found.info, prompt_form="text")
        streamed = await streams(
            found.info.url, in_words, headers=found.headers, prompt=PROMPT, verify=server.verify_tls
        )
    except UserError as error:
        result.trouble = str(error)
        return result
    result.streamed = streamed
    result.prompt_tokens = streamed.prompt_tokens
    result.opinion = (await ask(found, PROMPT, verify=server.verify_tls)).against(streamed)
    await _look_at_gpus(result, server)
    return result


async def glance(lane: Lane, server: LaneProfile, found: Found) -> Examined:
    """The part of an examination of a recognised server that generates nothing."""
    result = Examined(lane, found.info.url, found=found)
    result.here = await asyncio.to_thread(is_this_host, urlsplit(found.info.url).hostname or "")
    result.settings, result.prompt_tokens, _ = await asyncio.gather(
        read_settings(found, verify=server.verify_tls), _tokenized(found, server), _look_at_gpus(result, server)
    )
    return result


async def _tokenized(found: Found, server: LaneProfile) -> int | None:
    """How many tokens PROMPT is to the server's tokenizer, None when it has none to ask."""
    async with client(found.headers, verify=server.verify_tls) as http:
        site = Site(http, found.info.url, TOKENIZER_TIMEOUT_S)
        return len(await tokenize(site, engine(found.info.engine), found.info.model, PROMPT)) or None


async def _look_at_gpus(result: Examined, server: LaneProfile) -> None:
    result.dcgm = server.dcgm
    try:
        reader = gpu_reader(result.lane, url=result.url, dcgm_url=server.dcgm, gpus=server.gpus)
        result.gpus = await reader.names()
        result.gpu_note = reader.note
    except ReadingError as error:
        result.gpu_note = str(error)


async def _tokens_served(found: Found, server: LaneProfile) -> float | None:
    """How many tokens the server has generated since its start; None when it does not tell."""
    if not found.metrics_url:
        return None
    async with Page(found.metrics_url, found.headers, verify=server.verify_tls) as page:
        try:
            counted = read_page(engine(found.info.engine), await page.get())
        except (ReadingError, ValueError):
            return None
    # SGLang shows its counters only after its first request.
    fallback = 0.0 if counted else None
    return counted.get(gauges.GENERATION_TOKENS_FINISHED, counted.get(gauges.GENERATION_TOKENS, fallback))
