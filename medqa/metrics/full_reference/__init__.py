"""Measures that compare an image with its reference: for phantoms, pairs and simulations, where the truth is known.

None of them takes part in a verdict. Every one is told the range of values that counts, `(low, high)`; none is guessed from the
images, for that would make a noisier image look better. PSNR, SSIM and MS-SSIM are MONAI's; torch is imported when they are called.
"""

from __future__ import annotations

from medqa.metrics.full_reference.detectability import Disc, Eye, detectability, prewhitened_detectability
from medqa.metrics.full_reference.gmsd import gmsd
from medqa.metrics.full_reference.haarpsi import haarpsi
from medqa.metrics.full_reference.hotelling import channelized_hotelling, laguerre_gauss
from medqa.metrics.full_reference.lesion_retention import lesion_retention
from medqa.metrics.full_reference.measured import Measured, measured
from medqa.metrics.full_reference.ms_ssim import ms_ssim
from medqa.metrics.full_reference.psnr import psnr
from medqa.metrics.full_reference.ssim import ssim

__all__ = [
    "Disc",
    "Eye",
    "Measured",
    "channelized_hotelling",
    "detectability",
    "gmsd",
    "haarpsi",
    "laguerre_gauss",
    "lesion_retention",
    "measured",
    "ms_ssim",
    "prewhitened_detectability",
    "psnr",
    "ssim",
]
