"""A lane's examination, of a server that answers."""

import threading
from http.server import ThreadingHTTPServer

from tests.engines.sites import lane
from tests.launcher.fake_engine import Handler
from tui.doctor.examine import examine_lane, quick_check
from tui.engines.detect import detect_lane


async def test_a_server_is_examined_with_our_reader_and_with_the_official_client(address: str) -> None:
    check = await examine_lane("a", lane(f"http://me:secret@{address}/v1"))
    assert check.error == ""
    assert check.url == f"http://{address}"
    assert (check.prompt_tokens, check.client_note, check.on_this_host) == (5, "", True)
    assert check.settings
    assert check.tokens_served is None  # it has no metrics


async def test_a_quick_check_generates_nothing_and_counts_a_prompt_by_the_servers_tokenizer() -> None:
    asked: list[str] = []

    class Tokenizing(Handler):
        def do_POST(self) -> None:  # noqa: N802 - as http.server calls it
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self._send("application/json", '{"tokens": [5, 6, 7, 8, 9]}')

    with ThreadingHTTPServer(("127.0.0.1", 0), Tokenizing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        profile = lane(f"127.0.0.1:{server.server_port}")
        check = await quick_check("a", profile, await detect_lane(profile))
        server.shutdown()
    assert (check.prompt_tokens, check.on_this_host) == (5, True)
    assert set(asked) == {"/tokenize"}
    assert check.settings
    assert check.gpus or check.gpu_note
