"""Lessons on links that change, differ or break: each scenario runs a lesson of its own and judges it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

SCENARIOS: dict[str, Callable[[Path, argparse.Namespace], dict]] = {}
