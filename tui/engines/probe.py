"""One tiny request that proves that a server streams."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tui.engines.base import Request
from tui.engines.detect import DetectedServer
from tui.engines.registry import get_engine
from tui.model.text import UserError
from tui.net.ending import FINISH_REASONS
from tui.net.exchange import Exchanged, StreamRequest, TooLongError, exchange
from tui.net.http import Answer
from tui.net.socket import WireError

OUTPUT_TOKENS = 4
_ANSWER_LIMIT = 1 << 20
_PROMPT = "Count from one to ten."


class FailedAnswerError(UserError):
    """The server streams, but this answer did not end well: the next one may."""

    server: DetectedServer | None = None  # as it was asked in the end


class RefusedError(UserError):
    """The answer to a request has another status than 200."""

    def __init__(self, sentence: str, answer: Answer, request: Request) -> None:
        super().__init__(sentence)
        self.answer, self.request = answer, request


@dataclass(slots=True)
class StreamedAnswer:
    """What one streamed answer held. None: not reported."""

    events: int = 0
    text: str = ""
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    finish_reason: str = ""
    base: str = ""  # URL without /v1 that answered, after redirects
    hidden_tokens: int = 0  # counted as reasoning, of which nothing was sent
    reads: int = -1  # that brought output; those less than `AT_ONCE_NS` apart are one
    stream_ns: int = -1  # from the first of these to the last


async def probe_stream(server: DetectedServer, *, prompt: str = "", timeout_s: float = 30) -> StreamedAnswer:
    """Ask for four tokens and read the stream to its end, by the rules of the load.

    Raises UserError when it cannot be measured, of which FailedAnswerError may pass. Without a `prompt` it is made of
    token ids, where the server takes them.
    """
    info, engine = server.info, get_engine(server.info.engine)
    ids = [] if prompt else server.token_pool[:8]
    small = Request(info.endpoint, info.model, ids or prompt or _PROMPT, OUTPUT_TOKENS, 0.0, 0)
    request = StreamRequest(
        info.url,
        info.endpoint,
        server.headers,
        msgspec.json.encode(server.body(small)),
        server.verify_tls,
        FINISH_REASONS | engine.finish_reasons,
        server.request_path,
    )
    url = info.url + info.request_path
    try:
        came = await exchange(request, timeout_s=timeout_s, limit=_ANSWER_LIMIT)
    except TimeoutError as error:
        why = f"{url} gave no whole answer to a request of four tokens within {timeout_s:g} s"
        raise UserError(f"{why}; --read-timeout waits longer") from error
    except WireError as error:
        raise UserError(f"{url} cannot be reached ({error.cause}): {error.detail}") from error
    except TooLongError as error:
        raise UserError(f"{url} does not keep to the four tokens asked for") from error
    _check(came, url, small)
    events = came.response.events
    return StreamedAnswer(
        events=events.chunks,
        text="".join(events.text or ()),
        prompt_tokens=events.prompt_tokens,
        output_tokens=events.completion_tokens if events.has_usage else None,
        finish_reason=events.finish_reason,
        base=came.base,
        hidden_tokens=events.hidden_tokens,
        reads=came.reads,
        stream_ns=came.stream_ns,
    )


def _check(came: Exchanged, url: str, request: Request) -> None:
    """UserError unless the answer ended well."""
    outcome, cause, detail = came.ending
    if outcome == "ok":
        return
    if cause == "redirect":
        raise UserError(f"{url} answers HTTP {detail}")
    if cause.startswith("http"):
        status = came.response.status
        how = "answers" if status in (404, 405) else "refuses a small streaming request:"
        raise RefusedError(f"{url} {how} HTTP {detail}", Answer(status, "", "", came.response.error_body), request)
    if cause == "error in stream":
        raise FailedAnswerError(f"{url} answers with an error in its stream: {detail}")
    if cause in ("bad finish", "content filter"):
        raise FailedAnswerError(f"{url} does not end a small request well: {detail}")
    if cause == "no output":
        raise UserError(f"{url} does not stream: its stream carries no text ({detail})")
    raise UserError(f"{url} gives no answer that can be measured ({cause}): {detail}")
