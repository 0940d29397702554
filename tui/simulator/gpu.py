"""A GPU that is not there, as a DCGM exporter would show it. Utilisation and power follow the simulated load."""

import math
from dataclasses import dataclass

from tui.simulator.presets import Preset

FADE_S = 1.0  # NVML's utilisation is that of about the last second
FULL_BATCH_HALF = 16  # the batch at which a decode step draws half of what a full one does above a lone stream's
LONE_SHARE = 0.55  # of full power: one stream reads the weights as often as many do, and computes little
RESERVED_MIB = 480.0


@dataclass(slots=True)
class SimulatedGpu:
    """Times are a monotonic clock's, in s; energy is that of the wall time, whatever the simulation's speed."""

    preset: Preset
    now_s: float
    energy_j: float = 0.0
    busy: float = 0.0  # share of the last second or so in which a step ran
    load: float = 0.0  # of a running step: 1 is a full batch

    def advance(self, now_s: float, batch: int) -> None:
        """Note that from the last call until now `batch` streams ran, none of them when it was idle."""
        span_s = max(0.0, now_s - self.now_s)
        self.now_s = now_s
        kept = math.exp(-span_s / FADE_S)
        self.busy = self.busy * kept + (1.0 - kept if batch else 0.0)
        if batch:
            running = LONE_SHARE + (1.0 - LONE_SHARE) * batch / (batch + FULL_BATCH_HALF)
            self.load = self.load * kept + running * (1.0 - kept)
        self.energy_j += self.power_w * span_s

    @property
    def power_w(self) -> float:
        """Drawn now."""
        return self.preset.idle_w + (self.preset.busy_w - self.preset.idle_w) * self.busy * self.load

    def page(self) -> bytes:
        """The exporter's page. Used memory is flat: weights and pool are allocated at the start."""
        from prometheus_client import CollectorRegistry, Gauge, generate_latest

        used_mib = self.preset.gpu_used_gib * 1024
        values = {
            "DCGM_FI_DEV_FB_USED": used_mib,
            "DCGM_FI_DEV_FB_RESERVED": RESERVED_MIB,
            "DCGM_FI_DEV_FB_FREE": self.preset.gpu_memory_gib * 1024 - used_mib - RESERVED_MIB,
            "DCGM_FI_DEV_GPU_UTIL": round(100 * self.busy),
            "DCGM_FI_DEV_POWER_USAGE": round(self.power_w, 1),
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": round(self.energy_j * 1000),
            "DCGM_FI_DEV_GPU_TEMP": round(34 + 33 * self.busy * self.load),
            "DCGM_FI_DEV_SM_CLOCK": 1410 if self.busy > 0.05 else 210,
        }
        labels = {
            "gpu": "0",
            "UUID": f"GPU-SIMULATED-{self.preset.engine}",
            "device": "nvidia0",
            "modelName": "SIMULATED A100-SXM4-40GB",
            "hostname": "simulated",
        }
        registry = CollectorRegistry()
        for name, value in values.items():
            Gauge(name, name, list(labels), registry=registry).labels(**labels).set(value)
        return generate_latest(registry)
