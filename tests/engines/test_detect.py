"""Recognition from answers that real servers gave, and a sentence for everything that is none."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.engines.sites import LLAMACPP, METRICS, SGLANG, VLLM, Answers, Site, captured, lane, listing
from tui.engines.detect import DetectedServer, detect_lane
from tui.model.text import NotUpError, UserError

URL = "http://engine.test:8000"


async def at(answers: Answers, server: str = "uvicorn", **how: Any) -> DetectedServer:
    return await detect_lane(lane(URL, **how), transport=Site(answers, server))


async def refusal(transport: httpx.AsyncBaseTransport, **how: Any) -> str:
    with pytest.raises(UserError) as caught:
        await detect_lane(lane(URL, **how), transport=transport)
    return str(caught.value)


async def test_vllm() -> None:
    server = await at(VLLM)
    info = server.info
    assert (info.engine, info.title, info.version, info.model) == ("vllm", "vLLM", "0.32.0", "tiny-llama")
    assert info.max_model_len == 16_384
    assert (info.endpoint, info.prompt_form, info.simulated) == ("completions", "ids", False)
    assert server.token_pool == [10, 20, 30]  # neither the first nor the last token, which may be special
    assert (server.metrics_url, server.metrics_note) == (f"{URL}/metrics", "")


async def test_an_api_whose_engine_is_dead_is_not_ready() -> None:
    message = await refusal(Site({**VLLM, "GET /health": httpx.Response(503)}))
    assert message.startswith(f"{URL} is not ready (vLLM answers 503 at /health)")


async def test_sglang_is_never_asked_for_its_health_which_costs_a_generation() -> None:
    site = Site(SGLANG)
    server = await detect_lane(lane(URL), transport=site)
    assert (server.info.engine, server.info.version, server.info.max_model_len) == ("sglang", "0.5.23", 16_384)
    assert not [path for path in site.paths if "health" in path]


async def test_old_sglang_reports_its_version_elsewhere() -> None:
    old = {name: answer for name, answer in SGLANG.items() if "server_info" not in name}
    assert (await at({**old, "GET /get_server_info": {"version": "0.4.6"}})).info.version == "0.4.6"


async def test_llamacpp_is_known_by_its_props() -> None:
    info = (await at(LLAMACPP)).info
    assert (info.engine, info.version, info.max_model_len) == ("llamacpp", "b0-unknown", 8192)


async def test_llamacpp_by_its_server_header_when_the_owner_says_nothing() -> None:
    server = await at({**LLAMACPP, "GET /v1/models": listing("x")}, server="llama.cpp")
    assert server.info.engine == "llamacpp"


@pytest.mark.parametrize(
    ("answers", "kind", "version", "context"),
    [
        ({"GET /v1/models": listing("m", owner="tensorrt_llm"), "GET /version": {"version": "1.2.1"}},
         "trtllm", "1.2.1", None),
        ({"GET /v1/models": listing("m", owner="library"), "GET /api/version": {"version": "0.33.0"},
          "GET /api/ps": {"models": [{"name": "other", "context_length": 1}, {"name": "m", "context_length": 4096}]}},
         "ollama", "0.33.0", 4096),
        ({"GET /v1/models": listing("m", owner="me"), "GET /": b"Ollama is running"}, "ollama", "", None),
        ({"GET /v1/models": listing("m", owner="m"),
          "GET /info": {"model_id": "m", "version": "3.3.7", "max_total_tokens": 4096}}, "tgi", "3.3.7", 4096),
        ({"GET /v1/models": listing("m", max_model_len=2048)}, "openai", "", 2048),
        ({"GET /v1/models": listing("m", owner="proxy"), "GET /metrics": METRICS}, "vllm", "", None),
    ],
)  # fmt: skip
async def test_the_others(answers: Answers, kind: str, version: str, context: int | None) -> None:
    info = (await at(answers)).info
    assert (info.engine, info.version, info.max_model_len) == (kind, version, context)


async def test_without_a_tokenizer_prompts_are_text() -> None:
    server = await at({name: answer for name, answer in VLLM.items() if "tokenize" not in name})
    assert (server.token_pool, server.info.prompt_form) == ([], "text")


async def test_the_simulator_says_that_it_is_one() -> None:
    assert (await at(VLLM, server="dragstrip-simulator/0.1")).info.simulated
    assert (await at({**VLLM, "GET /v1/models": listing("m", owner="vllm", simulated=True)})).info.simulated


async def test_metrics_that_are_off_say_how_to_turn_them_on() -> None:
    off = {name: answer for name, answer in SGLANG.items() if "metrics" not in name}
    server = await at(off)
    assert server.metrics_url == ""
    assert server.metrics_note == "SGLang shows no metrics at /metrics (HTTP 404): start it with --enable-metrics"
    server = await at({**off, "GET /v1/loads": {"loads": [{}]}})
    assert server.metrics_url == f"{URL}/v1/loads?include=core,memory"
    assert server.metrics_note.endswith("--enable-metrics; until then /v1/loads gives its gauges, without counters")


async def test_trtllm_json_is_not_taken_for_its_metrics_nor_drained() -> None:
    site = Site({"GET /v1/models": listing("m", owner="tensorrt_llm"), "GET /metrics": b"[]"})
    server = await detect_lane(lane(URL), transport=site)
    assert server.metrics_url == ""
    assert "/metrics" not in site.paths


async def test_the_key_goes_along_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_KEY", "sesame")
    site = Site(VLLM)
    profile = lane("http://user:hidden@engine.test", api_key_env="VLLM_KEY", headers={"X-Team": "a"})
    server = await detect_lane(profile, transport=site)
    assert {request.headers["authorization"] for request in site.asked} == {"Bearer sesame"}
    assert {request.headers["x-team"] for request in site.asked} == {"a"}
    assert "sesame" not in repr(server)
    assert "hidden" not in repr(server)


async def test_a_key_that_is_wanted_or_wrong_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_KEY", "sesame")
    for status in (401, 403):
        closed = {"GET /v1/models": httpx.Response(status, json={"error": "Unauthorized"})}
        assert f"requires an API key ({status})" in await refusal(Site(closed))
        assert "api_key_env" in await refusal(Site(closed))
        message = await refusal(Site(closed), api_key_env="VLLM_KEY")
        assert "refuses the key in $VLLM_KEY" in message
        assert "sesame" not in message


async def test_the_model_is_the_one_asked_for_or_the_only_one() -> None:
    several = {"GET /v1/models": listing("one", "two\x1b[31m\n", owner="vllm")}
    assert (await at(several, model="one")).info.model == "one"
    assert (
        await refusal(Site(several)) == f"{URL} serves several models, name one with --model, or as model: one, two"
    )
    assert (await at(LLAMACPP, model="tiny-llama")).info.model == "tiny-llama"


async def test_a_model_that_is_not_listed_is_asked_for_all_the_same() -> None:
    """Gateways have aliases, and Ollama takes a name without its tag."""
    info = (await at({"GET /v1/models": listing("one", "two\x1b[31m\n", owner="vllm")}, model="nope")).info
    assert (info.engine, info.model) == ("vllm", "nope")
    assert info.adapted == [f"{URL} lists one, two, not nope: it is asked for nope all the same"]


async def test_a_long_list_of_models_is_cut() -> None:
    many = {"GET /v1/models": listing(*(f"m{i}" for i in range(100)))}
    assert (await refusal(Site(many))).endswith("m0, m1, m2, m3, m4, m5, m6, m7 and 92 more")


async def test_adapters_are_not_the_model_but_can_be_named() -> None:
    both = listing("base", owner="vllm")
    both["data"] += [{"id": "adapter", "owned_by": "vllm", "parent": "base"}]
    assert (await at({"GET /v1/models": both})).info.model == "base"
    assert (await at({"GET /v1/models": both}, model="adapter")).info.model == "adapter"


async def test_an_empty_list_needs_a_model() -> None:
    empty = {"GET /v1/models": captured("transformers-models.json")}
    assert await refusal(Site(empty)) == f"{URL} lists no model; name the one to ask for with --model, or as model"
    server = await at(empty, model="./tiny-llama")
    assert (server.info.engine, server.info.model) == ("openai", "./tiny-llama")


async def test_a_server_without_a_list_needs_a_model() -> None:
    assert "name the model with --model" in await refusal(Site({}))
    info = (await at({}, model="m")).info
    assert (info.engine, info.model) == ("openai", "m")
    assert info.adapted == [
        f"{URL} has no list of models at /v1/models (HTTP 404, application/json): it is asked for m all the same"
    ]
    page = httpx.Response(200, html="<h1>It works!</h1>")
    assert "is not an OpenAI-compatible server" in await refusal(Site({"GET /v1/models": page}), model="m")


@pytest.mark.parametrize(
    "models", [[{"id": "m"}], {"models": [{"id": "m"}]}, {"object": "list", "data": [{"id": "m"}]}]
)
async def test_a_list_of_models_may_have_other_shapes(models: Any) -> None:
    assert (await at({"GET /v1/models": httpx.Response(200, json=models)})).info.model == "m"


@pytest.mark.parametrize(
    ("path", "keys", "models", "request_url", "says"),
    [
        ("", {}, "/v1/models", "/v1/chat/completions", ""),
        ("/v1/", {}, "/v1/models", "/v1/chat/completions", ""),
        ("/proxy", {}, "/proxy/v1/models", "/proxy/v1/chat/completions", ""),
        ("/api/v3", {}, "/api/v3/models", "/api/v3/chat/completions", "without /v1"),
        ("/openai/v1", {}, "/openai/models", "/openai/chat/completions", "without /v1"),
        ("", {}, "/models", "/chat/completions", "without /v1"),
        ("", {"path": "/api/v3"}, "/api/v3/models", "/api/v3/chat/completions", ""),
        ("/api/v3/", {"path": "api/v3/"}, "/api/v3/models", "/api/v3/chat/completions", ""),
        ("/api", {"path": "/"}, "/api/models", "/api/chat/completions", ""),
        ("/v1/chat/completions", {}, "/v1/models", "/v1/chat/completions", "the load goes to chat"),
        ("/v3/completions/", {}, "/v3/models", "/v3/completions", "the load goes to completions"),
        ("/v3/completions", {"endpoint": "chat"}, "/v3/models", "/v3/chat/completions", "ends in /completions"),
        ("/v1/models", {}, "/v1/models", "/v1/chat/completions", "it lists the models"),
    ],
)
async def test_the_api_may_be_elsewhere(
    path: str, keys: dict[str, Any], models: str, request_url: str, says: str
) -> None:
    server = await detect_lane(lane(URL + path, **keys), transport=Site({f"GET {models}": listing("m")}))
    assert server.info.url + server.request_path == URL + request_url
    assert says in " ".join(server.info.adapted)
    assert bool(says) == bool(server.info.adapted)


async def test_a_query_goes_along_and_is_never_shown() -> None:
    site = Site({"GET /v1/models": listing("m")})
    server = await detect_lane(lane(f"{URL}/v1/chat/completions?code=sesame"), transport=site)
    assert site.asked[0].url.query == b"code=sesame"
    assert server.request_path == "/v1/chat/completions?code=sesame"
    assert "sesame" not in repr(server)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(200, html="<h1>It works!</h1>"),
         "/v1/models answered HTTP 200, text/html: <h1>It works!</h1>"),
        (httpx.Response(200, json={"data": [{"name": "x"}]}), "answered HTTP 200, application/json"),
        (httpx.Response(200, json=[1]), "answered HTTP 200, application/json"),
        (httpx.Response(404, text="\x1b[2Jgone"), "answered HTTP 404, text/plain: gone"),
        (httpx.Response(503, json={"error": {"message": "Loading model"}}), "is not ready (HTTP 503): Loading model"),
        (httpx.Response(400, text="The plain HTTP request was sent to HTTPS port"), "give its URL with https://"),
    ],
)  # fmt: skip
async def test_a_server_that_is_not_an_engine_is_reported_with_its_answer(answer: httpx.Response, words: str) -> None:
    message = await refusal(Site({"GET /v1/models": answer}))
    assert words in message
    assert "\x1b" not in message


async def test_an_unknown_engine_kind_is_refused() -> None:
    assert "there is no engine kind vlm" in await refusal(Site(VLLM), engine="vlm")


@pytest.fixture
async def deaf_port() -> AsyncIterator[int]:
    """A port whose server takes connections, reads and never answers."""
    held: list[asyncio.StreamWriter] = []

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in held:
        writer.close()


async def undetected(url: str, timeout_s: float = 5) -> str:
    with pytest.raises(UserError) as caught:
        await detect_lane(lane(url), timeout_s=timeout_s)
    return str(caught.value)


async def test_nobody_there_a_deaf_server_and_an_unknown_name(deaf_port: int) -> None:
    free = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = free.sockets[0].getsockname()[1]
    free.close()
    await free.wait_closed()
    with pytest.raises(NotUpError):
        await detect_lane(lane(f"http://127.0.0.1:{port}"))
    assert await undetected(f"http://127.0.0.1:{port}") == (
        f"nobody answers at http://127.0.0.1:{port}; is the server up, and is this its port?"
    )
    assert "does not answer within 0.2 s" in await undetected(f"http://127.0.0.1:{deaf_port}", 0.2)
    assert "this host cannot resolve the name in http://no-such-host.invalid" in await undetected(
        "http://no-such-host.invalid"
    )


@pytest.mark.parametrize(
    ("scheme", "reply", "words"),
    [
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS; give its URL with http://"),
        ("http", b"\x15\x03\x01\x00\x02\x02\x0a", "dropped the connection (does it want https://?)"),
        ("http", b"", "dropped the connection"),
    ],
)
async def test_the_wrong_scheme(scheme: str, reply: bytes, words: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        assert words in await undetected(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}")


def test_importing_it_costs_no_http_library() -> None:
    import subprocess
    import sys

    code = "import sys, tui.engines.detect, tui.telemetry.server, tui.telemetry.gpus; print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


async def test_the_operator_chooses_the_endpoint_among_those_there_are() -> None:
    assert (await at(SGLANG)).info.endpoint == "completions"
    assert (await at(SGLANG, endpoint="generate")).info.endpoint == "generate"
    chat = await at(SGLANG, endpoint="chat")
    assert (chat.info.endpoint, chat.info.prompt_form, chat.token_pool) == ("chat", "text", [])
    with pytest.raises(UserError, match=r"^vLLM has no /generate: leave endpoint out, or ask for completions$"):
        await at(VLLM, endpoint="generate")
