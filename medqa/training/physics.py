"""Fit the physics witness on the evidence of training subjects, and write its bundle with a card that a person can follow.

`python -m medqa.training.physics evidence` measures scans (`--part 0/2` and `--part 1/2` share the work between two processes),
`fit` fits the model, asks test subjects, and writes `models/physics_ct`, `models/physics_mr`, `models/physics_pt`. `--modality`
names one of them; all by default.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa import __version__
from medqa.agreement import Agreement, auc
from medqa.iqa.calibration import Logistic
from medqa.iqa.card import METADATA, PHYSICS_MODEL, file_digest
from medqa.iqa.physics import Feature, LogisticModel
from medqa.simulate import LEVELS
from medqa.training.calibrate import PREVALENCE, no_surer_than_shown
from medqa.training.card import WHOLE_VERDICT, section, with_section
from medqa.training.evaluation import Item
from medqa.training.evidence import CLEARLY_SPOILED, Row, make_rows, read_rows
from medqa.training.scans import scans

QUANTITIES: Final[dict[str, dict[str, bool]]] = {
    "CT": {
        "ct_noise": True,
        "ct_nps_mean": True,
        "ct_cnr": True,
        "ct_streaks": True,
        "ct_rings": False,
        "ct_ring_arcs": False,
        "ct_motion": True,
        "ct_truncation": False,
        "ct_truncation_rim": False,
        "ct_f50": True,
        "ct_texture": True,
        "ct_texture_edge": True,
        "ct_blur_effect": False,
        "ct_soft_tissue": False,
        "ct_air": False,
        "ct_saturated": False,
    },
    "MR": {
        "mr_snr": True,
        "mr_noise": True,
        "mr_fber": True,
        "mr_qi1": False,
        "mr_ghosting": False,
        "mr_efc": False,
        "mr_gradient_entropy": False,
        "mr_sharpness": True,
        "mr_bias": False,
        "mr_spikes": False,
        "mr_wrap": False,
        "mr_zipper": False,
        "mr_cjv": True,
    },
    "PT": {
        "pt_liver_cov": True,
        "pt_body_cov": True,
        "pt_texture": True,
        "pt_liver_suv": True,
        "pt_extravasation": False,
    },
}
"""Quantities that the model weighs, chosen by what they mean and before any fit, and whether each spreads by factors: what is 0 in
good scans does not."""
SPOILED_FROM: Final = min(CLEARLY_SPOILED)
"""Levels from here count as clearly spoiled, as for the networks."""
STRENGTHS: Final = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Inverse strengths of the ridge penalty; cross-validation over training subjects picks one."""
FOLDS: Final = 5
EDGES: Final = (1.0, 99.0)
"""Percentiles of the training rows at which a value is cut."""
VERSION: Final = "0.1.0"

log = logging.getLogger(__name__)


def main() -> None:
    """Run one step."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    folder = arguments.runs / "evidence"
    for modality in arguments.modality or QUANTITIES:
        if arguments.step == "evidence":
            part, parts = (int(number) for number in arguments.part.split("/"))
            wanted = [scan for scan in scans(arguments.data, modality) if scan.role in ("train", "validation", "test")]
            make_rows(wanted[part::parts], folder / f"{modality.lower()}_{part}_{parts}.jsonl")
        else:
            rows = table(folder, modality)
            learnt = [row for row in rows if row.role in ("train", "validation")]
            write_bundle(arguments.models, modality, fit(modality, learnt), rows)


def table(folder: Path, modality: str) -> list[Row]:
    """Return every row that was measured of a modality, ordered by scan."""
    rows = [row for path in sorted(folder.glob(f"{modality.lower()}_*.jsonl")) for row in read_rows(path)]
    return sorted(rows, key=lambda row: row.scan)


def fit(modality: str, rows: Sequence[Row]) -> LogisticModel:
    """Fit the model on clean scans against clearly spoiled ones, each subject counting the same.

    Parameters
    ----------
    modality
        Tells which quantities may be weighed.
    rows
        Of training and validation subjects. Spoiled rows weigh `PREVALENCE` together, whatever their number. The model speaks no
        more surely than its folds bear out on the subjects that they leave out.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    kept = [row for row in rows if _good(row) or _spoiled(row)]
    features = [one for name, logarithm in QUANTITIES[modality].items() if (one := _feature(name, logarithm, kept)) is not None]
    straight = np.array([[_standardised(one, row) for one in features] for row in kept])
    designs = {"straight": straight, "with squares": np.hstack([straight, np.where(straight == 0, 0, straight**2 - 1)])}
    good = np.array([_good(row) for row in kept])
    subjects = np.array([row.subject for row in kept])
    weights = _weights(good, subjects)

    def fitted(design: NDArray[Any], strength: float, chosen: NDArray[Any]) -> Any:
        model = LogisticRegression(C=strength, max_iter=5000)
        return model.fit(design[chosen], good[chosen], sample_weight=weights[chosen])

    def loss(name: str, strength: float) -> float:
        total, design = 0.0, designs[name]
        for inner, outer in GroupKFold(FOLDS).split(design, groups=subjects):
            p = np.clip(fitted(design, strength, inner).predict_proba(design[outer])[:, 1], 1e-6, 1 - 1e-6)
            total -= float(np.sum(weights[outer] * np.where(good[outer], np.log(p), np.log(1 - p))))
        return total / len(kept)

    losses = {(name, strength): loss(name, strength) for name in designs for strength in STRENGTHS}
    best = min(losses, key=lambda choice: losses[choice])
    for name in designs:
        least = min(found for (of, _), found in losses.items() if of == name)
        log.info("%s: cross-validated loss %.4f", name, least)
    log.info("%s, ridge strength %g, %d rows of %d subjects", *best, len(kept), len(set(subjects)))
    design = designs[best[0]]
    unseen = np.zeros(len(kept))
    for inner, outer in GroupKFold(FOLDS).split(design, groups=subjects):
        unseen[outer] = fitted(design, best[1], inner).decision_function(design[outer])
    curve = no_surer_than_shown(Logistic(slope=1.0, intercept=0.0), _items(kept, unseen))
    log.info("as shown on subjects left out in turn: slope %.3f, intercept %.3f", curve.slope, curve.intercept)
    model = fitted(design, best[1], np.arange(len(kept)))
    coefficients = np.zeros(2 * len(features))
    coefficients[: model.coef_.shape[1]] = curve.slope * model.coef_[0]
    weighted = [
        replace(one, weight=round(float(weight), 5), square=round(float(square), 5))
        for one, weight, square in zip(features, coefficients[: len(features)], coefficients[len(features) :], strict=True)
    ]
    return LogisticModel(features=tuple(weighted), intercept=round(curve.slope * float(model.intercept_[0]) + curve.intercept, 5))


def by_kind(model: LogisticModel, rows: Sequence[Row]) -> dict[str, Agreement]:
    """Return the AUC of clean rows against clearly spoiled ones, for each kind of artefact and for all together (`all`)."""
    clean = [row for row in rows if _good(row)]
    spoiled = [row for row in rows if _spoiled(row)]
    kinds = sorted({row.kind for row in spoiled})
    return {kind: _auc(model, clean, [row for row in spoiled if kind in ("all", row.kind)]) for kind in ("all", *kinds)}


def write_bundle(shelf: Path, modality: str, model: LogisticModel, rows: Sequence[Row]) -> Path:
    """Write the model, its metadata with the figures on test subjects, and its card; return the folder."""
    name = f"physics_{modality.lower()}"
    folder = shelf / name
    for part in ("configs", "models", "docs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    test = [row for row in rows if row.role == "test"]
    learnt = [row for row in rows if row.role in ("train", "validation")]
    examples = [dict(row.values) for row in (learnt[0], learnt[len(learnt) // 2])]
    document = {
        **model.to_json(),
        "selftest": [{"values": values, "adequate": round(model.probability(values), 9)} for values in examples],
    }
    (folder / PHYSICS_MODEL).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    found = by_kind(model, test)
    facts = {
        "subjects": len({row.subject for row in learnt if _good(row) or _spoiled(row)}),
        "test_subjects": len({row.subject for row in test if _good(row)}),
        "prevalence": PREVALENCE,
        "auc": {kind: {"value": round(one.value, 4), "interval": _rounded(one.interval)} for kind, one in found.items()},
        "votes": {"clean": _votes(model, test, good=True), "clearly spoiled": _votes(model, test, good=False)},
    }
    metadata = {
        "version": VERSION,
        "changelog": {VERSION: f"Logistic model on {modality} measurements"},
        "required_packages_version": {"medqa": __version__},
        "task": "No-reference image quality assessment from measurements",
        "description": f"Logistic model: weighs the measurements of a {modality} series into a probability of being adequate",
        "authors": "The medqa founders",
        "copyright": "The medqa founders, Apache-2.0",
        "training": facts,
        "medqa": {
            "name": name,
            "kind": "physics",
            "modality": modality,
            "variant": "logistic",
            "digests": {PHYSICS_MODEL.as_posix(): file_digest(folder / PHYSICS_MODEL)},
            "calibration": {"slope": 1.0, "intercept": 0.0, "certified": False},
            "series_quantile": 0.5,
            "explain_layers": [],
        },
    }
    (folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    page = folder / "docs/README.md"
    verdicts = section(page.read_text(encoding="utf-8"), WHOLE_VERDICT) if page.is_file() else None
    text = card(name, model, facts)
    page.write_text(text if verdicts is None else with_section(text, WHOLE_VERDICT, verdicts), encoding="utf-8")
    shutil.copy(shelf / f"mal_{modality.lower()}/LICENSE", folder / "LICENSE")
    return folder


def card(name: str, model: LogisticModel, facts: dict[str, Any]) -> str:
    """Return the model card, Markdown."""
    lines = [
        f"# {name}",
        "",
        (
            f"Weighs the measurements of a series into the probability that it is adequate. Version {VERSION}. Written by "
            "`python -m medqa.training.physics fit`; no figure below was typed by hand."
        ),
        "",
        (
            f"Fitted on {facts['subjects']} subjects (`split = train`), clean scans against the two strongest levels of every kind "
            f"of degradation, as if {100 * facts['prevalence']:.0f} % of series were spoiled. `adequate` is **not certified**."
        ),
        "",
        "## Test subjects",
        "",
        (
            f"Clean scans against clearly spoiled ones, {facts['test_subjects']} subjects never seen; 95 % interval by bootstrap "
            "over subjects. Every kind was simulated, and every kind was in the training: nothing is shown about others."
        ),
        "",
        "| kind | AUC | 95 % interval |",
        "|---|---|---|",
    ]
    for kind, one in facts["auc"].items():
        low, high = one["interval"] or (float("nan"), float("nan"))
        lines.append(f"| {kind} | {one['value']:.3f} | {low:.3f} to {high:.3f} |")
    lines += ["", "| series | against | silent | for | series | subjects |", "|---|---|---|---|---|---|"]
    for series, votes in facts["votes"].items():
        parts = " | ".join(f"{100 * votes[stand]:.0f} %" for stand in ("against", "silent", "for"))
        lines.append(f"| {series} | {parts} | {votes['series']} | {votes['subjects']} |")
    lines += [
        "",
        "## What it weighs",
        "",
        (
            "A value is cut at the range, taken through the logarithm where it says so, and standardised; a positive weight speaks "
            "for the scan where the value is above the usual, a negative weight of the square against values far from it on either "
            "side. What could not be measured counts as usual."
        ),
        "",
        "| quantity | logarithm | range | usual | weight | of its square |",
        "|---|---|---|---|---|---|",
    ]
    for one in sorted(model.features, key=lambda feature: -abs(feature.weight) - abs(feature.square)):
        usual = np.exp(one.centre) if one.logarithm else one.centre
        word = "yes" if one.logarithm else "no"
        lines.append(
            f"| `{one.quantity}` | {word} | {one.low:.3g} to {one.high:.3g} | {usual:.3g} | {one.weight:+.2f} | {one.square:+.2f} |"
        )
    lines += [
        "",
        "## Limits",
        "",
        "- Measurements of a few frames a scan; a whole series has more.",
        "- No radiologist's judgement went in: labels are declared strengths of simulated faults.",
        "- It knows the kinds above. A smooth image may be a good one: what reconstruction did is judged by texture alone.",
    ]
    return "\n".join(lines) + "\n"


def _good(row: Row) -> bool:
    return row.clean and row.level == 0


def _spoiled(row: Row) -> bool:
    return row.clean and row.level >= SPOILED_FROM


def _items(rows: Sequence[Row], logits: NDArray[np.float64]) -> list[Item]:
    """Return rows with their logits as the calibration takes them."""
    return [
        Item(
            subject=row.subject,
            scan=row.scan,
            kind=row.kind,
            level=row.level,
            label=float(LEVELS - row.level),
            clean=_good(row),
            score=float(logit),
            logit=float(logit),
        )
        for row, logit in zip(rows, logits, strict=True)
    ]


def _feature(name: str, logarithm: bool, rows: Sequence[Row]) -> Feature | None:
    """Return a quantity as the model takes it, weight 0; None where training rows hardly have it or it never changes."""
    values = np.array([row.values[name] for row in rows if name in row.values])
    if values.size < len(rows) / 4:
        return None
    low, high = (float(f"{edge:.6g}") for edge in np.percentile(values, EDGES))
    cut = np.clip(values, low, high)
    taken = np.log(np.maximum(cut, 1e-9)) if logarithm else cut
    if float(taken.std()) < 1e-6:
        return None
    centre, scale = round(float(taken.mean()), 6), round(float(taken.std()), 6)
    return Feature(quantity=name, logarithm=logarithm, low=low, high=high, centre=centre, scale=scale, weight=0.0)


def _standardised(feature: Feature, row: Row) -> float:
    return feature.standardised(row.values[feature.quantity]) if feature.quantity in row.values else 0.0


def _weights(good: NDArray[np.bool_], subjects: NDArray[np.str_]) -> NDArray[np.float64]:
    """Return weights under which all subjects count the same and spoiled rows `PREVALENCE` of all; they sum to the rows."""
    weights = np.zeros(good.size)
    for side, share in ((good, 1 - PREVALENCE), (~good, PREVALENCE)):
        names, inverse, counts = np.unique(subjects[side], return_inverse=True, return_counts=True)
        weights[side] = share / names.size / counts[inverse]
    return weights * good.size


def _auc(model: LogisticModel, clean: Sequence[Row], spoiled: Sequence[Row]) -> Agreement:
    rows = [*clean, *spoiled]
    return auc([_good(row) for row in rows], [model.probability(row.values) for row in rows], [row.subject for row in rows])


def _votes(model: LogisticModel, rows: Sequence[Row], *, good: bool) -> dict[str, float]:
    from medqa.config import PolicySettings

    policy = PolicySettings()
    members = [row for row in rows if (_good(row) if good else _spoiled(row))]
    adequate = np.array([model.probability(row.values) for row in members])
    against, favour = (float(np.mean(adequate < policy.physics_against)), float(np.mean(adequate >= policy.physics_for)))
    return {
        "against": round(against, 4),
        "silent": round(1 - against - favour, 4),
        "for": round(favour, 4),
        "series": len(members),
        "subjects": len({row.subject for row in members}),
    }


def _rounded(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else [round(bound, 4) for bound in interval]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m medqa.training.physics", description=__doc__)
    parser.add_argument("step", choices=("evidence", "fit"))
    parser.add_argument("--modality", choices=list(QUANTITIES), action="append", help="which modalities; all by default")
    parser.add_argument("--part", default="0/1", help="which of how many shares of the scans, counted from 0")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MEDQA_DATA", "../shared/data")), help="folder of scans")
    parser.add_argument("--runs", type=Path, default=Path("runs/training"), help="folder that the evidence goes to")
    parser.add_argument("--models", type=Path, default=Path("models"), help="shelf that the bundle is written to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
