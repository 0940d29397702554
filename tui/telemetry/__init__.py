"""What servers (Prometheus) and GPUs (NVML here, DCGM exporter there) say of themselves."""
