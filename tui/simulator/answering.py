"""One request from its body to its last byte: refused, answered whole, or streamed."""

import asyncio
import json
import socket
import struct
from dataclasses import replace
from itertools import count

from aiohttp import web

from tui.records.endpoints import Endpoint
from tui.simulator.asking import Asked, RefusedError, understand
from tui.simulator.engine import MODEL, SimulatedEngine
from tui.simulator.events import DONE, Events
from tui.simulator.faults import TOKENS_BEFORE, Fault, Faults
from tui.simulator.sglang_events import SglangEvents
from tui.simulator.sglang_generate import GenerateEvents, refusal
from tui.simulator.vllm_events import VllmEvents
from tui.simulator.words import Words

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
