{{/* What objects are called and how they are labelled. No other file makes a name. */}}

{{/* F: everything's name begins with it. 46 letters leave room for what a CronJob's pods add. */}}
{{- define "slipway.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
{{- $full = ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- end -}}
{{- $full | trunc 46 | trimSuffix "-" -}}
{{- end -}}

{{/* (list $ "router") -> F-router; (list $ "") -> F */}}
{{- define "slipway.name" -}}
{{- $full := include "slipway.fullname" (first .) -}}
{{- with last . -}}{{ $full }}-{{ . }}{{- else -}}{{ $full }}{{- end -}}
{{- end -}}

{{- define "slipway.namespace" -}}
{{ .Release.Namespace }}
{{- end -}}

{{/* (list $ "slot") -> the labels that find a component's pods; they never change. */}}
{{- define "slipway.selector" -}}
{{- $root := first . -}}
app.kubernetes.io/name: {{ $root.Values.nameOverride | default $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end -}}

{{/* (list $ "blue") -> the labels that find one slot's pods. */}}
{{- define "slipway.slotSelector" -}}
{{ include "slipway.selector" (list (first .) "slot") }}
slipway.io/slot: {{ last . }}
{{- end -}}

{{/* (list $ "tip") -> the labels that find one consumer's pods. */}}
{{- define "slipway.consumerSelector" -}}
{{ include "slipway.selector" (list (first .) "stream") }}
slipway.io/consumer: {{ last . }}
{{- end -}}

{{- define "slipway.labels" -}}
{{- $root := first . -}}
{{ include "slipway.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: {{ include "slipway.fullname" $root }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* (list $ "router" "router") -> name, namespace and labels of the object F-router. */}}
{{- define "slipway.metadata" -}}
{{- $root := first . -}}
name: {{ include "slipway.name" (list $root (index . 1)) }}
namespace: {{ include "slipway.namespace" $root }}
labels:
  {{- include "slipway.labels" (list $root (last .)) | nindent 2 }}
{{- end -}}

{{/* (list $ "router") -> the name of a component's ServiceAccount. */}}
{{- define "slipway.serviceAccountName" -}}
{{- $root := first . -}}
{{- $values := get $root.Values (last .) | default dict -}}
{{- $given := dig "serviceAccount" "name" "" $values -}}
{{- if $given -}}{{ $given }}
{{- else if dig "serviceAccount" "create" true $values -}}{{ include "slipway.name" . }}
{{- else -}}default
{{- end -}}
{{- end -}}
