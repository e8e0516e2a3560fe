# The dependency graph: every notebook by papermill, then the tables notebook, which reads the records of the others.
# make reproduce runs it here; any Snakemake executor (Slurm, Kubernetes) runs the same file elsewhere.
import glob
import sys
from pathlib import Path

PROFILE = config.get("profile", "laptop")
LIBRARY = sorted(glob.glob("traflow_lib/**/*.py", recursive=True) + glob.glob("traflow_lib/recipes/*.yaml"))
LESSONS = sorted(Path(file).stem for file in glob.glob("notebooks/[01]*.ipynb") if "12_paper_tables" not in file)
EXECUTED = "results/executed/" + PROFILE + "/{name}.ipynb"


rule all:
    input:
        EXECUTED.format(name="12_paper_tables"),


rule lesson:
    input:
        "notebooks/{name}.ipynb",
        LIBRARY,
    output:
        EXECUTED,
    wildcard_constraints:
        name="|".join(LESSONS),
    shell:
        "{sys.executable} -m traflow_lib notebook {wildcards.name} --profile {PROFILE}"


rule paper_tables:
    input:
        "notebooks/12_paper_tables.ipynb",
        "results/published.csv",
        expand(EXECUTED, name=LESSONS),
    output:
        EXECUTED.format(name="12_paper_tables"),
    shell:
        "{sys.executable} -m traflow_lib notebook 12_paper_tables --profile {PROFILE}"
