"""The whole way in one call: settings → resolve → release → cache → load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import structlog

from slipway.clients.objects import Objects, objects_for
from slipway.errors import DigestMismatch, SlipwayError, Unavailable
from slipway.models.cache import ArtifactCache, VerifiedArtifact, verify
from slipway.models.form_store import FormStore
from slipway.models.load import LoadingPolicy, example_of, load
from slipway.models.mlmodel import ModelFile
from slipway.models.reference import (
    ArtifactUri,
    PickleFile,
    RegisteredAlias,
    RegisteredVersion,
    parse_reference,
)
from slipway.models.release import Release, parse_release
from slipway.models.resolve import check_prefix, list_artifact, plain_uri, resolver_for
from slipway.scoring.scorer import Scorer
from slipway.settings import ModelSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A release and what predicts with it, ready to use.

    `example` is the model's input example, as a request to /invocations.
    """

    release: Release
    model_file: ModelFile
    scorer: Scorer
    example: bytes | None = None


def obtain(settings: ModelSettings) -> Loaded | None:
    """The model that the settings name, or None when they name none (an idle slot).

    Raises any of SlipwayError's model errors; nothing is deserialised before its digest matched.
    """
    release = release_of(settings)
    if release is None:
        return None
    return obtain_release(settings, release)


def obtain_release(settings: ModelSettings, release: Release) -> Loaded:
    """The model of a release lock, whatever reference the settings name."""
    artifact = fetch(settings, release)
    policy = LoadingPolicy(
        settings.allow_pickle, settings.allow_unsigned, settings.allow_version_mismatch
    )
    forms = FormStore(settings.scratch_dir)
    model_file, scorer = load(artifact, release, policy, forms, compiled=settings.compiled)
    return Loaded(release, model_file, scorer, example_of(artifact, model_file))


def release_of(settings: ModelSettings) -> Release | None:
    """The release lock in force: the lock file's, else what the reference resolves to."""
    if settings.release_file and settings.release_file.is_file():
        release: Release | None = parse_release(settings.release_file.read_bytes())
    else:
        release = _resolve(settings) if settings.reference else None
    expected = settings.expected_digest
    if expected and (release is None or release.digest != expected):
        named = release.digest[:19] if release else "none"
        raise DigestMismatch(
            f"the pod expects the digest {expected[:19]}…, the release lock names {named}; "
            "its slot is being changed and a new pod will take its place"
        )
    return release


def fetch(settings: ModelSettings, release: Release) -> VerifiedArtifact:
    """The release's artefact, verified: from where it lies, from the cache, or from the store."""
    check_prefix(release.uri, settings.artifact_prefixes)
    if _is_local(release.uri):
        return verify(Path(plain_uri(release.uri)), release.digest)
    cache = ArtifactCache(settings.cache_dir)
    try:
        if found := cache.find(release):
            return found
    except DigestMismatch as error:
        log.warning("the cached artefact is damaged and is fetched again", why=error.message)
    objects = _objects(settings, release.uri)
    entries = list_artifact(objects, plain_uri(release.uri), settings.max_artifact_bytes)
    return cache.fetch(release, objects, entries)


def _resolve(settings: ModelSettings) -> Release:
    reference = parse_reference(settings.reference)
    key = settings.reference
    if isinstance(reference, RegisteredVersion | RegisteredAlias):
        # Only a run's and a logged model's id mean the same on every server.
        key = f"{settings.tracking_uri} {key}"
    cache = ArtifactCache(settings.cache_dir)
    known = cache.remembered(key)
    moving = isinstance(reference, RegisteredAlias | ArtifactUri | PickleFile)
    if known and not moving and _agrees(known, settings):
        return known
    try:
        release = resolver_for(settings).resolve(settings.reference, settings.use_case)
    except Unavailable as error:
        if known is None or not _agrees(known, settings):
            raise
        log.warning("going by what was resolved before", why=error.message, since=known.resolved_at)
        return known
    if not _is_local(release.uri):
        _remember(cache, key, release)
    return release


def _remember(cache: ArtifactCache, key: str, release: Release) -> None:
    try:
        cache.remember(key, release)
    except SlipwayError as error:
        log.warning("what was resolved could not be kept", why=error.message)


def _agrees(known: Release, settings: ModelSettings) -> bool:
    return settings.use_case in ("", known.use_case)


def _objects(settings: ModelSettings, uri: str) -> Objects:
    return objects_for(uri, s3_endpoint=settings.s3_endpoint, tracking_uri=settings.tracking_uri)


def _is_local(uri: str) -> bool:
    return uri.startswith(("/", "file:"))
