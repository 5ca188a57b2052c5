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

{{/* Fails where the values make no sense together, which their schema can't say. */}}
{{- define "jobyard.checkBounds" -}}
{{- $reserved := list "jobyard" "platform" "airflow" "argocd" "default" }}
{{- if or (has .Values.team $reserved) (hasPrefix "kube-" .Values.team) }}
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
