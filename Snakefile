# The dependency graph: every notebook that has the profile, side by side; the tables notebook reads the records of those before it.
# make reproduce runs it here; docs/pipeline.md tells how other machines do.
import glob
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from traflow_lib.experiments.schema import PROFILES
from traflow_lib.files import paths
from traflow_lib.reports import notebooks

PROFILE = config.get("profile", "laptop")
LAST = "12_paper_tables"
LESSONS = [name for name in notebooks.names(PROFILE) if name != LAST]
if not LESSONS:
    known = sorted({profile for name in notebooks.names() for profile in notebooks.profiles(name)})
    raise WorkflowError(f"no notebook has the profile '{PROFILE}'; there are {', '.join(known)}")
RESULTS = paths.results().relative_to(Path.cwd()) if paths.results().is_relative_to(Path.cwd()) else paths.results()
EXECUTED = f"{RESULTS}/executed/{PROFILE}/{{name}}.ipynb"
LOG = f"{RESULTS}/logs/{PROFILE}/{{name}}.log"
LIBRARY = sorted(glob.glob("traflow_lib/**/*.py", recursive=True) + glob.glob("traflow_lib/recipes/*.yaml"))

# what a notebook may take: minutes (a cluster ends it then, and it goes on when it is started again) and megabytes
MINUTES, ON_GPU = PROFILES[PROFILE].minutes, PROFILES[PROFILE].gpu


rule all:
    input:
        expand(EXECUTED, name=[*LESSONS, LAST]),


rule lesson:
    input:
        "notebooks/{name}.ipynb",
        LIBRARY,
    output:
        EXECUTED,
    log:
        LOG,
    wildcard_constraints:
        name="|".join(LESSONS),
    threads: 4 if ON_GPU else 1
    resources:
        runtime=MINUTES,
        **({"mem_mb": 32000, "gpu": 1} if ON_GPU else {"mem_mb": 3000}),
    shell:
        "export OMP_NUM_THREADS={threads} OMP_WAIT_POLICY=passive; "
        "{sys.executable:q} -m traflow_lib notebook {wildcards.name} --profile {PROFILE:q} > {log:q} 2>&1 && tail -n 1 {log:q} "
        "|| {{ tail -n 20 {log:q} >&2; exit 1; }}"


use rule lesson as paper_tables with:
    input:
        f"notebooks/{LAST}.ipynb",
        "results/published.csv",
        expand(EXECUTED, name=[name for name in LESSONS if name < LAST]),
    wildcard_constraints:
        name=LAST,
    threads: 1
    resources:
        runtime=60,
        mem_mb=3000,


onerror:
    # the last line of a failed notebook's log says notebook, cell and error
    for file in [Path(LOG.format(name=name)) for name in (*LESSONS, LAST)]:
        errors = [line for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.startswith("error:")] if file.exists() else []
        if errors and not Path(EXECUTED.format(name=file.stem)).exists():
            print(f"{errors[-1]} [log: {file}]", file=sys.stderr)
