{{/* A component's ServiceAccount; (list $ "router" "router"): its key in the values, its component label. */}}
{{- define "slipway.serviceAccount" -}}
{{- $root := first . -}}
{{- $values := get $root.Values (index . 1) | default dict -}}
{{- if dig "serviceAccount" "create" true $values }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "slipway.serviceAccountName" (list $root (index . 1)) }}
  namespace: {{ include "slipway.namespace" $root }}
  labels:
    {{- include "slipway.labels" (list $root (last .)) | nindent 4 }}
  {{- with dig "serviceAccount" "annotations" dict $values }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
# A pod that may ask the API server says so itself.
automountServiceAccountToken: false
{{- end }}
{{- end -}}
