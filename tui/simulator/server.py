"""Every endpoint that does not generate for its client.

One request from its body to its last byte: refused, answered whole, or streamed.

A simulated engine behind real HTTP, with the endpoints and the manners of the one it stands in for.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tui.model.profile import Endpoint
from tui.simulator.engine import MODEL, SimulatedEngine
from tui.simulator.formats import DONE, Events
from tui.simulator.model import FAULTS, GIB, KV_BYTES_A_TOKEN, TOKENS_BEFORE, Fault, Faults
from tui.simulator.requests import Asked, RefusedError, Words, refusing_malformed, tokenize, understand
from tui.simulator.sglang import GenerateEvents, SglangEvents, refusal
from tui.simulator.vllm import VllmEvents

SIMULATED = "SIMULATED by dragstrip: no model, no GPU"
PROBE = Asked("completions", MODEL, [1], 1, "length", stream=False, usage=False, usage_always=False, seed=0)


class Pages:
    """What an engine says of itself, and its tokeniser."""

    def __init__(self, engine: SimulatedEngine, faults: Faults) -> None:
        self._engine, self._faults = engine, faults
        self._preset = engine.preset
        self._started_s = int(time.time())

    async def models(self, _: web.Request) -> web.Response:
        """The one model, and that it is simulated."""
        model = {
            "id": MODEL,
            "object": "model",
            "created": self._started_s,
            "owned_by": self._preset.engine,
            "root": SIMULATED,
            "parent": None,
            "max_model_len": self._preset.max_model_len,
            "simulated": True,
        }
        return web.json_response({"object": "list", "data": [model]})

    async def health(self, _: web.Request) -> web.Response:
        """SGLang's generates a token and looks again after a second; vLLM's costs nothing."""
        if self._preset.engine == "sglang":
            answer = await self._engine.ask(PROBE)
            try:
                await asyncio.gather(answer.arrived.wait(), asyncio.sleep(1 / self._engine.speed))
            finally:
                self._engine.abort(answer)
        return web.Response()

    async def ping(self, _: web.Request) -> web.Response:
        """Costs nothing."""
        return web.Response()

    async def version(self, _: web.Request) -> web.Response:
        """vLLM's."""
        return web.json_response({"version": self._preset.version})

    async def server_info(self, _: web.Request) -> web.Response:
        """SGLang's: settings as resolved."""
        preset = self._preset
        memory = {
            "weight": preset.weights_gib,
            "kvcache": preset.kv_tokens * KV_BYTES_A_TOKEN / GIB,
            "token_capacity": preset.kv_tokens,
        }
        return web.json_response(
            {
                "version": preset.version,
                "model_path": MODEL,
                "served_model_name": MODEL,
                "status": "ready",
                "context_length": preset.max_model_len,
                "max_req_input_len": preset.max_model_len - 1,
                "max_total_num_tokens": preset.kv_tokens,
                "max_running_requests": preset.max_running,
                "chunked_prefill_size": preset.token_budget,
                "page_size": preset.page_tokens,
                "disable_radix_cache": False,
                "stream_interval": 1,
                "tp_size": 1,
                "dp_size": 1,
                "internal_states": [{"memory_usage": memory}],
                "simulated": True,
            }
        )

    async def loads(self, _: web.Request) -> web.Response:
        """SGLang's load snapshot."""
        scheduler, preset = self._engine.scheduler, self._preset
        load = {
            "timestamp": time.time(),
            "dp_rank": 0,
            "num_running_reqs": len(scheduler.running),
            "num_waiting_reqs": len(scheduler.waiting),
            "num_used_tokens": scheduler.pool.held * preset.page_tokens,
            "max_total_num_tokens": preset.kv_tokens,
            "max_running_requests": preset.max_running,
            "token_usage": round(scheduler.pool.usage, 4),
            "memory": {
                "weight_gb": preset.weights_gib,
                "kv_cache_gb": preset.kv_tokens * KV_BYTES_A_TOKEN / GIB,
                "graph_gb": 0.0,
                "token_capacity": preset.kv_tokens,
            },
        }
        return web.json_response({"version": preset.version, "num_accelerators": 1, "loads": [load]})

    async def metrics(self, _: web.Request) -> web.Response:
        """The engine's Prometheus page."""
        return _exposition(self._engine.metrics.text())

    async def gpu(self, _: web.Request) -> web.Response:
        """A DCGM exporter's page for the simulated GPU."""
        return _exposition(self._engine.gpu_page())

    async def tokenize(self, request: web.Request) -> web.Response:
        """Token ids of a prompt."""
        with refusing_malformed():
            tokens = tokenize(json.loads(await request.read())["prompt"])
        return web.json_response(
            {"count": len(tokens), "max_model_len": self._preset.max_model_len, "tokens": tokens}
        )

    async def reset_vllm(self, _: web.Request) -> web.Response:
        """Empties the prefix cache; says false while streams hold pages."""
        return web.json_response({"success": self._engine.scheduler.pool.reset_cache()})

    async def flush_sglang(self, _: web.Request) -> web.Response:
        """Empties the prefix cache; refuses while requests run or wait."""
        idle = not self._engine.scheduler.busy and self._engine.scheduler.pool.reset_cache()
        said = "Cache flushed.\n" if idle else "Cache not flushed: there are running or waiting requests.\n"
        return web.Response(status=200 if idle else 400, text=said)

    async def fault(self, request: web.Request) -> web.Response:
        """The next requests go wrong in the way asked for."""
        with refusing_malformed():
            body = json.loads(await request.read())
            kind, count = body["kind"], int(body.get("count", 1))
        if kind not in FAULTS:
            raise RefusedError(400, f"there is no fault {kind}, only {', '.join(FAULTS)}")
        self._faults.add(kind, count)
        return web.json_response({"ok": True})

    async def no_faults(self, _: web.Request) -> web.Response:
        """No request to come goes wrong any more."""
        self._faults.clear()
        return web.json_response({"ok": True})


def _exposition(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


EVENT_STREAM = {"Content-Type": "text/event-stream; charset=utf-8"}
OVERLOADED = {f"http_{status}": RefusedError(status, "the server is overloaded") for status in (429, 503)}
IN_STREAM: tuple[Fault, ...] = ("error_in_stream", "cut", "reset", "stall")


class Answering:
    """Answers completions and chats."""

    def __init__(self, engine: SimulatedEngine, faults: Faults, seed: int) -> None:
        self._engine, self._faults = engine, faults
        self._numbers = count(1 + (seed << 32))

    async def completions(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/completions."""
        return await self._answer(request, "completions")

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        return await self._answer(request, "chat")

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """POST /generate."""
        return await self._answer(request, "generate")

    async def _answer(self, request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
        fault = self._faults.take()
        preset = self._engine.preset
        try:
            if fault in OVERLOADED:
                raise OVERLOADED[fault]
            asked = understand(await request.read(), preset, MODEL, endpoint, number=next(self._numbers))
        except RefusedError as refused:
            if endpoint == "generate" and refused.status == 400:
                return web.Response(body=refusal(refused.message), headers=EVENT_STREAM)
            return web.json_response(refused.body(preset.engine), status=refused.status)
        if fault == "no_usage":
            asked = replace(asked, usage=False, usage_always=False)
        events = _events(preset.engine, asked)
        if asked.stream and fault != "no_stream":
            return await self._stream(request, asked, events, fault)
        return await self._whole(asked, events)

    async def _whole(self, asked: Asked, events: Events) -> web.StreamResponse:
        words = Words(asked.seed)
        answer = await self._engine.ask(asked)
        try:
            async for _ in answer.told():
                pass
        finally:
            self._engine.abort(answer)
        text = "".join(words.next() for _ in range(asked.output_tokens))
        return web.json_response(events.whole(text, asked.output_tokens))

    async def _stream(
        self, request: web.Request, asked: Asked, events: Events, fault: Fault | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=EVENT_STREAM)
        if self._engine.preset.engine == "vllm":  # SGLang sends its headers together with the first token
            await response.prepare(request)
        words = Words(asked.seed)
        answer = await self._engine.ask(asked)
        try:
            async for first, last in answer.told():
                if not response.prepared:
                    await response.prepare(request)
                ends = asked.output_tokens if fault not in IN_STREAM else min(TOKENS_BEFORE, asked.output_tokens - 1)
                # One write for all that has come: tokens pile up only while this process is held up.
                parts = [events.first()] if first == 1 else []
                numbers = range(first, min(last, ends) + 1)
                parts += [
                    events.token(words.next(), number, last=number == asked.output_tokens) for number in numbers
                ]
                await response.write(b"".join(parts))
                if fault in IN_STREAM and last > ends:
                    return await self._break(request, response, fault)
            await response.write(events.end(asked.output_tokens))
            await response.write_eof()
        finally:
            self._engine.abort(answer)
        return response

    async def _break(
        self, request: web.Request, response: web.StreamResponse, fault: Fault | None
    ) -> web.StreamResponse:
        """Do what the fault says in mid-stream."""
        transport = request.transport
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


def _events(engine: str, asked: Asked) -> Events:
    """In whose manner the answer is written."""
    if asked.endpoint == "generate":
        return GenerateEvents(asked)
    return SglangEvents(asked) if engine == "sglang" else VllmEvents(asked)


SERVER_HEADER = "dragstrip-simulator"
KEEP_ALIVE_S = 5.0  # both engines close an idle connection after it
BODY_BYTES = 64 << 20


async def serve(  # noqa: PLR0913 - the flags of `dragstrip simulate`
    engine: str, host: str, port: int, *, seed: int = 0, speed: float = 1.0, on_ready: Callable[[int], None]
) -> None:
    """Serve until cancelled; `on_ready` is told the port, which is a free one when `port` is 0."""
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
    """The routes of that engine."""
    faults = Faults()
    answering = Answering(engine, faults, seed)
    pages = Pages(engine, faults)
    app = web.Application(client_max_size=BODY_BYTES, middlewares=[_errors_as(engine.preset.engine)])
    app.on_response_prepare.append(_sign)
    app.add_routes(
        [
            web.post("/v1/completions", answering.completions),
            web.post("/v1/chat/completions", answering.chat),
            web.get("/v1/models", pages.models),
            web.get("/health", pages.health),
            web.get("/ping", pages.ping),
            web.get("/metrics", pages.metrics),
            web.get("/dcgm/metrics", pages.gpu),
            web.post("/tokenize", pages.tokenize),
            web.post("/_simulator/fault", pages.fault),
            web.delete("/_simulator/fault", pages.no_faults),
        ]
    )
    if engine.preset.engine == "vllm":
        app.add_routes(
            [
                web.get("/version", pages.version),
                web.post("/reset_prefix_cache", pages.reset_vllm),
            ]
        )
    else:
        app.add_routes(
            [
                web.post("/generate", answering.generate),
                web.get("/server_info", pages.server_info),
                web.get("/v1/loads", pages.loads),
                web.post("/flush_cache", pages.flush_sglang),
            ]
        )
    return app


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER_HEADER


def _errors_as(engine: str) -> Middleware:
    """Errors in the engine's own shape, those of a wrong path or method as both write them."""

    @web.middleware
    async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except RefusedError as refused:
            return web.json_response(refused.body(engine), status=refused.status)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
            return web.json_response({"detail": error.reason}, status=error.status)

    return errors
