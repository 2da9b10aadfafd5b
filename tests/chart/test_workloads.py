"""What runs: settings by their right names, security, drain, probes, names and labels."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.chart_render import (
    CHART,
    FULL,
    Object,
    containers,
    named,
    pod_templates,
    render,
)

from slipway import settings
from slipway.settings import (
    ConsumeSettings,
    ControllerSettings,
    ModelSettings,
    ScoreSettings,
    ServeSettings,
    read_settings,
)
from slipway.variables import Settings, fields_of, variable_of

pytestmark = pytest.mark.platform

SLOTS = ("slipway-blue", "slipway-green")
# What reads the environment of a container, by the container's name.
READERS: dict[str, list[type[Settings]]] = {
    "fetch": [ModelSettings],
    "serve": [ServeSettings],
    "score": [ScoreSettings],
    "controller": [ControllerSettings],
    "consume": [ConsumeSettings],
}


@pytest.fixture(scope="module")
def full() -> list[Object]:
    return render(FULL)


def environment(container: Object) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container["env"]}


def container_of(objects: list[Object], name: str) -> Object:
    return next(each for path, each in containers(objects) if path == name)


def pod_of(objects: list[Object], name: str) -> Object:
    return next(pod for found, pod in pod_templates(objects) if found == name)


@pytest.mark.parametrize("reader", sorted(READERS))
def test_every_variable_is_a_setting_and_its_value_is_taken(
    reader: str, full: list[Object], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [each for path, each in containers(full) if path.endswith(f"/{reader}")]
    assert found
    for container in found:
        given = environment(container)
        for kind in READERS[reader]:
            known = {variable_of(kind, field): field for field in fields_of(kind)}
            assert {name for name in given if name.startswith("SLIPWAY_")} <= set(known)
            for name, value in given.items():
                if value is not None:
                    monkeypatch.setenv(name, value)
            read_settings(kind)


def test_every_variable_of_the_router_is_a_setting(full: list[Object]) -> None:
    known = {
        variable_of(each, field)
        for each in (settings.RouterSettings, settings.ClusterSettings)
        for field in fields_of(each)
    }
    given = environment(container_of(full, "slipway-router/router"))
    assert {name for name in given if name.startswith("SLIPWAY_")} <= known


def test_the_slots_settings_are_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = render(
        {
            **FULL,
            "web": {"maxRows": 7, "maxBodyBytes": 16777216},
            "slots": {"threads": 2, "gracefulTimeoutSeconds": 11},
            "model": {"name": "rides", "allowPickle": True},
        }
    )
    for name, value in environment(container_of(objects, "slipway-green/serve")).items():
        if value is not None:
            monkeypatch.setenv(name, value)
    found = read_settings(ServeSettings)
    assert (found.max_rows, found.max_body_bytes, found.threads) == (7, 16777216, 2)
    assert (found.slot, found.model_name, found.allow_pickle) == ("green", "rides", True)
    assert found.graceful_timeout == 11
    assert found.artifact_prefixes == ("s3://mlflow/",)
    router = environment(container_of(objects, "slipway-router/router"))
    assert router["SLIPWAY_ROUTER_MAX_BODY_BYTES"] == "16777216"


def test_no_container_is_told_a_name_twice(full: list[Object]) -> None:
    for path, container in containers(full):
        names = [each["name"] for each in container.get("env", ())]
        assert len(names) == len(set(names)), path


def test_no_service_of_the_namespace_becomes_a_setting(full: list[Object]) -> None:
    """The Service `slipway` would make the variable SLIPWAY_PORT in every pod."""
    for name, pod in pod_templates(full):
        assert pod["spec"]["enableServiceLinks"] is False, name


def test_pods_are_as_restricted_wants_them(full: list[Object]) -> None:
    allowed = {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim", "name"}
    for name, pod in pod_templates(full):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        assert all(set(volume) <= allowed for volume in spec["volumes"]), name
    for path, container in containers(full):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, path
        assert context["capabilities"] == {"drop": ["ALL"]}, path
        assert context["readOnlyRootFilesystem"] is True, path
        assert not any("hostPort" in port for port in container.get("ports", ())), path


def test_every_container_asks_for_little_and_is_bounded(full: list[Object]) -> None:
    for path, container in containers(full):
        resources = container["resources"]
        assert {"cpu", "memory"} <= set(resources["requests"]), path
        assert "memory" in resources["limits"], path


def test_only_who_asks_the_api_server_has_a_token(full: list[Object]) -> None:
    with_token = {
        name for name, pod in pod_templates(full) if pod["spec"]["automountServiceAccountToken"]
    }
    assert with_token == {"slipway-controller", "slipway-router", "slipway-stream-duration"}
    accounts = {o["metadata"]["name"] for o in full if o["kind"] == "ServiceAccount"}
    assert {pod["spec"]["serviceAccountName"] for _, pod in pod_templates(full)} <= accounts


def test_credentials_come_from_secrets_only(full: list[Object]) -> None:
    for path, container in containers(full):
        for each in container.get("env", ()):
            if re.search("SECRET|PASSWORD|ACCESS_KEY", each["name"]):
                assert "secretKeyRef" in each["valueFrom"], f"{path} {each['name']}"


def test_the_chart_leaves_size_and_release_of_the_slots_alone(full: list[Object]) -> None:
    for name in SLOTS:
        spec = named(full, "Deployment", name)["spec"]
        assert "replicas" not in spec
        assert not [key for key in spec["template"]["metadata"]["annotations"] if "slipway" in key]


def test_nothing_in_a_pod_changes_with_the_model(full: list[Object]) -> None:
    other = render({**FULL, "model": {"runId": "b" * 32, "useCase": "rides"}})
    assert list(pod_templates(other)) == list(pod_templates(full))


def test_a_slot_without_a_release_is_idle_and_one_with_it_goes_by_the_lock(
    full: list[Object],
) -> None:
    for name in SLOTS:
        pod = pod_of(full, name)
        release = next(each for each in pod["spec"]["volumes"] if each["name"] == "release")
        items = [{"key": "release.json", "path": "release.json"}]
        assert release["configMap"] == {"name": name, "optional": True, "items": items}
        for container in (pod["spec"]["initContainers"][0], pod["spec"]["containers"][0]):
            mounts = {each["name"]: each for each in container["volumeMounts"]}
            lock = environment(container)["SLIPWAY_RELEASE_FILE"]
            assert lock == f"{mounts['release']['mountPath']}/release.json"
            cache = environment(container)["SLIPWAY_CACHE_DIR"]
            assert cache.startswith(mounts["cache"]["mountPath"] + "/")
            digest = next(e for e in container["env"] if e["name"] == "SLIPWAY_EXPECTED_DIGEST")
            field = digest["valueFrom"]["fieldRef"]["fieldPath"]
            assert field == "metadata.annotations['slipway.io/digest']"


def test_who_loads_models_cannot_write_the_cache(full: list[Object]) -> None:
    """But for a consumer: what is promoted while it runs, it fetches by itself."""
    for path, container in containers(full):
        for mount in container["volumeMounts"]:
            if mount["name"] == "cache":
                assert mount.get("readOnly", False) is not path.endswith(("/fetch", "/consume")), (
                    path
                )


def test_the_batch_scores_with_what_is_promoted(full: list[Object]) -> None:
    job = named(full, "CronJob", "slipway-batch")["spec"]
    assert (job["schedule"], job["timeZone"]) == ("0 3 2 * *", "Etc/UTC")
    assert job["concurrencyPolicy"] == "Forbid"
    volumes = pod_of(full, "slipway-batch")["spec"]["volumes"]
    release = next(each for each in volumes if each["name"] == "release")["configMap"]
    assert (release["name"], release["optional"]) == ("slipway-state", True)
    assert release["items"] == [{"key": "promoted", "path": "release.json"}]


def test_R35_E6_the_batch_is_caught_up_within_its_month_and_never_runs_twice(
    full: list[Object],
) -> None:
    """A run that is caught up scores the month before *its* day, so it must be in the same one."""
    job = named(full, "CronJob", "slipway-batch")["spec"]
    _, _, day, _, _ = job["schedule"].split()
    last_day = int(day) + job["startingDeadlineSeconds"] / 86_400
    assert int(day) + 9 <= last_day < 28
    assert job["concurrencyPolicy"] == "Forbid"
    spec = job["jobTemplate"]["spec"]
    codes = spec["podFailurePolicy"]["rules"][1]
    assert codes["action"] == "FailJob"
    assert 75 not in codes["onExitCodes"]["values"], "what is to be tried again is not tried again"


def test_what_the_batch_is_to_do_is_in_its_variables(
    full: list[Object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a Job made from the CronJob can be given others; no argument would win over them."""
    changed = {"taxiType": "yellow", "maxDropped": 0.2, "pushGateway": "http://gateway:9091"}
    objects = render({**FULL, "batch": {**FULL["batch"], **changed}})
    container = container_of(objects, "slipway-batch/score")
    assert container["args"] == ["score"]
    for name, value in environment(container).items():
        if value is not None:
            monkeypatch.setenv(name, value)
    found = read_settings(settings.ScoreSettings)
    assert (found.taxi_type, found.max_dropped) == ("yellow", 0.2)
    assert (found.input, found.output) == ("s3://rides/in", "s3://rides/out")
    assert found.push_gateway == "http://gateway:9091"


def test_the_batch_may_reach_what_it_is_told_to_read_and_tell() -> None:
    def ports(batch: dict[str, Any]) -> set[int]:
        objects = render({**FULL, "batch": {**FULL["batch"], **batch}})
        policy = named(objects, "NetworkPolicy", "slipway-batch")["spec"]["egress"]
        return {port["port"] for rule in policy for port in rule["ports"]}

    there = ports({})
    more = {"input": "https://rides.example.org/d", "pushGateway": "http://gateway:9091"}
    assert ports(more) - there == {443, 9091}


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("batch-values.yaml", {"slipway-controller", "slipway-batch"}),
        (
            "stream-values.yaml",
            {"slipway-controller", "slipway-stream-duration", "slipway-stream-tip"},
        ),
        (
            "online-values.yaml",
            {*SLOTS, "slipway-router", "slipway-controller", "slipway-test-smoke"},
        ),
    ],
)
def test_R1_R2_each_of_the_modes_alone_are_values_that_come_with_the_chart(
    file: str, names: set[str]
) -> None:
    objects = render(None, f"--values={CHART / 'ci' / file}")
    assert {name for name, _ in pod_templates(objects)} == names


def test_R1_R5_each_consumer_is_a_deployment_with_checkpoints_of_its_own(
    full: list[Object], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for name in ("duration", "tip"):
        with monkeypatch.context() as context:
            container = container_of(full, f"slipway-stream-{name}/consume")
            for variable, value in environment(container).items():
                if value is not None:
                    context.setenv(variable, value)
            found[name] = read_settings(ConsumeSettings)
    duration, tip = found["duration"], found["tip"]
    assert (duration.application, tip.application) == ("slipway-duration", "slipway-tip")
    assert (duration.reference, tip.reference) == ("", "models:/ride-tip@champion")
    assert (duration.release_file, tip.release_file) == (None, None)
    assert (duration.output_stream, tip.output_stream) == ("durations", "tips")
    assert (duration.dead_letters, tip.dead_letters) == ("s3://rides/dead", "")
    assert duration.kinesis_endpoint == tip.kinesis_endpoint == "http://kinesis:4566"
    assert named(full, "Deployment", "slipway-stream-tip")["spec"]["replicas"] == 2


def test_a_consumer_of_a_run_id_names_it_as_one() -> None:
    stream = {"enabled": True, "consumers": [{"name": "a", "model": "a" * 32}]}
    objects = render({**FULL, "stream": stream})
    given = environment(container_of(objects, "slipway-stream-a/consume"))
    assert given["MODEL_RUN_ID"] == "a" * 32
    assert "MODEL_URI" not in given


@pytest.mark.parametrize("grace", [0, 20, 90])
def test_a_pod_has_time_for_what_it_promises_to_finish(grace: int) -> None:
    objects = render(
        {"slots": {"gracefulTimeoutSeconds": grace}, "router": {"drainSeconds": grace}}
    )
    for name in (*SLOTS, "slipway-router"):
        pod = pod_of(objects, name)["spec"]
        sleep = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] >= sleep + grace + 5


def test_a_rolling_update_takes_no_pod_away_first(full: list[Object]) -> None:
    for name in (*SLOTS, "slipway-router", "slipway-controller"):
        strategy = named(full, "Deployment", name)["spec"]["strategy"]
        assert strategy["rollingUpdate"]["maxUnavailable"] == 0


def test_probes_ask_the_admin_port(full: list[Object]) -> None:
    for name, port in (*((slot, 9697) for slot in SLOTS), ("slipway-router", 9698)):
        container = pod_of(full, name)["spec"]["containers"][0]
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        assert ports == {"api": 9696, "admin": port}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["port"] == "admin"


@pytest.mark.parametrize(
    "release", ["slipway", "s", "x" * 53, "rides-of-a-very-long-name-that-goes-on-and"]
)
def test_names_are_short_enough_for_all_that_is_made_from_them(release: str) -> None:
    objects = render(FULL, release=release)
    fullnames = set()
    for found in objects:
        name = found["metadata"]["name"]
        # A CronJob's Jobs have 11 letters more.
        assert len(name) <= (52 if found["kind"] == "CronJob" else 63), name
        if found["kind"] == "Service" and not re.search("(blue|green|router|controller)$", name):
            fullnames.add(name)
        for value in found["metadata"].get("labels", {}).values():
            assert len(value) <= 63
    (fullname,) = fullnames
    controller = environment(container_of(objects, f"{fullname}-controller/controller"))
    assert controller["SLIPWAY_FULLNAME"] == fullname
    assert read_settings(ControllerSettings, fullname=fullname).fullname == fullname


def test_every_object_has_the_labels_that_people_search_by(full: list[Object]) -> None:
    wanted = {
        f"app.kubernetes.io/{name}"
        for name in ("name", "instance", "component", "version", "managed-by", "part-of")
    }
    for found in full:
        assert wanted <= set(found["metadata"]["labels"]), found["metadata"]["name"]
        assert found["metadata"]["namespace"] == "ml"


def test_every_selector_finds_its_own_pods_and_no_others(full: list[Object]) -> None:
    for found in full:
        if found["kind"] == "Deployment":
            wanted = found["spec"]["selector"]["matchLabels"]
            hit = [
                name
                for name, pod in pod_templates(full)
                if wanted.items() <= pod["metadata"].get("labels", {}).items()
            ]
            assert hit == [found["metadata"]["name"]]
        if found["kind"] in ("Service", "PodDisruptionBudget"):
            selector = found["spec"]["selector"]
            wanted = selector.get("matchLabels", selector)
            assert any(
                wanted.items() <= pod["metadata"]["labels"].items()
                for _, pod in pod_templates(full)
            )


def test_the_namespace_is_written_in_one_place() -> None:
    found = [
        path.name
        for path in CHART.glob("templates/**/*")
        if path.is_file() and "Release.Namespace" in path.read_text()
    ]
    assert found == ["_names.tpl"]


def test_without_the_web_there_is_only_batch_stream_and_controller() -> None:
    objects = render({**FULL, "web": {"enabled": False}})
    streams = {"slipway-stream-duration", "slipway-stream-tip"}
    others = {"slipway-controller", "slipway-batch"}
    assert {name for name, _ in pod_templates(objects)} == streams | others
    controller = environment(container_of(objects, "slipway-controller/controller"))
    assert controller["SLIPWAY_WEB"] == "false"


def test_without_slots_no_claim_waits_for_its_first_pod() -> None:
    """`helm install --wait` waits for claims, and many are bound by a pod that uses them."""
    web = {"web": {"enabled": False}}
    assert "PersistentVolumeClaim" not in {o["kind"] for o in render({**FULL, **web})}
    mine = {"cache": {"persistence": {"enabled": True, "existingClaim": "mine"}}}
    for values in ({**FULL, **mine}, {**FULL, **mine, **web}):
        objects = render(values)
        assert "PersistentVolumeClaim" not in {o["kind"] for o in objects}
        claim = {"name": "cache", "persistentVolumeClaim": {"claimName": "mine"}}
        assert claim in pod_of(objects, "slipway-batch")["spec"]["volumes"]


def test_what_a_component_is_given_reaches_its_pods() -> None:
    extra: dict[str, Any] = {
        "podLabels": {"tier": "x"},
        "podAnnotations": {"a/b": "c"},
        "extraEnv": [{"name": "MORE", "value": "1"}],
        "extraEnvFrom": [{"secretRef": {"name": "more"}}],
        "extraArgs": ["--port=9696"],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "high",
        "serviceAccount": {"create": False, "name": "mine"},
    }
    parts = ("slots", "router", "controller", "batch")
    batch = {**extra, "enabled": True, "input": "s3://a/b", "output": "s3://a/c"}
    values = {**FULL, **dict.fromkeys(parts, extra), "batch": batch,
              "stream": {**FULL["stream"], **extra},
              "imagePullSecrets": [{"name": "registry"}]}  # fmt: skip
    objects = render(values)
    assert not [o for o in objects if o["kind"] == "ServiceAccount"]
    for name, pod in pod_templates(objects):
        if name.endswith("test-smoke"):
            continue
        spec, main = pod["spec"], pod["spec"]["containers"][0]
        assert pod["metadata"]["labels"]["tier"] == "x"
        assert pod["metadata"]["annotations"]["a/b"] == "c"
        assert environment(main)["MORE"] == "1"
        assert main["envFrom"] == extra["extraEnvFrom"]
        assert main["args"][-1] == "--port=9696"
        assert main["volumeMounts"][-1] == {"name": "ca", "mountPath": "/etc/ca"}
        assert spec["volumes"][-1] == extra["extraVolumes"][0]
        assert spec["nodeSelector"] == {"disk": "ssd"}
        assert spec["tolerations"] == extra["tolerations"]
        assert spec["affinity"] == extra["affinity"]
        assert spec["priorityClassName"] == "high"
        assert spec["serviceAccountName"] == "mine"
        assert spec["imagePullSecrets"] == [{"name": "registry"}]
    bindings = [
        o
        for o in objects
        if o["kind"] == "RoleBinding" and o["roleRef"]["name"] != "slipway-operator"
    ]
    assert {subject["name"] for o in bindings for subject in o["subjects"]} == {"mine"}


def test_a_digest_wins_over_a_tag() -> None:
    digest = f"sha256:{'0' * 64}"
    image = {"registry": "r.example.org", "repository": "ml/slipway", "tag": "1", "digest": digest}
    for _, container in containers(render({"image": image})):
        assert container["image"] == f"r.example.org/ml/slipway@{digest}"
    image.pop("digest")
    for _, container in containers(render({"image": image})):
        assert container["image"] == "r.example.org/ml/slipway:1"


def test_metrics_are_found_by_the_pods_annotations(full: list[Object]) -> None:
    ports = {
        name: pod["metadata"]["annotations"]["prometheus.io/port"]
        for name, pod in pod_templates(full)
        if "prometheus.io/scrape" in pod["metadata"].get("annotations", {})
    }
    assert ports == {
        "slipway-stream-duration": "9695", "slipway-stream-tip": "9695",
        "slipway-blue": "9697", "slipway-green": "9697",
        "slipway-router": "9698", "slipway-controller": "9699",
    }  # fmt: skip


def test_the_artefact_prefixes_are_json(full: list[Object]) -> None:
    given = environment(container_of(full, "slipway-blue/serve"))["SLIPWAY_ARTIFACT_PREFIXES"]
    assert json.loads(given) == ["s3://mlflow/"]
