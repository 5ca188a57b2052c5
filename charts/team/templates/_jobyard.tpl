{{/*
Helpers that every chart of Jobyard shares. The file is here and the other charts link to it, because a team's repository has
charts/team alone, and links do not survive every way there.
*/}}

{{/* The chart and its version, as a label. */}}
{{- define "jobyard.chart" -}}
{{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Labels of every object. Never part of a selector: the chart's version changes with each upgrade. */}}
{{- define "jobyard.labels" -}}
helm.sh/chart: {{ include "jobyard.chart" . }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: jobyard
{{- with .Values.team }}
jobyard.dev/team: {{ . | quote }}
{{- end }}
{{- end }}

{{/* Not empty where pods wait in Kueue's queues for their team's quota. A standalone chart knows no environment, and so has none. */}}
{{- define "jobyard.kueue" -}}
{{- ternary "kueue" "" (eq (dig "queueing" "none" (.Values.environment | default dict)) "kueue") }}
{{- end }}

{{/* Not empty where the External Secrets operator brings secrets, as far as a chart knows the environment. */}}
{{- define "jobyard.externalSecrets" -}}
{{- ternary "external-secrets" "" (dig "externalSecrets" false (.Values.environment | default dict)) }}
{{- end }}

{{/* A node group of the catalogue, as JSON. Fails if the catalogue lacks it (call with root, name, at: the value that names it). */}}
{{- define "jobyard.nodeGroup" -}}
{{- $groups := .root.Values.nodeGroups }}
{{- if not (hasKey $groups .name) }}
{{- $known := keys $groups | sortAlpha | join ", " | default "nothing; give -f values/node-groups.yaml" }}
{{- fail (printf "%s: unknown node group '%s' (the catalogue has: %s)" .at .name $known) }}
{{- end }}
{{- index $groups .name | toJson }}
{{- end }}

{{/* Node selector and tolerations of a node group (call with root, name, at). */}}
{{- define "jobyard.scheduling" -}}
{{- $group := include "jobyard.nodeGroup" . | fromJson }}
{{- $tolerations := list }}
{{- range $group.taints }}
{{- $tolerations = append $tolerations (dict "key" .key "operator" "Equal" "value" .value "effect" .effect) }}
{{- end }}
{{- $selector := merge (dict "kubernetes.io/arch" $group.architecture) $group.labels }}
{{- dict "nodeSelector" $selector "tolerations" $tolerations | toYaml }}
{{- end }}
