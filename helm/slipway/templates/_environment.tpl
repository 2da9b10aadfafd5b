{{/* The environment, by what needs it. The names are those of the program's settings: a test compares them. */}}

{{- define "slipway.webEnabled" -}}
{{- if dig "enabled" true (.Values.web | default dict) -}}true{{- end -}}
{{- end -}}

{{/* Tracking server and object store. */}}
{{- define "slipway.storeEnv" -}}
{{- $tracking := .Values.tracking | default dict -}}
{{- $store := .Values.store | default dict -}}
{{- with $tracking.uri }}
- name: MLFLOW_TRACKING_URI
  value: {{ . | quote }}
{{- end }}
{{- with $tracking.existingSecret }}
- name: MLFLOW_TRACKING_USERNAME
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: {{ $tracking.usernameKey | default "MLFLOW_TRACKING_USERNAME" }}}
- name: MLFLOW_TRACKING_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: {{ $tracking.passwordKey | default "MLFLOW_TRACKING_PASSWORD" }}}
{{- end }}
- name: SLIPWAY_HTTP_TIMEOUT
  value: {{ $tracking.timeoutSeconds | default 5 | quote }}
{{- with $store.endpoint }}
- name: MLFLOW_S3_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
{{- with $store.region }}
- name: AWS_DEFAULT_REGION
  value: {{ . | quote }}
{{- end }}
{{- with $store.existingSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: {{ $store.accessKeyIdKey | default "AWS_ACCESS_KEY_ID" }}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: {{ $store.secretAccessKeyKey | default "AWS_SECRET_ACCESS_KEY" }}}
{{- end }}
{{- with $store.artifactPrefixes }}
- name: SLIPWAY_ARTIFACT_PREFIXES
  value: {{ toJson . | quote }}
{{- end }}
- name: SLIPWAY_MAX_ARTIFACT_BYTES
  value: {{ $store.maxArtifactBytes | default 4294967296 | int64 | quote }}
{{- with (.Values.model | default dict).useCase }}
- name: SLIPWAY_USE_CASE
  value: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* The release lock in a file, and how it is loaded: slots and batch. */}}
{{- define "slipway.modelEnv" -}}
- name: SLIPWAY_RELEASE_FILE
  value: /etc/slipway/release/release.json
{{ include "slipway.loadEnv" . }}
{{- end -}}

{{/* Who may load what, and where it comes from: slots, batch and stream. */}}
{{- define "slipway.loadEnv" -}}
{{- $model := .Values.model | default dict -}}
- name: SLIPWAY_CACHE_DIR
  value: /var/cache/slipway/models
# The pod's own: it outlives a container, and no other release's process writes into it.
- name: SLIPWAY_SCRATCH_DIR
  value: /tmp/slipway
- name: SLIPWAY_ALLOW_PICKLE
  value: {{ $model.allowPickle | default false | quote }}
- name: SLIPWAY_ALLOW_UNSIGNED
  value: {{ $model.allowUnsigned | default false | quote }}
- name: SLIPWAY_ALLOW_VERSION_MISMATCH
  value: {{ $model.allowVersionMismatch | default false | quote }}
{{- include "slipway.storeEnv" . }}
- name: HOME
  value: /tmp
# One thread each: the pod has several threads of its own, and pods are what is scaled.
- name: OMP_NUM_THREADS
  value: "1"
- name: OPENBLAS_NUM_THREADS
  value: "1"
{{- end -}}

{{/* Who the installation is: controller and router. */}}
{{- define "slipway.clusterEnv" -}}
- name: SLIPWAY_NAMESPACE
  valueFrom:
    fieldRef: {fieldPath: metadata.namespace}
- name: SLIPWAY_FULLNAME
  value: {{ include "slipway.fullname" . }}
- name: HOME
  value: /tmp
{{- end -}}

{{/* The claim that artefacts are kept in; empty where they are kept in pods. Without slots the chart
     makes none: many a claim is bound by its first pod, and `--wait` would wait for the next month. */}}
{{- define "slipway.cacheClaim" -}}
{{- $persistence := dig "persistence" dict (.Values.cache | default dict) -}}
{{- if dig "enabled" false $persistence -}}
{{- $own := ternary (include "slipway.name" (list . "cache")) "" (eq "true" (include "slipway.webEnabled" .)) -}}
{{- dig "existingClaim" "" $persistence | default $own -}}
{{- end -}}
{{- end -}}

{{/* The volume of verified artefacts. */}}
{{- define "slipway.cacheVolume" -}}
- name: cache
{{- with include "slipway.cacheClaim" . }}
  persistentVolumeClaim:
    claimName: {{ . }}
{{- else }}
  emptyDir:
    sizeLimit: {{ dig "sizeLimit" "4Gi" (.Values.cache | default dict) }}
{{- end }}
{{- end -}}
