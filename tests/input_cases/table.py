"""The table of docs/input-errors.md, from the cases."""

from tests.input_cases import CASES
from tests.input_cases.case import Case
from tests.input_cases.others import OTHERS


def case_id(case: Case) -> str:
    return f"{case.group}: {case.what}"


def table() -> str:
    """One Markdown row per case."""
    lines = ["| input | what is wrong | what the user sees | test |\n", "|---|---|---|---|\n"]
    for case in CASES:
        seen = f"counted in the record, with the reason `{case.seen}`" if case.counted else f"`error: {case.seen}`"
        lines.append(_line(case.group, case.what, seen, f"`test_input_errors.py`, {case.stage}"))
    lines += [_line(group, what, f"`{seen}`", f"`{test}`") for group, what, seen, test in OTHERS]
    return "".join(lines)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"
