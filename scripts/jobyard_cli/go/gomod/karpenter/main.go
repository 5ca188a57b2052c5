// Karpenter is the autoscaler with its provider of simulated machines: its decisions are real, the machines are kwok's nodes.
//
// The module's own program of this kind is called kwok, as kwok's is.
package main

import (
	"log"

	simulated "sigs.k8s.io/karpenter/kwok/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/cloudprovider/overlay"
	"sigs.k8s.io/karpenter/pkg/controllers"
	"sigs.k8s.io/karpenter/pkg/controllers/node/health"
	"sigs.k8s.io/karpenter/pkg/controllers/state"
	"sigs.k8s.io/karpenter/pkg/operator"
)

func main() {
	ctx, autoscaler := operator.NewOperator()
	types, err := simulated.ConstructInstanceTypes(ctx)
	if err != nil {
		log.Fatalf("reading the instance types: %v", err)
	}
	client, store := autoscaler.GetClient(), autoscaler.InstanceTypeStore
	plain := simulated.NewCloudProvider(ctx, client, types)
	provider := overlay.Decorate(plain, client, store)
	repairs, err := health.NewRepairPolicyMatcher(ctx, provider)
	if err != nil {
		log.Fatalf("reading the provider's repair policies: %v", err)
	}
	cluster := state.NewCluster(autoscaler.Clock, client, provider, state.WithRepairPolicyMatcher(repairs))
	all := controllers.NewControllers(
		ctx, autoscaler.Manager, autoscaler.Clock, client, autoscaler.EventRecorder,
		provider, plain, cluster, store, autoscaler.PredictionStore,
	)
	autoscaler.WithControllers(ctx, all...).Start(ctx)
}
