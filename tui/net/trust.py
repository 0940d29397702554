"""Which certificates are trusted: one answer for all requests."""

import os
import ssl
from functools import lru_cache
from pathlib import Path

_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def ssl_context(*, verify: bool) -> ssl.SSLContext:
    """The system's store, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name; certifi's where there is neither."""
    return _context(verify, tuple(os.environ.get(name, "") for name in _VARIABLES))


@lru_cache
def _context(verify: bool, named: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif not any(named) and not context.cert_store_stats()["x509_ca"] and not _has_folder():
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def _has_folder() -> bool:
    """Whether the system has a folder of certificates, which are read when one is needed."""
    folder = ssl.get_default_verify_paths().capath
    return folder is not None and any(Path(folder).glob("*"))
