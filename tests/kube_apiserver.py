"""A real API server on 127.0.0.1: etcd and kube-apiserver as processes, without kubelet or node.

Nothing runs pods here, so a test says itself what Deployments and pods look like. The binaries are
those that the cluster's build leaves in the cache; where they are not, tests are skipped.
"""

from __future__ import annotations

import contextlib
import json
import signal
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.programs import program
from tests.service_process import HOST, bare_environment, free_port
from tests.waiting import until

# Token, user, group: who may do everything, and one whom a test gives what it likes.
USERS = {"admin": "system:masters", "somebody": "people"}


class ApiServer:
    """An API server that can be asked, paused, stopped and started again."""

    # There is no controller here that would put the two into the role `edit`.
    editor_roles = ("system:aggregate-to-edit", "system:aggregate-to-view")

    def __init__(self, folder: Path, etcd: str, apiserver: str) -> None:
        self._folder = folder
        self._etcd_port, self._peer_port, self.port = free_port(), free_port(), free_port()
        self._programs = (etcd, apiserver)
        self._write_credentials()
        self._etcd = self._run(
            "etcd",
            etcd,
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls=http://{HOST}:{self._etcd_port}",
            f"--advertise-client-urls=http://{HOST}:{self._etcd_port}",
            f"--listen-peer-urls=http://{HOST}:{self._peer_port}",
            f"--initial-advertise-peer-urls=http://{HOST}:{self._peer_port}",
            f"--initial-cluster=default=http://{HOST}:{self._peer_port}",
            "--unsafe-no-fsync",
        )
        self.start()

    def start(self) -> None:
        """Start the API server, and wait until it is ready."""
        folder = self._folder
        self._process = self._run(
            "apiserver",
            self._programs[1],
            f"--etcd-servers=http://{HOST}:{self._etcd_port}",
            f"--bind-address={HOST}",
            "--advertise-address=10.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={folder / 'certificates'}",
            f"--token-auth-file={folder / 'tokens'}",
            "--authorization-mode=RBAC",
            # There is nobody who would make the accounts that pods need.
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--service-account-issuer=https://{HOST}",
            f"--service-account-key-file={folder / 'key'}",
            f"--service-account-signing-key-file={folder / 'key'}",
        )
        until(self._is_ready, 90, "the API server to be ready")

    def stop(self) -> None:
        """Stop the API server; what it knows stays in etcd."""
        _end(self._process)

    def pause(self, number: int = signal.SIGSTOP) -> None:
        """From now on it takes connections and says nothing (D3)."""
        self._process.send_signal(number)

    def resume(self) -> None:
        """The end of a pause."""
        self.pause(signal.SIGCONT)

    def close(self) -> None:
        """End both processes."""
        self.resume()
        _end(self._process)
        _end(self._etcd)

    def subject(self, _namespace: str) -> dict[str, str]:
        """Who `somebody` is."""
        return {"kind": "User", "name": "somebody", "apiGroup": "rbac.authorization.k8s.io"}

    def kubeconfig(self, user: str, namespace: str) -> Path:
        """A file as kubectl takes it, for one of USERS."""
        path = self._folder / f"{user}-{namespace}.yaml"
        cluster = {
            "server": f"https://{HOST}:{self.port}",
            "certificate-authority": str(self._certificate),
        }
        context = {"cluster": "test", "user": user, "namespace": namespace}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": user}}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def ask(self, method: str, path: str, body: Any = None, kind: str = "json") -> Any:
        """What the API server answers to the administrator; None for what is not there."""
        request = urllib.request.Request(
            f"https://{HOST}:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": "Bearer admin", "Content-Type": f"application/{kind}"},
        )
        trusted = ssl.create_default_context(cafile=self._certificate)
        try:
            with urllib.request.urlopen(request, timeout=10, context=trusted) as answer:  # noqa: S310
                content = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                raise AssertionError(error.read().decode()) from error
        return json.loads(content) if content.startswith(b"{") else content

    @property
    def _certificate(self) -> Path:
        return self._folder / "certificates" / "apiserver.crt"

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, (self._folder / "apiserver.log").read_text()[-4000:]
        try:
            return bool(self._certificate.is_file() and self.ask("GET", "/readyz") == b"ok")
        except (OSError, AssertionError):
            return False

    def _write_credentials(self) -> None:
        lines = [f'{user},{user},{user},"{group}"\n' for user, group in USERS.items()]
        (self._folder / "tokens").write_text("".join(lines))
        key = rsa.generate_private_key(65537, 2048)
        (self._folder / "key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def _run(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=bare_environment(),
                start_new_session=True,
            )


@contextlib.contextmanager
def api_server() -> Iterator[ApiServer]:
    """An API server for some tests; skips them where there is none to start."""
    etcd, apiserver = program("etcd"), program("kube-apiserver")
    with tempfile.TemporaryDirectory() as folder:
        server = ApiServer(Path(folder), etcd, apiserver)
        try:
            yield server
        finally:
            server.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait(10)
