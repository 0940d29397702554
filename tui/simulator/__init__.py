"""Two simulated engines that behave like vLLM and SGLang, for the demo and for faults. They say SIMULATED."""
