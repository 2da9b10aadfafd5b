{{/* What the pods of all components have in common. A component is (list $ "router"), its key in the values. */}}

{{- define "slipway.image" -}}
{{- $image := .Values.image | default dict -}}
{{- $repository := $image.repository | default "slipway" -}}
{{- with $image.registry }}{{ $repository = printf "%s/%s" . $repository }}{{ end -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Labels and annotations of a pod template; (list $ "router" selector port). */}}
{{- define "slipway.podMetadata" -}}
{{- $root := first . -}}
{{- $values := get $root.Values (index . 1) | default dict -}}
{{- $port := last . -}}
labels:
  {{- index . 2 | nindent 2 }}
  {{- with merge (dict) ($values.podLabels | default dict) ($root.Values.commonLabels | default dict) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := $values.podAnnotations | default dict }}
{{- if $port }}
{{- $annotations = merge (dict) $annotations (dict "prometheus.io/scrape" "true" "prometheus.io/port" $port "prometheus.io/path" "/metrics") }}
{{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The part of a pod's spec that does not depend on what runs in it; (list $ "router" selector token). */}}
{{- define "slipway.podSpec" -}}
{{- $root := first . -}}
{{- $component := index . 1 -}}
{{- $values := get $root.Values $component | default dict -}}
{{- $selector := index . 2 -}}
serviceAccountName: {{ include "slipway.serviceAccountName" (list $root $component) }}
automountServiceAccountToken: {{ last . }}
# A Service called slipway would give each pod a variable SLIPWAY_PORT that is no port.
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and $selector (dig "enabled" true ($root.Values.topologySpread | default dict)) }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ dig "topologyKey" "kubernetes.io/hostname" ($root.Values.topologySpread | default dict) }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}

{{/* Image and security of one container. */}}
{{- define "slipway.container" -}}
image: {{ include "slipway.image" . | quote }}
imagePullPolicy: {{ dig "pullPolicy" "IfNotPresent" (.Values.image | default dict) }}
terminationMessagePolicy: FallbackToLogsOnError
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "slipway.extraEnv" -}}
{{- $values := get (first .).Values (last .) | default dict -}}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "slipway.extraVolumes" -}}
{{- $values := get (first .).Values (last .) | default dict -}}
{{- with $values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "slipway.extraVolumeMounts" -}}
{{- $values := get (first .).Values (last .) | default dict -}}
{{- with $values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* envFrom and resources; (list $ "router"). */}}
{{- define "slipway.envFromAndResources" -}}
{{- $values := get (first .).Values (last .) | default dict -}}
{{- with $values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An HTTP probe of an admin port with a component's own times; (dict "path" "/readyz" "probe" given "defaults" times). */}}
{{- define "slipway.probe" -}}
httpGet:
  path: {{ .path }}
  port: admin
{{ toYaml (merge (dict) (.probe | default dict) .defaults) }}
{{- end -}}
