"""Serve a GGUF file with llama.cpp's own HTTP server, out of the wheel `xllamacpp`."""

import signal
import sys

import xllamacpp


def main(model: str) -> None:
    """Print the address, serve until SIGTERM or the end of stdin's owner."""
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {"tiny"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = 4
    params.n_ctx = 16384
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.endpoint_metrics = True
    params.endpoint_props = True
    params.ui = False
    params.offline = True
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before the server starts its threads
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    signal.sigwait(ends)


if __name__ == "__main__":
    main(sys.argv[1])
