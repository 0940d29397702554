"""Recorded sessions to export, made as those to read are."""

from tests.recording.conftest import Make, make

__all__ = ["Make", "make"]
