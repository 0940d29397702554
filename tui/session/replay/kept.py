"""Where the lanes stood at many moments, kept so that what the moments share is kept once.

A verdict depends on every look since its segment began, so it can only be folded, from the start. Columns of values
that grow, and visits and rows that stay as they are, make up nearly all of it: each value is kept once, and told by
its place. A copy of every second of an hour at 50 requests/s would take gigabytes.
"""

import io
import pickle
import weakref
from array import array
from dataclasses import dataclass, field
from typing import Any, Final

from tui.analysis.ledger import LedgerRow
from tui.session.replay.spill import Place, Spill
from tui.session.verdict.ledger import VisitSoFar
from tui.session.verdict.standing import Standing
from tui.session.view import VerdictView

FIXED: Final = (LedgerRow, VerdictView)  # never changed once made


@dataclass(slots=True)
class _Column:
    """What of one growing column has been kept: pieces that follow each other in it."""

    of: "weakref.ref[array[float]]"
    first: bytes
    length: int = 0
    pieces: list[Place] = field(default_factory=list)


class KeptStandings:
    """A list of moments. Put them in from one thread; any thread may take them out."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self._columns: list[_Column] = []
        self._column_of: dict[int, int] = {}  # by the identity of the array
        self._fixed: list[object] = []
        self._fixed_of: dict[int, int] = {}
        self._visits: list[Place] = []
        self._visit_of: dict[int, tuple[VisitSoFar, int, int]] = {}  # the visit, how often visited, its place
        self._moments: list[Place] = []

    def __len__(self) -> int:
        return len(self._moments)

    def put(self, standing: Standing) -> None:
        """Keep one more. OSError: no room for it."""
        self._moments.append(self._spill.put(self._pickled(standing)))

    def take(self, number: int) -> Standing:
        """The one that was put in as that number, as a copy of its own."""
        found = self._unpickled(self._spill.get(self._moments[number]))
        assert isinstance(found, Standing)
        return found

    def told(self, value: object, inside: object) -> tuple[Any, ...] | None:
        """How something within `inside` is told that is kept once; None of what is told in full."""
        if isinstance(value, array):
            whole = isinstance(inside, VisitSoFar)  # its end may change, not only grow: it is kept with each visit
            return ("values", self._spill.put(value.tobytes())) if whole else ("column", *self._keep_column(value))
        if isinstance(value, FIXED):
            if id(value) not in self._fixed_of:
                self._fixed_of[id(value)] = len(self._fixed)
                self._fixed.append(value)
            return "fixed", self._fixed_of[id(value)]
        if isinstance(value, VisitSoFar) and value is not inside:
            return "visit", self._keep_visit(value)
        return None

    def found(self, told: tuple[Any, ...]) -> object:
        """What was told."""
        kind, *where = told
        if kind == "fixed":
            return self._fixed[where[0]]
        if kind == "visit":
            return self._unpickled(self._spill.get(self._visits[where[0]]))
        if kind == "values":
            return array("d", self._spill.get(where[0]))
        number, pieces = where
        return array("d", b"".join(map(self._spill.get, self._columns[number].pieces[:pieces])))

    def _pickled(self, value: object) -> bytes:
        buffer = io.BytesIO()
        _Saver(buffer, self, value).dump(value)
        return buffer.getvalue()

    def _unpickled(self, data: bytes) -> object:
        return _Loader(io.BytesIO(data), self).load()

    def _keep_visit(self, visit: VisitSoFar) -> int:
        known = self._visit_of.get(id(visit))
        if known is None or known[1] != visit.visits:
            self._visits.append(self._spill.put(self._pickled(visit)))
            known = self._visit_of[id(visit)] = (visit, visit.visits, len(self._visits) - 1)
        return known[2]

    def _keep_column(self, values: "array[float]") -> tuple[int, int]:
        """Which column it is, and how many pieces of it there are by now."""
        first = values[:1].tobytes()
        number = self._column_of.get(id(values), -1)
        column = self._columns[number] if number >= 0 else None
        if column is None or column.of() is not values or len(values) < column.length or column.first != first:
            column = _Column(weakref.ref(values), first)  # a new one, or its oldest values have gone
            number = self._column_of[id(values)] = len(self._columns)
            self._columns.append(column)
        if len(values) > column.length:
            column.pieces.append(self._spill.put(values[column.length :].tobytes()))
            column.length = len(values)
        return number, len(column.pieces)


class _Saver(pickle.Pickler):
    def __init__(self, file: io.BytesIO, kept: KeptStandings, whole: object) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._kept, self._whole = kept, whole

    def persistent_id(self, obj: object) -> tuple[Any, ...] | None:
        return self._kept.told(obj, self._whole)


class _Loader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, kept: KeptStandings) -> None:
        super().__init__(file)
        self._kept = kept

    def persistent_load(self, pid: Any) -> object:
        return self._kept.found(pid)
