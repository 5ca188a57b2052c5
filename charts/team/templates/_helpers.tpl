{{/* The namespace that the platform's chart made for the team, or this one where it is standalone. */}}
{{- define "jobyard.namespace" -}}
team-{{ .Values.team }}
{{- end }}

{{/*
What the templates copied from charts/bounds ask for. Under the platform they find nothing here, and make nothing: what bounds
a team is not the team's to make. What they read of the values of charts/bounds is put beside this chart's own.
*/}}
{{- define "jobyard.bounds" -}}
{{- $bounds := dict }}
{{- if .Values.standalone }}
{{- range $name, $value := .Files.Get "files/bounds.yaml" | fromYaml }}
{{- if not (hasKey $.Values $name) }}
{{- $_ := set $.Values $name $value }}
{{- end }}
{{- end }}
{{- $own := pick .Values "allowedNodeGroups" "priorities" "viewerGroups" }}
{{- $bounds = merge $own .Values.bounds }}
{{- end }}
{{- $bounds | toJson }}
{{- end }}

{{- define "jobyard.priorities" -}}
{{ .priorities | toJson }}
{{- end }}

{{/* Nothing to check, and nothing of Argo CD's to say. */}}
{{- define "jobyard.checkBounds" -}}
{{- end }}
{{- define "jobyard.confirmDeletion" -}}
{{- end }}

{{/* The platform's own jobs are none of a team's. */}}
{{- define "jobyard.sourcesEgress" -}}
[]
{{- end }}

{{/* What is bound in the team's namespace: the platform's role for all teams, or this chart's own. */}}
{{- define "jobyard.roleKind" -}}
{{ ternary "Role" "ClusterRole" .Values.standalone }}
{{- end }}
