{{/* Labels of every object. */}}
{{- define "jobyard.labels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: jobyard
jobyard.dev/team: {{ .Values.team | quote }}
{{- end }}

{{/* The namespace that the platform's chart made for the team, or this one where it is standalone. */}}
{{- define "jobyard.namespace" -}}
team-{{ .Values.team }}
{{- end }}

{{/* Node selector and tolerations of one node group of the catalogue (call with root, name). */}}
{{- define "jobyard.scheduling" -}}
{{- $group := index .root.Values.nodeGroups .name }}
{{- if not $group }}
{{- $known := keys .root.Values.nodeGroups | sortAlpha | join ", " | default "nothing; give -f values/node-groups.yaml" }}
{{- fail (printf "allowedNodeGroups: unknown node group '%s' (the catalogue has: %s)" .name $known) }}
{{- end }}
{{- $tolerations := list }}
{{- range $group.taints }}
{{- $tolerations = append $tolerations (dict "key" .key "operator" "Equal" "value" .value "effect" .effect) }}
{{- end }}
{{- $selector := merge (dict "kubernetes.io/arch" $group.architecture) $group.labels }}
{{- dict "nodeSelector" $selector "tolerations" $tolerations | toYaml }}
{{- end }}

{{/*
What the templates copied from charts/bounds ask for. Under the platform they find no team here, and make nothing: what bounds
a team is not the team's to make. What they read of the values of charts/bounds is put beside this chart's own.
*/}}
{{- define "jobyard.teams" -}}
{{- $teams := dict }}
{{- if .Values.standalone }}
{{- range $name, $value := .Files.Get "files/bounds.yaml" | fromYaml }}
{{- if not (hasKey $.Values $name) }}
{{- $_ := set $.Values $name $value }}
{{- end }}
{{- end }}
{{- $own := pick .Values "allowedNodeGroups" "priorities" "viewerGroups" }}
{{- $_ := set $teams .Values.team (merge $own .Values.bounds) }}
{{- end }}
{{- $teams | toJson }}
{{- end }}

{{- define "jobyard.teamLabels" -}}
{{ include "jobyard.labels" .root }}
{{- end }}

{{- define "jobyard.priorities" -}}
{{ .priorities | toJson }}
{{- end }}

{{/* Nothing to check, and nothing of Argo CD's to say. */}}
{{- define "jobyard.checkTeams" -}}
{{- end }}
{{- define "jobyard.confirmDeletion" -}}
{{- end }}

{{/* What is bound in the team's namespace: the platform's role for all teams, or this chart's own. */}}
{{- define "jobyard.roleKind" -}}
{{ ternary "Role" "ClusterRole" .Values.standalone }}
{{- end }}
