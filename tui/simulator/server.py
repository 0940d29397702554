"""A simulated engine behind real HTTP, with the endpoints and the behaviour of the one it imitates.

POST /_simulator/fault {"kind": …, "count": n} makes the next n requests fail, to test what a client makes of it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import count, islice
from typing import Literal, get_args

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tui.model.profile import Endpoint
from tui.simulator.engine import SimulatedEngine
from tui.simulator.requests import (
    DONE,
    Json,
    ParsedRequest,
    RefusedError,
    answer_words,
    parse_request,
    refusing_malformed,
    tokenize,
)
from tui.simulator.scheduler import MODEL, Preset
from tui.simulator.sglang import GenerateAnswer, SglangAnswer, refusal_stream, server_info
from tui.simulator.vllm import VllmAnswer

SIMULATED = "SIMULATED by dragstrip: no model, no GPU"
PROBE = ParsedRequest("completions", MODEL, [1], 1, "length", stream=False, usage=False, usage_always=False, seed=0)
SERVER_HEADER = "dragstrip-simulator"
EVENT_STREAM = {"Content-Type": "text/event-stream; charset=utf-8"}
PROMETHEUS_PAGE = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
KEEP_ALIVE_S = 5.0  # both engines close an idle connection after it
BODY_BYTES = 64 << 20

Fault = Literal[
    "http_429",
    "http_503",
    "error_in_stream",  # HTTP 200, some tokens, an error object, the end mark all the same
    "cut",  # the connection closes in mid-stream
    "reset",  # the connection is reset in mid-stream
    "stall",  # tokens stop and the connection stays open
    "no_stream",  # answers with one JSON object though a stream was asked for
    "no_usage",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
OVERLOADED: dict[Fault | None, int] = {"http_429": 429, "http_503": 503}
IN_STREAM: tuple[Fault, ...] = ("error_in_stream", "cut", "reset", "stall")
TOKENS_BEFORE_FAULT = 3  # in mid-stream


async def serve(  # noqa: PLR0913 - the flags of `dragstrip simulate`
    engine: str, host: str, port: int, *, seed: int = 0, speed: float = 1.0, on_ready: Callable[[int], None]
) -> None:
    """Serve until cancelled; `on_ready` is given the port, which is a free one when `port` is 0."""
    simulated = SimulatedEngine(engine, seed=seed, speed=speed)
    runner = web.AppRunner(
        application(simulated, seed),
        access_log=None,
        handler_cancellation=True,  # a client that hangs up ends its stream
        keepalive_timeout=KEEP_ALIVE_S,
        shutdown_timeout=0.1,  # whoever ends it has stopped listening
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=4096)
        await site.start()
        on_ready(runner.addresses[0][1])
        await simulated.run()
    finally:
        await runner.cleanup()


def application(engine: SimulatedEngine, seed: int = 0) -> web.Application:
    preset, scheduler = engine.preset, engine.scheduler
    started_s = int(time.time())
    faults: deque[Fault] = deque()  # each for one request to come
    answers, service = Answers(engine, faults, seed), Service(engine, faults)
    app = web.Application(client_max_size=BODY_BYTES, middlewares=[_errors_as(preset.engine)])
    app.on_response_prepare.append(_sign)
    app.add_routes(
        [
            web.post("/v1/completions", answers.completions),
            web.post("/v1/chat/completions", answers.chat),
            web.get("/v1/models", _json_page(lambda: _models(preset, started_s))),
            web.get("/health", service.health),
            web.get("/ping", service.ping),
            web.get("/metrics", _metrics_page(engine.metrics.text)),
            web.get("/dcgm/metrics", _metrics_page(engine.gpu_page)),
            web.post("/tokenize", service.tokenize),
            web.post("/_simulator/fault", service.add_faults),
            web.delete("/_simulator/fault", service.clear_faults),
        ]
    )
    if preset.engine == "vllm":
        app.add_routes(
            [
                web.get("/version", _json_page(lambda: {"version": preset.version})),
                # False while streams hold pages.
                web.post("/reset_prefix_cache", _json_page(lambda: {"success": scheduler.pool.reset_cache()})),
            ]
        )
    else:
        app.add_routes(
            [
                web.post("/generate", answers.generate),
                web.get("/server_info", _json_page(lambda: server_info(preset))),
                web.post("/flush_cache", service.flush_cache),
            ]
        )
    return app


def _json_page(body: Callable[[], Json]) -> Handler:
    async def page(_: web.Request) -> web.Response:
        return web.json_response(body())

    return page


def _metrics_page(text: Callable[[], bytes]) -> Handler:
    async def page(_: web.Request) -> web.Response:
        return web.Response(body=text(), headers=PROMETHEUS_PAGE)

    return page


def _models(preset: Preset, created_s: int) -> Json:
    model = {
        "id": MODEL,
        "object": "model",
        "created": created_s,
        "owned_by": preset.engine,
        "root": SIMULATED,
        "parent": None,
        "max_model_len": preset.max_model_len,
        "simulated": True,
    }
    return {"object": "list", "data": [model]}


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER_HEADER


def _errors_as(engine: str) -> Middleware:
    """Errors as the engine writes them; both answer a wrong path or method in the same way."""

    @web.middleware
    async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except RefusedError as refused:
            return web.json_response(refused.body(engine), status=refused.status)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
            return web.json_response({"detail": error.reason}, status=error.status)

    return errors


class Service:
    """Endpoints that do something and generate nothing for their client."""

    def __init__(self, engine: SimulatedEngine, faults: deque[Fault]) -> None:
        self._engine, self._faults = engine, faults

    async def health(self, _: web.Request) -> web.Response:
        """SGLang's generates a token and looks again after a second; vLLM's costs nothing."""
        if self._engine.preset.engine == "sglang":
            probe = await self._engine.submit(PROBE)
            try:
                await asyncio.gather(probe.delivered.wait(), asyncio.sleep(1 / self._engine.speed))
            finally:
                self._engine.abort(probe)
        return web.Response()

    async def ping(self, _: web.Request) -> web.Response:
        return web.Response()

    async def tokenize(self, request: web.Request) -> web.Response:
        with refusing_malformed():
            tokens = tokenize(json.loads(await request.read())["prompt"])
        max_model_len = self._engine.preset.max_model_len
        return web.json_response({"count": len(tokens), "max_model_len": max_model_len, "tokens": tokens})

    async def flush_cache(self, _: web.Request) -> web.Response:
        """Empties SGLang's prefix cache; refuses while requests run or wait."""
        idle = not self._engine.scheduler.busy and self._engine.scheduler.pool.reset_cache()
        text = "Cache flushed.\n" if idle else "Cache not flushed: there are running or waiting requests.\n"
        return web.Response(status=200 if idle else 400, text=text)

    async def add_faults(self, request: web.Request) -> web.Response:
        with refusing_malformed():
            body = json.loads(await request.read())
            kind, times = body["kind"], int(body.get("count", 1))
        if kind not in FAULTS:
            raise RefusedError(400, f"there is no fault {kind}, only {', '.join(FAULTS)}")
        self._faults.extend([kind] * times)
        return web.json_response({"ok": True})

    async def clear_faults(self, _: web.Request) -> web.Response:
        self._faults.clear()
        return web.json_response({"ok": True})


Answer = VllmAnswer | SglangAnswer | GenerateAnswer


class Answers:
    """The endpoints that generate: a request is refused, answered whole, or streamed."""

    def __init__(self, engine: SimulatedEngine, faults: deque[Fault], seed: int) -> None:
        self._engine, self._faults = engine, faults
        self._numbers = count(1 + (seed << 32))

    async def completions(self, http_request: web.Request) -> web.StreamResponse:
        return await self._answer(http_request, "completions")

    async def chat(self, http_request: web.Request) -> web.StreamResponse:
        return await self._answer(http_request, "chat")

    async def generate(self, http_request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(http_request, "generate")
        except RefusedError as refused:
            if refused.status != 400:
                raise
            return web.Response(body=refusal_stream(refused.message), headers=EVENT_STREAM)

    async def _answer(self, http_request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
        fault = self._faults.popleft() if self._faults else None
        if fault in OVERLOADED:
            raise RefusedError(OVERLOADED[fault], "the server is overloaded")
        preset = self._engine.preset
        request = parse_request(await http_request.read(), preset, endpoint, number=next(self._numbers))
        if fault == "no_usage":
            request = replace(request, usage=False, usage_always=False)
        kind = GenerateAnswer if endpoint == "generate" else VllmAnswer if preset.engine == "vllm" else SglangAnswer
        if request.stream and fault != "no_stream":
            return await self._stream(http_request, request, kind(request), fault)
        return await self._whole(request, kind(request))

    async def _whole(self, request: ParsedRequest, answer: Answer) -> web.StreamResponse:
        served = await self._engine.submit(request)
        try:
            async for _ in served.new_tokens():
                pass
        finally:
            self._engine.abort(served)
        text = "".join(islice(answer_words(request.seed), request.output_tokens))
        return web.json_response(answer.whole(text, request.output_tokens))

    async def _stream(
        self, http_request: web.Request, request: ParsedRequest, answer: Answer, fault: Fault | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=EVENT_STREAM)
        if self._engine.preset.engine == "vllm":  # SGLang sends its headers together with the first token
            await response.prepare(http_request)
        words, tokens = answer_words(request.seed), request.output_tokens
        sent = min(TOKENS_BEFORE_FAULT, tokens - 1) if fault in IN_STREAM else tokens
        served = await self._engine.submit(request)
        try:
            async for first, last in served.new_tokens():
                if not response.prepared:
                    await response.prepare(http_request)
                # One write for all that has come: tokens pile up only while this process is held up.
                parts = [answer.first()] if first == 1 else []
                numbers = range(first, min(last, sent) + 1)
                parts += [answer.token(next(words), number, last=number == tokens) for number in numbers]
                await response.write(b"".join(parts))
                if fault in IN_STREAM and last > sent:
                    return await self._break(http_request, response, fault)
            await response.write(answer.end(tokens))
            await response.write_eof()
        finally:
            self._engine.abort(served)
        return response

    async def _break(
        self, http_request: web.Request, response: web.StreamResponse, fault: Fault | None
    ) -> web.StreamResponse:
        transport = http_request.transport
        if fault == "stall":
            await asyncio.Event().wait()  # until the client goes away
        elif fault == "error_in_stream":
            error = {"message": "EngineCore encountered an issue.", "type": "InternalServerError", "code": 500}
            await response.write(f"data: {json.dumps({'error': error})}\n\n".encode() + DONE)
            await response.write_eof()
        elif transport is not None:
            if fault == "reset":  # closing with linger 0 sends a reset instead of an end
                linger = struct.pack("ii", 1, 0)
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            transport.abort()
        return response
