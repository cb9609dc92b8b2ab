"""A photo of a person that is always there: NASA's portrait of Eileen Collins, which scikit-image ships."""

import io

import skimage.data
from PIL import Image


def portrait() -> bytes:
    """A PNG of 512 x 512 pixels."""
    out = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(out, "PNG")
    return out.getvalue()
