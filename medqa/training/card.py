"""The model card of a bundle: every figure is computed here, from the bundle as it is shipped, on test subjects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medqa.iqa.bundle import open_bundle
from medqa.iqa.card import METADATA, BundleCard, read_card
from medqa.iqa.scorer import BAG_SIZE, MalScorer, spread
from medqa.simulate import LEFT_OUT, LEVELS, STRENGTHS
from medqa.training.dataset import load
from medqa.training.evaluation import CLEARLY_SPOILED, Findings, Item, Judge, clean_against_spoiled, judged
from medqa.training.scans import BASE_LABEL, STARTS_FROM, Scan
from medqa.training.stretch import LARGEST_GAIN, SMALLEST_GAIN
from medqa.training.votes import POLICY, Shares, mute, shares, table, vote

if TYPE_CHECKING:
    from medqa.iqa.scorer import DenseNetScorer

VERSION: Final = "0.2.0"
DESCRIPTION: Final = {
    "mal": "MAL: scores the image quality of one {modality} frame from 0 to 4, without a reference",
    "densenet": "DenseNet with attention over a bag of frames: scores the image quality of a {modality} series from 0 to 4",
}
TITLES: Final = {"mal": "MAL", "densenet": "DenseNet"}
SHOWN_FROM: Final = 0.7
"""A network counts as shown to generalise where the interval of its AUC stays above this, on enough test subjects."""
ENOUGH_SUBJECTS: Final = 20
WHOLE_VERDICT: Final = "## The whole verdict"
"""Heading of the section that `make verdicts` writes."""

STEPS: Final = (
    (4, "as the scanner made it, nothing known against it"),
    (3, "the mildest declared strength: seen when looked for; also scans with mild natural faults"),
    (2, "the second strength: limits the reading"),
    (1, "the third strength: clearly spoiled"),
    (0, "the strongest: useless"),
)


def model_card(folder: Path, scans: Sequence[Scan], cache: Path) -> str:
    """Return the card of the bundle in `folder`, Markdown; `scans` are all of its modality, `cache` their images."""
    bundle = read_card(folder)
    opened = open_bundle(bundle)
    judge = bundle_judge(opened)
    training = json.loads((folder / METADATA).read_text(encoding="utf-8"))["training"]
    samples = load(cache, [scan for scan in scans if scan.role == "test"], bundle.kind)
    test = judged(judge, samples)
    seen = clean_against_spoiled(test)
    unseen = clean_against_spoiled(judged(judge, samples, left_out=True))
    told = judged(judge, load(cache, [scan for scan in scans if scan.told], bundle.kind, as_was=True))
    parts = [
        f"# {bundle.name}",
        _opening(bundle),
        _verdict(bundle.modality, seen, unseen),
        "## Test subjects",
        _results(bundle.modality, seen, unseen),
        _stands(shares(bundle.kind, test, bundle.calibration)),
        "## What the score means",
        _meaning(bundle.modality),
        "## Degradations",
        _strengths(bundle.modality),
        "## Calibration",
        _calibration(training),
        "## Scans with natural faults",
        _naturally_spoiled(told, {scan.key: scan for scan in scans}, opened),
        "## Trained on",
        _collections(bundle.modality, training["sources"]),
        "## Limits",
        _limits(bundle.kind, bundle.modality, training.get("remarks", [])),
    ]
    return "\n\n".join(parts) + "\n"


def section(text: str, heading: str) -> str | None:
    """Return what stands under a second-level heading of a page; None where there is no such heading."""
    _, found, rest = text.partition(f"\n{heading}\n")
    return rest.partition("\n## ")[0].strip("\n") if found else None


def with_section(text: str, heading: str, body: str) -> str:
    """Return the page with what stands under a heading replaced; a heading that is not there goes to the end."""
    before, _, rest = text.partition(f"\n{heading}\n")
    _, found, after = rest.partition("\n## ")
    tail = f"\n## {after}" if found else ""
    return f"{before.rstrip()}\n\n{heading}\n\n{body}\n{tail}"


def _opening(bundle: BundleCard) -> str:
    return (
        f"{DESCRIPTION[bundle.kind].format(modality=bundle.modality)}. Version {bundle.version}. Written by "
        f"`python -m medqa.training card --kind {bundle.kind} --modality {bundle.modality}`; no figure below was typed by hand."
    )


def bundle_judge(opened: MalScorer | DenseNetScorer) -> Judge:
    """Return the bundle's own way from inputs to logit and score, on ONNX Runtime."""

    def judge(arrays: list[np.ndarray[tuple[int, ...], np.dtype[np.float16]]]) -> tuple[float, float]:
        if isinstance(opened, MalScorer):
            scores = [float(opened.frame_scores(array[None].astype(np.float32))[0]) for array in arrays]
            score = float(np.quantile(scores, opened.card.series_quantile))
            return score, score
        chosen = [arrays[index] for index in spread(range(len(arrays)), BAG_SIZE)]
        return opened.judge(np.concatenate([opened.features(array[None].astype(np.float32)) for array in chosen]))

    return judge


def shown(findings: Findings) -> bool:
    """Return whether the AUC is high enough, with its interval, on enough subjects."""
    interval = findings.auc.interval
    return interval is not None and interval[0] > SHOWN_FROM and findings.auc.groups >= ENOUGH_SUBJECTS


def _verdict(modality: str, seen: Findings, unseen: Findings) -> str:
    if not shown(seen):
        low = "none" if seen.auc.interval is None else f"{seen.auc.interval[0]:.2f}"
        return (
            f"**Not shown to generalise** for {modality}: {seen.auc.groups} test subjects, lower end of the AUC's interval {low} "
            f"(asked for: at least {ENOUGH_SUBJECTS} subjects and {SHOWN_FROM}). Take the score as a hint."
        )
    text = "Tells clean from clearly spoiled scans of subjects it never saw"
    if shown(unseen):
        return f"{text}, also under a kind of degradation it never saw. Both are simulated; natural faults are listed below."
    return f"{text}, for the kinds of degradation it was trained on. **Not shown to generalise** to a kind it never saw."


def _results(modality: str, seen: Findings, unseen: Findings) -> str:
    lines = ["| clean against | AUC | 95 % interval, by subject | subjects | items |", "|---|---|---|---|---|"]
    trained = ", ".join(kind for kind in STRENGTHS[modality] if kind != LEFT_OUT[modality])
    for name, findings in ((trained, seen), (f"{LEFT_OUT[modality]} (left out of training)", unseen)):
        auc = findings.auc
        interval = "none" if auc.interval is None else f"{auc.interval[0]:.3f} to {auc.interval[1]:.3f}"
        lines.append(f"| {name} | {auc.value:.3f} | {interval} | {auc.groups} | {auc.items} |")
    lines.append("")
    lines.append(
        f"An item is one series: as it was (nothing known against it), or under one degradation at one of its two strongest levels "
        f"(label {CLEARLY_SPOILED:.0f} or 0). The interval is a percentile bootstrap over subjects."
    )
    return "\n".join(lines)


def _stands(counted: Shares) -> str:
    return "\n".join(["How it stands as a witness, with the cuts of the default policy, on the same series:", "", *table(counted)])


def _calibration(training: dict[str, Any]) -> str:
    seen: Shares = training["validation"]
    clean, spoiled = (round(group["subjects"]) for group in seen.values())
    scale = (
        "Done on validation subjects, under the kinds of degradation that were trained on; test subjects were not asked. The "
        "scale: the score that a tenth of the clean subjects fall short of and the one that a tenth of the clearly spoiled ones "
        f"exceed were put on the cuts {POLICY.mal_against:.0f} and {POLICY.mal_for:.0f}, the lower score on the lower cut. They "
        f"now lie at {training['clean_tenth']:.2f} and {training['spoiled_tenth']:.2f} (gain since training "
        f"{training['stretch']:.2f}, limits {SMALLEST_GAIN:g} and {LARGEST_GAIN:g}). This changes no order. There were {clean} "
        f"clean and {spoiled} spoiled subjects: a tenth of so few is rough."
    )
    probability = (
        f"The probability of being adequate assumes that {100 * training['prevalence']:.0f} % of series are not: significant "
        "motion was found in 7.5 % of outpatient and 29.4 % of inpatient and emergency MR examinations (Andre et al., J Am Coll "
        "Radiol 2015, 12, 689-695). Where another share is true, another curve is needed."
    )
    if training["flattened"]:
        probability += (
            " The fitted curve passed a cut of the policy too easily (more than a tenth of the clearly spoiled series `for`, or of "
            "the clean ones `against`). It was made flatter, and is the less a probability."
        )
    lines = [scale, "", probability, "", "How it stands as a witness on the validation series:", "", *table(seen)]
    if mute(seen):
        lines += ["", "**Mute**: it took no side on any of them. It can neither make a series adequate nor ask for a rescan."]
    return "\n".join(lines)


def _meaning(modality: str) -> str:
    lines = [f"- {score}: {text}" for score, text in STEPS]
    if modality == "CT":
        lines.append("\nThe steps are those of the LDCT-IQAC scale, but no radiologist's scores were used.")
    return "\n".join(lines)


def _strengths(modality: str) -> str:
    lines = ["| kind | what the strength is | score 3 | 2 | 1 | 0 |", "|---|---|---|---|---|---|"]
    for kind, strength in STRENGTHS[modality].items():
        unit = "" if strength.unit in ("1", "views") else f" {strength.unit}"
        values = " | ".join(f"{value:g}{unit}" for value in strength.values)
        mark = " (left out of training)" if kind == LEFT_OUT[modality] else ""
        lines.append(f"| {kind}{mark} | {strength.quantity} | {values} |")
    lines.append("")
    lines.append(
        f"A scan that is mildly spoiled by nature starts at {BASE_LABEL['mild']:.0f} and its degradations scale down with it; a "
        f"severely spoiled one is shown as it is, at {BASE_LABEL['severe']:.0f}. There are {LEVELS} levels of each kind."
    )
    return "\n".join(lines)


def _naturally_spoiled(items: Sequence[Item], scans: dict[str, Scan], opened: MalScorer | DenseNetScorer) -> str:
    if not items:
        return "None in the data."
    opening = (
        "What the network says of every scan whose manifest says `mild` or `severe` (a lay look at one slice). `against` means a "
        f"score under {POLICY.mal_against:.0f} (MAL) or a probability under {POLICY.densenet_against} (DenseNet); `for` means from "
        f"{POLICY.mal_for:.0f}, or from {POLICY.densenet_for}. Scans in the role `train` were learnt from."
    )
    lines = [
        opening,
        "",
        "| scan | spoiled | role | score | adequate | says |",
        "|---|---|---|---|---|---|",
    ]
    for item in sorted(items, key=lambda item: (scans[item.scan].spoiled, scans[item.scan].role, item.scan)):
        scan = scans[item.scan]
        adequate = opened.card.calibration.probability(item.logit)
        says = vote(opened.kind, item.score, adequate)
        lines.append(f"| `{item.scan}` | {scan.spoiled} | {scan.role} | {item.score:.2f} | {adequate:.2f} | {says} |")
    return "\n".join(lines)


def _collections(modality: str, sources: dict[str, Any]) -> str:
    opening = (
        f"{sources['subjects']} subjects (about a fifth of the real ones kept for validation and calibration), `split = train` and "
        "`weights_ok = yes` only."
    )
    lines = [opening, "", "| source | licence as stated | subjects |", "|---|---|---|"]
    lines += [f"| {source} | {licence.replace('|', '/')} | {count} |" for source, licence, count in sources["collections"]]
    if modality in STARTS_FROM:
        lines.append(
            f"\nThe first training began with the weights of the network for {STARTS_FROM[modality]}: its card lists more sources."
        )
    return "\n".join(lines)


def _limits(kind: str, modality: str, remarks: Sequence[str]) -> str:
    lines = [
        "- No radiologist's judgement went in: labels are declared strengths of faults simulated on scans that look clean.",
        "- `adequate` is a logistic curve fitted on validation subjects and is **not certified**.",
        "- Low contrast, wrong protocol, missing anatomy, contrast timing and pathology are not judged.",
        "- A smooth image scores high: denoising and deep-learning reconstruction can please it without showing more.",
    ]
    if kind == "mal":
        lines.append("- The spread of its opinions is no error bar.")
    else:
        lines.append("- It sees frames at 256 × 256 pixels: finer faults are MAL's to find.")
    if modality == "PT":
        lines.append("- Most training and test subjects are crops of 30 to 60 voxels around one tumour; whole bodies are very few.")
    lines += [f"- {remark}" for remark in remarks]
    return "\n".join(lines)
