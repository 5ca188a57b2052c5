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

{{/* Where images may come from, as JSON; without a word of the environment's, its own registry, else its account's ECR. */}}
{{- define "jobyard.imageRegistries" -}}
{{- $environment := .Values.environment }}
{{- $own := $environment.registry }}
{{- if and (not $own) $environment.account $environment.region }}
{{- $own = printf "%s.dkr.ecr.%s.amazonaws.com%s" $environment.account $environment.region (hasPrefix "cn-" $environment.region | ternary ".cn" "") }}
{{- end }}
{{- $environment.imageRegistries | default (compact (list $own)) | toJson }}
{{- end }}

{{/* Seconds that a pod may run. */}}
{{- define "jobyard.longestTask" -}}
{{ .Values.environment.longestTask | default 604800 | int64 }}
{{- end }}

{{/* Seconds that a pod has to end after it was told to. */}}
{{- define "jobyard.longestGrace" -}}
120
{{- end }}
