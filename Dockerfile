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
RUN if ls packages/*.whl >/dev/null 2>&1; then set -- --no-index --find-links packages; fi \
 && python3 -m venv --without-pip /opt/slipway \
 && pip --python /opt/slipway/bin/python install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --require-hashes "$@" -r packages/requirements.lock
# Size is start time. What goes is what nothing here loads (docs/image.md has the sizes): tests,
# what only a compiler reads, an asynchronous twin of the API client, Arrow's network services and
# its own S3 client (months are read by boto3), copies of a library under two more names, and the
# descriptions of AWS services but those that streams, stores and credentials need.
RUN cd /opt/slipway/lib/python3*/site-packages \
 && find . -type d \( -name tests -o -path ./kubernetes/aio -o -path ./pyarrow/include \
        -o -path ./pyarrow/src -o -path ./pyarrow/includes -o -path ./numpy/_core/include \) \
        -prune -exec rm -rf {} + \
 && find . -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.pxi' -o -name '*.h' \
        -o -name '*.hpp' -o -name '*.c' -o -name '*.cpp' -o -name '*.a' \) -delete \
 && find pyarrow \( -name '*flight*' -o -name '*s3*.so*' -o -name 'libarrow*.so' -o -name 'libarrow*.so.*.*' \) \
        -delete \
 && find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name dynamodb ! -name kinesis ! -name s3 \
        ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} +
COPY pyproject.toml README.md requirements.in ./
COPY service service
# Into a root of its own, so that a change of ours leaves the layer of packages as it is.
# What serves applies models and trains none.
RUN rm -rf service/slipway/examples \
 && pip --python /opt/slipway/bin/python install --disable-pip-version-check --no-index --no-deps \
        --no-build-isolation --root /build/root .

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
COPY --from=build /build/root /
# The packages are compiled to bytecode already, and the root file system may be read-only.
ENV PATH=/opt/slipway/bin:$PATH \
    HOME=/home/slipway \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    # Where Lambda is not, its local stand-in is asked from outside the container.
    SLIPWAY_LAMBDA_HOST=0.0.0.0
WORKDIR /app
USER 65532:65532
EXPOSE 9696 9697
ENTRYPOINT ["slipway"]
CMD ["serve"]
