"""`make demo`: the page that draws in a browser, in runs/demo, from the committed checkpoints.

Networks go to ONNX as the average velocity F(x, t, s) of a student and the velocity v(x, t) of a teacher,
with weights in 16 or 8 bits and all arithmetic in float32; the page itself adds (s - t) F. Every file is
checked against PyTorch before it is written. The runtime is onnxruntime-web from npm. All is kept in
scripts, which a page may load from a file where it may fetch nothing.
"""

import base64
import gzip
import json
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import yaml

from traflow_lib.data import objects
from traflow_lib.experiments import recipes
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.files import paths

HERE = Path(__file__).resolve().parent
RUNTIME = "onnxruntime-web@1.30.0"
SCRIPTS = ("flow.js", "pictures.js", "plane.js")
LIMITS = {32: 1e-3, 16: 1e-2, 8: 0.2}  # by the bits of a weight: the largest difference to PyTorch's outputs
MOST_MB = 10  # of all networks together
SMALL = 64  # tensors below this many numbers stay as they are


@dataclass(frozen=True)
class Entry:
    """One choice of the page: the teacher of a recipe and its student of seed 0.

    bits: of a stored weight; 8 where 16 would make the page too large, for half a grey level a pixel.
    labels: the names of the classes of a class-conditional teacher. A toy's student is trained if it is not
    there yet; pictures whose checkpoints are not committed are left out.
    """

    title: str
    about: str
    recipe: str
    profile: str
    dataset: str
    method: str = "traflow"
    bits: int = 16
    labels: tuple[str, ...] = ()


ENTRIES = [
    Entry(
        "Clothes",
        "Fashion-MNIST: real pictures of clothes, 28x28 with a border to 32x32. Trained on a GPU in minutes.",
        "fashion_mnist",
        "images",
        "fashion_mnist",
        bits=8,
    ),
    Entry(
        "Digits",
        "Real handwritten digits from scikit-learn, 8x8 pixels. Trained on two CPU cores in minutes.",
        "06_digits",
        "hour",
        "digits",
    ),
    Entry(
        "Objects",
        "Drawn objects, 32x32, made by a program: stand-ins for ImageNet, not photographs. Ten classes.",
        "imagenet64",
        "images",
        "objects32",
        bits=8,
        labels=tuple(objects.KINDS),
    ),
    Entry("Checkerboard", "Points on a checkerboard.", "04_traflow_2d", "laptop", "checkerboard"),
    Entry("Eight Gaussians", "Points around eight centres.", "04_traflow_2d", "laptop", "8gaussians"),
]


def exported(net: torch.nn.Module, shape: tuple, s_input: bool, classes: int = 0) -> onnx.ModelProto:
    """The network as ONNX in float32; inputs x [B, *shape], t [B], a student's s [B], maybe label [B]."""
    inputs = _inputs(3, shape, s_input, classes)
    batch = {name: {0: torch.export.Dim.DYNAMIC} for name in inputs}
    program = torch.onnx.export(
        net.eval(), (), kwargs=inputs, dynamic_shapes=batch, dynamo=True, verbose=False, output_names=["v"]
    )
    model = program.model_proto
    for part in (
        model.graph,
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ):
        del part.metadata_props[:]  # where in the code each node comes from: a tenth of the file
    return model


def compact(model: onnx.ModelProto, bits: int) -> onnx.ModelProto:
    """The same network with smaller weights, which become float32 again when a session is made.

    16: float16. 8: matrices and kernels as int8, each row (output channel) with a scale of its own.
    """
    small = onnx.ModelProto()
    small.CopyFrom(model)
    nodes, scales = [], []
    for tensor in small.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < SMALL:
            continue
        name, values = tensor.name, onnx.numpy_helper.to_array(tensor)
        widened = name
        if bits == 8 and values.ndim > 1:
            widened, rows = f"{name}.wide", tuple(range(1, values.ndim))
            scale = np.maximum(np.abs(values).max(axis=rows, keepdims=True), 1e-12) / 127
            stored = np.round(values / scale).astype(np.int8)
            scales.append(onnx.numpy_helper.from_array(scale, f"{name}.scale"))
            nodes.append(onnx.helper.make_node("Mul", [widened, f"{name}.scale"], [name]))
        else:
            stored = values.astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(stored, f"{name}.small"))
        nodes.insert(0, onnx.helper.make_node("Cast", [tensor.name], [widened], to=onnx.TensorProto.FLOAT))
    nodes += small.graph.node
    del small.graph.node[:], small.graph.value_info[:]
    small.graph.node.extend(nodes)
    small.graph.initializer.extend(scales)
    return small


@torch.no_grad()
def difference(net: torch.nn.Module, model: onnx.ModelProto, shape: tuple, s_input: bool, classes: int = 0):
    """The largest difference between an exported network and PyTorch's, on 3 batches of other sizes."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found = 0.0
    for n in (1, 2, 5):
        inputs = _inputs(n, shape, s_input, classes)
        (got,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        found = max(found, float(np.abs(got - net.eval()(**inputs).numpy()).max()))
    return found


def _inputs(n: int, shape: tuple, s_input: bool, classes: int) -> dict[str, torch.Tensor]:
    """Noise at t = 1 and states between, as samplers ask for them."""
    generator = torch.Generator().manual_seed(n)
    t = 1 - 0.9 * torch.rand(n, generator=generator)
    t[0] = 1.0
    inputs = {"x": torch.randn(n, *shape, generator=generator), "t": t}
    if s_input:
        inputs["s"] = t * torch.rand(n, generator=generator)
    if classes:
        inputs["label"] = torch.arange(n) % classes
    return inputs


def network(model, experiment: Experiment, s_input: bool, bits: int, folder: Path) -> dict:
    """Write one network as a script; what the page says of it."""
    about = (experiment.shape, s_input, experiment.classes)
    net, name = model.net.cpu(), f"{experiment.dataset}-{'student' if s_input else 'teacher'}"
    whole = exported(net, *about)
    small = compact(whole, bits)
    for stored, one in ((32, whole), (bits, small)):
        found = difference(net, one, *about)
        if found > LIMITS[stored]:
            allowed = f"{LIMITS[stored]} is allowed"
            raise ValueError(f"{name} with {stored} bits a weight is {found:.2g} from PyTorch; {allowed}")
        print(f"demo: {name}, {stored} bits a weight: at most {found:.1g} from PyTorch")
    content = small.SerializeToString()
    script(folder / f"{name}.js", "NETWORKS", name, base64.b64encode(content).decode())
    parameters = sum(weight.numel() for weight in net.parameters())
    return {"name": name, "bits": bits, "parameters": parameters, "bytes": len(content)}


def script(file: Path, table: str, key: str, value) -> None:
    """A script that puts one value into a table of the page."""
    file.write_text(
        f"(window.{table} ??= {{}})[{json.dumps(key)}] = {json.dumps(value)};\n", encoding="utf-8"
    )


def built(entry: Entry, folder: Path) -> dict | None:
    """Export one entry; what the page needs to know, or None where its checkpoints are missing."""
    experiment = Experiment(recipes.load(entry.recipe, entry.profile), entry.dataset)
    roles = {
        "teacher": experiment.teacher_settings(),
        f"{entry.method}-seed0": experiment.student_settings(entry.method, 0)[-1],
    }
    missing = [role for role, own in roles.items() if experiment.models.file(role, own) is None]
    if missing and not experiment.toy:
        print(f"demo: {entry.title} is left out: no checkpoint of its {' and '.join(missing)}")
        return None
    teacher = network(experiment.model("teacher"), experiment, False, entry.bits, folder)
    student = network(experiment.model(entry.method, 0), experiment, True, entry.bits, folder)
    known = {"title": entry.title, "about": entry.about, "shape": experiment.shape, "labels": entry.labels}
    points = experiment.data(600, seed=0).tolist() if experiment.toy else []
    return known | {"teacher": teacher, "student": student, "data": points}


def runtime(folder: Path) -> None:
    """Write onnxruntime-web as two scripts: its own, and one with its WebAssembly and the glue for it."""
    kept = paths.runs() / f"{RUNTIME.replace('@', '-')}.tgz"
    if not kept.exists():
        if not shutil.which("npm"):
            raise FileNotFoundError(f"npm is missing, which fetches {RUNTIME}: install Node.js")
        ask = ["npm", "pack", RUNTIME, "--silent", "--pack-destination", str(kept.parent)]
        subprocess.run(ask, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(kept) as pack:

        def read(name: str) -> bytes:
            return pack.extractfile(f"package/dist/{name}").read()

        (folder / "ort.js").write_bytes(read("ort.wasm.min.js").rsplit(b"\n//# sourceMappingURL", 1)[0])
        wasm = gzip.compress(read("ort-wasm-simd-threaded.wasm"), 9, mtime=0)
        parts = {"wasm": base64.b64encode(wasm).decode(), "glue": read("ort-wasm-simd-threaded.mjs").decode()}
    script(folder / "runtime.js", "RUNTIME", "parts", parts)


def page(folder: Path) -> None:
    """Write the page itself, in the colours of the kit's figures."""
    file = paths.root() / "traflow_lib" / "reports" / "palette.yaml"
    palette = yaml.safe_load(file.read_text(encoding="utf-8"))["methods"]
    colours = {name: palette[name] for name in ("noise", "data", "teacher")} | {"student": palette["traflow"]}
    declared = " ".join(f"--{name}: {colour};" for name, colour in colours.items())
    text = (HERE / "index.html").read_text(encoding="utf-8").replace("/* colours */", declared)
    (folder / "index.html").write_text(text, encoding="utf-8")
    for name in SCRIPTS:
        shutil.copy(HERE / name, folder)


def main() -> None:
    """Build the page in runs/demo."""
    start, folder = time.time(), paths.runs() / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    runtime(folder)  # first: who has no npm learns it at once
    models = [model for entry in ENTRIES if (model := built(entry, folder))]
    size = sum(model[role]["bytes"] for model in models for role in ("teacher", "student")) / 1e6
    if size > MOST_MB:
        raise ValueError(f"the networks have {size:.1f} MB; at most {MOST_MB} are allowed")
    script(folder / "models.js", "DEMO", "models", models)
    page(folder)
    whole = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    print(f"demo: networks {size:.1f} MB, all files {whole:.1f} MB, {time.time() - start:.0f} seconds")
    print(f"demo: open {folder / 'index.html'} in a browser")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
