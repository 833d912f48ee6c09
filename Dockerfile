# The benchmark and its service in one image: docker build -t video-inference-benchmark .
#   docker run --rm --shm-size=4g -v "$PWD/outputs:/vbench/outputs" video-inference-benchmark mode=combined
# Ray's object store lives in /dev/shm, so --shm-size must exceed cluster.nodes.head.object_store_mb.
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0

RUN useradd --create-home --uid 1000 vbench
WORKDIR /vbench

# Dependencies first: they change rarely, and this layer is the large one. FFmpeg is one of them.
COPY pyproject.toml constraints.txt LICENSE README.md ./
COPY vbench/__init__.py vbench/__init__.py
RUN pip install --no-cache-dir --constraint constraints.txt --editable .

COPY conf conf
COPY experiments experiments
COPY vbench vbench
RUN mkdir outputs && chown vbench:vbench outputs

USER vbench
ENTRYPOINT ["python", "-m", "vbench"]
