// Argocd is those of Argo CD's programs that the local platform runs, each by the name that it is called by.
//
// Argo CD's own main package has all of its roles, its command line and its web server's dependencies among them. It
// also turns off gRPC's look-ups of SRV records, which one of those dependencies turns on, and none of these.
package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	applicationset "github.com/argoproj/argo-cd/v3/cmd/argocd-applicationset-controller/commands"
	askpass "github.com/argoproj/argo-cd/v3/cmd/argocd-git-ask-pass/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/argoproj/argo-cd/v3/common"
	"github.com/argoproj/argo-cd/v3/util/log"
)

func main() {
	klog.SetLogger(log.NewLogrusLogger(log.NewWithCurrentConfig()))

	roles := map[string]func() *cobra.Command{
		common.CommandApplicationController:    controller.NewCommand,
		common.CommandApplicationSetController: applicationset.NewCommand,
		common.CommandRepoServer:               reposerver.NewCommand,
		common.CommandGitAskPass:               askpass.NewCommand,
	}
	// The repository server has git call `argocd`, and names the role in the environment.
	name := os.Getenv("ARGOCD_BINARY_NAME")
	if name == "" {
		name = filepath.Base(os.Args[0])
	}
	role, known := roles[name]
	if !known {
		os.Stderr.WriteString("argocd: unknown program " + name + "\n")
		os.Exit(2)
	}
	if role().Execute() != nil {
		os.Exit(1)
	}
}
