"""A session without its rows: the content of `session.toml`."""

from typing import Any, Literal

import msgspec

from tui.model.profile import API_PATH, Endpoint, endpoint_path

SCHEMA = 1


class LaneInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The server of one lane as detected. Its texts are sanitized."""

    url: str
    engine: str  # its kind, a key of `engines.registry.ENGINES`
    title: str  # the engine's name as people write it
    version: str = ""
    model: str = ""
    max_model_len: int | None = None
    simulated: bool = False
    endpoint: Endpoint = "completions"
    prompt_form: Literal["ids", "text"] = "ids"
    api_path: str = API_PATH
    adapted: list[str] = []  # a sentence for each thing that is done otherwise for this server

    @property
    def request_path(self) -> str:
        """Where its requests go, behind `url`."""
        return endpoint_path(self.endpoint, self.api_path)


class SessionInfo(msgspec.Struct, kw_only=True):
    """One head-to-head. `t0_ns` and `wall_ns` are the same moment on the monotonic and on the wall clock."""

    schema: int = SCHEMA
    name: str
    profile: dict[str, Any]  # without secrets
    lanes: dict[str, LaneInfo]
    t0_ns: int
    wall_ns: int
    host: dict[str, str]
    version: str
    verdict_method: int = 1  # the number of the rules by which verdicts were given while it ran
    watched: bool = False  # its end could depend on the verdict: an operator saw it come, or it was waited for
    traffic: dict[str, Any] = {}  # the traffic file: name, size, digest, form, order and seed; never a text of it
    ended: str = ""  # empty while it runs and after a crash; else how it ended
    duration_s: float = 0.0
    note: str = ""  # what the user wrote about it afterwards

    @property
    def simulated(self) -> bool:
        """Whether any number in this session comes from a simulated engine."""
        return any(lane.simulated for lane in self.lanes.values())
