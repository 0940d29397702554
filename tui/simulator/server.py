"""A simulated engine behind real HTTP, with the endpoints and the manners of the one it stands in for."""

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tui.simulator.answering import Answering
from tui.simulator.asking import RefusedError
from tui.simulator.engine import SimulatedEngine
from tui.simulator.faults import Faults
from tui.simulator.pages import Pages

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
