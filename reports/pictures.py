"""The blocks of a report that show images: worst frames, representative slices, planes across the stack, quality along it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from PIL import Image as Pixels
from reportlab.lib.units import mm
from reportlab.platypus import Image, KeepTogether, Spacer, Table

from medqa.assessment import HeatMap, Verdict
from medqa.config import Settings
from medqa.errors import MedqaError
from medqa.series import FrameImage
from reports import figures, planes, wording
from reports.charts import colour_bar, profile
from reports.figures import Grey, Window
from reports.page import Page
from reports.theme import RULE, WIDTH

_MOST_WORST: Final = 3
_SLICES: Final = 4
_PANEL: Final = 54 * mm
_PANEL_PIXELS: Final = 384
_TILE_PIXELS: Final = 320
_PLANE_HIGH: Final = 74 * mm
_BAR: Final = 12 * mm
_MOST_CURVES: Final = 3
_NAMED: Final = {"exchanged_slices": 1, "repeated_pixels": 0}
"""Findings that name two slices, and how many slices before the first and behind the other are shown with them."""
_PADDINGS: Final = ("LEFTPADDING", "RIGHTPADDING", "TOPPADDING", "BOTTOMPADDING")


def named(page: Page) -> list[Any]:
    """Show the slices that a cause of the verdict names by number, exchanged ones with what lies beside them."""
    shown: list[int] = []
    for found in wording.causes(page.assessment):
        first, other = (found.values.get(name) for name in ("first", "other"))
        if found.message in _NAMED and isinstance(first, int) and isinstance(other, int):
            reach = _NAMED[found.message]
            shown += [*range(first - 1 - reach, first), *range(other - 1, other + reach)]
    frames = [frame for frame in dict.fromkeys(shown) if 0 <= frame < len(page.series.frames)][:_SLICES]
    if not frames:
        return []
    return page.theme.block(page.word("section.named"), [_row(page, frames, WIDTH / _SLICES)], together=True)


def worst(page: Page) -> list[Any]:
    """Show the worst frames, each with and beside its heat map where there is one; nothing for a series in order."""
    maps = {found.frame: found for found in figures.worst_first(page.heat_maps, page.assessment, _MOST_WORST)}
    frames = list(maps) or _worst_frames(page)
    if not frames:
        return []
    if not any(found.localisable for found in maps.values()):
        told = [page.theme.note(f"{page.word('figure.map')}: {page.word('figure.not_localisable')}")] if maps else []
        return page.theme.block(page.word("section.worst_alone"), [_row(page, frames, _PANEL + 3 * mm), *told], together=True)
    rows = [_worst_row(page, frame, maps[frame]) for frame in frames]
    rows[-1].append(page.theme.note(page.word("figure.heat_map_note")))
    return [*page.theme.block(page.word("section.worst"), rows[0], together=True), *(KeepTogether(row) for row in rows[1:])]


def _worst_frames(page: Page) -> list[int]:
    """Return what to show of a flagged series without heat maps: the networks' worst frames, else where something was found."""
    if page.assessment.verdict in (None, Verdict.ADEQUATE):
        return []
    named = [frame for one in page.assessment.predictions for frame in figures.worst_shown(page.assessment, one)]
    named += [found.frames[0] for found in page.assessment.findings if found.frames is not None]
    return [frame for frame in dict.fromkeys(named) if frame < len(page.series.frames)][:_MOST_WORST]


def _worst_row(page: Page, frame: int, found: HeatMap) -> list[Any]:
    words = figures.caption(page.assessment, page.series, frame, page.lang)
    try:
        image, array, window = _view(page, frame)
    except MedqaError as error:
        return [page.theme.paragraph(f"{words}: {page.word('figure.undecodable')} ({error.code})", 8)]
    grey = figures.grey(array, window)
    first = _flow(grey, image.spacing_mm, _PANEL, _PANEL, _PANEL_PIXELS)
    cells: list[Any] = [first]
    titles = [figures.titled(words, window, page.lang)]
    if found.localisable:
        panels = (figures.overlay(grey, found), figures.colours(figures.heat(found)))
        cells += [_flow(panel, image.spacing_mm, _PANEL, _PANEL, _PANEL_PIXELS) for panel in panels]
        cells.append(colour_bar(found.limits, _BAR, first.wrap(0, 0)[1], page.word("figure.attention"), page.theme.fonts))
        titles += [page.word("figure.overlay"), f"{page.word('figure.map')} ({wording.method_name(found.method, page.lang)})", ""]
    else:
        cells.append(page.theme.paragraph(f"{page.word('figure.map')}: {page.word('figure.not_localisable')}", 8.5))
        titles.append("")
    widths = [*[_PANEL + 3 * mm] * min(3, len(cells)), *[_BAR] * (len(cells) == 4)]
    return [_grid([[page.theme.paragraph(title, 7.5) for title in titles], cells], widths)]


def images(page: Page) -> list[Any]:
    """Show slices evenly spaced over the series, and two planes across it (PET: maximum intensity projections)."""
    count = len(page.series.frames)
    if count == 0:
        return []
    inner = {round(place) for place in np.linspace(0, count - 1, _SLICES + 2)[1:-1]}
    chosen = sorted(inner) if count > _SLICES else list(range(count))
    share = WIDTH / max(2, len(chosen))
    row = _row(page, chosen, share)
    return [*page.theme.block(page.word("section.images"), [row], together=True), *_across(page)]


def _row(page: Page, frames: Sequence[int], share: float) -> Table:
    """Return slices side by side, each under its caption in a column `share` points wide."""
    tiles = [_tile(page, frame, share - 2 * mm) for frame in frames]
    return _grid([[tile[0] for tile in tiles], [tile[1] for tile in tiles]], [share] * len(tiles))


def _tile(page: Page, frame: int, wide: float) -> tuple[Any, Any]:
    """Return the caption and the picture of a slice."""
    words = figures.caption(page.assessment, page.series, frame, page.lang)
    try:
        image, array, window = _view(page, frame)
    except MedqaError as error:
        return page.theme.paragraph(words, 7.5), page.theme.note(f"{page.word('figure.undecodable')} ({error.code})")
    picture = _flow(figures.grey(array, window), image.spacing_mm, wide, _PLANE_HIGH, _TILE_PIXELS)
    return page.theme.paragraph(figures.titled(words, window, page.lang), 7.5), picture


def _across(page: Page) -> list[Any]:
    if not planes.is_stack(page.series):
        return []
    projected = page.series.modality == "PT"
    made = planes.projections(page.series) if projected else planes.reformats(page.series)
    cells, titles = [], []
    for plane in made:
        if not np.isfinite(plane.array).any():
            continue
        array, window = figures.shown(plane.array, plane.unit, page.series.modality)
        name = page.word("figure.mip" if projected else "figure.reformat", plane=page.word(f"figure.{plane.name}"))
        titles.append(page.theme.paragraph(figures.titled(name, window, page.lang), 7.5))
        cells.append(_flow(figures.grey(array, window), plane.spacing_mm, WIDTH / 2 - 4 * mm, _PLANE_HIGH, 480))
    return [KeepTogether([Spacer(1, 2 * mm), _grid([titles, cells], [WIDTH / 2] * len(cells))])] if cells else []


def along(page: Page) -> list[Any]:
    """Draw the score of every frame along the series, with the limit under which a frame is flagged."""
    curves = [one.frame_scores for one in page.assessment.predictions if any(score is not None for score in one.frame_scores)]
    if not curves:
        return []
    told = [found.values["limit"] for found in page.assessment.findings if found.message == "low_score_frames"]
    cut = next((float(limit) for limit in told if isinstance(limit, int | float)), Settings().policy.frame_cut)
    words = (page.word("figure.profile_x"), page.word("figure.profile_y"), page.word("figure.cut", limit=cut))
    chart = profile(curves[:_MOST_CURVES], cut, words, page.theme.fonts)
    return page.theme.block(page.word("section.profile"), [chart], together=True)


def _view(page: Page, frame: int) -> tuple[FrameImage, Any, Window]:
    source = page.series.frames[frame]
    image = source.read()
    return image, *figures.frame_shown(page.series, frame, image.array, page.top)


def _flow(pixels: Grey, spacing_mm: tuple[float, float], wide: float, high: float, most: int) -> Table:
    """Return an image that flows, in the largest size that fits `wide` x `high` points."""
    picture: Pixels.Image = figures.picture(pixels, spacing_mm, most)
    scale = min(wide / picture.width, high / picture.height)
    size = (picture.width * scale, picture.height * scale)
    image = Image(io.BytesIO(figures.png(picture)), *size, hAlign="LEFT")
    # A frame, since the background of a PET image is as white as the paper.
    framed = Table([[image]], colWidths=[size[0]], rowHeights=[size[1]], hAlign="LEFT")
    framed.setStyle([("BOX", (0, 0), (-1, -1), 0.4, RULE), *((side, (0, 0), (-1, -1), 0) for side in _PADDINGS)])
    return framed


def _grid(rows: Sequence[Sequence[Any]], widths: Sequence[float]) -> Table:
    table = Table([list(row) for row in rows], colWidths=list(widths), hAlign="LEFT")
    table.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 4),
            ("TOPPADDING", (0, 0), (-1, -1), 1),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        ]
    )
    return table
