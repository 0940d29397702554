"""Which field a refusal is about, in the shapes that servers give it."""

from typing import Any

import msgspec
import pytest

from tui.engines.adapt import FieldChange, fingerprint, proposals
from tui.net.http import Answer

SENT = {
    "model": "m",
    "messages": [{"role": "user", "content": "seed top_p"}],
    "max_tokens": 4,
    "temperature": 0.0,
    "top_p": 1.0,
    "seed": 0,
    "stream": True,
    "stream_options": {"include_usage": True, "continuous_usage_stats": True},
}


def refusal(body: object, status: int = 400) -> Answer:
    return Answer(status, "", "", body.encode() if isinstance(body, str) else msgspec.json.encode(body))


def extra(*loc: object) -> dict[str, Any]:
    """As FastAPI says that a field is too much."""
    return {"type": "extra_forbidden", "loc": ["body", *loc], "msg": "Extra inputs are not permitted", "input": SENT}


@pytest.mark.parametrize(
    ("body", "first"),
    [
        ({"detail": [extra("seed")]}, FieldChange("seed")),
        ({"detail": [extra("ChatRequest", "stream_options", "continuous_usage_stats")]},
         FieldChange("stream_options.continuous_usage_stats")),
        ({"error": {"message": "Unrecognized request argument: top_p", "param": None}}, FieldChange("top_p")),
        ({"error": {"message": "bad value", "param": "temperature"}}, FieldChange("temperature")),
        ({"error": 'json: unknown field "seed"'}, FieldChange("seed")),
        ("unknown field `seed`, expected one of `model`, `messages`, `top_p`", FieldChange("seed")),
        ({"message": "stream_options.continuous_usage_stats: unknown"},
         FieldChange("stream_options.continuous_usage_stats")),
        ({"errors": [{"source": {"pointer": "/seed"}, "title": "not allowed"}]}, FieldChange("seed")),
        ({"message": "max_tokens is deprecated, send max_completion_tokens"},
         FieldChange("max_tokens", "max_completion_tokens")),
        ({"error": {"message": "unknown `max_tokens`, did you mean `max_new_tokens`?"}},
         FieldChange("max_tokens", "max_new_tokens")),
        ("got an unexpected keyword argument 'top_p'", FieldChange("top_p")),
    ],
)  # fmt: skip
def test_the_field_is_the_first_thing_to_try(body: object, first: FieldChange) -> None:
    assert proposals(refusal(body), SENT)[0] == first


@pytest.mark.parametrize(
    "body",
    [
        {"detail": [{"loc": ["body", "messages"], "msg": "no chat template"}]},
        {"error": {"message": "the model `m` does not exist"}},
        {"message": "the stream is required", "input": SENT},
        "<html>seeds are for sale</html>",
        "",
    ],
)
def test_a_refusal_of_something_else_proposes_nothing(body: object) -> None:
    assert proposals(refusal(body), SENT) == []


def test_a_length_is_never_left_out() -> None:
    options = proposals(refusal({"message": "max_tokens is too large", "param": "max_tokens"}), SENT)
    assert options == [FieldChange("max_tokens", "max_completion_tokens")]


def test_two_refusals_of_the_same_thing_have_one_fingerprint() -> None:
    one, other = (refusal({"message": "no seed", "request_id": n, "at": f"10:0{n}"}) for n in (1, 2))
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint(refusal({"message": "no top_p"}))
