"""The versions of all that is built here or pulled, in one place.

Kubernetes decides most: kubeadm names the etcd, CoreDNS and pause that it wants (`kubeadm config
images list`), kind the node files; the numbers below agree with what these two ask for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

KUBERNETES = "1.34.4"
HELM = "3.20.2"
KIND = "0.30.0"
ETCD = "3.6.5"
COREDNS = "1.12.1"
LOCAL_PATH_PROVISIONER = "0.0.30"
VERSITYGW = "1.8.0"
DEBIAN = "bookworm"

# The oldest Go that compiles all of these; a newer one is fine.
GO = (1, 25)

# Where a registry answers, kind's own image for the node; its digest is in kind's release notes.
REGISTRY_NODE_IMAGE = (
    "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a"
)
# Asked for to find out whether a registry answers: ten kilobytes, and where Python's images are.
REGISTRY_PROBE = "hello-world:latest"

# The programs' real versions, without which kubeadm refuses to work and helm takes 1.20 for given.
_MAJOR, _MINOR, _ = KUBERNETES.split(".")
_KUBERNETES_STAMPS = {
    f"{package}.{name}": value
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    for name, value in {
        "gitVersion": f"v{KUBERNETES}",
        "gitMajor": _MAJOR,
        "gitMinor": _MINOR,
        "gitTreeState": "clean",
        "gitCommit": "unknown",
        "buildDate": "1970-01-01T00:00:00Z",
    }.items()
}
_HELM_STAMPS = {
    "helm.sh/helm/v3/internal/version.version": f"v{HELM}",
    **{
        f"helm.sh/helm/v3/pkg/{package}.k8sVersion{part}": value
        for package in ("lint/rules", "chartutil")
        for part, value in (("Major", _MAJOR), ("Minor", _MINOR))
    },
}


@dataclass(frozen=True)
class Program:
    """A Go program: `package` of `module` at `version`; `stamps` are set by the linker.

    Where `module` is Kubernetes, the program is built in the module that golang.go_mod makes.
    """

    name: str
    module: str
    version: str
    package: str
    stamps: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def title(self) -> str:
        """As shown: `kubelet 1.34.4`."""
        return f"{self.name} {self.version}"


def _kubernetes(name: str) -> Program:
    module = "k8s.io/kubernetes"
    return Program(name, module, KUBERNETES, f"{module}/cmd/{name}", _KUBERNETES_STAMPS)


KIND_PROGRAM = Program("kind", "sigs.k8s.io/kind", KIND, "sigs.k8s.io/kind")
HELM_PROGRAM = Program("helm", "helm.sh/helm/v3", HELM, "helm.sh/helm/v3/cmd/helm", _HELM_STAMPS)
KUBECTL_PROGRAM = _kubernetes("kubectl")
# What a person needs beside a cluster.
CLIENTS = (KIND_PROGRAM, HELM_PROGRAM, KUBECTL_PROGRAM)

KUBEADM = _kubernetes("kubeadm")
NODE_PROGRAMS = (KUBEADM, _kubernetes("kubelet"), KUBECTL_PROGRAM)
KUBE_PROXY = _kubernetes("kube-proxy")
CONTROL_PLANE = (
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    Program("etcd", "go.etcd.io/etcd/server/v3", ETCD, "go.etcd.io/etcd/server/v3"),
    Program("coredns", "github.com/coredns/coredns", COREDNS, "github.com/coredns/coredns"),
)
PROVISIONER = Program(
    "local-path-provisioner",
    "github.com/rancher/local-path-provisioner",
    LOCAL_PATH_PROVISIONER,
    "github.com/rancher/local-path-provisioner",
)
VERSITYGW_PROGRAM = Program(
    "versitygw",
    "github.com/versity/versitygw",
    VERSITYGW,
    "github.com/versity/versitygw/cmd/versitygw",
)
PROGRAMS = tuple(
    dict.fromkeys(
        (*CLIENTS, *NODE_PROGRAMS, KUBE_PROXY, *CONTROL_PLANE, PROVISIONER, VERSITYGW_PROGRAM)
    )
)
