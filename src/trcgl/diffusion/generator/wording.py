"""The text of a prompt: patient, view and findings in the same wording that the base was trained with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

from trcgl.config import DiffusionParams
from trcgl.runtime.errors import InputError

UNKNOWN_VIEW = "unknown"
UNKNOWN_PATIENT = "patient"
SEXES = {"F": "female", "M": "male"}
FIELDS = ("patient", "view", "findings")
FIELDS_ARE = "the fields are {patient}, {view} and {findings}"


@dataclass(frozen=True)
class Wording:
    """How the prompts for a base are worded: in the same way as the texts that it was trained with.

    Attributes:
        template: text with the fields {patient}, {view} and {findings}; only {findings} is required.
        normal: the value of {findings} for an image without any finding.
    """

    template: str
    normal: str

    @classmethod
    def of(cls, params: DiffusionParams) -> "Wording":
        """The wording from the params file.

        Raises:
            InputError: the template has no {findings}, or it has an unknown field.
        """
        check_template(params.prompt_template)
        return cls(params.prompt_template, params.prompt_normal)


def patient_words(age: int | None, sex: str) -> str:
    """The value of {patient}: "50 year old female", "50 year old patient", "female" or "patient", as far as known.

    RoentGen-v2 was trained with the first form (arXiv 2508.16783).

    Args:
        age: in years; None: unknown.
        sex: as in data/labels/labels.parquet; a value other than F and M is not named.
    """
    who = SEXES.get(sex)
    if age is None:
        return who or UNKNOWN_PATIENT
    return f"{age} year old {who or UNKNOWN_PATIENT}"


def check_template(template: str) -> None:
    """Raise an InputError unless the template contains {findings} and only known fields."""
    try:
        parsed = [part for _, *part in Formatter().parse(template) if part[0] is not None]
    except ValueError as error:
        raise InputError(
            f"'diffusion.prompt_template': '{template}' cannot be parsed ({error}); {FIELDS_ARE}"
        ) from None
    fields = [field for field, _, _ in parsed]
    written = [f"{field}{f'!{as_}' if as_ else ''}{f':{how}' if how else ''}" for field, how, as_ in parsed]
    unknown = [text for text in written if text not in FIELDS]
    if unknown or "findings" not in fields:
        wrong = f"unknown field '{{{unknown[0]}}}'" if unknown else "no field '{findings}'"
        raise InputError(f"'diffusion.prompt_template': {wrong}; {FIELDS_ARE}")


def prompt_text(
    wording: Wording,
    projection: str,
    findings: Sequence[str],
    phrases: Mapping[str, str],
    patient: str = UNKNOWN_PATIENT,
) -> str:
    """The prompt of one image, such as "chest X-ray, PA view, pleural effusion, cardiomegaly".

    Args:
        patient: from `patient_words`.
    """
    named = ", ".join(phrases[finding] for finding in findings) or wording.normal
    return wording.template.format(patient=patient, view=projection or UNKNOWN_VIEW, findings=named)
