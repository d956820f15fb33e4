"""The sample district of `make demo`."""
