"""What must be settled before Textual is imported, because it reads these once, at import."""

import codecs
import gc
import locale
import os

SSH_FPS = "15"  # bounds what a held key sends; one key press still echoes at once


def prepare_terminal() -> None:
    """No animations anywhere; fewer frames where each of them crosses a network.

    Nothing that is made until the first paint is garbage, and looking for some costs a fifth of that time: the
    collector begins with `painted`.
    """
    gc.disable()
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    if os.environ.get("SSH_CONNECTION"):
        os.environ.setdefault("TEXTUAL_FPS", SSH_FPS)


def painted() -> None:
    """The first paint is done: what there is stays, and the collector looks at what comes."""
    gc.freeze()
    gc.enable()


def speaks_utf8() -> bool:
    """Whether the locale lets a terminal show more than ASCII."""
    try:
        return codecs.lookup(locale.getpreferredencoding(False)).name == "utf-8"
    except LookupError:
        return False
