"""Pure: H.264 in RTP (RFC 6184): single NAL units, STAP-A and FU-A, the packetization modes 0 and 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from media.payload.bits import BitReader
from media.rtp import MalformedPacket

NAL_IDR, NAL_SPS, NAL_PPS = 5, 7, 8
STAP_A, FU_A = 24, 28
START_CODE = b"\0\0\0\1"
# Profiles whose SPS has the chroma fields (H.264 7.3.2.1.1).
HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
MAX_SPS_BYTES = 256
MAX_UNITS = 1024
"""NAL units of one access unit; an encoder that fits slices to packets writes one a packet."""


def _nal_units(payload: bytes) -> Iterator[bytes]:
    """Yield the whole NAL units of a single NAL unit packet or a STAP-A."""
    if not 1 <= payload[0] & 0x1F <= 23:
        if payload[0] & 0x1F != STAP_A:
            raise MalformedPacket(f"H.264 packet type {payload[0] & 0x1F} is not used here")
        at = 1
        while at < len(payload):
            size = int.from_bytes(payload[at : at + 2])
            at += 2
            if size == 0 or at + size > len(payload):
                raise MalformedPacket(f"NAL unit of {size} bytes does not fit its STAP-A")
            yield payload[at : at + size]
            at += size
    else:
        yield payload


def _need_header(payload: bytes) -> None:
    if not payload or (payload[0] & 0x1F == FU_A and len(payload) < 3):
        raise MalformedPacket("H.264 payload shorter than its header")


def _need_no_start_code(data: bytes) -> None:
    """Refuse what would fall apart in Annex B: emulation prevention keeps 00 00 01 out of NAL units (H.264 7.4.1)."""
    if b"\0\0\1" in data:
        raise MalformedPacket("a NAL unit with a start code inside")


def starts_keyframe(payload: bytes) -> bool:
    """Say whether a key frame begins here: an SPS, or the first slice of an IDR picture (first_mb_in_slice is 0)."""
    _need_header(payload)
    if payload[0] & 0x1F == FU_A:
        return payload[1] & 0x80 != 0 and payload[1] & 0x1F == NAL_IDR and payload[2] & 0x80 != 0
    for nal in _nal_units(payload):
        kind = nal[0] & 0x1F
        if kind == NAL_SPS or (kind == NAL_IDR and len(nal) > 1 and nal[1] & 0x80):
            return True
    return False


def layer(payload: bytes) -> None:
    """Return None: plain H.264 does not say its layer."""
    _need_header(payload)


def assemble(payloads: Sequence[bytes]) -> bytes:
    """Join the packets of one access unit into Annex B. Raises MalformedPacket when fragments do not meet."""
    out: list[bytes] = []
    inside = False
    for payload in payloads:
        _need_header(payload)
        if payload[0] & 0x1F != FU_A:
            if inside:
                raise MalformedPacket("a NAL unit without its last fragment")
            for nal in _nal_units(payload):
                _need_no_start_code(nal)
                out += (START_CODE, nal)
            if len(out) > 2 * MAX_UNITS:
                raise MalformedPacket(f"an access unit of more than {MAX_UNITS} NAL units")
            continue
        starts, ends = payload[1] & 0x80 != 0, payload[1] & 0x40 != 0
        if starts == inside:
            raise MalformedPacket("a NAL unit fragment without its neighbour")
        if starts:
            out += (START_CODE, bytes([payload[0] & 0xE0 | payload[1] & 0x1F]))
        _need_no_start_code(payload)
        out.append(payload[2:])
        inside = not ends
    if inside:
        raise MalformedPacket("a NAL unit without its last fragment")
    return b"".join(out)


def annex_b_units(frame: bytes) -> list[bytes]:
    """Split an access unit at its start codes."""
    return [unit.rstrip(b"\0") for unit in frame.split(b"\0\0\1")[1:] if unit.rstrip(b"\0")]


def parameter_sets(frame: bytes) -> tuple[bytes | None, bytes | None]:
    """Return the first SPS and the first PPS of an access unit, None where they are not in it."""
    sps = pps = None
    for unit in annex_b_units(frame):
        kind = unit[0] & 0x1F
        if kind == NAL_SPS and sps is None:
            sps = unit
        elif kind == NAL_PPS and pps is None:
            pps = unit
    return sps, pps


def has_idr(frame: bytes) -> bool:
    """Say whether the access unit has an IDR slice."""
    return any(unit[0] & 0x1F == NAL_IDR for unit in annex_b_units(frame))


def frame_size(frame: bytes) -> tuple[int, int] | None:
    """Return width and height by the SPS of the access unit, None where it has none."""
    sps, _ = parameter_sets(frame)
    return None if sps is None else _sps_size(sps[1 : MAX_SPS_BYTES + 1])


def _sps_size(body: bytes) -> tuple[int, int]:
    """Read an SPS up to its cropping (H.264 7.3.2.1.1)."""
    # Emulation prevention (7.4.1.1): 00 00 03 stands for 00 00.
    bits = BitReader(body.replace(b"\0\0\3", b"\0\0"))
    profile = bits.read(8)
    bits.skip(16)
    bits.exp_golomb()
    chroma, separate_planes = 1, 0
    if profile in HIGH_PROFILES:
        chroma, separate_planes = _chroma(bits)
    bits.exp_golomb()  # log2_max_frame_num_minus4
    _skip_picture_order(bits)
    bits.exp_golomb()  # max_num_ref_frames
    bits.skip(1)
    width, height = 16 * (bits.exp_golomb() + 1), bits.exp_golomb() + 1
    frame_only = bits.read(1)
    height *= 16 * (2 - frame_only)
    if not frame_only:
        bits.skip(1)
    bits.skip(1)
    if bits.read(1):  # cropping, in chroma samples (7-19 to 7-22)
        left, right, top, bottom = (bits.exp_golomb() for _ in range(4))
        sampled = 0 if separate_planes else chroma
        width -= (2 if sampled in (1, 2) else 1) * (left + right)
        height -= (2 if sampled == 1 else 1) * (2 - frame_only) * (top + bottom)
    if not (0 < width <= 0xFFFF and 0 < height <= 0xFFFF):
        raise MalformedPacket(f"SPS gives a picture of {width} x {height}")
    return width, height


def _chroma(bits: BitReader) -> tuple[int, int]:
    """Return chroma_format_idc and separate_colour_plane_flag, passing over scaling lists."""
    chroma = bits.exp_golomb()
    separate_planes = bits.read(1) if chroma == 3 else 0
    bits.exp_golomb()
    bits.exp_golomb()
    bits.skip(1)
    if bits.read(1):  # seq_scaling_matrix_present_flag
        for index in range(8 if chroma != 3 else 12):
            if bits.read(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return chroma, separate_planes


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    """Pass over a scaling list (H.264 7.3.2.1.1.1)."""
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_exp_golomb()) % 256
        last = following or last


def _skip_picture_order(bits: BitReader) -> None:
    kind = bits.exp_golomb()  # pic_order_cnt_type
    if kind == 0:
        bits.exp_golomb()
    elif kind == 1:
        bits.skip(1)
        bits.signed_exp_golomb()
        bits.signed_exp_golomb()
        for _ in range(min(bits.exp_golomb(), 255)):
            bits.signed_exp_golomb()
