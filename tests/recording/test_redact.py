"""Keys, tokens and headers never reach a file of a session, by whatever way they come."""

from pathlib import Path

import pytest

from tests.recording import synthetic
from tests.recording.test_recorder import record
from tui.recording.export.registry import FORMATS, export
from tui.recording.reader import open_session
from tui.recording.redact import HIDDEN, clean_url, without_secrets
from tui.records.frame import Batch
from tui.records.rows import EventRow, RequestRow
from tui.records.session import LaneInfo

KEY = "sk-live-0123456789abcdef"
HEADER = "tenant-secret-77"
TOKEN = "tok_in_the_url"
PASSWORD = "hunter2hunter2"
SECRETS = (KEY, HEADER, TOKEN, PASSWORD)
URL = f"https://user:{PASSWORD}@host:8000/v1?token={TOKEN}#top"

PROFILE = {
    "name": "p",
    "a": {
        "url": URL,
        "api_key_env": "DRAGSTRIP_TEST_KEY",
        "headers": {"Authorization": f"Bearer {HEADER}", "X-Team": HEADER},
        "dcgm": f"http://host:9400/metrics?auth={TOKEN}",
        "extra_body": {"api_key": KEY, "top_k": 5},
    },
    "b": None,
    "sentence": f"a note with {KEY} in it",
}


def test_a_profile_without_secrets_keeps_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGSTRIP_TEST_KEY", KEY)
    assert without_secrets(PROFILE) == {
        "name": "p",
        "a": {
            "url": "https://host:8000/v1",
            "api_key_env": "DRAGSTRIP_TEST_KEY",
            "headers": {"Authorization": HIDDEN, "X-Team": HIDDEN},
            "dcgm": "http://host:9400/metrics",
            "extra_body": {"api_key": HIDDEN, "top_k": 5},
        },
        "b": None,
        "sentence": f"a note with {HIDDEN} in it",
    }


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://u:p@h/v1?key=1#x", "https://h/v1"),
        ("https://key@[::1]:80/", "https://[::1]:80/"),
        ("s3://bucket/path?X-Amz-Signature=abc", "s3://bucket/path"),
        ("no url at all", "no url at all"),
        ("http://[broken?key=1", HIDDEN),
    ],
)
def test_urls(url: str, clean: str) -> None:
    assert clean_url(url) == clean


def refused(detail: str) -> RequestRow:
    """A request whose server quotes the key that it refuses."""
    t = synthetic.T0_NS
    return RequestRow(
        "a", 1, 0, t, t, None, None, t + 5, None, 8, None, None, 8, 0, "chunks", 0, 0, "", "failed", 401, "http 4xx",
        detail, "kernel",
    )  # fmt: skip


def test_no_file_of_a_session_and_no_export_holds_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGSTRIP_TEST_KEY", KEY)
    lanes = {"a": LaneInfo(url=URL, engine="vllm", title="vLLM", model="m")}
    says = f"Incorrect API key provided: {KEY} ({HEADER})"
    events = [EventRow("a", synthetic.T0_NS, "fault", "server", old=KEY, new=HEADER, text=says)]
    batches = [Batch(synthetic.T0_NS, requests=[refused(says)], events=events), *synthetic.batches(1)]
    recorder = record(tmp_path / "live", batches, about=synthetic.info(profile=PROFILE, lanes=lanes))
    assert_clean(tmp_path)
    recorder.close("done", 1.0)
    recorded = open_session(tmp_path / "live")
    (detail,) = recorded.scan("requests").collect().filter(http_status=401)["detail"]
    assert detail == f"Incorrect API key provided: {HIDDEN} ({HIDDEN})"
    for name in FORMATS:
        export(recorded, name, tmp_path / "out" / name)
    assert_clean(tmp_path)


def assert_clean(folder: Path) -> None:
    """No file holds a secret. Parquet compresses its texts: the exports as CSV and JSON show what is in them."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        assert not [secret for secret in SECRETS if secret.encode() in content], path
