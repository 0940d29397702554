"""Every endpoint that does not generate for its client."""

import asyncio
import json
import time

from aiohttp import web

from tui.simulator.asking import Asked, RefusedError, refusing_malformed
from tui.simulator.engine import MODEL, SimulatedEngine
from tui.simulator.faults import FAULTS, Faults
from tui.simulator.presets import GIB, KV_BYTES_A_TOKEN
from tui.simulator.words import tokenize

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
