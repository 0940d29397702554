"""Keys, tokens and headers never reach a file of a session, by whatever way they come."""

from pathlib import Path

import polars as pl
import pytest

from tests.recording import synthetic
from tests.recording.synthetic import record
from tui.export.formats import FORMATS, export
from tui.model.profile import LaneProfile, LoadProfile, Profile
from tui.model.rows import Batch, EventRow, RequestRow
from tui.model.session import LaneInfo
from tui.model.text import HIDDEN, clean_url
from tui.recording.reader import RecordedSession, Selection, open_session
from tui.recording.recorder import Recorder
from tui.recording.redact import profile_without_secrets
from tui.session.live import LiveSession
from tui.simulator.process import start_simulator

KEY = "sk-live-0123456789abcdef"
HEADER = "tenant-secret-77"
TOKEN = "tok_in_the_url"
PASSWORD = "hunter2hunter2"
LITERAL = "sk-written-in-the-profile"
SECRETS = (KEY, HEADER, TOKEN, PASSWORD, LITERAL)
URL = f"https://user:{PASSWORD}@host:8000/v1?token={TOKEN}#top"

PROFILE = {
    "name": "p",
    "a": {
        "url": URL,
        "api_key_env": "DRAGSTRIP_TEST_KEY",
        "headers": {"Authorization": f"Bearer {HEADER}", "X-Team": HEADER},
        "dcgm": f"http://host:9400/metrics?auth={TOKEN}",
        "extra_body": {"api_key": LITERAL, "top_k": 5},
    },
    "b": None,
    "sentence": f"a note with {KEY} in it",
}


def test_a_profile_without_secrets_keeps_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGSTRIP_TEST_KEY", KEY)
    assert profile_without_secrets(PROFILE) == {
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


@pytest.mark.parametrize("where", ["me:{}@host:9400", "me:{}@host:9400/metrics", "//me:{}@host:9400"])
def test_a_password_in_an_address_without_its_scheme_is_hidden(where: str) -> None:
    profile = {"a": {"dcgm": where.format(PASSWORD)}, "sentence": f"read with {PASSWORD}"}
    assert PASSWORD not in str(profile_without_secrets(profile))
    assert "host:9400" in str(profile_without_secrets(profile))
    assert profile_without_secrets({"a": {"url": "", "dcgm": ""}}) == {"a": {"url": "", "dcgm": ""}}


@pytest.mark.parametrize(
    "words",
    [
        ["--api-key", LITERAL],
        [f"--api-key={LITERAL}"],
        ["-e", f"HF_TOKEN={LITERAL}"],
        [{"password": LITERAL}],
    ],
)
def test_a_key_among_the_flags_of_a_launch_is_hidden(words: list[object]) -> None:
    profile = {"a": {"launch": {"model": "m", "extra": [*words, "--seed", "1"]}}, "sentence": f"with {LITERAL}"}
    cleaned = profile_without_secrets(profile)
    assert LITERAL not in str(cleaned)
    assert cleaned["a"]["launch"]["extra"][-2:] == ["--seed", "1"]


def test_a_key_with_an_equals_sign_is_hidden_whole_after_its_flag() -> None:
    cleaned = profile_without_secrets({"a": {"extra": ["--api-key", f"{LITERAL}==", "--seed", "1"]}})
    assert cleaned == {"a": {"extra": ["--api-key", HIDDEN, "--seed", "1"]}}


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
    says = f"Incorrect API key provided: {KEY} ({HEADER}) {LITERAL}"
    events = [
        EventRow("a", synthetic.T0_NS, "fault", "server", old=KEY, new=HEADER, text=says),
        EventRow("a", synthetic.T0_NS, "down", text=f"nobody answers at {URL} (user:{PASSWORD}, {TOKEN})"),
    ]
    batches = [Batch(synthetic.T0_NS, requests=[refused(says)], events=events), *synthetic.batches(1)]
    recorder = record(tmp_path / "live", batches, about=synthetic.info(profile=PROFILE, lanes=lanes))
    assert_clean(tmp_path)
    recorder.close("done", 1.0)
    recorded = open_session(tmp_path / "live")
    (detail,) = recorded.scan("requests").collect().filter(http_status=401)["detail"]
    assert detail == f"Incorrect API key provided: {HIDDEN} ({HIDDEN}) {HIDDEN}"
    for name in FORMATS:
        export(recorded, name, tmp_path / "out" / name)
    assert_clean(tmp_path)


def assert_clean(folder: Path) -> None:
    """No file holds a secret, as it lies there or in what Parquet has compressed."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        assert not [secret for secret in SECRETS if secret.encode() in content], path
    everything = all_text(folder)
    assert HIDDEN in everything
    assert not [secret for secret in SECRETS if secret in everything]


async def test_a_real_session_with_a_key_writes_it_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGSTRIP_TEST_KEY", KEY)
    engine = await start_simulator("vllm", speed=20)
    try:
        headers = {"X-Tenant": HEADER}
        lane = LaneProfile(url=engine.url, api_key_env="DRAGSTRIP_TEST_KEY", headers=headers)
        profile = Profile(name="p", a=lane, sentence=f"with {KEY}", load=LoadProfile(output_tokens=4))
        session = LiveSession(profile, record=lambda info: Recorder(tmp_path / "s", info))
        await session.start(lambda: None)
        await session.elapsed(1)
        assert_clean(tmp_path)
        await session.stop(f"done with {KEY}")
    finally:
        await engine.stop()
    assert open_session(tmp_path / "s").scan("requests").collect().height > 0
    assert_clean(tmp_path)


PRIVATE = ("gpu7", "gpu8", "10.1.2.3", "/srv/secret", "bench-client-3", "user-home")


def private_session(folder: Path) -> RecordedSession:
    """Its places stand wherever a place can: in what is known of it, and in the words of servers and operators."""
    model = "/srv/secret/user-home/llama-8b"
    lanes = {
        "a": LaneInfo(url="http://gpu7.corp.example:8001/v1", engine="vllm", title="vLLM", model=model),
        "b": LaneInfo(url="http://10.1.2.3:8002", engine="sglang", title="SGLang", model=model),
    }
    profile = {
        "name": "p",
        "a": {
            "url": "http://gpu7.corp.example:8001/v1",
            "dcgm": "http://gpu8.corp.example:9400/metrics",
            "model": model,
        },
        "b": {"url": "http://10.1.2.3:8002"},
        "sentence": f"gpu7.corp.example against 10.1.2.3 with {model}",
    }
    says = f"the model {model} does not exist at gpu7.corp.example:8001"
    events = [
        EventRow("a", synthetic.T0_NS, "start", text=f"vLLM 0.33.0, {model}, at http://gpu7.corp.example:8001/v1"),
        EventRow("b", synthetic.T0_NS + 1, "down", text="nobody answers at http://10.1.2.3:8002"),
        EventRow("", synthetic.T0_NS + 2, "fault", "dcgm", old="bench-client-3", new="gpu8.corp.example", text=says),
    ]
    batches = [Batch(synthetic.T0_NS, requests=[refused(says)], events=events), *synthetic.batches(3)]
    about = synthetic.info(profile=profile, lanes=lanes, host={"name": "bench-client-3", "cores": "96"})
    record(folder, batches, about=about).close("done", 3.0)
    return open_session(folder)


def all_text(folder: Path) -> str:
    """All the text in the files of a folder and in their names. Parquet compresses its texts: what is in it."""
    texts = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        texts.append(str(path.relative_to(folder)))
        if path.suffix == ".parquet":
            columns = pl.read_parquet(path).select(pl.col(pl.String))
            texts += [text for column in columns for text in column.unique().to_list() if text]
            texts += pl.read_parquet_metadata(path).values()
        else:
            texts.append(path.read_bytes().decode("utf-8", "replace"))
    return "\n".join(texts)


@pytest.mark.parametrize("name", FORMATS)
def test_a_redacted_export_names_no_host_and_no_path_in_any_format(tmp_path: Path, name: str) -> None:
    recorded = private_session(tmp_path / "session")
    export(recorded, name, tmp_path / "redacted", Selection(redact=True))
    export(recorded, name, tmp_path / "plain")
    plain, redacted = all_text(tmp_path / "plain"), all_text(tmp_path / "redacted")
    assert not [text for text in PRIVATE if text in redacted]
    if name not in ("svg", "png"):  # they name engines only
        assert [text for text in PRIVATE if text in plain]
        assert "llama-8b" in redacted or HIDDEN in redacted
