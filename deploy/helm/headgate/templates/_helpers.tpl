{{- define "headgate.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "headgate.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "headgate.labels" -}}
{{ include "headgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "headgate.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* What the chart decides lies over what the values say. */}}
{{- define "headgate.config" -}}
{{- $server := dict "host" "0.0.0.0" "port" 8080 "ops_listen" "0.0.0.0:8081" "data_dir" "/var/lib/headgate" -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "server" (mergeOverwrite (dict) (get $config "server" | default dict) $server) -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Above lame duck, drain and 5: what is left is for settling and for the store's last answer. */}}
{{- define "headgate.graceSeconds" -}}
{{- $server := .Values.config.server | default dict -}}
{{- $lameDuck := hasKey $server "lame_duck_s" | ternary $server.lame_duck_s 5 -}}
{{- $drain := hasKey $server "drain_s" | ternary $server.drain_s 30 -}}
{{- addf $lameDuck $drain 10 | ceil | int -}}
{{- end -}}
