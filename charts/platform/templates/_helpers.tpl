{{/* Labels of every object; a team's objects carry jobyard.dev/team besides. */}}
{{- define "jobyard.labels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: jobyard
{{- end }}

{{/* Labels of a team's object (call with root, team). */}}
{{- define "jobyard.teamLabels" -}}
{{ include "jobyard.labels" .root }}
jobyard.dev/team: {{ .team | quote }}
{{- end }}

{{/* Pod Security labels of a namespace: as strict as there is, in every mode. */}}
{{- define "jobyard.podSecurity" -}}
pod-security.kubernetes.io/enforce: restricted
pod-security.kubernetes.io/warn: restricted
pod-security.kubernetes.io/audit: restricted
{{- end }}

{{/* What takes a person's word to delete: with it would go everything in it. */}}
{{- define "jobyard.confirmDeletion" -}}
argocd.argoproj.io/sync-options: Prune=confirm,Delete=confirm
{{- end }}
