{{/* Labels of every object. */}}
{{- define "jobyard.labels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: jobyard
jobyard.dev/team: {{ .Values.team | quote }}
{{- end }}

{{/* The namespace that the platform's chart made for the team. */}}
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
