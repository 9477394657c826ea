"""Makes the pictures of the README: the demo's output as an SVG, and the first half of an incident page as a PNG."""

import argparse
import re
import subprocess
import tempfile
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A page that a test keeps as it is made, but for its head, and the style of every page.
PAGE = ROOT / "tests/golden/stolen-key/page.html"
STYLE = "shared/*/src/page/style.css"
# In pixels, as wide as a browser's window.
WIDTH = 1000
# What is shown of the page: all before this section.
AFTER = '<section id="done"'
# What is shown of the demo: from the first of these stages to the one before the last.
FIRST, LAST = "Attack them", "Release them"
COLUMNS = 118
CHARACTER, LINE, MARGIN = 7.8, 18, 16
COLORS = {"✓": "#7ee787", "!": "#f2cc60", "✗": "#ff7b72"}


def shown(output):
    """The lines of the stages that are shown, none longer than a picture is wide. The signs of waiting are left out,
    and the steps that had nothing to do."""
    lines = [line for line in output.splitlines() if not re.search(r"( \.+|: already)$", line)]
    stage = re.compile(r"\d+\. (.*)")
    stages = {found[1]: at for at, line in enumerate(lines) if (found := stage.match(line))}
    for title in (FIRST, LAST):
        if title not in stages:
            raise SystemExit(f"the demo has no stage {title!r}: {', '.join(stages)}")
    lines = "\n".join(lines[stages[FIRST] : stages[LAST]]).rstrip().splitlines()
    return [line if len(line) <= COLUMNS else line[: COLUMNS - 1] + "…" for line in lines]


def text(line):
    """A line as spans: the mark in its color, the evidence dimmed, a title bold."""
    found = re.match(r"( +)([✓!✗]) (.*?)( \(.*)?$", line)
    if found:
        indent, mark, what, evidence = found.groups()
        spans = [f'{indent}<tspan fill="{COLORS[mark]}">{mark}</tspan> {escape(what)}']
        if evidence:
            spans.append(f'<tspan fill="#8b949e">{escape(evidence)}</tspan>')
        return "".join(spans)
    if line.startswith("     "):
        return f'<tspan fill="#8b949e">{escape(line)}</tspan>'
    return f'<tspan font-weight="bold">{escape(line)}</tspan>'


def svg(lines):
    width, height = round(COLUMNS * CHARACTER) + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    rows = (
        f'<text x="{MARGIN}" y="{MARGIN + at * LINE + 13}" xml:space="preserve">{text(line)}</text>'
        for at, line in enumerate(lines)
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" font-family="ui-monospace, Menlo, Consolas, monospace" '
            'font-size="13" fill="#e6edf3">',
            "<title>The output of make demo</title>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>',
            *rows,
            "</svg>\n",
        ]
    )


def photograph(browser, picture):
    (style,) = ROOT.glob(STYLE)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "incident.html")
        head = f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><style>{style.read_text()}</style>'
        body = PAGE.read_text().partition(AFTER)[0]
        measure = "<script>document.title = document.body.scrollHeight</script>"
        page.write_text(head + body + measure)
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}"]

        def run(height, what):
            command = [browser, *flags, f"--window-size={WIDTH},{height}", what, page.as_uri()]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        height = re.search(r"<title>(\d+)</title>", run(600, "--dump-dom"))[1]
        run(height, f"--screenshot={picture.resolve()}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("browser")
    arguments.add_argument("demo", type=Path, help="what the demo wrote")
    arguments.add_argument("folder", type=Path, help="where the pictures go")
    given = arguments.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    (given.folder / "demo.svg").write_text(svg(shown(given.demo.read_text())))
    photograph(given.browser, given.folder / "incident.png")


if __name__ == "__main__":
    main()
