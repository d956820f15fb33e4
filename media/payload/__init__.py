"""Pure: what an RTP payload says of keyframes, layers and frames, per codec."""

from media.payload.video import Depacketizer, Frame, keyframe, temporal_id

__all__ = ["Depacketizer", "Frame", "keyframe", "temporal_id"]
