"""A simulated engine behind real HTTP, with the endpoints and the manners of the one it stands in for."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tui.simulator.answering import SERVER_HEADER, Answering
from tui.simulator.engine import MODEL, SimulatedEngine
from tui.simulator.faults import FAULTS, Faults
from tui.simulator.words import detokenize, tokenize

SIMULATED = "SIMULATED by dragstrip: no model, no GPU"


async def serve(  # noqa: PLR0913 - the flags of `dragstrip simulate`
    engine: str, host: str, port: int, *, seed: int = 0, speed: float = 1.0, on_ready: Callable[[int], None]
) -> None:
    """Serve until cancelled; `on_ready` is told the port, which is a free one when `port` is 0."""
    simulated = SimulatedEngine(engine, seed=seed, speed=speed)
    runner = web.AppRunner(application(simulated), access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=4096)
        await site.start()
        on_ready(runner.addresses[0][1])
        await simulated.run()
    finally:
        await runner.cleanup()


def application(engine: SimulatedEngine) -> web.Application:
    """The routes of that engine."""
    faults = Faults()
    answering = Answering(engine, faults)
    pages = Pages(engine, faults)
    app = web.Application(client_max_size=64 << 20)
    app.add_routes(
        [
            web.post("/v1/completions", answering.completions),
            web.post("/v1/chat/completions", answering.chat),
            web.get("/v1/models", pages.models),
            web.get("/health", pages.health),
            web.get("/metrics", pages.metrics),
            web.get("/dcgm/metrics", pages.gpu),
            web.post("/tokenize", pages.tokenize),
            web.post("/detokenize", pages.detokenize),
            web.post("/_simulator/fault", pages.fault),
        ]
    )
    if engine.preset.engine == "vllm":
        app.add_routes([web.get("/version", pages.version), web.post("/reset_prefix_cache", pages.reset_vllm)])
    else:
        app.add_routes(
            [
                web.get("/ping", pages.ping),
                web.get("/server_info", pages.server_info),
                web.get("/v1/loads", pages.loads),
                web.route("*", "/flush_cache", pages.flush_sglang),
            ]
        )
    return app


class Pages:
    """Every endpoint that does not generate for its client."""

    def __init__(self, engine: SimulatedEngine, faults: Faults) -> None:
        self._engine, self._faults = engine, faults
        self._started_s = int(time.time())

    async def models(self, _: web.Request) -> web.Response:
        """The one model, and that it is simulated."""
        preset = self._engine.preset
        model = {
            "id": MODEL,
            "object": "model",
            "created": self._started_s,
            "owned_by": preset.engine,
            "root": SIMULATED,
            "parent": None,
            "max_model_len": preset.max_model_len,
            "simulated": True,
        }
        return _json({"object": "list", "data": [model]})

    async def health(self, _: web.Request) -> web.Response:
        """SGLang's generates a token and looks again after a second; vLLM's costs nothing."""
        if self._engine.preset.engine == "sglang":
            answer = await self._engine.ask([1], 1, "length")
            await asyncio.gather(answer.arrived.wait(), asyncio.sleep(1 / self._engine.speed))
        return web.Response(headers={"Server": SERVER_HEADER})

    async def ping(self, _: web.Request) -> web.Response:
        """Costs nothing."""
        return web.Response(headers={"Server": SERVER_HEADER})

    async def version(self, _: web.Request) -> web.Response:
        """vLLM's."""
        return _json({"version": self._engine.preset.version})

    async def server_info(self, _: web.Request) -> web.Response:
        """SGLang's: settings as resolved."""
        preset = self._engine.preset
        return _json(
            {
                "version": preset.version,
                "model_path": MODEL,
                "served_model_name": MODEL,
                "status": "ready",
                "context_length": preset.max_model_len,
                "max_total_num_tokens": preset.kv_tokens,
                "max_running_requests": preset.max_running,
                "chunked_prefill_size": preset.token_budget,
                "page_size": preset.page_tokens,
                "disable_radix_cache": False,
                "tp_size": 1,
                "simulated": True,
            }
        )

    async def loads(self, _: web.Request) -> web.Response:
        """SGLang's load snapshot."""
        scheduler, preset = self._engine.scheduler, self._engine.preset
        load = {
            "dp_rank": 0,
            "num_running_reqs": len(scheduler.running),
            "num_waiting_reqs": len(scheduler.waiting),
            "num_used_tokens": scheduler.pool.held * preset.page_tokens,
            "max_total_num_tokens": preset.kv_tokens,
            "max_running_requests": preset.max_running,
            "token_usage": round(scheduler.pool.usage, 2),
        }
        return _json({"version": preset.version, "loads": [load]})

    async def metrics(self, _: web.Request) -> web.Response:
        """The engine's Prometheus page."""
        return _text(self._engine.metrics.page())

    async def gpu(self, _: web.Request) -> web.Response:
        """A DCGM exporter's page for the simulated GPU."""
        return _text(self._engine.gpu())

    async def tokenize(self, request: web.Request) -> web.Response:
        """Token ids of a text."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            fields = await request.json()
            tokens = tokenize(str(fields.get("prompt") or fields["messages"][0]["content"]))
            return _json({"count": len(tokens), "max_model_len": self._engine.preset.max_model_len, "tokens": tokens})
        raise web.HTTPBadRequest(text="prompt or messages must be given")

    async def detokenize(self, request: web.Request) -> web.Response:
        """The text of token ids."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            text = detokenize([int(token) for token in (await request.json())["tokens"]])
            return _json({"prompt" if self._engine.preset.engine == "vllm" else "text": text})
        raise web.HTTPBadRequest(text="tokens must be given")

    async def reset_vllm(self, _: web.Request) -> web.Response:
        """Empties the prefix cache; says false while streams hold pages."""
        return _json({"success": self._engine.scheduler.pool.reset_cache()})

    async def flush_sglang(self, _: web.Request) -> web.Response:
        """Empties the prefix cache; refuses while requests run."""
        done = self._engine.scheduler.pool.reset_cache()
        return web.Response(status=200 if done else 400, text="Cache flushed." if done else "Requests are running.")

    async def fault(self, request: web.Request) -> web.Response:
        """The next requests go wrong in the way asked for."""
        fields = await request.json()
        if fields.get("kind") not in FAULTS:
            raise web.HTTPBadRequest(text=f"kind must be one of {', '.join(FAULTS)}")
        self._faults.add(fields["kind"], int(fields.get("count", 1)))
        return _json({"ok": True})


def _json(value: dict[str, Any]) -> web.Response:
    return web.json_response(value, headers={"Server": SERVER_HEADER}, dumps=json.dumps)


def _text(body: bytes) -> web.Response:
    headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Server": SERVER_HEADER}
    return web.Response(body=body, headers=headers)
