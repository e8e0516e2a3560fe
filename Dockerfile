# The course in JupyterLab, without CUDA:
#   docker build -t traflow-lab . && docker run --rm -p 127.0.0.1:8888:8888 -v traflow-runs:/home/student/TraFlow-lab/runs traflow-lab
# and open the address with the token that it prints. Names of folders, so that neither .venv nor runs/ is sent to the builder.
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends git make && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home student && install -d -o student -g student /home/student/TraFlow-lab /home/student/TraFlow-lab/runs
USER student
WORKDIR /home/student/TraFlow-lab
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1
COPY --chown=student:student Makefile pyproject.toml requirements.lock README.md LICENSE Snakefile ./
COPY --chown=student:student .ci .ci
COPY --chown=student:student traflow_lib traflow_lib
COPY --chown=student:student course course
RUN make setup TORCH_INDEX=$TORCH_INDEX
COPY --chown=student:student profiles profiles
COPY --chown=student:student docs docs
COPY --chown=student:student results results
COPY --chown=student:student notebooks notebooks
EXPOSE 8888
CMD ["make", "lab", "LAB_ARGS=--ip=0.0.0.0 --no-browser"]
