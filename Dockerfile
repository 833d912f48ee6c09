# Everything a node of vbench's cluster needs: Ray, FFmpeg (from a Python package), the service, the models.
#   docker build --build-arg RUNTIME=anyscale --tag vbench:anyscale .
# RUNTIME is the name of an option in conf/runtime: it sets, or leaves out, the flags that raylets read at start.
ARG RUNTIME=oss

FROM debian:bookworm-slim AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# Debian's stable release is the pin: older versions of its packages are not kept.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/venv
WORKDIR /opt/vbench
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY vbench vbench
RUN /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt --editable '.[models]' boto3

FROM debian:bookworm-slim AS base
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# Debian's stable release is the pin: older versions of its packages are not kept.
# hadolint ignore=DL3008
RUN apt-get update \
 # ray up reaches nodes by ssh and rsync, from inside the head's container too.
 && apt-get install -y --no-install-recommends ca-certificates openssh-client python3 rsync \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --create-home --shell /bin/bash ray \
 # KubeRay starts Ray in a login shell, which sets the path anew.
 && echo "PATH=/opt/venv/bin:\$PATH" > /etc/profile.d/vbench.sh
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/vbench /opt/vbench
COPY conf /opt/vbench/conf
COPY experiments /opt/vbench/experiments
ENV PATH=/opt/venv/bin:$PATH RAY_USAGE_STATS_ENABLED=0 RAY_SERVE_DEFAULT_HTTP_HOST=0.0.0.0 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video

FROM base AS runtime-oss

FROM base AS runtime-single
ENV RAY_experimental_object_manager_enable_multiple_connections=0

FROM base AS runtime-anyscale
ENV RAY_experimental_object_manager_enable_multiple_connections=1 \
    RAY_object_manager_client_connection_num=15

FROM base AS runtime-bytes_in_flight_64mb
ENV RAY_object_manager_max_bytes_in_flight=64000000

FROM base AS runtime-chunk_1mib
ENV RAY_object_manager_default_chunk_size=1048576

FROM base AS runtime-direct_ingress
ENV RAY_SERVE_ENABLE_DIRECT_INGRESS=1

FROM base AS runtime-grpc_handles
ENV RAY_SERVE_USE_GRPC_BY_DEFAULT=1 \
    RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH=2147483647

FROM base AS runtime-haproxy
ENV RAY_SERVE_ENABLE_HA_PROXY=1

FROM base AS runtime-one_event_loop
ENV RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD=0 \
    RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP=0

FROM base AS runtime-one_transfer_thread
ENV RAY_object_manager_rpc_threads_num=1

FROM base AS runtime-pull_timeout_1s
ENV RAY_object_manager_pull_timeout_ms=1000

FROM base AS runtime-throughput_optimized
ENV RAY_SERVE_THROUGHPUT_OPTIMIZED=1 \
    RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH=2147483647

FROM base AS runtime-unfrozen_gc
ENV RAY_SERVE_FREEZE_GC_ON_STARTUP=0

# hadolint ignore=DL3006
FROM runtime-${RUNTIME} AS final
USER 1000
WORKDIR /home/ray
EXPOSE 8000 8265
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=6 \
  CMD ["python", "-c", "import urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:8000/healthz', timeout=4)"]
# The variable has Serve's proxy refuse requests for which the API has no room (docs/service-api.md).
CMD ["env", "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=vbench.pipeline.front:middleware", "VBENCH_PROXY_PLACES=68", \
     "serve", "run", "vbench.pipeline:build"]
