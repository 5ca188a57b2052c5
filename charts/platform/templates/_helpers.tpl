{{/* Labels of every object. */}}
{{- define "jobyard.labels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: jobyard
{{- end }}

{{/* A policy is there before the rights that it bounds. */}}
{{- define "jobyard.beforeRights" -}}
argocd.argoproj.io/sync-wave: "-1"
{{- end }}

{{/* A policy's condition: Argo CD asks, as a team. */}}
{{- define "jobyard.askedBySyncIdentity" -}}
- name: asked-by-a-sync-identity
  expression: request.userInfo.username.startsWith('system:serviceaccount:jobyard-teams:')
{{- end }}

{{/* A policy's namespaces: the teams'. */}}
{{- define "jobyard.inTeamNamespace" -}}
matchExpressions:
  - {key: jobyard.dev/team, operator: Exists}
{{- end }}
