"""Pure: the temporal layer in a Dependency Descriptor (AOM's RTP Payload Format For AV1, v1.0, appendix A).

The header extension says of every packet which template its frame follows; keyframes bring the templates. Frame
differences, chains and sizes are left unread.
"""

from __future__ import annotations

from dataclasses import dataclass

from media.payload.bits import BitReader
from media.payload.layer import Layer
from media.rtp import MalformedPacket

URI = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
MANDATORY_BYTES = 3
TEMPLATE_IDS = 64
NEXT_TEMPORAL, NEXT_SPATIAL, NO_MORE = 1, 2, 3
SWITCH = 2  # A.8.3.3: later frames of this decode target need no frame of it from before this one


@dataclass(frozen=True, slots=True)
class Templates:
    """A structure: the number of its first template and what each template says."""

    offset: int
    layers: tuple[Layer, ...]


class DescriptorReader:
    """Read the descriptors of one stream, in whatever order they come."""

    __slots__ = ("_templates",)

    def __init__(self) -> None:
        self._templates: Templates | None = None

    def read(self, data: bytes) -> Layer | None:
        """Return the packet's layer, None where its template is not known. Raises MalformedPacket."""
        if len(data) < MANDATORY_BYTES:
            raise MalformedPacket(f"dependency descriptor of {len(data)} bytes")
        bits = BitReader(data)
        bits.skip(2)  # start_of_frame, end_of_frame
        number = bits.read(6)
        bits.skip(16)  # frame_number
        custom = False
        if len(data) > MANDATORY_BYTES:
            has_structure, _has_active, custom = bits.read(1), bits.read(1), bool(bits.read(1))
            bits.skip(2)  # custom_fdiffs_flag, custom_chains_flag
            if has_structure:
                self._templates = _structure(bits)
        known = self._templates
        index = -1 if known is None else (number - known.offset) % TEMPLATE_IDS
        if known is None or index >= len(known.layers):
            return None
        layer = known.layers[index]
        # A frame with indications of its own is not looked into: one opening is missed, no wrong one taken.
        return Layer(layer.temporal_id) if custom else layer


def _structure(bits: BitReader) -> Templates:
    """Read template_dependency_structure() up to the decode target indications (A.8.2)."""
    offset = bits.read(6)
    targets = bits.read(5) + 1
    temporal_id, ids = 0, []
    while True:
        ids.append(temporal_id)
        following = bits.read(2)
        if following == NO_MORE:
            break
        if len(ids) == TEMPLATE_IDS:
            raise MalformedPacket("dependency descriptor with more templates than numbers")
        if following == NEXT_TEMPORAL:
            temporal_id += 1
        elif following == NEXT_SPATIAL:
            temporal_id = 0
    layers = []
    for temporal_id in ids:
        indications = [bits.read(2) for _ in range(targets)]
        layers.append(Layer(temporal_id, temporal_id == 0 and all(one == SWITCH for one in indications)))
    return Templates(offset, tuple(layers))
