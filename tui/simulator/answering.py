"""One request from its body to its last byte: refused, answered whole, or streamed."""

import asyncio
import json
import secrets
import socket
import struct
from collections.abc import AsyncGenerator
from itertools import count

from aiohttp import web

from tui.simulator.asking import Asked, RefusedError, understand
from tui.simulator.chunks import DONE, ChunkWriter
from tui.simulator.engine import MODEL, Answer, SimulatedEngine
from tui.simulator.faults import TOKENS_BEFORE, Fault, Faults

SERVER_HEADER = "dragstrip-simulator"
EVENTS = {"Content-Type": "text/event-stream; charset=utf-8", "Server": SERVER_HEADER}
OVERLOADED = {
    "http_429": RefusedError(429, "Too many requests.", "TooManyRequestsError"),
    "http_503": RefusedError(503, "The request queue is full.", "ServiceUnavailableError"),
}


class Answering:
    """Answers completions and chats."""

    def __init__(self, engine: SimulatedEngine, faults: Faults) -> None:
        self._engine, self._faults = engine, faults
        self._numbers = count()

    async def completions(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/completions."""
        return await self._answer(request, chat=False)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        return await self._answer(request, chat=True)

    async def _answer(self, request: web.Request, *, chat: bool) -> web.StreamResponse:
        fault = self._faults.take()
        preset = self._engine.preset
        try:
            if fault in OVERLOADED:
                raise OVERLOADED[fault]
            asked = understand(await request.read(), preset, MODEL, chat=chat, seed=next(self._numbers))
        except RefusedError as refused:
            return web.json_response(
                refused.body(preset.engine), status=refused.status, headers={"Server": SERVER_HEADER}
            )
        writer = ChunkWriter(preset.engine, asked, ("chatcmpl-" if chat else "cmpl-") + secrets.token_hex(8))
        if asked.stream and fault != "no_stream":
            return await self._stream(request, asked, writer, fault)
        answer = await self._engine.ask(asked.prompt, asked.output_tokens, asked.finish_reason)
        text = ""
        try:
            async for _ in _tokens(answer):
                text += self._engine.text()
        finally:
            self._engine.abort(answer)
        return web.json_response(writer.whole(text, answer.tokens), headers={"Server": SERVER_HEADER})

    async def _stream(
        self, request: web.Request, asked: Asked, writer: ChunkWriter, fault: Fault | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=EVENTS)
        if self._engine.preset.engine == "vllm":  # SGLang sends its headers together with the first token
            await response.prepare(request)
        answer = await self._engine.ask(asked.prompt, asked.output_tokens, asked.finish_reason)
        try:
            async for number in _tokens(answer):
                if number == 1:
                    if not response.prepared:
                        await response.prepare(request)
                    await response.write(writer.first())
                if number > TOKENS_BEFORE and fault is not None and await self._break(request, response, fault):
                    return response
                await response.write(writer.token(self._engine.text(), number, last=number == asked.output_tokens))
            await response.write(DONE if fault == "no_usage" else writer.end(answer.tokens))
            await response.write_eof()
        finally:
            self._engine.abort(answer)
        return response

    async def _break(self, request: web.Request, response: web.StreamResponse, fault: Fault) -> bool:
        """Do what the fault says in mid-stream; False for those that show elsewhere."""
        transport = request.transport
        if fault == "error_in_stream":
            error = {"message": "EngineCore encountered an issue.", "type": "InternalServerError", "code": 500}
            await response.write(f"data: {json.dumps({'error': error})}\n\n".encode() + DONE)
            await response.write_eof()
        elif fault in ("cut", "reset") and transport is not None:
            if fault == "reset":  # closing with linger 0 sends a reset instead of an end
                transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            transport.abort()
        elif fault == "stall":
            await asyncio.Event().wait()
        return fault in ("error_in_stream", "cut", "reset")


async def _tokens(answer: Answer) -> AsyncGenerator[int, None]:
    """The number of each token as it comes, from 1."""
    told = 0
    while told < answer.stream.output_tokens:
        await answer.arrived.wait()
        answer.arrived.clear()
        while told < answer.tokens:
            told += 1
            yield told
