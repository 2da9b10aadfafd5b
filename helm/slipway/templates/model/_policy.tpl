{{/* A tree of values without what is not set: there the preset's own numbers hold. */}}
{{- define "slipway.withoutNulls" -}}
{{- $found := dict -}}
{{- range $key, $value := . -}}
{{- if kindIs "map" $value -}}
{{- with include "slipway.withoutNulls" $value | fromYaml }}{{ $_ := set $found $key . }}{{ end -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $_ := set $found $key $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}
