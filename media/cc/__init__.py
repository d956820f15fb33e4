"""Pure: congestion control of one viewer's downlink: estimate, probe, pace."""
