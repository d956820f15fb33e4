"""Pure: what an RTP payload says of keyframes, layers and frames, per codec."""
