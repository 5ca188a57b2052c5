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

{{/*
The teams of this environment with what they have in it, as JSON: a team's own values, and over them those that its file
gives for the environment.
*/}}
{{- define "jobyard.teams" -}}
{{- $teams := dict }}
{{- range $team, $values := .Values.teams }}
{{- $environments := $values.environments | default (dict $.Values.environment.name dict) }}
{{- if hasKey $environments $.Values.environment.name }}
{{- $here := index $environments $.Values.environment.name | default dict }}
{{- $_ := set $teams $team (mergeOverwrite (deepCopy (omit $values "environments")) $here) }}
{{- end }}
{{- end }}
{{- $teams | toJson }}
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
