# One image for every command but `train`. Nothing in it needs BuildKit.
#
#   docker build -t slipway:VERSION .
#
# Where the build reaches no package index, put the wheels of requirements.lock into wheels/ first:
#   python3 -m pip download --only-binary :all: --require-hashes -r requirements.lock -d wheels
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /build
# The brackets make a pattern of it, so that a context without wheels builds too.
COPY requirements.lock wheel[s] packages/
RUN python3 -m venv /opt/slipway \
 && if ls packages/*.whl >/dev/null 2>&1; then set -- --no-index --find-links packages; fi \
 && /opt/slipway/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: \
        --require-hashes "$@" -r packages/requirements.lock
COPY pyproject.toml README.md requirements.in ./
COPY service service
# What serves applies models and trains none; and nothing here installs or tests packages any more.
RUN rm -rf service/slipway/examples \
 && /opt/slipway/bin/pip install --no-cache-dir --disable-pip-version-check --no-index --no-deps \
        --no-build-isolation . \
 && find /opt/slipway/lib -type d -name tests -prune -exec rm -rf {} + \
 && /opt/slipway/bin/pip uninstall --quiet --yes pip

FROM ${BASE_IMAGE}
# The router is nginx; a base may bring it.
RUN if ! command -v nginx >/dev/null; then \
        apt-get update \
     && apt-get install -y --no-install-recommends nginx-light \
     && rm -rf /var/lib/apt/lists/*; \
    fi \
 && echo 'slipway:x:65532:65532::/home/slipway:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'slipway:x:65532:' >> /etc/group \
 && mkdir -p /app /home/slipway \
 && chown 65532:65532 /home/slipway
COPY --from=build /opt/slipway /opt/slipway
# The packages are compiled to bytecode already, and the root file system may be read-only.
ENV PATH=/opt/slipway/bin:$PATH \
    HOME=/home/slipway \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MLFLOW_DISABLE_TELEMETRY=true
WORKDIR /app
USER 65532:65532
EXPOSE 9696 9697
ENTRYPOINT ["slipway"]
CMD ["serve"]
