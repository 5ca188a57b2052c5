// Kubelet is the kubelet, whose cAdvisor asks the containerd at CONTAINERD_ADDRESS which containers there are.
//
// The kubelet's own main package leaves cAdvisor at /run/containerd/containerd.sock, where no node of several on one machine
// has its containerd. What cAdvisor then says of a container's cgroup has no name of the container and its pod.
package main

import (
	"context"
	"flag"
	"log"
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	if address := os.Getenv("CONTAINERD_ADDRESS"); address != "" {
		if err := flag.Set("containerd", address); err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(cli.Run(app.NewKubeletCommand(context.Background())))
}
