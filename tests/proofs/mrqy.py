"""Where MRQy's measures part from MRIQC's formulae, each with a counter-example. Writes `docs/mrqy.md`.

python -m tests.proofs.mrqy

What MRQy computes is told by its formulae (src/mrqy/QCF.py of 2024-06-20), written anew; images are drawn here, with known noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medqa.metrics import mr_formulae
from medqa.regions import Mask

Image = NDArray[np.float64]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "mrqy.md"
SIZE = 128
RADIUS = 40
SQUARE = 2
"""Half a side of the bright square, in pixels."""
PATCH = 5
INTRODUCTION = """\
# MR formulae: MRIQC, and where MRQy parts from it

Made by `python -m tests.proofs.mrqy`; every number is computed on images drawn there, with known signal and noise.

EFC, FBER, SNR, Dietrich's SNR, CNR and CJV follow MRIQC (Esteban et al., PLoS ONE 2017; 12:e0184661).
`medqa/metrics/mr_formulae.py` holds them as functions of numbers, in which the streamed metrics end, and of volumes with
masks; `tests/science/test_mr_formulae.py` writes each of them once more in plain numpy and holds both to one part in a
million on ramps, two-level phantoms and single voxels. What differs is the masks: medqa segments no brain by
registration. Tissues come of a mixture fitted to the histogram of the places in which brain may lie (`mr_tissue`), told
apart without noise and the coil's profile but measured on the image as it is, where MRIQC corrects the profile first; air
is all that reaches the frame's border. Where MRIQC says -1 or 0 because the background is masked, or computes on, medqa
says that there is no value, and why.

MRQy (Sadri et al., Med Phys 2020; 47:6029) measures images of any body part without a segmentation. Many of its measures
bear the names of others' and are other quantities: they are not to be compared with published values, nor between
scanners."""
CLOSE = """\
MRQy's FBER is 0 where the median of the background is 0, as it is in every masked image: the best that the formula
allows, stored as the worst. medqa says `background_masked`."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault, what is wrong about it, and images on which it shows: name, MRQy's number, the right one."""

    name: str
    why: str
    columns: tuple[str, str, str]
    rows: tuple[tuple[str, float, float], ...]
    seen: str


def entropy_focus(image: Image) -> float:
    """MRQy's EFC: the constant that keeps the logarithm from zero is 1e+16 instead of 1e-16."""
    norm, root = np.sqrt((image**2).sum()), np.sqrt(image.size)
    return float((image / norm * np.log((image + 1e16) / norm)).sum() / (root * np.log(root)))


def peak_ratio(image: Image, scale: float | None = None) -> float:
    """Peak signal-to-noise ratio in dB against the median-filtered image, which MRQy divides by its maximum first (`scale`)."""
    smooth = ndimage.median_filter(image / (scale or image.max()), PATCH)
    return float(20 * np.log10(image.max() / np.sqrt(((image - smooth) ** 2).mean())))


def deviations_ratio(image: Image, inside: Mask) -> float:
    """MRQy's SNR1: the deviation of the foreground over that of the background."""
    return float(image[inside].std() / image[~inside].std())


def patch(image: Image, padding: int) -> Image:
    """The square of `PATCH` pixels that MRQy cuts out at the brightest pixel of an image padded by `padding`; right would be 2."""
    row, column = np.unravel_index(int(image.argmax()), image.shape)
    return np.pad(image, padding)[row : row + PATCH, column : column + PATCH]


def foreground_variation(image: Image, inside: Mask) -> float:
    """MRQy's CJV: of foreground and background instead of white and grey matter."""
    front, back = image[inside], image[~inside]
    return float((front.std() + back.std()) / abs(front.mean() - back.mean()))


def disc() -> Mask:
    """Where the object is."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    inside: Mask = np.hypot(y, x) < RADIUS
    return inside


def matter() -> tuple[Mask, Mask]:
    """White and grey matter: the object in stripes of eight pixels."""
    white = disc() & (np.arange(SIZE)[None, :] // 8 % 2 == 0)
    return white, disc() & ~white


def drawn(signal: Image | float, noise: float, seed: int = 1) -> Image:
    """Return the magnitude of a signal within the disc, with noise on both channels."""
    channels = np.random.default_rng(seed).normal(0, noise, (2, SIZE, SIZE))
    magnitude: Image = np.hypot(np.where(disc(), signal, 0.0) + channels[0], channels[1])
    return magnitude


def faults() -> tuple[Fault, ...]:
    """Return every fault with its counter-example."""
    return efc(), psnr(), snr1(), patches(), cjv()


def efc() -> Fault:
    """A ghost, and the same image in another unit."""
    sharp = drawn(600.0, 5.0)
    ghosted = sharp + 0.1 * np.roll(sharp, SIZE // 2, axis=0)
    images = (("sharp", sharp), ("with a ghost of 10 %", ghosted), ("with the ghost, all values times 1000", 1000 * ghosted))
    return Fault(
        name="EFC: 1e+16 where 1e-16 is meant",
        why="The logarithm then hardly depends on the pixel. What is left is the sum of the pixels over the root of their squares, "
        "times a constant that depends on the scanner's unit; it is not bounded by 1, and a gain can hide a ghost.",
        columns=("image", "MRQy", "MRIQC, medqa"),
        rows=tuple((name, entropy_focus(image), mr_formulae.volume_efc(image)) for name, image in images),
        seen="The gain alone takes the ghosted image under the sharp one; the right criterion tells them apart and keeps still.",
    )


def psnr() -> Fault:
    """A tenfold noise."""
    images = [(f"noise {noise:g}", drawn(600.0, noise)) for noise in (3.0, 30.0)]
    return Fault(
        name="PSNR: a raw image against a normalised one",
        why="The median-filtered image is divided by the maximum, the image itself is not. The mean square error is then the "
        "energy of the image, and the ratio says how much of the frame the object fills.",
        columns=("image", "MRQy (dB)", "one scale for both (dB)"),
        rows=tuple((name, peak_ratio(image), peak_ratio(image, scale=1.0)) for name, image in images),
        seen="Ten times the noise is 20 dB where it alone is measured.",
    )


def snr1() -> Fault:
    """Twice the signal, and a profile."""
    y = np.linspace(0.5, 1.5, SIZE)[:, None]
    images = (
        ("signal 300, noise 10", drawn(300.0, 10.0)),
        ("signal 600, noise 10", drawn(600.0, 10.0)),
        ("signal 300 on average, shaded", drawn(np.broadcast_to(300.0 * y, (SIZE, SIZE)), 10.0)),
    )
    inside = disc()
    return Fault(
        name="SNR1: a ratio without a signal",
        why="It is the deviation of the foreground over that of the background: no mean is in it. More signal does not move it, "
        "and what raises it is an uneven image.",
        columns=("image", "MRQy", "Dietrich, medqa"),
        rows=tuple(
            (name, deviations_ratio(image, inside), mr_formulae.volume_dietrich(image, inside, ~inside)) for name, image in images
        ),
        seen="Twice the signal is twice the ratio; a coil's profile that keeps the mean leaves it alone.",
    )


def patches() -> Fault:
    """A bright square of known place."""
    signal = np.full((SIZE, SIZE), 100.0)
    middle = SIZE // 2
    signal[middle - SQUARE : middle + SQUARE + 1, middle - SQUARE : middle + SQUARE + 1] = 990.0
    signal[middle, middle] = 1000.0
    image = np.where(disc(), signal, 0.0)
    rows = tuple(
        (name, float(patch(image, 5)[at].mean()), float(patch(image, PATCH // 2)[at].mean()))
        for name, at in (("mean of the patch", np.s_[:]), ("its middle pixel", np.s_[2:3, 2:3]))
    )
    return Fault(
        name="SNR2, SNR3, SNR4, CNR and CVP: a patch beside the place it is meant for",
        why="A patch of 5 by 5 pixels about the brightest pixel is wanted; the image is padded by 5, but the patch reaches 2 to "
        "either side. It ends one pixel up and left of the brightest one. The single brightest pixel is a poor place as well: it "
        "is a vessel, fat or a spike.",
        columns=("a square of 990 with one pixel of 1000, around it 100", "MRQy", "padded by 2"),
        rows=rows,
        seen="Of the 25 pixels 4 are of the square, and none is the brightest.",
    )


def cjv() -> Fault:
    """Twice the contrast of white and grey matter."""
    white, grey = matter()
    rows = []
    for contrast in (100.0, 200.0):
        image = drawn(np.where(white, 500 + contrast / 2, 500 - contrast / 2), 10.0)
        rows.append(
            (
                f"white and grey matter {contrast:g} apart, noise 10",
                foreground_variation(image, disc()),
                mr_formulae.volume_cjv(image, white, grey),
            )
        )
    return Fault(
        name="CJV: foreground and background instead of white and grey matter",
        why="The coefficient of joint variation holds how well two tissues are told apart. Between object and air the contrast of "
        "the tissues counts as a deviation: the better it is, the worse the value.",
        columns=("image", "MRQy", "MRIQC, medqa"),
        rows=tuple(rows),
        seen="Twice the contrast halves the right one.",
    )


def page(found: Sequence[Fault]) -> str:
    """Return the page, Markdown."""
    lines = [INTRODUCTION]
    for fault in found:
        lines += ["", f"## {fault.name}", "", fault.why, "", "| " + " | ".join(fault.columns) + " |", "|---|---|---|"]
        lines += [f"| {name} | {theirs:.4g} | {right:.4g} |" for name, theirs, right in fault.rows]
        lines += ["", fault.seen]
    lines += ["", CLOSE]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page and print it."""
    text = page(faults())
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
