"""The page itself: one HTML file with its style, pictures and drawings inside, and no way out.

A content security policy forbids every request, so what the page shows is what the file holds. Everything
a user supplied is escaped by the template; only our own drawing is inserted as it is.
"""

import base64
import io
from pathlib import Path

from PIL import Image

from sfumato.app.pictures import write_bytes
from sfumato.app.report.content import Report
from sfumato.app.report.settings import groups
from sfumato.app.report.training import charts

_MOST_BYTES = 400_000  # above this a picture is a photograph's size, and is embedded as JPEG


def write_report(path: str | Path, report: Report) -> None:
    """Write the page to `path`, whole or not at all. Raises ConfigError where it cannot be written."""
    write_bytes(path, render(report).encode())


def render(report: Report) -> str:
    """Return the page as HTML that needs no other file and no network."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    # Escape always: jinja2's own choice goes by the ending, and ".jinja" is not among its endings.
    pages = Environment(
        loader=PackageLoader("sfumato.app.report", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["embedded"] = embedded
    drawn = [(Markup(chart.drawing), chart.words) for chart in charts(report.history)]
    return pages.get_template("template.html.jinja").render(
        report=report, charts=drawn, groups=groups(report.config)
    )


def embedded(picture: Image.Image) -> str:
    """Return a picture as a `data:` address: grey or colour PNG, or JPEG where PNG would be heavy."""
    buffer = io.BytesIO()
    slim = _slim(picture)
    slim.save(buffer, "PNG", optimize=True)
    kind = "png"
    if buffer.tell() > _MOST_BYTES:
        buffer = io.BytesIO()
        # Not `optimize`: Pillow then needs the whole file in one buffer, and fails where noise overflows it.
        slim.save(buffer, "JPEG", quality=88, subsampling=0)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _slim(picture: Image.Image) -> Image.Image:
    """Return the picture in one channel where its three are equal, else in three."""
    colour = picture.convert("RGB")
    red, green, blue = (band.tobytes() for band in colour.split())
    return colour.getchannel(0) if red == green == blue else colour
