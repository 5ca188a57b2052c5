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

{{/* As whom Kueue asks the API server; where nothing else is said, as its manifests and its chart have it. */}}
{{- define "jobyard.kueueUser" -}}
{{ .Values.environment.kueueUser | default "system:serviceaccount:kueue-system:kueue-controller-manager" }}
{{- end }}

{{/* Of which class a node group's machines are, as JSON (call with karpenter, name: the node group's). */}}
{{- define "jobyard.nodeClass" -}}
{{- $ours := dict "group" "karpenter.k8s.aws" "kind" "EC2NodeClass" "name" (printf "jobyard-%s" .name) }}
{{- if .karpenter.autoMode }}
{{- $ours = mustMerge (dict "group" "eks.amazonaws.com" "kind" "NodeClass") $ours }}
{{- end }}
{{- .karpenter.nodeClass | default $ours | toJson }}
{{- end }}

{{/* Seconds that a pod may run. */}}
{{- define "jobyard.longestTask" -}}
{{ .Values.environment.longestTask | default 604800 | int64 }}
{{- end }}

{{/* Seconds that a pod has to end after it was told to. */}}
{{- define "jobyard.longestGrace" -}}
120
{{- end }}

{{/* Variables of the policies that bound a sync identity: whose it is, and what it makes, changes or deletes. */}}
{{- define "jobyard.syncVariables" -}}
- name: team
  expression: request.userInfo.username.split(':')[3]
- name: deletes
  expression: request.operation == 'DELETE'
- name: there
  expression: "variables.deletes ? oldObject : object"
- name: name
  expression: variables.there.metadata.name
- name: labels
  expression: "has(variables.there.metadata.labels) ? variables.there.metadata.labels : {}"
- name: annotations
  expression: "has(variables.there.metadata.annotations) ? variables.there.metadata.annotations : {}"
- name: tracking
  expression: >-
    'argocd.argoproj.io/tracking-id' in variables.annotations ? variables.annotations['argocd.argoproj.io/tracking-id'] : ''
- name: oldFinalizers
  expression: "oldObject != null && has(oldObject.metadata.finalizers) ? oldObject.metadata.finalizers : []"
- name: newFinalizers
  expression: >-
    has(variables.there.metadata.finalizers)
    ? variables.there.metadata.finalizers.filter(one, !(one in variables.oldFinalizers)) : []
{{- end }}

{{/* Validation: what others made is left alone, such as ConfigMap kube-root-ca.crt. */}}
{{- define "jobyard.ownObject" -}}
- expression: >-
    oldObject == null || (has(oldObject.metadata.labels) && 'jobyard.dev/team' in oldObject.metadata.labels
    && oldObject.metadata.labels['jobyard.dev/team'] == variables.team)
  messageExpression: >-
    'team ' + variables.team + ' may only change and delete what has the label jobyard.dev/team: ' + variables.team + ', not '
    + request.kind.kind + ' ' + variables.name
{{- end }}

{{/*
Validations of what a sync identity makes and changes: a list of what it may have, so that what Kubernetes adds to these kinds
one day is refused too (call with fields: those of the object; annotations: keys that this kind may have besides Argo CD's;
and, where the policy is asked once for each team, unless: what is true of all but one).
*/}}
{{- define "jobyard.ownFields" -}}
{{- $unless := printf "variables.deletes || %s" (ternary (printf "%s || " .unless) "" (hasKey . "unless")) -}}
{{- $fields := concat (list "apiVersion" "kind" "metadata") .fields -}}
{{- $metadata := list "name" "namespace" "labels" "annotations" -}}
{{- /* What the API server itself writes; finalizers and owners have rules of their own. */ -}}
{{- $written := list "uid" "resourceVersion" "generation" "creationTimestamp" "managedFields" "selfLink" "deletionTimestamp" "deletionGracePeriodSeconds" "finalizers" "ownerReferences" -}}
{{- $labels := list "app.kubernetes.io/component" "app.kubernetes.io/instance" "app.kubernetes.io/managed-by" "app.kubernetes.io/name" "app.kubernetes.io/part-of" "app.kubernetes.io/version" "helm.sh/chart" "jobyard.dev/team" -}}
{{- $annotations := concat (list "argocd.argoproj.io/tracking-id") .annotations -}}
- expression: {{ printf "%svariables.there.all(one, one in ['%s'])" $unless (join "', '" $fields) | quote }}
  messageExpression: >-
    request.kind.kind + ' ' + variables.name + ' of a team may have {{ join ", " $fields }}, not '
    + variables.there.filter(one, !(one in ['{{ join "', '" $fields }}']))[0]
- expression: {{ printf "%svariables.there.metadata.all(one, one in ['%s'])" $unless (join "', '" (concat $metadata $written)) | quote }}
  messageExpression: >-
    request.kind.kind + ' ' + variables.name + ' of a team may have metadata {{ join ", " $metadata }}, not '
    + variables.there.metadata.filter(one, !(one in ['{{ join "', '" (concat $metadata $written) }}']))[0]
- expression: {{ printf "%ssize(variables.newFinalizers) == 0" $unless | quote }}
  messageExpression: >-
    request.kind.kind + ' ' + variables.name + ' of a team may have no finalizer, not ' + variables.newFinalizers[0]
- expression: {{ printf "%s!has(variables.there.metadata.ownerReferences) || size(variables.there.metadata.ownerReferences) == 0" $unless | quote }}
  messageExpression: >-
    request.kind.kind + ' ' + variables.name + ' of a team may have no owner, not '
    + variables.there.metadata.ownerReferences[0].kind + ' ' + variables.there.metadata.ownerReferences[0].name
- expression: {{ printf "%s!has(variables.there.metadata.managedFields) || size(variables.there.metadata.managedFields) <= 10" $unless | quote }}
  messageExpression: >-
    request.kind.kind + ' ' + variables.name + ' of a team may have 10 field managers, not '
    + string(size(variables.there.metadata.managedFields))
- expression: {{ printf "%s('jobyard.dev/team' in variables.labels && variables.labels['jobyard.dev/team'] == variables.team)" $unless | quote }}
  messageExpression: >-
    request.kind.kind + ' ' + variables.name + ' of a team must have the label jobyard.dev/team: ' + variables.team
- expression: {{ printf "%svariables.labels.all(one, one in ['%s'])" $unless (join "', '" $labels) | quote }}
  messageExpression: >-
    request.kind.kind + ' ' + variables.name + ' of a team may have labels {{ join ", " $labels }}, not '
    + variables.labels.filter(one, !(one in ['{{ join "', '" $labels }}']))[0]
- expression: {{ printf "%svariables.annotations.all(one, one in ['%s'])" $unless (join "', '" $annotations) | quote }}
  messageExpression: >-
    request.kind.kind + ' ' + variables.name + ' of a team may have annotations {{ join ", " $annotations }}, not '
    + variables.annotations.filter(one, !(one in ['{{ join "', '" $annotations }}']))[0]
- expression: {{ printf "%svariables.annotations.all(one, size(variables.annotations[one]) <= 1024)" $unless | quote }}
  messageExpression: >-
    request.kind.kind + ' ' + variables.name + ' of a team may have annotations of 1024 characters, not '
    + string(size(variables.annotations[variables.annotations.filter(one, size(variables.annotations[one]) > 1024)[0]]))
{{- /* Argo CD would take it for another Application's, which that could then not delete. */}}
- expression: {{ printf "%svariables.tracking == '' || variables.tracking.startsWith('team-' + variables.team + ':')" $unless | quote }}
  messageExpression: >-
    request.kind.kind + ' ' + variables.name + ' of a team belongs to Argo CD Application team-' + variables.team + ', not '
    + variables.tracking.split(':')[0]
{{- end }}

{{/* Validation: a name without dots, and not the cluster's own, such as kube-root-ca.crt. */}}
{{- define "jobyard.ownName" -}}
- expression: "variables.deletes || variables.name.matches('^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$')"
  messageExpression: >-
    'the name of a ' + request.kind.kind + ' of a team is lower-case letters, digits and -, at most 63 and a letter first, not '
    + variables.name
{{- end }}
