"""An honest stand-in server with an engine's manners, for the demo and for faults. It says SIMULATED of itself."""
