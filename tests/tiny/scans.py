"""Tiny scans: DICOM and NIfTI files made in memory, with or without what real ones get wrong."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

NAME = "Doe^Planted"  # no output may hold it
PERSON = {
    "PatientName": NAME,
    "PatientID": "PLANTED-4711",
    "PatientBirthDate": "19710203",
    "InstitutionName": "Planted General Hospital",
    "StudyDate": "20190807",
    "AccessionNumber": "PLANTED-ACC",
}


def dicom(pixels: np.ndarray, *, syntax: Any = None, bits: int | None = None, **elements: Any) -> bytes:
    """A DICOM of (height, width), (frames, height, width) or (height, width, 3); None removes an element.

    Args:
        bits: stored; default: all that there are.
        syntax: of the transfer, written as it is, whatever the pixels are.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["hfkit", str(pixels.shape)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = Dataset()
    made.file_meta = meta
    made.SOPClassUID, made.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    colours = pixels.ndim == 3 and pixels.shape[-1] == 3
    made.Rows, made.Columns = pixels.shape[:2] if colours else pixels.shape[-2:]
    made.SamplesPerPixel = 3 if colours else 1
    made.PhotometricInterpretation = "RGB" if colours else "MONOCHROME2"
    if colours:
        made.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        made.NumberOfFrames = len(pixels)
    made.BitsAllocated = 8 * pixels.dtype.itemsize
    made.BitsStored = bits or made.BitsAllocated
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    made["PixelData"].VR = "OW" if made.BitsAllocated > 8 else "OB"
    for name, value in elements.items():
        if value is None:
            delattr(made, name)
        else:
            setattr(made, name, value)
    file = BytesIO()
    made.save_as(file, enforce_file_format=True)
    written = file.getvalue()
    if syntax is None:
        return written
    # pydicom would refuse to write it: the name is replaced by one of the same length.
    old = str(ExplicitVRLittleEndian).encode()
    assert len(syntax) == len(old)
    return written.replace(old, syntax.encode(), 1)


def study(folder: Path, patients: Mapping[str, int]) -> str:
    """DICOM files of so many patients in each split, two of each, and a table of findings as CheXpert has them.

    A mass is a bright square on the left, an effusion a bright lower edge; every fifth answer is uncertain and every
    seventh blank. Tags name planted people.
    """
    random, number = np.random.default_rng(0), 0
    for split, count in patients.items():
        lines = ["Path,Mass,Effusion,Fracture"]
        for patient in range(count):
            for _ in range(2):
                mass, effusion = number % 2, number // 2 % 2
                pixels = random.integers(900, 1500, (40, 36)).astype(np.uint16)
                pixels[8:20, 4:16] += np.uint16(2000 * mass)
                pixels[-6:] += np.uint16(2000 * effusion)
                name = f"{split}/{number:03d}.dcm"
                (folder / split).mkdir(parents=True, exist_ok=True)
                tags = {**PERSON, "PatientID": f"{PERSON['PatientID']}-{split}-{patient}"}
                (folder / name).write_bytes(dicom(pixels, WindowCenter=2000, WindowWidth=4000, **tags))
                mass = "-1" if number % 5 == 4 else mass
                effusion = "" if number % 7 == 6 else effusion
                lines.append(f"{name},{mass},{effusion},{int(number % 4 == 0)}")
                number += 1
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return str(folder)


def nifti(values: np.ndarray, affine: np.ndarray | None = None, *, packed: bool = False, **fields: Any) -> bytes:
    """A volume; `fields` are of its header."""
    import gzip

    import nibabel

    volume = nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine)
    for name, value in fields.items():
        volume.header[name] = value
    written = volume.to_bytes()
    return gzip.compress(written, mtime=0) if packed else written
