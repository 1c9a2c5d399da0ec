"""Every DICOM that pydicom is tested on, read as a picture, beside what pydicom's own functions make of it.

    pip install "hfkit[medical]" pydicom-data
    python -m benchmarks.dicom_files

Both see the middle frame. Pictures agree if the numbers of all pixels are correlated; a file that one side alone reads
is named. Results: benchmarks/results/dicom_files.json
"""

import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.data import get_testdata_files
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

from hfkit.data.images.dicom import GREY, read_dicom
from hfkit.data.images.scans import Part, Refused
from hfkit.runtime.machine import environment

RESULT = Path(__file__).parent / "results" / "dicom_files.json"
ALIKE = 0.99


def main() -> None:
    warnings.simplefilter("ignore")
    paths = sorted({Path(path) for path in get_testdata_files("*.dcm")})
    found = [look(path) for path in paths]
    result = {
        "schema": "hfkit.dicom-files/1",
        "command": "python -m benchmarks.dicom_files",
        "files": len(paths),
        "read": sum("refused" not in one for one in found),
        "compared": sum("alike" in one for one in found),
        "apart": [one for one in found if one.get("alike", 1) < ALIKE],
        "lowest": min(one["alike"] for one in found if one.get("alike", 0) >= ALIKE),
        "refused": dict(Counter(one["refused"] for one in found if "refused" in one).most_common()),
        "refused_alone": [one["file"] for one in found if "refused" in one and one["stock"]],
        "environment": environment(),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: result[key] for key in list(result)[2:-1]}, indent=1))


def look(path: Path) -> dict[str, Any]:
    """How alike both pictures of a file are, or why there is none."""
    stock = read_by_pydicom(path)
    try:
        picture = np.asarray(read_dicom(path.read_bytes(), Part()).picture, dtype=float)
    except Refused as error:
        return {"file": path.name, "refused": error.rule, "stock": stock is not None}
    if stock is None or stock.shape != picture.shape or not (stock.std() and picture.std()):
        return {"file": path.name}
    return {"file": path.name, "alike": float(np.corrcoef(stock.ravel(), picture.ravel())[0, 1])}


def read_by_pydicom(path: Path) -> np.ndarray | None:
    """The middle frame, bright where the scan is; None where pydicom cannot read it."""
    try:
        found = dcmread(path, force=True)
        frames = int(found.get("NumberOfFrames") or 1)
        values = pixel_array(found, index=frames // 2 if frames > 1 else 0)
        kind = found.PhotometricInterpretation
        if kind == "PALETTE COLOR":
            return apply_color_lut(values, found).astype(float)
        if kind not in GREY:
            return values.astype(float)
        seen = apply_voi_lut(apply_modality_lut(values, found), found).astype(float)
        return -seen if kind == "MONOCHROME1" else seen
    except Exception:  # broken on purpose, many of them
        return None


if __name__ == "__main__":
    main()
