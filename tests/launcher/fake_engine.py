"""A stand-in engine for tests of starting and stopping: it logs, starts a stubborn worker, and streams four tokens.

Run as `fake_engine.py PIDS --port N …`; it writes its worker's process id and then its own to the file PIDS.
"""

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# A worker that outlives its parent and does not heed SIGTERM.
WORKER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    os._exit(0)
os.setsid()
with open(sys.argv[1] + ".part", "w") as out:
    out.write(f"{os.getpid()}\\n")
os.rename(sys.argv[1] + ".part", sys.argv[1])  # there at once and whole: the engine waits for it, then adds its own
time.sleep(600)
"""


class Handler(BaseHTTPRequestHandler):
    """The few endpoints that recognition asks for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._send("application/json", json.dumps({"data": [{"id": "m", "owned_by": "vllm"}]}))
        else:
            self._send("application/json", "{}", 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or "{}")
        if self.path != "/v1/completions":
            return self._send("application/json", "{}", 404)
        if "--picky" in sys.argv and "ignore_eos" in body:
            error = {"error": {"message": "unknown field: ignore_eos", "param": "ignore_eos"}}
            return self._send("application/json", json.dumps(error), 400)
        chunk = json.dumps({"choices": [{"text": "a", "finish_reason": "length"}], "usage": {"prompt_tokens": 5}})
        return self._send("text/event-stream", f"data: {chunk}\n\ndata: [DONE]\n\n")

    def _send(self, kind: str, text: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def say(line: str) -> None:
    """Write a line of the log."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Start like an engine, then serve until stopped; with --die, end at once as one that ran out of memory."""
    pids = Path(sys.argv[1])
    say("Loading safetensors checkpoint shards:  50% Completed")
    if "--die" in sys.argv:
        say("torch.OutOfMemoryError: \x1b[31mCUDA out of memory\x1b[0m")
        sys.exit(3)
    subprocess.run([sys.executable, "-c", WORKER, str(pids)], check=True)
    while not pids.exists():
        time.sleep(0.01)
    with pids.open("a") as out:
        out.write(f"{os.getpid()}\n")
    port = int(sys.argv[sys.argv.index("--port") + 1])
    say("GPU KV cache size: 1,024 tokens")
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    say("Starting vLLM server")
    server.serve_forever()


if __name__ == "__main__":
    main()
