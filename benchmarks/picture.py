"""README's picture of a report: the page of a measured run, as a browser shows it.

    python benchmarks/picture.py            # needs chromium, or another browser by --browser

The picture is of report_bert-ner.json, so that its figures are those of model_cards/bert-ner.md.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from hfkit.report.report import render

ROOT = Path(__file__).parents[1]
SIZE = "1180,800"  # the verdict, the contenders and their costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("google-chrome"))
    browser = parser.parse_args().browser
    if browser is None:
        parser.error("no chromium found: give its path by --browser")
    report = json.loads((ROOT / "benchmarks" / "results" / "report_bert-ner.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "report.html")
        page.write_text(render(report)["report.html"], encoding="utf-8")
        picture = ROOT / "docs" / "images" / "report.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={SIZE}"]
        subprocess.run([browser, *flags, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    main()
