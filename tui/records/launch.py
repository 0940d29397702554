"""How an engine is to be started, in words that suit every engine."""

import msgspec


class Launch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[a.launch]` of a profile. What is None or empty is left to the engine's own default.

    The engine's kind is the lane's `engine`, host and port are those of its `url`, the name it serves is its
    `model`. Secrets do not belong here: the engine inherits this process's environment.
    """

    model: str  # path or repository of the weights
    # What starts the engine when it is not on the PATH: a path takes the place of the usual command's first word (so
    # for SGLang it is a Python), a list the place of the whole, as for a container or a script.
    command: str | list[str] = []
    version: str = ""  # of the engine; empty: the newest known flags
    dtype: str = ""
    quantisation: str = ""
    tensor_parallel: int | None = None
    max_model_len: int | None = None
    kv_tokens: int | None = None
    memory_fraction: float | None = None
    max_running: int | None = None
    prefill_budget: int | None = None
    prefix_cache: bool | None = None
    cuda_graphs: bool | None = None
    cuda_graph_max: int | None = None
    kv_dtype: str = ""
    kv_block: int | None = None
    seed: int | None = None
    gpus: list[int] = []
    dummy_weights: bool = False
    neutral_sampling: bool = True  # the model's generation_config.json is not to change the sampling
    extra: list[str] = []  # further flags, as the engine spells them
    env: dict[str, str] = {}
