{{/* Binds the Role F-router to the component's ServiceAccount; (list $ "router"). */}}
{{- define "slipway.roleBinding" -}}
{{- $root := first . -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "slipway.metadata" (list $root (last .) (last .)) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "slipway.name" . }}
subjects:
  - kind: ServiceAccount
    name: {{ include "slipway.serviceAccountName" . }}
    namespace: {{ include "slipway.namespace" $root }}
{{- end -}}
