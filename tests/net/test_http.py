"""URLs as people type them."""

import pytest

from tui.model.text import UserError
from tui.net.http import base_url, request_headers


@pytest.mark.parametrize(
    ("typed", "base"),
    [
        ("http://h:8000", "http://h:8000"),
        ("http://h:8000/", "http://h:8000"),
        ("http://h:8000/v1", "http://h:8000"),
        ("http://h:8000/v1//", "http://h:8000"),
        ("h:8000/v1", "http://h:8000"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        (" https://h/proxy/v1/ ", "https://h/proxy"),
        ("http://[::1]:8000/v1", "http://[::1]:8000"),
        ("http://user:secret@h:8000/v1", "http://h:8000"),
        ("user:secret@h:8000", "http://h:8000"),
        ("http://h/v1?x=1#y", "http://h"),
    ],
)
def test_base_url(typed: str, base: str) -> None:
    assert base_url(typed) == base


@pytest.mark.parametrize(
    "typed", ["ftp://user:secret@h", "http://", "http://user:secret@", "http://h:port", "http://h:0"]
)
def test_what_is_no_server_is_refused_without_showing_credentials(typed: str) -> None:
    with pytest.raises(UserError) as caught:
        base_url(typed)
    assert "secret" not in str(caught.value)
    assert "http://" in str(caught.value)


def test_a_key_is_a_bearer_token_and_goes_before_the_urls_credentials() -> None:
    assert request_headers("http://u:p@h", "k", {}) == {"Authorization": "Bearer k"}
    assert request_headers("http://u:p%40@h", "", {"X-A": "1"}) == {"Authorization": "Basic dTpwQA==", "X-A": "1"}
    assert request_headers("h:80", "", {}) == {}
