"""The template of the pages that `dvc plots` writes. It contains Vega, which DVC's own template loads from the network.

`python -m trcgl.report.plots_page FILE` writes it. The Makefile's `plots` target runs this and makes DVC use the file.
"""

import sys

import vl_convert

from trcgl.runtime.errors import InputError, exit_code
from trcgl.runtime.files import write_text

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Plots of TRCGL-Net</title>
<style>
body { font-family: sans-serif; margin: 1rem 2rem; }
table { border-spacing: 1rem; }
img { max-width: 100%; height: auto; }
</style>
<script>VEGA</script>
{refresh_tag}
</head>
<body>
{plot_divs}
</body>
</html>
"""
PLACEHOLDERS = ("{scripts}", "{plot_divs}", "{refresh_tag}")
"""Texts that DVC replaces wherever they occur. The template omits `{scripts}`, DVC's links to the network."""


def plots_page() -> str:
    """A page for DVC's option `plots.html_template`, which contains Vega, Vega-Lite and Vega-Embed.

    Raises:
        InputError: the installed bundle contains a placeholder of DVC, so it cannot be part of the template.
    """
    # The type stub requires a snippet, which is optional
    bundle = vl_convert.javascript_bundle()  # pyright: ignore[reportCallIssue]
    bundle = bundle.replace("</script", "<\\/script")
    for placeholder in PLACEHOLDERS:
        if placeholder in bundle:
            raise InputError(f"vl-convert-python's bundle contains {placeholder}; install the pinned release")
    return PAGE.replace("VEGA", bundle)


def main() -> None:
    write_text(sys.argv[1], plots_page())


if __name__ == "__main__":
    sys.exit(exit_code(main))
