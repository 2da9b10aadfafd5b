"""The cluster of `make up`, as the contract tests use it: in namespaces of their own, as an editor.

Of all clusters that a kubeconfig knows, only the one with this context is touched.
"""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.config import kube_config

CONTEXT = "kind-slipway"


class KindServer:
    """The API server of the cluster; `ask` is its administrator, `path` their kubeconfig."""

    # Here the roles are put together by the cluster itself.
    editor_roles = ("edit",)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path, cluster, user = _found()
        self._server = cluster["server"]
        authority = base64.b64decode(cluster["certificate-authority-data"])
        self._authority = folder / "authority.crt"
        self._authority.write_bytes(authority)
        pair = folder / "administrator.pem"
        parts = ("client-certificate-data", "client-key-data")
        pair.write_bytes(b"\n".join(base64.b64decode(user[part]) for part in parts))
        self._trusted = ssl.create_default_context(cafile=str(self._authority))
        self._trusted.load_cert_chain(pair)

    def subject(self, namespace: str) -> dict[str, str]:
        """Who `somebody` is there."""
        return {"kind": "ServiceAccount", "name": "somebody", "namespace": namespace}

    def kubeconfig(self, user: str, namespace: str) -> Path:
        """A file as kubectl takes it, for a service account of that name."""
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        if self.ask("GET", f"{accounts}/{user}") is None:
            self.ask("POST", accounts, {"metadata": {"name": user}})
        asked = {"spec": {"expirationSeconds": 3600}}
        token = self.ask("POST", f"{accounts}/{user}/token", asked)["status"]["token"]
        cluster = {"server": self._server, "certificate-authority": str(self._authority)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [
                {"name": "test", "context": {"cluster": "test", "user": user,
                                             "namespace": namespace}}
            ],
            "current-context": "test",
        }  # fmt: skip
        path = self._folder / f"{user}-{namespace}.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    def ask(self, method: str, path: str, body: Any = None, kind: str = "json") -> Any:
        """What the API server answers; None for what is not there."""
        request = urllib.request.Request(  # noqa: S310
            f"{self._server}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": f"application/{kind}"},
        )
        try:
            return json.loads(self._read(request))
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                raise AssertionError(error.read().decode()) from error

    def text(self, path: str) -> str:
        """What is answered at a path, as of a pod behind the API server's proxy; raises OSError."""
        return self._read(urllib.request.Request(f"{self._server}{path}")).decode()  # noqa: S310

    def answers(self) -> bool:
        """Whether the API server calls itself ready, the rights of users included."""
        with contextlib.suppress(OSError):
            return self.text("/readyz") == "ok"
        return False

    def _read(self, request: urllib.request.Request) -> bytes:
        with urllib.request.urlopen(request, timeout=30, context=self._trusted) as answer:  # noqa: S310
            found: bytes = answer.read()
            return found


@contextlib.contextmanager
def kind_server() -> Iterator[KindServer]:
    """The cluster; skips the tests where it is not up."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            server = KindServer(Path(folder))
            server.ask("GET", "/version")
        except (OSError, LookupError):
            pytest.skip(f"the cluster {CONTEXT} is not up; `make up` makes it")
        yield server


def _found() -> tuple[Path, dict[str, str], dict[str, str]]:
    """The first kubeconfig that knows the context, and its parts for the cluster and the user."""
    for name in kube_config.KUBE_CONFIG_DEFAULT_LOCATION.split(":"):
        path = Path(name).expanduser()
        document = (yaml.safe_load(path.read_text()) if path.is_file() else None) or {}
        for each in document.get("contexts") or ():
            if each["name"] == CONTEXT:
                context = each["context"]
                return (
                    path,
                    _named(document["clusters"], context["cluster"])["cluster"],
                    _named(document["users"], context["user"])["user"],
                )
    raise LookupError(CONTEXT)


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)
