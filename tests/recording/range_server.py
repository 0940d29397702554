"""A web server that serves parts of files, as object storage and every grown-up web server do."""

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: object, root: Path, broken: set[str]) -> None:
        self._root = root
        self._broken = broken
        super().__init__(*args)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        """Only the headers."""
        self._answer(body=False)

    def do_GET(self) -> None:
        """A file or a part of it."""
        self._answer(body=True)

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def _answer(self, *, body: bool) -> None:
        name = self.path.split("?")[0].lstrip("/")
        path = self._root / name
        if any(part in self._broken for part in name.split("/")) or not path.is_file():
            self._reply(403 if path.is_file() else 404, b"", {})
            return
        content, status, headers = path.read_bytes(), 200, {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        if found := _RANGE.match(self.headers.get("Range", "")):
            first, last = found.groups()
            start = int(first) if first else max(0, len(content) - int(last))
            end = int(last) + 1 if first and last else len(content)
            headers["Content-Range"] = f"bytes {start}-{min(end, len(content)) - 1}/{len(content)}"
            content, status = content[start:end], 206
        self._reply(status, content, headers, body=body)

    def _reply(self, status: int, content: bytes, headers: dict[str, str], *, body: bool = True) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content)), "ETag": '"1"'}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


@contextmanager
def serving(root: Path, *broken: str) -> Iterator[str]:
    """Serve a folder; paths with a part in `broken` are forbidden. Gives the URL."""
    handler = functools.partial(_Handler, root=root, broken=set(broken))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
