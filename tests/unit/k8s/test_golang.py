"""What is written for Go to build, and the table of what is built."""

from __future__ import annotations

import dataclasses

import pytest
from k8s.local import versions
from k8s.local.errors import SetupFailed
from k8s.local.golang import go_mod, is_new_enough, linker_flags, program_key

KUBERNETES_GO_MOD = """\
module k8s.io/kubernetes

go 1.24.0

godebug default=go1.24

require (
	k8s.io/api v0.0.0
	github.com/some/thing v1.0.0
)

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/mount-utils => ./staging/src/k8s.io/mount-utils
	github.com/some/thing => github.com/other/thing v1.2.3
)
"""


def test_kubernetes_takes_its_parts_from_their_own_releases() -> None:
    lines = go_mod(KUBERNETES_GO_MOD).splitlines()
    assert "go 1.24.0" in lines
    release = versions.KUBERNETES.replace("1.", "v0.", 1)
    assert [line for line in lines if line.startswith("replace")] == [
        f"replace k8s.io/api => k8s.io/api {release}",
        f"replace k8s.io/mount-utils => k8s.io/mount-utils {release}",
    ]
    assert f"require k8s.io/kubernetes v{versions.KUBERNETES}" in lines


def test_a_kubernetes_that_is_laid_out_in_another_way_is_refused() -> None:
    with pytest.raises(SetupFailed, match="not as expected"):
        go_mod("module k8s.io/kubernetes\n\ngo 1.30.0\n")


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        ("go1.26.8", True),
        ("go1.25", True),
        ("go1.25rc1", True),
        ("go2.0", True),
        ("go1.24.9", False),
        ("go1.19.8", False),
        ("go1.9", False),
        ("devel +abc", False),
        ("", False),
    ],
)
def test_go_is_new_enough_from_the_tables_version_on(version: str, enough: bool) -> None:
    assert is_new_enough(version) is enough


def test_every_change_of_a_program_is_another_key() -> None:
    helm = versions.HELM_PROGRAM
    changed = [
        dataclasses.replace(helm, version="0.0.1"),
        dataclasses.replace(helm, package="helm.sh/other"),
        dataclasses.replace(helm, stamps={}),
        dataclasses.replace(helm, stamps={**helm.stamps, "a.b": "c"}),
    ]
    keys = {program_key(program) for program in (helm, *changed)}
    assert len(keys) == len(changed) + 1


def test_kubernetes_programs_say_their_real_version() -> None:
    """kubeadm refuses to work without."""
    flags = linker_flags(versions.KUBEADM)
    assert f"-X k8s.io/component-base/version.gitVersion=v{versions.KUBERNETES}" in flags
    assert "-X k8s.io/component-base/version.gitMinor=34" in flags


def test_the_table_names_every_program_once() -> None:
    names = [program.name for program in versions.PROGRAMS]
    assert len(names) == len(set(names))
    assert {"kind", "helm", "kubectl", "kubeadm", "kubelet", "etcd", "coredns"} < set(names)
