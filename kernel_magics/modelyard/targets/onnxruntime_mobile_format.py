"""A graph in ONNX Runtime's own format, and the configuration of a build that has the operators of it and no others."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import DeploymentError
from modelyard.packaging import Bundle
from modelyard.targets.onnxruntime_mobile_canonical import canonical_ort

MODEL = "model.ort"
CONFIG = "required_operators_and_types.config"

# What comes above "extended" is laid out for this machine's processor; this much is the same on every one.
_LEVEL = "ORT_CONVERT_ONNX_MODELS_TO_ORT_OPTIMIZATION_LEVEL"
_MOST_S = 600
_NO_ONNX = "no ONNX: "  # how packaging begins the note of why a step stays in Python


@dataclass(frozen=True)
class OrtModel:
    """A converted graph.

    Attributes
    ----------
    content : bytes
        The ``.ort`` file.
    config : str
        What ``build.py --include_ops_by_config … --enable_reduced_operator_type_support`` reads.
    """

    content: bytes
    config: str


def ort_model(bundle: Bundle) -> OrtModel:
    """Convert a bundle's graph; the same bytes from the same bundle.

    In a process of its own: the tool sets up logging for whoever imports it.

    Raises
    ------
    DeploymentError
        The model is no graph, or holds something that the format does not.
    """
    described = bundle.manifest["model"]
    if described["kind"] != "onnx":
        raise DeploymentError(_why_not(bundle))
    with tempfile.TemporaryDirectory(prefix="modelyard-") as name:
        folder = Path(name)
        content = (bundle.model_folder / described["file"]).read_bytes()
        (folder / "model.onnx").write_bytes(_widened(content))
        done = subprocess.run(
            [
                sys.executable, "-sP", "-m", "onnxruntime.tools.convert_onnx_models_to_ort",
                "--optimization_style", "Fixed", "--enable_type_reduction", "--target_platform", "arm", name,
            ],
            capture_output=True, text=True, check=False, timeout=_MOST_S, env={**os.environ, _LEVEL: "extended"},
        )  # fmt: skip
        made = sorted(folder.glob("*.ort"))
        if done.returncode or not made:
            told = " ".join((done.stderr.strip().splitlines() or ["it said nothing"])[-1].split())[:200]
            raise DeploymentError(f"{bundle.tag} has no form in ONNX Runtime's own format: {told}")
        (config,) = folder.glob("*.config")
        lines = config.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if not line.startswith("#")]  # they name the folder
        head = f"# The operators and types of {MODEL}, made of {bundle.tag}."
        return OrtModel(canonical_ort(made[0].read_bytes()), "\n".join([head, *kept]) + "\n")


def _widened(content: bytes) -> bytes:
    """Return a graph with its weights of four bits in eight, the same numbers: the format knows none of four."""
    import onnx.numpy_helper  # half a second, which naming the target need not take

    wider = {onnx.TensorProto.INT4: "int8", onnx.TensorProto.UINT4: "uint8"}
    model = onnx.load_from_string(content)
    narrow = [tensor for tensor in model.graph.initializer if tensor.data_type in wider]
    for tensor in narrow:
        wide = onnx.numpy_helper.to_array(tensor).astype(wider[tensor.data_type])
        tensor.CopyFrom(onnx.numpy_helper.from_array(wide, tensor.name))
    return bytes(model.SerializeToString(deterministic=True)) if narrow else content


def _why_not(bundle: Bundle) -> str:
    hybrid = bundle.manifest["model"]["kind"] == "hybrid"
    what = "its first steps run in Python" if hybrid else "the whole model runs in Python"
    marked = [note.partition(";")[0] for note in bundle.manifest["notes"] if note.startswith(_NO_ONNX)]
    cause = f": {marked[0].removeprefix(_NO_ONNX)}" if marked else ""
    return (
        f"{bundle.tag} cannot go to a phone, where no Python is: {what}{cause}; put a step there that becomes ONNX and "
        "package it again, or deploy it to a place with Python"
    )
