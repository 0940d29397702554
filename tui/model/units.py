"""Factors between units."""

from typing import Final

NS_PER_S: Final = 1_000_000_000
