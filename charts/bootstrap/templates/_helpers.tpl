{{/* Labels of every object. */}}
{{- define "jobyard.labels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: jobyard
{{- end }}
