"""The Go modules that pin what is built from source, each a folder of `gomod/`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "gomod"
ARGOCD = "github.com/argoproj/argo-cd/v3"


@dataclass(frozen=True)
class Module:
    """One go.mod under `gomod/` and the programs built from it, by the name each gets."""

    name: str
    programs: dict[str, str]

    @property
    def folder(self) -> Path:
        return MODULES / self.name

    def version(self, path: str) -> str:
        """The version this go.mod requires of a module, such as v1.37.2."""
        match = re.search(rf"^\s*(?:require )?{re.escape(path)} (v\S+)", (self.folder / "go.mod").read_text(), re.M)
        assert match, f"{path} is not in {self.name}/go.mod"
        return match[1]


# kwok and versitygw pin libraries that Kubernetes needs in other versions, hence a go.mod each.
KUBERNETES = Module(
    "kubernetes",
    {
        "argocd": f"{ARGOCD}/cmd",
        "etcd": "go.etcd.io/etcd/server/v3",
        "helm-unittest": "github.com/helm-unittest/helm-unittest/cmd/helm-unittest",
        "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
        "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
        "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
        "kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform",
        "kubectl": "k8s.io/kubernetes/cmd/kubectl",
        "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    },
)
