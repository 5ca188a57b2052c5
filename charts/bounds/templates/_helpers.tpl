{{/* What takes a person's word to delete: with it would go everything in it. */}}
{{- define "jobyard.confirmDeletion" -}}
argocd.argoproj.io/sync-options: Prune=confirm,Delete=confirm
{{- end }}

{{/* What the team has in this environment, as JSON. Empty if the team has no file, or is not in the environment. */}}
{{- define "jobyard.bounds" -}}
{{- $environment := .Values.environment.name }}
{{- $here := and .Values.repo (has $environment (.Values.environments | default (list $environment))) }}
{{- ternary (omit .Values "nodeGroups") dict (not (empty $here)) | toJson }}
{{- end }}

{{/*
Level -> value of the PriorityClasses that a team may have, as JSON (call with the team's values): those of its file, or else
three from the lowest of its band up, as its repository is made with.
*/}}
{{- define "jobyard.priorities" -}}
{{- $low := int64 .priorityBand.min }}
{{- $step := max 1 (div (add 1 (sub (int64 .priorityBand.max) $low)) 9) }}
{{- $usual := dict }}
{{- range $index, $level := list "low" "normal" "high" }}
{{- $value := add $low (mul $index $step) }}
{{- if le $value (int64 $.priorityBand.max) }}
{{- $_ := set $usual $level $value }}
{{- end }}
{{- end }}
{{- .priorities | default $usual | toJson }}
{{- end }}

{{/* The ARN of an IAM role in the environment's account (call with environment, name). */}}
{{- define "jobyard.roleArn" -}}
{{- $region := .environment.region | default "" }}
{{- $partition := ternary "aws-cn" (ternary "aws-us-gov" "aws" (hasPrefix "us-gov-" $region)) (hasPrefix "cn-" $region) }}
{{- printf "arn:%s:iam::%s:role/%s" $partition (required "an IAM role needs environment.account" .environment.account) .name }}
{{- end }}

{{/*
Values of charts/team for the reserved team (call with root, bounds): it has no repository whose files would say so. Its pods
get their role by an annotation where IAM knows the cluster's issuer, and otherwise by EKS Pod Identity.
*/}}
{{- define "jobyard.platformTeam" -}}
{{- $environment := .root.Values.environment }}
{{- $account := dict }}
{{- $roles := dig "iamRoles" "serviceAccounts" list .bounds }}
{{- if and $roles $environment.account (dig "cluster" "oidcIssuer" "" $environment) }}
{{- $account = dict "roleArn" (include "jobyard.roleArn" (dict "environment" $environment "name" (first $roles))) }}
{{- end }}
{{- $own := dict "team" "platform" "serviceAccounts" (dict "jobs" $account) }}
{{- $groups := dict "viewerGroups" (.bounds.viewerGroups | default list) "allowedNodeGroups" .bounds.allowedNodeGroups }}
{{- merge $own $groups (dict "priorities" (include "jobyard.priorities" .bounds | fromJson)) | toJson }}
{{- end }}

{{/* Egress rules, as JSON, that let the reserved team's pods ask Prometheus and Airflow, on other ports than 443. */}}
{{- define "jobyard.sourcesEgress" -}}
{{- $ports := list }}
{{- $environment := .Values.environment }}
{{- range compact (list (dig "metrics" "prometheusUrl" "" $environment) ($environment.airflowUrl | default "")) }}
{{- $url := urlParse . }}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) }}
{{- $ports = append $ports (dict "protocol" "TCP" "port" (int64 $port)) }}
{{- end }}
{{- ternary (list (dict "ports" (uniq $ports))) list (and .Values.ofPlatform (not (empty $ports))) | toJson }}
{{- end }}

{{/* An amount as a whole number: cores in thousandths, bytes in Mi, GPUs as they are (call with kind, amount). */}}
{{- define "jobyard.units" -}}
{{- $text := toString .amount }}
{{- if eq .kind "cpu" }}
{{- ternary (trimSuffix "m" $text | int64) (mul 1000 (int64 $text)) (hasSuffix "m" $text) }}
{{- else if eq .kind "gpu" }}
{{- int64 .amount }}
{{- else }}
{{- mul (regexFind "^[0-9]+" $text | int64) (get (dict "Ti" 1048576 "Gi" 1024 "Mi" 1) (regexFind "[A-Z]i$" $text) | default 0) }}
{{- end }}
{{- end }}

{{/*
Such a number as a quantity, in the form in which Kubernetes gives it back; otherwise Argo CD would see a difference for ever
(call with kind, units).
*/}}
{{- define "jobyard.quantity" -}}
{{- $number := int64 .units }}
{{- $suffixes := get (dict "cpu" (list "m" "" "k" "M") "gpu" (list "")) .kind | default (list "Mi" "Gi" "Ti" "Pi") }}
{{- $step := ternary 1000 1024 (eq .kind "cpu") }}
{{- $suffix := first $suffixes }}
{{- range rest $suffixes }}
{{- if and $number (eq (mod $number $step) 0) }}
{{- $number = div $number $step }}
{{- $suffix = . }}
{{- else }}
{{- break }}
{{- end }}
{{- end }}
{{- ternary (printf "%d%s" $number $suffix) "0" (ne $number 0) }}
{{- end }}

{{/*
What the team has of a node group in Kueue's queue, as JSON: by kind, as whole numbers, what is its own (nominal), and where
that has a bound, what it may have of others' (borrow) and others of its own (lend). Call with bounds, name, group.
*/}}
{{- define "jobyard.share" -}}
{{- $bounds := .bounds }}
{{- $name := .name }}
{{- $group := .group }}
{{- $at := printf "queue.nodeGroups.%s" .name }}
{{- $stated := dig "queue" "nodeGroups" .name dict $bounds }}
{{- $share := dict }}
{{- range $kind := list "cpu" "memory" "ephemeralStorage" "gpu" }}
{{- $machines := mul (include "jobyard.units" (dict "kind" $kind "amount" (get $group.allocatable $kind | default 0)) | int64) (int64 $group.maxNodes) }}
{{- $quota := include "jobyard.units" (dict "kind" $kind "amount" (get $bounds.quota $kind | default 0)) | int64 }}
{{- $own := min $machines $quota }}
{{- if hasKey $stated $kind }}
{{- $own = include "jobyard.units" (dict "kind" $kind "amount" (get $stated $kind)) | int64 }}
{{- if and (eq $kind "gpu") $own (not $group.allocatable.gpu) }}
{{- fail (printf "%s.gpu: node group '%s' has no GPU" $at $name) }}
{{- end }}
{{- range $words, $most := dict "the team's quota" $quota "the machines of the group have together" $machines }}
{{- if gt $own $most }}
{{- fail (printf "%s.%s: %v is more than %s (%s)" $at $kind (get $stated $kind) $words (include "jobyard.quantity" (dict "kind" $kind "units" $most))) }}
{{- end }}
{{- end }}
{{- end }}
{{- $part := dict "nominal" $own }}
{{- range $limit := list "borrow" "lend" }}
{{- if hasKey (get $stated $limit | default dict) $kind }}
{{- $amount := get (get $stated $limit) $kind }}
{{- $units := include "jobyard.units" (dict "kind" $kind "amount" $amount) | int64 }}
{{- if and (eq $kind "gpu") $units (not $group.allocatable.gpu) }}
{{- fail (printf "%s.%s.gpu: node group '%s' has no GPU" $at $limit $name) }}
{{- end }}
{{- if and (eq $limit "lend") (gt $units $own) }}
{{- fail (printf "%s.lend.%s: %v is more than the team has there (%s)" $at $kind $amount (include "jobyard.quantity" (dict "kind" $kind "units" $own))) }}
{{- end }}
{{- $_ := set $part $limit $units }}
{{- end }}
{{- end }}
{{- /* As without Kueue, a team gets no GPU that nobody gave it. */}}
{{- if and (eq $kind "gpu") (eq $quota 0) (not (hasKey $part "borrow")) }}
{{- $_ := set $part "borrow" 0 }}
{{- end }}
{{- $_ := set $share $kind $part }}
{{- end }}
{{- $share | toJson }}
{{- end }}

{{/* Fails where the values make no sense together, which their schema can't say. */}}
{{- define "jobyard.checkBounds" -}}
{{- $reserved := list "jobyard" "platform" "airflow" "argocd" "default" }}
{{- $isOwn := and .Values.ofPlatform (eq .Values.team "platform") }}
{{- if and (not $isOwn) (or (has .Values.team $reserved) (hasPrefix "kube-" .Values.team)) }}
{{- fail (printf "team: '%s' is reserved for the platform (so are %s and kube-*)" .Values.team (join ", " $reserved)) }}
{{- end }}
{{- with $bounds := include "jobyard.bounds" . | fromJson }}
{{- $band := $bounds.priorityBand }}
{{- if gt (int64 $band.min) (int64 $band.max) }}
{{- fail (printf "priorityBand: min %d is above max %d" (int64 $band.min) (int64 $band.max)) }}
{{- end }}
{{- range $level, $value := $bounds.priorities }}
{{- if or (lt (int64 $value) (int64 $band.min)) (gt (int64 $value) (int64 $band.max)) }}
{{- $rule := printf "is outside priorityBand, %d to %d" (int64 $band.min) (int64 $band.max) }}
{{- fail (printf "priorities.%s: %d %s" $level (int64 $value) $rule) }}
{{- end }}
{{- end }}
{{- range $bounds.allowedNodeGroups }}
{{- $_ := include "jobyard.nodeGroup" (dict "root" $ "name" . "at" "allowedNodeGroups") }}
{{- end }}
{{- if include "jobyard.kueue" $ }}
{{- range $name, $_ := dig "queue" "nodeGroups" dict $bounds }}
{{- if not (has $name $bounds.allowedNodeGroups) }}
{{- fail (printf "queue.nodeGroups.%s: the team may not use this node group (allowedNodeGroups: %s)" $name (join ", " (sortAlpha $bounds.allowedNodeGroups))) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
