{{/* What both containers of a slot's pod are told; (list $ "blue"). */}}
{{- define "slipway.slotEnv" -}}
{{ include "slipway.modelEnv" (first .) | trim }}
# Of the template, so a pod of one release never loads the lock of another.
- name: SLIPWAY_EXPECTED_DIGEST
  valueFrom:
    fieldRef: {fieldPath: "metadata.annotations['slipway.io/digest']"}
{{- end -}}

{{/* (list $ true): what serves mounts the cache read-only, what fetches does not. */}}
{{- define "slipway.slotMounts" -}}
- {name: release, mountPath: /etc/slipway/release, readOnly: true}
- {name: cache, mountPath: /var/cache/slipway{{ if last . }}, readOnly: true{{ end }}}
- {name: tmp, mountPath: /tmp}
{{- end -}}
