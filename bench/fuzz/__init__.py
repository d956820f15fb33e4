"""Hostile inputs for every parser that reads what strangers send: made from a seed, run, and judged by what comes out.

.venv/bin/python -m bench.fuzz [--inputs 1000000] [--only rtcp,sdp] [--seed 1]
"""
