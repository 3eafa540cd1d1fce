"""The findings of the phantom: PadChest's names, how often each occurs, and which occur together.

Shares follow the frontal images of PadChest. They are flattened a little in the middle, so that 2,400 images hold
enough of each finding. A lift is PadChest's own count of a pair divided by the count expected under independence. Pairs
that are not listed are independent (lift 1) or too rare in the real table for an estimate.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A finding: `share` is the fraction of training images that show it; `has_place`: whether a mask makes sense."""

    name: str
    group: str
    share: float
    has_place: bool
    cui: str
    report: str
    location: str | None


HEAD, MEDIUM, TAIL = "head", "medium", "tail"

FINDINGS = (
    Finding("COPD signs", HEAD, 0.135, False, "C0024117", "sign epoc", None),
    Finding("cardiomegaly", HEAD, 0.128, True, "C0018800", "cardiomegali", "loc cardiac"),
    Finding("aortic elongation", MEDIUM, 0.075, True, "C0264622", "elong aortic", "loc aortic"),
    Finding("pleural effusion", MEDIUM, 0.068, True, "C0032227", "derram pleural", "loc pleural"),
    Finding("scoliosis", MEDIUM, 0.055, True, "C0036439", "escoliosis dorsal", "loc dorsal vertebrae"),
    Finding("NSG tube", MEDIUM, 0.052, True, "C0812428", "sond nasogastr", "loc esophageal"),
    Finding("alveolar pattern", MEDIUM, 0.045, True, "C1332240", "patron alveol", "loc lobar"),
    Finding("laminar atelectasis", MEDIUM, 0.055, True, "C0264494", "atelectasi lamin", "loc basal"),
    Finding("nodule", MEDIUM, 0.050, True, "C0028259", "nodul pulmon", "loc lobar"),
    Finding("sternotomy", MEDIUM, 0.042, True, "C0185792", "esternotomi medi", "loc mediastinum"),
    Finding("pacemaker", MEDIUM, 0.045, True, "C0030163", "marcapas", "loc hemithorax"),
    Finding("hiatal hernia", MEDIUM, 0.042, True, "C3489393", "herni hiat", "loc retrocardiac"),
    Finding("pulmonary mass", MEDIUM, 0.035, True, "C0149726", "mas pulmon", "loc lobar"),
    Finding("pneumothorax", TAIL, 0.0076, True, "C0032326", "neumotorax", "loc apical"),
    Finding("azygos lobe", TAIL, 0.0066, True, "C0265797", "lobul acig", "loc right upper lobe"),
    Finding("subcutaneous emphysema", TAIL, 0.0060, True, "C0038536", "enfisem subcutane", "loc soft tissue"),
    Finding("pneumoperitoneo", TAIL, 0.0056, True, "C0032320", "neumoperitone", "loc subdiaphragm"),
    Finding("hydropneumothorax", TAIL, 0.0048, True, "C0020299", "hidroneumotorax", "loc pleural"),
    Finding("dextrocardia", TAIL, 0.0042, True, "C0011813", "dextrocardi", "loc cardiac"),
)

BY_NAME = {finding.name: finding for finding in FINDINGS}
NAMES = tuple(BY_NAME)
TAIL_NAMES = tuple(finding.name for finding in FINDINGS if finding.group == TAIL)
COMMON_NAMES = tuple(finding.name for finding in FINDINGS if finding.group != TAIL)

_LIFTS = """
COPD signs: cardiomegaly 1.13, aortic elongation 1.24, pleural effusion 0.39, scoliosis 1.21, NSG tube 0.34
COPD signs: alveolar pattern 0.27, laminar atelectasis 1.52, nodule 1.65, pacemaker 1.41, sternotomy 1.24
COPD signs: hiatal hernia 1.13, pulmonary mass 1.28, pneumothorax 0.41, azygos lobe 1.26
cardiomegaly: aortic elongation 4.11, pleural effusion 1.55, scoliosis 1.39, NSG tube 0.31, alveolar pattern 1.21
cardiomegaly: laminar atelectasis 1.34, nodule 0.67, pacemaker 3.59, sternotomy 4.05, hiatal hernia 1.95
cardiomegaly: pulmonary mass 0.47, azygos lobe 0.69
aortic elongation: pleural effusion 0.49, scoliosis 1.84, NSG tube 0.11, alveolar pattern 0.41
aortic elongation: laminar atelectasis 1.81, nodule 0.88, pacemaker 1.62, sternotomy 1.79, hiatal hernia 2.63
aortic elongation: pulmonary mass 0.71, azygos lobe 1.00
pleural effusion: scoliosis 0.34, NSG tube 3.42, alveolar pattern 4.90, laminar atelectasis 0.92, nodule 0.87
pleural effusion: pacemaker 2.47, sternotomy 2.17, hiatal hernia 0.41, pulmonary mass 2.47, pneumothorax 1.58
pleural effusion: azygos lobe 0.49, subcutaneous emphysema 3.78
scoliosis: NSG tube 0.13, alveolar pattern 0.36, laminar atelectasis 1.28, nodule 0.72, pacemaker 0.65
scoliosis: sternotomy 0.53, hiatal hernia 1.82, pulmonary mass 0.63, azygos lobe 1.34
NSG tube: alveolar pattern 5.08, laminar atelectasis 1.16, nodule 0.26, pacemaker 0.97, sternotomy 1.07
NSG tube: hiatal hernia 0.32, pulmonary mass 0.41, pneumothorax 4.05, subcutaneous emphysema 3.39
NSG tube: pneumoperitoneo 7.42
alveolar pattern: laminar atelectasis 0.37, nodule 0.51, pacemaker 2.33, sternotomy 2.01, hiatal hernia 0.21
alveolar pattern: pulmonary mass 1.07, pneumothorax 1.08, subcutaneous emphysema 2.01
laminar atelectasis: nodule 0.83, pacemaker 1.12, sternotomy 1.20, hiatal hernia 1.40, pulmonary mass 0.87
laminar atelectasis: azygos lobe 1.20
nodule: pacemaker 0.53, sternotomy 0.56, hiatal hernia 1.02, pulmonary mass 4.31, pneumothorax 2.15
pacemaker: sternotomy 7.96, hiatal hernia 0.96, pulmonary mass 0.80, pneumothorax 1.83
sternotomy: hiatal hernia 0.65
pulmonary mass: pneumothorax 5.61
pneumothorax: subcutaneous emphysema 50.73
"""


def _read_lifts() -> dict[frozenset[str], float]:
    lifts = {}
    for line in _LIFTS.strip().splitlines():
        first, others = line.split(": ")
        for other in others.split(", "):
            second, lift = other.rsplit(" ", 1)
            lifts[frozenset((first, second))] = float(lift)
    return lifts


LIFTS = _read_lifts()


def lift(first: str, second: str) -> float:
    """How many times more often the two occur together in PadChest than by chance; 1 for pairs that are not listed."""
    return LIFTS.get(frozenset((first, second)), 1.0)
