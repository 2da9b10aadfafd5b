"""Requests to a Kubernetes API server: plain JSON in and out, one time-out, one table of errors.

The client's typed calls are left aside: they parse every pod into objects that nobody reads, and
a server newer than the client can make that fail. Its import takes half a second, so it happens
when a connection is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from slipway.errors import AccessDenied, Conflict, InvalidConfig, SlipwayError, Unavailable

Kind = Literal[
    "configmaps", "pods", "services", "events", "deployments", "leases", "jobs", "cronjobs"
]
Verb = Literal["get", "list", "create", "update", "patch"]
Json = dict[str, Any]

CONNECT_TIMEOUT = 3.0
JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"

_GROUPS: dict[Kind, str] = {
    "configmaps": "/api/v1",
    "pods": "/api/v1",
    "services": "/api/v1",
    "events": "/api/v1",
    "deployments": "/apis/apps/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "jobs": "/apis/batch/v1",
    "cronjobs": "/apis/batch/v1",
}
_METHODS: dict[Verb, str] = {
    "get": "GET",
    "list": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
}
_NAMESPACE_OF_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Place:
    """Which API server, as kubectl's options of the same names say; empty means the usual one."""

    namespace: str = ""
    context: str = ""
    kubeconfig: str = ""


class KubeApi:
    """The objects of one namespace. Every call raises SlipwayError's only."""

    def __init__(self, client: Any, namespace: str, timeout: float = 5.0) -> None:
        """`client` is a kubernetes.client.ApiClient, `timeout` in seconds for each wait."""
        self._client = client
        self.namespace = namespace
        self._timeout = timeout

    def get(self, kind: Kind, name: str, *, timeout: float | None = None) -> Json | None:
        """The object, None if there is none."""
        return self._request("get", kind, name, timeout=timeout)

    def select(self, kind: Kind, selector: str) -> list[Json]:
        """All objects with these labels."""
        found = self._request("list", kind, query=[("labelSelector", selector)])
        return list((found or {}).get("items") or ())

    def create(self, kind: Kind, body: Json, *, timeout: float | None = None) -> Json:
        """A new object; raises Conflict if one of that name is there."""
        return self._present("create", kind, self._request("create", kind, "", body, timeout))

    def update(self, kind: Kind, name: str, body: Json) -> Json:
        """Replace an object; raises Conflict if its resourceVersion is not the present one."""
        return self._present("update", kind, self._request("update", kind, name, body))

    def patch(
        self,
        kind: Kind,
        name: str,
        body: Json | list[Json],
        *,
        timeout: float | None = None,
    ) -> Json:
        """Change an object by a merge patch, or by a JSON patch if the body is a list."""
        return self._present("patch", kind, self._request("patch", kind, name, body, timeout))

    def _present(self, verb: Verb, kind: Kind, answer: Json | None) -> Json:
        if answer is None:
            raise Conflict(f"the {kind[:-1]} to {verb} is not there any more")
        return answer

    def _request(
        self,
        verb: Verb,
        kind: Kind,
        name: str = "",
        body: Json | list[Json] | None = None,
        timeout: float | None = None,
        query: list[tuple[str, str]] | None = None,
    ) -> Json | None:
        import urllib3.exceptions
        from kubernetes.client.exceptions import ApiException

        path = f"{_GROUPS[kind]}/namespaces/{self.namespace}/{kind}"
        request = self._client.param_serialize(
            _METHODS[verb],
            f"{path}/{name}" if name else path,
            query_params=query or [],
            header_params=_headers(verb, body),
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._client.call_api(
                *request, _request_timeout=(CONNECT_TIMEOUT, timeout or self._timeout)
            )
            status, content = int(answer.status), answer.read()
            if 200 <= status <= 299:
                return _object(content)
        except (ApiException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Unavailable(
                f"the API server does not answer as it should: {_named(error)}"
            ) from error
        if status == 404:
            return None
        raise _refusal(status, content, f"{verb} {kind}", self.namespace)


def connect(place: Place, *, timeout: float = 5.0) -> KubeApi:
    """A connection by kubeconfig, or, where none is named, as the pod that this runs in.

    Raises InvalidConfig when neither leads to an API server; asks nothing of it yet.
    """
    import yaml
    from kubernetes import client
    from kubernetes import config as untyped

    config: Any = untyped

    configuration = client.Configuration()
    # A repeated request would outlast the deadline; the caller asks again.
    configuration.retries = False
    try:
        if not place.kubeconfig and not place.context and _NAMESPACE_OF_POD.is_file():
            config.load_incluster_config(client_configuration=configuration)
            namespace = place.namespace or _NAMESPACE_OF_POD.read_text().strip()
        else:
            file = place.kubeconfig or None
            config.load_kube_config(
                config_file=file,
                context=place.context or None,
                client_configuration=configuration,
                persist_config=False,
            )
            namespace = place.namespace or _namespace_of(config, file, place.context)
    except (config.ConfigException, OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InvalidConfig(
            f"no cluster to talk to: {_named(error)}; "
            "name one by --kubeconfig and --context, or set KUBECONFIG"
        ) from error
    return KubeApi(client.ApiClient(configuration), namespace, timeout)


def _namespace_of(config: Any, file: str | None, context: str) -> str:
    contexts, current = config.list_kube_config_contexts(file)
    chosen = next((each for each in contexts if each["name"] == context), current)
    return str((chosen.get("context") or {}).get("namespace") or "default")


def _headers(verb: Verb, body: Json | list[Json] | None) -> dict[str, str]:
    kind = "application/json"
    if verb == "patch":
        kind = JSON_PATCH if isinstance(body, list) else MERGE_PATCH
    return {"Accept": "application/json", **({} if body is None else {"Content-Type": kind})}


def _object(content: bytes) -> Json:
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError("the answer is no JSON object")  # noqa: TRY004 - as broken JSON raises
    return found


def _refusal(status: int, content: bytes, doing: str, namespace: str) -> SlipwayError:
    """The error for an answer that is no success; `doing` is a verb and a kind."""
    said = _message(content)
    if status == 409:
        return Conflict(f"{doing} in {namespace}: changed by somebody else meanwhile")
    if status == 401:
        return AccessDenied("the API server does not accept our credentials; log in again")
    if status == 403 and " cannot " in said:
        return AccessDenied(
            f"no right to {doing} in the namespace {namespace}; "
            f"a Role with that verb, bound to us, would give it ({said})"
        )
    if status == 403:
        # Not a right that is missing: a quota, a policy, a namespace that is being deleted.
        return AccessDenied(f"the API server refuses to {doing} in {namespace}: {said}")
    if status in (400, 413, 422):
        return InvalidConfig(f"the API server does not take what we {doing}: {said}")
    return Unavailable(f"the API server cannot {doing} just now ({status}): {said}")


def _message(content: bytes) -> str:
    try:
        said = _object(content).get("message")
    except ValueError:
        said = ""
    return " ".join(str(said or "no reason given").split())[:500]


def _named(error: Exception) -> str:
    text = " ".join(str(getattr(error, "reason", None) or error).split())
    return f"{type(error).__name__}: {text}"[:300]


def annotations_of(found: Mapping[str, Any]) -> dict[str, str]:
    """An object's annotations."""
    return dict((found.get("metadata") or {}).get("annotations") or {})
