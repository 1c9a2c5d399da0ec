"""Python that asks the ONNX graph of a classifier: texts or pictures to logits, which the view turns into answers."""

TEXTS = """\
import numpy as np
import onnxruntime
from transformers import AutoConfig, AutoTokenizer

FOLDER = "."  # where this file lies
tokenizer = AutoTokenizer.from_pretrained(FOLDER)
labels = AutoConfig.from_pretrained(FOLDER).id2label
session = onnxruntime.InferenceSession(f"{FOLDER}/model.onnx")

texts = ["The parcel came a day late, but all of it was there.", "Ada Lovelace wrote from London."]
inputs = tokenizer(texts, padding=True, truncation=True, max_length=@longest@, return_tensors="np")
(logits,) = session.run(["logits"], {one.name: inputs[one.name] for one in session.get_inputs()})
"""
PICTURES = """\
import numpy as np
import onnxruntime
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor

FOLDER = "."  # where this file lies
processor = AutoImageProcessor.from_pretrained(FOLDER)
labels = AutoConfig.from_pretrained(FOLDER).id2label
session = onnxruntime.InferenceSession(f"{FOLDER}/model.onnx")

pictures = [Image.open("picture.png").convert("@mode@")]
pixels = np.asarray(processor(images=pictures, return_tensors="pt")["pixel_values"])
(logits,) = session.run(["logits"], {"pixel_values": pixels})
"""
