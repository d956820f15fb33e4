"""Turn stills into the small images of a pack: palette PNG or JPEG, whichever is smaller, as old browsers know both."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from rules import slides
from rules.packbudget import Level

# A page of more pixels than this is refused before it is opened: 40 megapixels are 120 MB of memory.
Image.MAX_IMAGE_PIXELS = 40_000_000
# A palette PNG keeps letters sharp, so it may be this much larger than the JPEG of the same slide.
SHARP_WORTH = 1.25


@dataclass(frozen=True, slots=True)
class SlideImage:
    """One compressed image; `extension` is "png" or "jpg"."""

    content: bytes
    extension: str
    width: int
    height: int


def compress(still: Image.Image, level: Level) -> SlideImage:
    """Compress a still to a level of rules.packbudget; the smaller of PNG and JPEG, sharp letters counting."""
    fitted = still if still.mode == "RGB" else still.convert("RGB")
    if fitted.width > level.width:
        size = (level.width, max(1, round(fitted.height * level.width / fitted.width)))
        fitted = fitted.resize(size, Image.Resampling.LANCZOS)
    jpeg = io.BytesIO()
    fitted.save(jpeg, "JPEG", quality=level.quality, optimize=True, progressive=True)
    # Without dithering: noise would make the file larger and letters ragged.
    flat = fitted.quantize(level.colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    png = io.BytesIO()
    flat.save(png, "PNG", optimize=True)
    if png.tell() <= jpeg.tell() * SHARP_WORTH:
        return SlideImage(png.getvalue(), "png", *fitted.size)
    return SlideImage(jpeg.getvalue(), "jpg", *fitted.size)


def open_image(content: bytes) -> Image.Image:
    """Decode one of our own images."""
    with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
        return image.convert("RGB")


def thumb(image: Image.Image) -> bytes:
    """Make the thumbnail of an image that rules.slides compares."""
    small = image.convert("L").resize((slides.WIDTH, slides.HEIGHT), Image.Resampling.BOX)
    return slides.tiled(small.tobytes())
