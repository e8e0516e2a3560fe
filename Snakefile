# The dependency graph: every notebook by papermill, then the tables notebook, which reads the records of the others.
# make reproduce runs it here; any Snakemake executor (Slurm, Kubernetes) runs the same file elsewhere.
import glob
import sys

PROFILE = config.get("profile", "laptop")
LIBRARY = sorted(glob.glob("traflow_lib/**/*.py", recursive=True))
LESSONS = ["00_quickstart", "01_rectified_flow_2d", "02_reflow_and_straightness", "03_consistency_trajectories", "04_traflow_2d", "06_digits"]
EXECUTED = "results/executed/" + PROFILE + "/{name}.ipynb"


rule all:
    input:
        EXECUTED.format(name="12_paper_tables"),


rule lesson:
    input:
        "notebooks/{name}.ipynb",
        "traflow_lib/recipes/{name}.yaml",
        LIBRARY,
    output:
        EXECUTED,
    wildcard_constraints:
        name="|".join(LESSONS),
    resources:
        training=1,
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
