"""Kinds 5 (the words of a failure) and 6 (shapes of API, and a way on)."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.odd.server import DONE, Exchange, Handler, OddServer, Right, always, event, stream, usage, whole, words


def refused(text: str) -> Right:
    return Right(measurable=False, outcome="failed", words=text)


GATEWAY = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>nginx/1.27.0</center>\r\n</body>\r\n</html>\r\n"
)
INVALID = {"detail": [{"type": "value_error", "loc": ["body", "messages"], "msg": "no chat template for this model"}]}
NESTED = {"error": {"code": 400, "error": {"message": "adapter is not loaded", "type": "BadRequest"}}}
GOOD = [*words(6), usage(6), DONE]


async def closes_after_two(exchange: Exchange) -> None:
    """Two good answers, then nobody listens any more."""
    if exchange.number == 1:
        exchange.running.stop_listening()
    await stream(*GOOD)(exchange)
    exchange.then = "close"


WORDS = [
    OddServer(5, "list of errors in JSON", always(whole("422 Unprocessable", INVALID)), refused("no chat template")),
    OddServer(5, "error inside an error", always(whole("400 Bad Request", NESTED)), refused("adapter is not loaded")),
    OddServer(
        5, "page of a proxy", always(whole("502 Bad Gateway", GATEWAY, "text/html")), refused("502 Bad Gateway")
    ),
    OddServer(
        5,
        "words that are not English",
        always(whole("500 Internal Server Error", "モデルが読み込まれていません", "text/plain; charset=utf-8")),
        refused("モデルが読み込まれていません"),
    ),
    OddServer(
        5,
        "words without end",
        always(whole("400 Bad Request", {"message": "prompt is too long: " + "abc " * 9000})),
        refused("prompt is too long"),
    ),
    OddServer(
        5,
        "words with terminal escapes",
        always(whole("403 Forbidden", {"error": "\x1b]0;x\x07\x1b[31mquota used up\x1b[0m"})),
        refused("quota used up"),
    ),
    OddServer(
        5,
        "error as text in the stream",
        stream(*words(2, None), event({"error": "grammar failed to compile", "request_id": "r"}), DONE),
        refused("grammar failed to compile"),
    ),
    OddServer(
        5,
        "refused later",
        closes_after_two,
        Right(None, outcome="failed", cause="refused", words="Connect call failed|Connection refused"),
        examined=False,
        answers=3,
    ),
]


def unless(is_refused: Callable[[dict[str, Any]], bytes | None]) -> Handler:
    """A good stream, or the refusal of the fields."""

    async def handler(exchange: Exchange) -> None:
        refusal = is_refused(exchange.fields)
        await (stream(*GOOD)(exchange) if refusal is None else exchange.send(refusal))

    return handler


def no_extra(*fields: str) -> Handler:
    """As FastAPI refuses fields that its model lacks: the first of them, with where it is."""

    def refusal(sent: Mapping[str, Any]) -> bytes | None:
        for field in fields:
            if field in sent:
                extra = {"type": "extra_forbidden", "loc": ["body", field], "msg": "Extra inputs are not permitted"}
                return whole("422 Unprocessable Entity", {"detail": [extra]})
        return None

    return unless(refusal)


def unknown_field(sent: Mapping[str, Any]) -> bytes | None:
    """As a server in Rust does."""
    text = (
        "Failed to deserialize the JSON body: unknown field `presence_penalty`, expected one of `model`, `messages`"
    )
    return whole("400 Bad Request", text, "text/plain") if "presence_penalty" in sent else None


def only_default(sent: Mapping[str, Any]) -> bytes | None:
    text = "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported."
    error = {"message": text, "type": "invalid_request_error", "param": "temperature", "code": "unsupported_value"}
    return whole("400 Bad Request", {"error": error}) if "temperature" in sent else None


def wants_other_name(sent: Mapping[str, Any]) -> bytes | None:
    error = {"code": "invalid_parameter", "message": "max_tokens is deprecated, send max_completion_tokens"}
    return whole("400 Bad Request", {"errors": [error]}) if "max_tokens" in sent else None


async def wants_key(exchange: Exchange) -> None:
    if "authorization" in exchange.headers:
        await stream(*GOOD)(exchange)
    else:
        await exchange.send(whole("401 Unauthorized", {"error": {"message": "no key was sent"}}))


def or_flag(flag: str) -> Right:
    return Right(None, tokens=6, flag=flag)


FIELDS = "drop_fields|drop-fields|rename_fields"
NO_LIST = {"/v1/models": whole("404 Not Found", {"detail": "Not Found"})}
SHAPES = [
    OddServer(
        6,
        "API without v1",
        stream(*GOOD),
        or_flag("path"),
        pages=NO_LIST | {"/openai/models": whole("200 OK", {"data": [{"id": "m"}]})},
        paths=("/openai/chat/completions",),
        url="/openai",
    ),
    OddServer(
        6,
        "endpoint pasted with a query",
        stream(*GOOD),
        or_flag("path|url"),
        pages={"/v1/models?api-version=2": whole("200 OK", {"data": [{"id": "m"}]})},
        url="/v1/chat/completions?api-version=2",
        paths=("/v1/chat/completions", "/v1/chat/completions?api-version=2"),
    ),
    OddServer(
        6,
        "model list that is a bare array",
        stream(*GOOD),
        or_flag("--a-model|--model|as model"),
        pages={"/v1/models": whole("200 OK", [{"id": "m", "object": "model"}])},
    ),
    OddServer(6, "model list that needs a name", stream(*GOOD), or_flag("--a-model|--model|as model"), pages=NO_LIST),
    OddServer(
        6,
        "model named without its owner",
        stream(*GOOD),
        Right(tokens=6),
        pages={"/v1/models": whole("200 OK", {"data": [{"id": "Qwen/Qwen3-8B"}, {"id": "Qwen/Qwen3-0.6B"}]})},
        lane={"model": "Qwen3-8B"},
    ),
    OddServer(6, "two fields refused by 422", no_extra("seed", "stream_options"), or_flag(FIELDS)),
    OddServer(6, "field refused in plain text", unless(unknown_field), or_flag(FIELDS)),
    OddServer(6, "value refused", unless(only_default), or_flag(FIELDS)),
    OddServer(6, "field under another name, in a list", unless(wants_other_name), or_flag(FIELDS)),
    OddServer(
        6,
        "completions alone",
        stream(*(event({"choices": [{"index": 0, "text": " w", "finish_reason": None}]}) for _ in range(5)),
               event({"choices": [{"index": 0, "text": " w", "finish_reason": "length"}]}), usage(6), DONE),
        or_flag("--endpoint"),
        paths=("/v1/completions",),
    ),
    OddServer(6, "key wanted by the endpoint alone", wants_key, Right(None, tokens=6, flag="api_key_env")),
]  # fmt: skip
