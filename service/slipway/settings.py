"""Settings: frozen, one class per command, read once in the entry module and passed in.

The names that a user of the course's notes knows are kept (`MODEL_RUN_ID`, `MODEL_URI`,
`MODEL_LOCATION`, `MODEL_FILE`, `MLFLOW_TRACKING_URI`); all others begin with `SLIPWAY_`.
Credentials are not here: boto3 finds them itself (`AWS_*`), so they never enter a log of ours.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeVar

from slipway.variables import Settings, setting

_STREAM = r"^[A-Za-z0-9._-]{1,128}$"


class StoreSettings(Settings):
    """Where models come from, and how long to wait for it."""

    tracking_uri: str = setting("", "MLFLOW_TRACKING_URI")
    """The MLflow tracking server, for run ids and registered models."""
    s3_endpoint: str = setting(
        "",
        "MLFLOW_S3_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL",
    )
    """An S3-compatible store's address; empty means AWS."""
    http_timeout: float = setting(5.0, gt=0, le=60)
    """Seconds to wait for the tracking server, a try; there are three tries."""


class ResolveSettings(StoreSettings):
    """What a model reference may lead to."""

    use_case: str = ""
    """`rides` or `tabular`; empty means what the model's metadata says."""
    artifact_prefixes: tuple[str, ...] = ()
    """Artefact URIs must begin with one of these (a JSON list); empty allows all."""
    max_artifact_bytes: int = setting(4 << 30, gt=0)
    """Larger artefacts are refused before they are fetched."""


class ModelSettings(ResolveSettings):
    """Which model, from where, and what is allowed to load it."""

    run_id: str = setting(
        "",
        "MODEL_RUN_ID",
        pattern="([0-9a-f]{32})?",
        sentence="must be a run id, 32 hex digits; any other reference is a MODEL_URI",
    )
    """The MLflow run whose model is served. Not together with MODEL_URI."""
    uri: str = setting("", "MODEL_URI")
    """Any other model reference: models:/name/3, models:/name@alias, s3://bucket/path, a folder."""
    location: str = setting("", "MODEL_LOCATION")
    """A local folder with the artefact; wins over every other reference."""
    file: str = setting("", "MODEL_FILE")
    """A file with a pickled (vectoriser, model) pair; needs SLIPWAY_ALLOW_PICKLE."""
    release_file: Path | None = None
    """A release lock to go by in place of a reference; ignored while there is no such file."""
    expected_digest: str = ""
    """The digest that the release lock must name (set by the slot's pod template)."""
    cache_dir: Path = Path("~/.cache/slipway/models")
    """Where verified artefacts and resolved references are kept."""
    scratch_dir: Path = Path("~/.cache/slipway/scratch")
    """Where compiled models are kept: a folder of the pod's or person's own, never a shared one."""
    compiled: bool = True
    """Let a model's compiled form answer where it agrees with it; false: the model itself."""
    allow_pickle: bool = False
    """Load pickled models too. A pickle runs its author's code: only for models of your own."""
    allow_unsigned: bool = False
    """Load models that do not say what they take as input."""
    allow_version_mismatch: bool = False
    """Load models made with another scikit-learn (major.minor) than the installed one."""

    def fault(self) -> str:
        """Of the references of MLflow there may be one."""
        if self.run_id and self.uri:
            return "MODEL_RUN_ID and MODEL_URI are both set; set one of them"
        return ""

    @property
    def reference(self) -> str:
        """The model reference in force, or an empty text when none is given."""
        return self.location or self.file or self.run_id or self.uri


class ServeSettings(ModelSettings):
    """`slipway serve`."""

    host: str = "0.0.0.0"  # noqa: S104 - a container's pod network is the interface
    """The address to listen on."""
    port: int = setting(9696, ge=0, le=65535)
    """The API's port."""
    admin_port: int = setting(9697, ge=-1, le=65535)
    """The port of /metrics, /livez, /readyz and /sample on a thread of its own; -1 for none."""
    threads: int = setting(4, ge=1, le=64)
    """Threads of the one worker process."""
    workers: int = setting(1, ge=1, le=16)
    """Worker processes. Scale by pods instead: see docs."""
    graceful_timeout: int = setting(20, ge=0, le=600)
    """Seconds that requests in flight get after SIGTERM."""
    queue_seconds: float = setting(5.0, gt=0, le=600)
    """Seconds that a request may wait for a thread; after that it is answered 503."""
    stuck_seconds: float = setting(60.0, ge=1)
    """Seconds at one request after which a thread is lost; with all lost, /livez says so."""
    slot: str = setting("local", pattern=r"^[A-Za-z0-9._-]{1,63}$")
    """The slot that this pod belongs to: a label in metrics and a header in answers."""
    pod: str = ""
    """The pod's name, as the Lease and /sample tell it; empty means the host's name."""
    model_name: str = setting("slipway", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """The name that /model shows."""
    max_rows: int = setting(1000, ge=1, le=100_000)
    """Rows in one request."""
    max_body_bytes: int = setting(1 << 20, ge=1024, le=1 << 30)
    """Bytes in one request's body."""
    sample: int = setting(10_000, ge=0, le=10_000)
    """Share (of 10,000) of the predictions that /sample keeps."""
    log_level: str = setting("info", pattern="^(debug|info|warning|error)$")
    """The least important level that is logged."""


class ClusterSettings(Settings):
    """Which installation, and how long to wait for its API server."""

    namespace: str = ""
    """The namespace; empty means the pod's own, or that of the kubeconfig's context."""
    fullname: str = setting("slipway", pattern=r"^[a-z]([-a-z0-9]{0,52}[a-z0-9])?$")
    """What the chart's objects are called: this, a dash and the part."""
    api_timeout: float = setting(5.0, gt=0, le=60)
    """Seconds to wait for the API server, a request; none is repeated."""


class ControllerSettings(ClusterSettings, ResolveSettings):
    """`slipway controller`."""

    controller_host: str = "0.0.0.0"  # noqa: S104 - as above
    """The address to listen on."""
    controller_port: int = setting(9699, ge=0, le=65535)
    """The port of /status, /metrics, /livez and /readyz."""
    pod: str = ""
    """The pod's name, as the Lease and /sample tell it; empty means the host's name."""
    web: bool = True
    """Whether there are slots and a router; without them a release is promoted at once."""
    lease_seconds: float = setting(15.0, ge=3, le=300)
    """Seconds after which another controller takes the Lease of one that is silent."""
    alias_seconds: float = setting(10.0, ge=1, le=3600)
    """Seconds between two looks at where an alias points."""
    resolve_seconds: float = setting(600.0, ge=1, le=86400)
    """Seconds that listing and hashing an artefact may take."""
    write_tags: bool = True
    """Tag runs and registered versions with what became of them here."""
    log_level: str = setting("info", pattern="^(debug|info|warning|error)$")
    """The least important level that is logged."""


class ScoreSettings(ModelSettings):
    """`slipway score`."""

    taxi_type: Literal["", "green", "yellow"] = ""
    """The kind of taxi."""
    year: int | None = None
    """The month's year; without it and SLIPWAY_MONTH it is the month before the run date."""
    month: int | None = setting(None, ge=1, le=12)
    """The month, 1 to 12."""
    months: str = ""
    """A range as 2021-03..2022-04, of which SLIPWAY_INDEX is one: a backfill's Job sets both."""
    index: int = setting(0, ge=0)
    """Which of SLIPWAY_MONTHS, from 0."""
    table: str = ""
    """What is scored in place of taxi rides: the table's name, for a model with a signature."""
    period: str = ""
    """Which part of the table, as 2026-W48; empty means the month before the run date."""
    run_date: date | None = None
    """The day of the run, as 2021-04-02; empty means today."""
    input: str = "."
    """Folder, s3://bucket/prefix or http(s) address of the months; or one file, or a pattern."""
    output: str = "."
    """Folder or s3://bucket/prefix under which the partitions are written, or one file."""
    transfer_seconds: float = setting(900.0, gt=0, le=86400)
    """Seconds that fetching or writing one file may take, repetitions included."""
    candidate: str = ""
    """A second model's reference: what it predicts is written beside, and compared."""
    max_dropped: float = setting(1.0, ge=0, le=1)
    """Share of the rides that may be left out; with more of them the run fails."""
    metrics_file: Path | None = None
    """A file for the run's metrics, as node_exporter's textfile collector reads them."""
    push_gateway: str = ""
    """The address of a Prometheus Pushgateway that gets the run's metrics."""


class BackfillSettings(ClusterSettings, ScoreSettings):
    """`slipway backfill`."""


class StreamSettings(Settings):
    """Where rides come from and where events go."""

    stream_name: str = setting("ride_events", pattern=_STREAM)
    """The stream of rides."""
    output_stream: str = setting("ride_predictions", "PREDICTIONS_STREAM_NAME", pattern=_STREAM)
    """The stream that the events are put on."""
    kinesis_endpoint: str = setting("", "KINESIS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KINESIS")
    """The address of a Kinesis of your own; empty means AWS."""
    dead_letters: str = ""
    """Where bad records go: a stream or s3://bucket/prefix; empty: only into the log."""
    max_record_bytes: int = setting(1 << 16, ge=64, le=10 << 20)
    """Bytes in one record; a larger one is a bad one."""
    tries: int = setting(3, ge=1, le=100)
    """How often a ride is tried at which the model fails, before it is a bad record."""


class ConsumeSettings(ClusterSettings, StreamSettings, ModelSettings):
    """`slipway consume`."""

    application: str = setting("", pattern=r"^[A-Za-z0-9._-]{0,128}$")
    """The consumer's name, by which its checkpoints go; replicas of one name share the shards."""
    checkpoint_table: str = setting("slipway-checkpoints", pattern=r"^[A-Za-z0-9._-]{3,255}$")
    """The DynamoDB table of the checkpoints; it is made where there is none."""
    dynamodb_endpoint: str = setting(
        "",
        "SLIPWAY_DYNAMODB_ENDPOINT",
        "AWS_ENDPOINT_URL_DYNAMODB",
    )
    """The address of a DynamoDB of your own; empty means KINESIS_ENDPOINT_URL's, else AWS."""
    start_at: Literal["oldest", "newest"] = "oldest"
    """Where an application begins that has no checkpoint."""
    batch_records: int = setting(1000, ge=1, le=10_000)
    """Records that are read, scored and put at once."""
    poll_seconds: float = setting(0.25, ge=0.01, le=60)
    """Seconds between two reads of a shard that has no more; Kinesis allows five a second."""
    silent_seconds: float = setting(15.0, ge=1, le=600)
    """Seconds after which a replica that is silent has lost its shards to the others."""
    follow_seconds: float = setting(2.0, ge=0.05, le=60)
    """Seconds between two looks at what is promoted."""
    consume_host: str = "0.0.0.0"  # noqa: S104 - as above
    """The address to listen on."""
    consume_port: int = setting(9695, ge=-1, le=65535)
    """The port of /metrics, /livez, /readyz and /status; -1 for none."""
    pod: str = ""
    """The pod's name, as the Lease and /sample tell it; empty means the host's name."""
    log_level: str = setting("info", pattern="^(debug|info|warning|error)$")
    """The least important level that is logged."""


class LambdaSettings(StreamSettings, ModelSettings):
    """`slipway lambda`."""

    test_run: bool = setting(False, "TEST_RUN")
    """Put nothing on the output stream."""
    partial_responses: bool = False
    """Name bad records in the answer, for an event source with ReportBatchItemFailures."""
    lambda_host: str = "127.0.0.1"
    """The address to listen on."""
    lambda_port: int = setting(8080, ge=0, le=65535)
    """The port of /2015-03-31/functions/function/invocations where Lambda itself is not there."""


class RouterSettings(ClusterSettings):
    """`slipway router`."""

    router_host: str = "0.0.0.0"  # noqa: S104 - as above
    """The address to listen on."""
    router_port: int = setting(9696, ge=1, le=65535)
    """The API's port: what users talk to."""
    router_admin_port: int = setting(9698, ge=0, le=65535)
    """The agent's port: /status, /metrics, /livez, /readyz."""
    router_dir: Path = Path("/run/slipway-router")
    """Where nginx has its configurations, sockets and logs; in memory, if possible."""
    router_nginx: str = "nginx"
    """The nginx to run: a name or a path."""
    router_poll_seconds: float = setting(1.0, ge=0.05, le=60)
    """Seconds between two looks at the routing document and the pods."""
    router_drain_seconds: float = setting(20.0, ge=0, le=600)
    """Seconds that requests in flight get after SIGTERM."""
    router_client_seconds: int = setting(5, ge=1, le=60)
    """Seconds for a request's head to arrive, and between two pieces of its body."""
    router_max_body_bytes: int = setting(1 << 20, ge=1024, le=1 << 30)
    """Bytes in one request's body."""
    router_shadow_connections: int = setting(64, ge=1, le=4096)
    """Copies for the shadow that may be under way at once; the rest is dropped and counted."""
    router_connections: int = setting(4096, ge=64, le=65536)
    """Connections of each nginx worker; a client that is being answered needs two."""
    router_workers: int = setting(1, ge=1, le=64)
    """Workers of each of the two nginx masters; one answers some thousand requests a second."""
    log_level: str = setting("info", pattern="^(debug|info|warning|error)$")
    """The least important level that is logged."""


_Settings = TypeVar("_Settings", bound=Settings)


def read_settings(kind: type[_Settings], **given: Any) -> _Settings:
    """Settings from the environment, overridden by `given`; None in `given` means not given.

    Raises InvalidConfig that names every bad variable at once.
    """
    return kind.read({name: value for name, value in given.items() if value is not None})
