"""Every error that medqa raises on purpose.

The docstring of a class is its message: its fields are filled from the keyword arguments, and none of them may carry patient
data. Every class has a code that a user can search for, and says the way out.
"""

from __future__ import annotations

import string
from typing import ClassVar


class MedqaError(Exception):
    """medqa could not go on: {reason}."""

    code: ClassVar[str] = "MQ000"

    def __init__(self, **values: object) -> None:
        self.values = values
        template = " ".join((type(self).__doc__ or "").split())
        names = {name for _, name, _, _ in string.Formatter().parse(template) if name}
        filled = {name: values.get(name, "?") for name in names}
        self.message = template.format(**filled)
        super().__init__(f"{self.code}: {self.message}")

    def __reduce__(self) -> tuple[object, ...]:
        return _revive, (type(self), self.values)


def _revive(kind: type[MedqaError], values: dict[str, object]) -> MedqaError:
    return kind(**values)


class InvalidSettings(MedqaError):
    """The setting {name} is not usable: {reason}. Correct it in {where}; `medqa config show` prints what is in force."""

    code = "MQ100"


class UnreadableSeries(MedqaError):
    """{source} could not be read: {reason}. Send or export it again; the other files were still read."""

    code = "MQ200"


class UnreadableInstance(UnreadableSeries):
    """{source} is not a readable DICOM instance: {reason}. Send it again from the scanner."""

    code = "MQ201"


class UndecodablePixels(UnreadableSeries):
    """The pixels of {source} could not be decoded: {reason}. Send it again, uncompressed if the scanner can."""

    code = "MQ202"


class NothingToRead(UnreadableSeries):
    """{source} holds nothing that medqa can judge: {reason}. Give a folder, file or zip with CT, MR or PET images."""

    code = "MQ203"


class ValueRangeRequired(UnreadableSeries):
    """{source} does not say what its numbers mean: {reason}. Give --value-range LOW,HIGH and --modality CT, MR or PT."""

    code = "MQ204"


class UnsafePath(UnreadableSeries):
    """{source} holds an entry that would leave its folder: {reason}. Nothing was unpacked; make the zip again."""

    code = "MQ205"


class RefusedObject(MedqaError):
    """{source} is not judged: {reason}. medqa judges CT, MR and PET images only; the object itself is left as it is."""

    code = "MQ210"


class DuplicateInstance(RefusedObject):
    """{source} is here twice: {reason}. It is read once; nothing is lost."""

    code = "MQ211"


class IncompleteSeries(MedqaError):
    """The series is incomplete: {reason}. Send the missing instances; medqa judges again by itself."""

    code = "MQ220"


class NotApplicable(MedqaError):
    """{what} cannot be computed here: {reason}."""

    code = "MQ300"


class BundleMismatch(MedqaError):
    """The model bundle {bundle} is unusable: {reason}. Install it again; series are judged without it until then."""

    code = "MQ400"


class DeliveryFailed(MedqaError):
    """{destination} did not take the object: {reason}. It stays queued; check the destination with C-ECHO."""

    code = "MQ500"


class ReceiverUnreachable(MedqaError):
    """{receiver} cannot be reached: {reason}. Nothing was sent; check address, port and AE title, for example with echoscu."""

    code = "MQ501"


class PortInUse(MedqaError):
    """Port {port} cannot be opened: {reason}. Stop the other program or choose another port with MEDQA_NODE__PORT."""

    code = "MQ510"


class CatalogueRefused(MedqaError):
    """The catalogue refused a change: {reason}. This is a defect in medqa; please report it with the log."""

    code = "MQ520"


class JobLost(CatalogueRefused):
    """The work on a series was overtaken: {reason}. Nothing was written; it is done again by itself."""

    code = "MQ521"


class RenderingFailed(MedqaError):
    """The report could not be made: {reason}. The verdict stands; `medqa assess` on the same series shows the cause."""

    code = "MQ600"


class InvalidDegradation(MedqaError):
    """The degradation {kind} cannot be made: {reason}. `medqa simulate --list` describes every kind with its parameters."""

    code = "MQ700"


class NotDerivable(MedqaError):
    """{source} cannot be written as a derived DICOM series: {reason}. Give its slices as DICOM files of one image each."""

    code = "MQ701"


class OutputRefused(MedqaError):
    """Nothing was written to {folder}: {reason}. Give a folder that is new or empty."""

    code = "MQ702"


class InvalidPhantom(MedqaError):
    """The phantom {phantom} cannot be made: {reason}. `medqa phantom --list` describes every phantom and vendor."""

    code = "MQ703"
