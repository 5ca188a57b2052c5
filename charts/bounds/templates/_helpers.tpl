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

{{/*
Values of charts/team for the reserved team (call with root, bounds): it has no repository whose files would say so. Its pods
get their role by an annotation where IAM knows the cluster's issuer, and otherwise by EKS Pod Identity.
*/}}
{{- define "jobyard.platformTeam" -}}
{{- $environment := .root.Values.environment }}
{{- $account := dict }}
{{- $roles := dig "iamRoles" "serviceAccounts" list .bounds }}
{{- if and $roles $environment.account (dig "cluster" "oidcIssuer" "" $environment) }}
{{- $region := $environment.region | default "" }}
{{- $partition := ternary "aws-cn" (ternary "aws-us-gov" "aws" (hasPrefix "us-gov-" $region)) (hasPrefix "cn-" $region) }}
{{- $account = dict "roleArn" (printf "arn:%s:iam::%s:role/%s" $partition $environment.account (first $roles)) }}
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
{{- end }}
{{- end }}
