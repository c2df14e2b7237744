{{- define "giftcert.name" -}}
{{- if contains "giftcert" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-giftcert{{ end -}}
{{- end }}

{{- define "giftcert.selector" -}}
app.kubernetes.io/name: giftcert
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- with .channel }}
giftcert/channel: {{ . }}
{{- end }}
{{- end }}

{{- define "giftcert.labels" -}}
{{ include "giftcert.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "giftcert.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* Whoever reads these variables: root; own, those of this process. In the pod itself, as hooks run before a ConfigMap. */ -}}
{{- define "giftcert.environment" -}}
{{- $channels := dict "GIFTCERT_CHANNELS" (.root.Values.worker.channels | toJson) -}}
{{- $build := dict -}}
{{- with .root.Values.image.tag -}}{{- $build = dict "GIFTCERT_BUILD_ID" . -}}{{- end -}}
{{- $all := merge (dict) .own $channels $build .root.Values.settings -}}
{{- range $name := keys $all | sortAlpha }}
- name: {{ $name }}
  {{- $value := get $all $name }}
  {{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}{{ $value = int64 $value }}{{ end }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- range $name, $secret := .root.Values.secrets.variables }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.key }}}
{{- end }}
{{- range $name, $secret := .root.Values.secrets.files }}
- name: {{ $name }}
  value: /run/secrets/giftcert/{{ include "giftcert.volume" $name }}/{{ $secret.key }}
{{- end }}
{{- end }}

{{- define "giftcert.volume" -}}
{{ . | lower | replace "_" "-" | trimPrefix "giftcert-" }}
{{- end }}

{{- /* What every pod has in common, its containers left out. */ -}}
{{- define "giftcert.pod" -}}
automountServiceAccountToken: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 256Mi}
  {{- range $name, $secret := .Values.secrets.files }}
  - name: {{ include "giftcert.volume" $name }}
    secret:
      secretName: {{ $secret.name }}
      defaultMode: 0440 # owned by root, for the group 1000 alone; as the service insists
  {{- end }}
  {{- if .Values.products }}
  - name: products
    configMap: {name: {{ include "giftcert.name" . }}-products}
  {{- end }}
{{- end }}

{{- define "giftcert.container" -}}
image: {{ include "giftcert.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- range $name, $_ := .Values.secrets.files }}
  - {name: {{ include "giftcert.volume" $name }}, mountPath: /run/secrets/giftcert/{{ include "giftcert.volume" $name }}, readOnly: true}
  {{- end }}
  {{- if .Values.products }}
  - {name: products, mountPath: /etc/giftcert, readOnly: true}
  {{- end }}
{{- end }}

{{- /* One process of the service: root, component, values (replicas, resources), own variables, port; channel, stopSeconds, scaled. */ -}}
{{- define "giftcert.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "giftcert.name" .root }}-{{ .component }}{{ with .channel }}-{{ . }}{{ end }}
  labels: {{ include "giftcert.labels" . | nindent 4 }}
spec:
  {{- if not .scaled }}
  replicas: {{ .values.replicas }}
  {{- end }}
  selector:
    matchLabels: {{ include "giftcert.selector" . | nindent 6 }}
  strategy:
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  template:
    metadata:
      labels: {{ include "giftcert.labels" . | nindent 8 }}
      {{- with .root.Values.podAnnotations }}
      annotations: {{ toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "giftcert.pod" .root | nindent 6 }}
      terminationGracePeriodSeconds: {{ .stopSeconds | default 30 }}
      topologySpreadConstraints:
        {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ $key }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{ include "giftcert.selector" $ | nindent 14 }}
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      containers:
        - name: {{ .component }}
          {{- include "giftcert.container" .root | nindent 10 }}
          args: [{{ .component }}]
          env: {{ include "giftcert.environment" . | nindent 12 }}
          ports:
            - {name: {{ .port.name }}, containerPort: {{ .port.number }}}
          startupProbe:
            httpGet: {path: /livez, port: {{ .port.name }}}
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /livez, port: {{ .port.name }}}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            httpGet: {path: /readyz, port: {{ .port.name }}}
            periodSeconds: 2
            timeoutSeconds: 3
            failureThreshold: 2
          resources: {{ toYaml .values.resources | nindent 12 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "giftcert.name" .root }}-{{ .component }}{{ with .channel }}-{{ . }}{{ end }}
  labels: {{ include "giftcert.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{ include "giftcert.selector" . | nindent 6 }}
{{- end }}
