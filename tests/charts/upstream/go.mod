// What the autoscalers themselves accept, read by tests/charts/upstream_files.py; nothing is built from it.
module jobyard.dev/upstream

go 1.27.0

require (
	github.com/aws/karpenter-provider-aws v1.15.1
	github.com/weaveworks/eksctl v0.215.0
)
