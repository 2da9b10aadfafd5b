"""Turns a model reference into a release lock: asks once, lists and hashes the objects.

It streams, keeps nothing but the small `MLmodel` file, and deserialises nothing.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from slipway.clients.objects import ObjectInfo, Objects, objects_for
from slipway.clients.registry import ModelPlace, Registry
from slipway.errors import ArtifactMissing, InvalidConfig, Unresolvable, Untrusted
from slipway.models import mlmodel
from slipway.models.mlmodel import ModelFile
from slipway.models.reference import (
    ArtifactUri,
    LoggedModelId,
    PickleFile,
    Reference,
    RegisteredAlias,
    RegisteredVersion,
    RunModel,
    parse_reference,
)
from slipway.models.release import FileDigest, Release, digest_of, is_part
from slipway.models.transfer import Transfer
from slipway.settings import ResolveSettings
from slipway.usecases import rides
from slipway.usecases.protocol import InputField

PREFERRED_NAME = "model"
PICKLE_PAIR = "pickle-pair"

Clock = Callable[[], datetime]
ObjectsFor = Callable[[str], Objects]


def utc_now() -> datetime:
    """The time that a lock carries."""
    return datetime.now(UTC)


class Resolver:
    """Resolves references; `registry` and `objects_for` make clients when they are needed."""

    def __init__(
        self,
        registry: Callable[[], Registry],
        objects_for: ObjectsFor,
        *,
        max_bytes: int,
        prefixes: Sequence[str] = (),
        now: Clock = utc_now,
    ) -> None:
        self._registry = registry
        self._objects_for = objects_for
        self._max_bytes = max_bytes
        self._prefixes = tuple(prefixes)
        self._now = now

    def resolve(self, text: str, use_case: str = "") -> Release:
        """The release that the reference leads to now.

        Raises InvalidConfig for a text that is no reference, Unresolvable when it leads nowhere,
        Untrusted when the artefact does not describe itself, Unavailable when a server is down.
        """
        reference = parse_reference(text)
        place = self._place(reference)
        return self._release(text, reference, place, use_case)

    def locate(self, text: str) -> ModelPlace:
        """Where the reference leads now, without a look at what lies there; raises as `resolve`."""
        return self._place(parse_reference(text))

    def _release(
        self, text: str, reference: Reference, place: ModelPlace, use_case: str
    ) -> Release:
        check_prefix(place.uri, self._prefixes)
        objects = self._objects_for(place.uri)
        entries = list_artifact(objects, place.uri, self._max_bytes)
        files, document = _hash_all(objects, place.uri, entries)
        model_file = _describe(reference, document)
        _check_whole(model_file, entries)
        return Release(
            reference=text,
            run_id=place.run_id or model_file.run_id,
            model_id=place.model_id or model_file.model_id,
            uri=place.uri,
            digest=digest_of(files),
            size=sum(file.size for file in files),
            flavor=model_file.flavor,
            serialization=model_file.serialization,
            requires=dict(model_file.requires),
            use_case=choose_use_case(model_file, use_case),
            inputs=list(_inputs(model_file, use_case)),
            buckets=[float(edge) for edge in model_file.metadata.get("buckets", [])],
            resolved_at=self._now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    def _place(self, reference: Reference) -> ModelPlace:
        match reference:
            case RunModel(run_id, path):
                return self._of_run(run_id, path)
            case RegisteredVersion(name, version):
                found = self._registry().version(name, version)
                said = f"version {version} of the registered model {name!r}"
            case RegisteredAlias(name, alias):
                found = self._registry().alias(name, alias)
                said = f"the alias {alias!r} of the registered model {name!r}"
            case LoggedModelId(model_id):
                found = self._registry().logged_model(model_id)
                said = f"the logged model {model_id}"
            case ArtifactUri(uri):
                found, said = ModelPlace(_absolute(uri)), uri
            case PickleFile(path):
                found, said = ModelPlace(_absolute(path)), path
        if found is None:
            raise Unresolvable(f"the tracking server does not know {said}; check the reference")
        return found

    def _of_run(self, run_id: str, path: str | None) -> ModelPlace:
        registry = self._registry()
        run = registry.run_artifacts(run_id)
        if run is None:
            raise Unresolvable(f"the tracking server does not know the run {run_id}; check the id")
        models = registry.models_of_run(run_id) or self._models_below(run)
        wanted = path or PREFERRED_NAME
        named = [model for model in models if model.name == wanted]
        if named:
            # A run may log the same name again: the last one is what the run means.
            return named[-1]
        if path is None and len(models) == 1:
            return models[0]
        if not models:
            raise ArtifactMissing(f"artifact missing: the run {run_id} has logged no model")
        names = ", ".join(sorted(model.name for model in models))
        raise Unresolvable(
            f"the run {run_id} has no model named {wanted!r} but {names}; "
            f"choose one by runs:/{run_id}/NAME"
        )

    def _models_below(self, run: ModelPlace) -> list[ModelPlace]:
        """MLflow 2 keeps models among the run's artefacts: each folder with an MLmodel file."""
        suffix = "/" + mlmodel.FILE
        return [
            ModelPlace(
                f"{run.uri.rstrip('/')}/{entry.path.removesuffix(suffix)}",
                entry.path.removesuffix(suffix),
                run.run_id,
            )
            for entry in self._objects_for(run.uri).list(plain_uri(run.uri))
            if entry.path.endswith(suffix)
        ]


def resolver_for(settings: ResolveSettings) -> Resolver:
    """A resolver that makes its clients by the settings, when they are needed."""
    return Resolver(
        functools.cache(lambda: Registry(settings.tracking_uri, settings.http_timeout)),
        functools.partial(
            objects_for, s3_endpoint=settings.s3_endpoint, tracking_uri=settings.tracking_uri
        ),
        max_bytes=settings.max_artifact_bytes,
        prefixes=settings.artifact_prefixes,
    )


def check_prefix(uri: str, prefixes: Sequence[str]) -> None:
    """Refuse an artefact from outside the places that the settings allow."""
    if prefixes and not uri.startswith(tuple(prefixes)):
        raise InvalidConfig(
            "the artefact lies outside of SLIPWAY_ARTIFACT_PREFIXES; add its place or move it"
        )


def list_artifact(objects: Objects, uri: str, max_bytes: int) -> list[ObjectInfo]:
    """The objects that count as the artefact; raises when there are none or too many bytes."""
    entries = [entry for entry in objects.list(plain_uri(uri)) if is_part(entry.path)]
    if not entries:
        raise ArtifactMissing(f"artifact missing: nothing lies at {uri}")
    size = sum(entry.size for entry in entries)
    if size > max_bytes:
        raise Untrusted(
            f"the artefact has {size} bytes, more than SLIPWAY_MAX_ARTIFACT_BYTES ({max_bytes})"
        )
    return entries


def choose_use_case(model_file: ModelFile, wanted: str = "") -> str:
    """The setting's use case, else what the model's metadata says, else `tabular`."""
    chosen = wanted or str(model_file.metadata.get("use_case") or "tabular")
    if chosen not in ("rides", "tabular"):
        raise InvalidConfig(f"there is no use case {chosen!r}; SLIPWAY_USE_CASE: rides or tabular")
    return chosen


def _inputs(model_file: ModelFile, wanted: str) -> tuple[InputField, ...]:
    if choose_use_case(model_file, wanted) == "rides":
        return rides.INPUTS
    return model_file.inputs


def _hash_all(
    objects: Objects, uri: str, entries: Sequence[ObjectInfo]
) -> tuple[list[FileDigest], bytes]:
    transfer = Transfer(objects, plain_uri(uri), sum(entry.size for entry in entries))
    files, document = [], b""
    for entry in entries:
        kept = bytearray()
        hashed, size = hashlib.sha256(), 0
        for chunk in transfer.chunks(entry.path):
            hashed.update(chunk)
            size += len(chunk)
            if entry.path == mlmodel.FILE and size <= mlmodel.MAX_BYTES:
                kept += chunk
        files.append(FileDigest(entry.path, size, hashed.hexdigest()))
        document = bytes(kept) or document
    return files, document


def _describe(reference: Reference, document: bytes) -> ModelFile:
    if document:
        return mlmodel.parse_mlmodel(document)
    if isinstance(reference, PickleFile):
        return pickle_pair(reference.path)
    raise ArtifactMissing("artifact missing: there is no MLmodel file")


def _check_whole(model_file: ModelFile, entries: Sequence[ObjectInfo]) -> None:
    """An artefact without its model would get a digest all the same, and fail when it is loaded."""
    path = model_file.model_path
    there = any(entry.path == path or entry.path.startswith(f"{path}/") for entry in entries)
    if path != "." and not there:
        raise ArtifactMissing(f"artifact missing: {path}, which the MLmodel file names")


def pickle_pair(path: str) -> ModelFile:
    """What is known of the course's `(DictVectorizer, model)` pickle without opening it."""
    return ModelFile(
        flavor=PICKLE_PAIR,
        serialization="pickle",
        model_path=Path(path).name,
        requires={},
        signed=True,
        inputs=(),
        tensor=None,
        metadata={"use_case": "rides"},
    )


def plain_uri(uri: str) -> str:
    """A file URI as a path; every other URI as it is."""
    return uri.removeprefix("file://")


def _absolute(uri: str) -> str:
    return uri if ":/" in uri else str(Path(uri).expanduser().absolute())
