"""Writes dicom.inc: small DICOM files made by pydicom, and the pixels that pydicom makes of them.

    python3 dicom.py > dicom.inc        (pydicom 3.0, numpy)

Rescaling and windowing are pydicom's (apply_rescale, apply_windowing), whose output is in the range of the stored
values and is brought to [0, 1] here. Without a window up to 8 bits are divided by their range, more by the image's own.
"""
import io

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_rescale, apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian


def make(array, explicit, meta, **tags):
    ds = Dataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    ds.SOPInstanceUID = "1.2.3"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    icon = Dataset()
    icon.Rows = 1
    icon.Columns = 2
    icon.BitsAllocated = 8
    icon.PixelData = b"\1\2"
    icon.is_undefined_length_sequence_item = True
    ds.IconImageSequence = Sequence([icon])
    ds["IconImageSequence"].is_undefined_length = True
    ds.Rows, ds.Columns = array.shape[:2]
    ds.SamplesPerPixel = 1 if array.ndim == 2 else 3
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = array.dtype.itemsize * 8
    ds.PixelRepresentation = int(array.dtype.kind == "i")
    for name, value in tags.items():
        setattr(ds, name, value)
    ds.HighBit = ds.BitsStored - 1
    if tags.get("PlanarConfiguration") == 1:
        array = np.moveaxis(array, -1, 0)
    data = np.ascontiguousarray(array).tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB" if explicit and ds.BitsAllocated == 8 else "OW"
    out = io.BytesIO()
    if meta:
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian
        pydicom.dcmwrite(out, ds, enforce_file_format=True)
    else:
        pydicom.dcmwrite(out, ds, implicit_vr=not explicit, little_endian=True)
    return out.getvalue()


def pixels(data):
    ds = pydicom.dcmread(io.BytesIO(data), force=True)
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    if ds.SamplesPerPixel == 3:
        return ds.pixel_array / (2.0 ** ds.BitsStored - 1)
    values = apply_rescale(ds.pixel_array, ds).astype(float)
    low = -(2 ** (ds.BitsStored - 1)) if ds.PixelRepresentation else 0
    high = low + 2 ** ds.BitsStored - 1
    if "WindowCenter" in ds:
        values = apply_windowing(values, ds)
        if "RescaleSlope" in ds:
            low, high = (x * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for x in (low, high))
    elif ds.BitsStored > 8:
        low, high = values.min(), values.max()
    values = (values - low) / (high - low)
    return 1 - values if ds.PhotometricInterpretation == "MONOCHROME1" else values


def c_bytes(data):
    lines = (", ".join(str(x) for x in data[i:i + 24]) for i in range(0, len(data), 24))
    return ",\n\t".join(lines)


rng = np.random.default_rng(3)
cases = [
    ("ct", "Explicit, signed CT with slope and two windows", make(
        rng.integers(-200, 400, (3, 5)).astype(np.int16), True, True, RescaleSlope="1", RescaleIntercept="-24",
        WindowCenter=["40", "300"], WindowWidth=["400", "1500"])),
    ("xray", "Implicit without preamble, 12-bit MONOCHROME1", make(
        rng.integers(0, 4096, (4, 3)).astype(np.uint16), False, False, BitsStored=12,
        PhotometricInterpretation="MONOCHROME1")),
    ("exact", "Implicit, LINEAR_EXACT", make(
        rng.integers(0, 1024, (3, 4)).astype(np.uint16), False, True, BitsStored=10, WindowCenter="500.5",
        WindowWidth="600", VOILUTFunction="LINEAR_EXACT")),
    ("sigmoid", "Explicit, SIGMOID", make(
        rng.integers(0, 1024, (3, 4)).astype(np.uint16), True, True, BitsStored=10, WindowCenter="5.0e2",
        WindowWidth="+300", VOILUTFunction="SIGMOID", RescaleSlope="0.5", RescaleIntercept="1.25")),
    ("photo", "Explicit, RGB in planes", make(
        rng.integers(0, 256, (3, 3, 3)).astype(np.uint8), True, True, PhotometricInterpretation="RGB",
        PlanarConfiguration=1)),
]

print("/* Made by dicom.py with pydicom %s and numpy %s. */" % (pydicom.__version__, np.__version__))
for name, _, data in cases:
    print("static const uint8_t %s_file[] = {\n\t%s\n};" % (name, c_bytes(data)))
    print("static const float %s_pixels[] = {\n\t%s\n};" % (
        name, ", ".join("%.9g" % x for x in pixels(data).ravel())))
print("static const DicomCase dicom_cases[] = {")
for name, text, data in cases:
    shape = pixels(data).shape
    print('\t{"%s", sizeof(%s_file), %s_file, %d, %d, %d, %s_pixels},' % (
        text, name, name, shape[0], shape[1], 1 if len(shape) == 2 else 3, name))
print("};")
