"""Where a measurement comes from: commit, versions, device, date and command of this process."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from ..files import paths

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "torchdiffeq", "POT", "scikit-learn", "clean-fid")


def provenance() -> dict:
    """As a dict that a record keeps; never fails: what is not known says so."""
    import torch

    versions, device = {}, f"cpu, {torch.get_num_threads()} threads"
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    return {
        **commit(paths.root()),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": versions,
        "device": device,
        "command": _command(),
    }


def _command() -> str:
    """What this process was started with: a notebook, a benchmark, or the command line."""
    if "ipykernel" in sys.modules:
        return "notebook"
    script = Path(sys.argv[0]).absolute()
    benchmarks = paths.root().absolute() / "benchmarks"
    what = [f"benchmarks/{script.name}"] if script.parent == benchmarks else ["-m", "traflow_lib"]
    return " ".join(["python", *what, *sys.argv[1:]])


def commit(root: Path) -> dict:
    """git_commit of the checkout at root, and git_dirty: whether library or notebooks differ from it.

    Where they cannot be known the commit is "unknown", dirty is None, and git_reason tells why.
    """
    try:
        top = Path(_git(root, "rev-parse", "--show-toplevel"))
        if not top.samefile(root):  # unpacked inside another project's repository
            raise RuntimeError("not a git checkout")
        status = ("status", "--porcelain", "--untracked-files=no", "--", "traflow_lib", "notebooks")
        changed = _git(root, *status)
        return {"git_commit": _git(root, "rev-parse", "HEAD"), "git_dirty": bool(changed)}
    except RuntimeError as error:
        return {"git_commit": "unknown", "git_dirty": None, "git_reason": str(error)}


def _git(root: Path, *words: str) -> str:
    """What git says about the checkout at root; RuntimeError tells in a few words, without paths, why not."""
    # a hook or `git rebase --exec` around this process sets variables that point to its own repository
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    variables["LC_ALL"] = "C"
    command = ["git", "--no-optional-locks", "-c", f"safe.directory={root.resolve()}", *words]
    try:
        done = subprocess.run(
            command, cwd=root, env=variables, capture_output=True, encoding="utf-8", errors="surrogateescape"
        )
    except OSError:
        raise RuntimeError("git is not installed") from None
    if done.returncode == 0:
        return done.stdout.removesuffix("\n")
    if "not a git repository" in done.stderr:
        raise RuntimeError("not a git checkout")
    if "dubious ownership" in done.stderr:
        raise RuntimeError("git refuses: dubious ownership")
    raise RuntimeError(f"git refuses: status {done.returncode} of git {words[0]}")
