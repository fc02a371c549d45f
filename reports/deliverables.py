"""From an assessment to what leaves the house: the PDF, and the DICOM objects beside the source series."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from medqa.assessment import Assessment, HeatMap
from medqa.config import ReportSettings
from medqa.series import Series


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deliverables:
    """The report as a file, and as the objects that go back to the archive (none for a series that is not DICOM)."""

    pdf: bytes
    instances: tuple[Dataset, ...]
    assessment: Assessment
    """What they say: its provenance lists the values of the source header that they could not carry as they were."""


def render(
    assessment: Assessment,
    series: Series,
    heat_maps: Sequence[HeatMap] = (),
    lang: str = "en",
    settings: ReportSettings | None = None,
    now: datetime.datetime | None = None,
    predecessors: Sequence[Dataset] = (),
) -> Deliverables:
    """Render an assessment: same input, same bytes.

    Parameters
    ----------
    assessment
        Of `series`.
    series
        Its frames are read again for the pictures.
    heat_maps
        Where the networks looked; without any there is no Secondary Capture.
    lang
        `en` or `ja`.
    settings
        How reports look.
    now
        When the objects count as made; by default when the series was judged.
    predecessors
        The SRs that the new one supersedes.

    Returns
    -------
    Deliverables
        Encapsulated PDF, Comprehensive SR and, with heat maps, Secondary Captures, in that order.
    """
    from reports import figures, instance, wording
    from reports.encapsulated_pdf import encapsulated_pdf
    from reports.pdf import pdf
    from reports.secondary_capture import secondary_captures
    from reports.structured_report import structured_report

    settings = settings or ReportSettings()
    now = now or _judged_at(assessment)
    provenance = dataclasses.replace(
        assessment.provenance,
        judged_at=assessment.provenance.judged_at or now.isoformat(),
        replaced_values=instance.replaced_values(series),
    )
    assessment = dataclasses.replace(assessment, provenance=provenance)
    document = pdf(assessment, series, heat_maps, lang, settings)
    if series.source != "DICOM" or assessment.verdict is None:
        return Deliverables(pdf=document, instances=(), assessment=assessment)
    instances = [
        encapsulated_pdf(document, series, now),
        structured_report(assessment, series, wording.sentence(assessment, lang), now, lang, predecessors),
    ]
    if heat_maps:
        page = figures.heat_map_page(assessment, series, heat_maps, lang, settings)
        instances += secondary_captures([page], series, now)
    return Deliverables(pdf=document, instances=tuple(instances), assessment=assessment)


def _judged_at(assessment: Assessment) -> datetime.datetime:
    text = assessment.provenance.judged_at
    return datetime.datetime.now().astimezone() if text is None else datetime.datetime.fromisoformat(text)
