"""Pure: what a packet says of its picture's place among the temporal layers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layer:
    """A temporal layer, 0 for the base, and what one who has had fewer layers may begin with this picture.

    `opens`: no later picture needs one from before this that stands in a higher layer than this, so that all layers can
    be had from here on. `from_base`: this picture needs the base layer alone.
    """

    temporal_id: int
    opens: bool = False
    from_base: bool = False
