"""Pure: what an RTP payload says of keyframes, layers and frames, per codec."""

from media.payload.layer import Layer
from media.payload.video import Depacketizer, Frame, keyframe, layer

__all__ = ["Depacketizer", "Frame", "Layer", "keyframe", "layer"]
