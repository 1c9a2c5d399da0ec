"""Tiny scans: DICOM and NIfTI files made in memory, with or without what real ones get wrong."""

from io import BytesIO
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


def nifti(values: np.ndarray, affine: np.ndarray | None = None, *, packed: bool = False, **fields: Any) -> bytes:
    """A volume; `fields` are of its header."""
    import gzip

    import nibabel

    volume = nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine)
    for name, value in fields.items():
        volume.header[name] = value
    written = volume.to_bytes()
    return gzip.compress(written, mtime=0) if packed else written
