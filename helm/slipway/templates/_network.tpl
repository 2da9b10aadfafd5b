{{/* Pieces of NetworkPolicies. Names are resolved by DNS, wherever the cluster has it. */}}
{{- define "slipway.egressDns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{- define "slipway.egressApiServer" -}}
- ports:
    {{- range dig "apiServerPorts" (list 443 6443) (.Values.networkPolicy | default dict) }}
    - {port: {{ . | int64 }}, protocol: TCP}
    {{- end }}
{{- end -}}

{{/* Tracking server and store: a policy knows no names, so it is by their ports. */}}
{{- define "slipway.egressStore" -}}
{{- $ports := list (include "slipway.portOf" ((.Values.store | default dict).endpoint | default "https://aws")) -}}
{{- with (.Values.tracking | default dict).uri }}{{ $ports = append $ports (include "slipway.portOf" .) }}{{ end -}}
{{- range dig "extraEgressPorts" list (.Values.networkPolicy | default dict) }}{{ $ports = append $ports (. | int64 | toString) }}{{ end -}}
- ports:
    {{- range $ports | uniq | sortAlpha }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end -}}

{{- define "slipway.portOf" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $port | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end -}}

{{/* Peers: a component's pods, and who may read metrics. */}}
{{- define "slipway.peer" -}}
- podSelector:
    matchLabels:
      {{- include "slipway.selector" . | nindent 6 }}
{{- end -}}

{{- define "slipway.metricsPeers" -}}
{{- with dig "metricsFrom" list (.Values.networkPolicy | default dict) }}{{ toYaml . }}{{ end -}}
{{- end -}}
