{{/* Labels of a team's object (call with root, team). */}}
{{- define "jobyard.teamLabels" -}}
{{ include "jobyard.labels" (dict "Chart" .root.Chart "Release" .root.Release "Values" (dict "team" .team)) }}
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
{{- define "jobyard.checkTeams" -}}
{{- $reserved := list "jobyard" "platform" "airflow" "argocd" "default" }}
{{- range $team, $_ := .Values.teams }}
{{- if or (has $team $reserved) (hasPrefix "kube-" $team) }}
{{- fail (printf "teams: '%s' is reserved for the platform (so are %s and kube-*)" $team (join ", " $reserved)) }}
{{- end }}
{{- if and $.Values.team (ne $team $.Values.team) }}
{{- fail (printf "teams: values/teams/%s.yaml may describe team %s alone, not %s" $.Values.team $.Values.team $team) }}
{{- end }}
{{- end }}
{{- range $team, $values := include "jobyard.teams" . | fromJson }}
{{- $band := $values.priorityBand }}
{{- if gt (int64 $band.min) (int64 $band.max) }}
{{- fail (printf "teams.%s.priorityBand: min %d is above max %d" $team (int64 $band.min) (int64 $band.max)) }}
{{- end }}
{{- range $level, $value := $values.priorities }}
{{- if or (lt (int64 $value) (int64 $band.min)) (gt (int64 $value) (int64 $band.max)) }}
{{- $rule := printf "is outside priorityBand, %d to %d" (int64 $band.min) (int64 $band.max) }}
{{- fail (printf "teams.%s.priorities.%s: %d %s" $team $level (int64 $value) $rule) }}
{{- end }}
{{- end }}
{{- range $values.allowedNodeGroups }}
{{- $_ := include "jobyard.nodeGroup" (dict "root" $ "name" . "at" (printf "teams.%s.allowedNodeGroups" $team)) }}
{{- end }}
{{- end }}
{{- end }}
