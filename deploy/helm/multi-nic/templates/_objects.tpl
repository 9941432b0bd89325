{{- /*
The objects are those of the folder files/, which `cargo xtask codegen helm` copies from the kustomize folders: what they may
do is written once. Templates read them and set what values say.
*/ -}}

{{- /* A file of files/, in the release's namespace. Takes a dict: root, file. */ -}}
{{- define "multi-nic.file" -}}
{{- $text := .root.Files.Get (printf "files/%s" .file) | required (printf "the chart has no files/%s: run cargo xtask codegen helm" .file) -}}
{{- $text | replace "multi-nic-cni-operator" .root.Release.Namespace -}}
{{- end -}}

{{- /* Prints an object with the labels of the release. Takes a dict: root, object. */ -}}
{{- define "multi-nic.print" -}}
{{- $labels := dict
  "app.kubernetes.io/name" .root.Chart.Name
  "app.kubernetes.io/instance" .root.Release.Name
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/managed-by" .root.Release.Service
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version) -}}
{{- $_ := set .object.metadata "labels" (merge (.object.metadata.labels | default dict) $labels) }}
---
{{ toYaml .object }}
{{- end -}}

{{- /* Prints every object of a file as it is. Takes a dict: root, file. */ -}}
{{- define "multi-nic.copy" -}}
{{- $root := .root -}}
{{- range regexSplit "(?m)^---$" (include "multi-nic.file" .) -1 -}}
{{- include "multi-nic.print" (dict "root" $root "object" (fromYaml .)) -}}
{{- end -}}
{{- end -}}

{{- /* Appends the values of a list of JSON patches, which only append. Takes a dict: root, object, file. */ -}}
{{- define "multi-nic.patch" -}}
{{- $pod := .object.spec.template.spec -}}
{{- range include "multi-nic.file" . | fromYamlArray -}}
{{- $list := trimPrefix "/spec/template/spec/" .path | trimSuffix "/-" -}}
{{- if eq $list "volumes" -}}
{{- $_ := set $pod "volumes" (append $pod.volumes .value) -}}
{{- else if has $list (list "containers/0/args" "containers/0/volumeMounts") -}}
{{- $container := first $pod.containers -}}
{{- $key := base $list -}}
{{- $_ := set $container $key (append (get $container $key) .value) -}}
{{- else -}}
{{- fail (printf "the chart cannot patch %s" .path) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Sets what values say of a workload. Takes a dict: root, object, values (agent or operator). */ -}}
{{- define "multi-nic.adjust" -}}
{{- $pod := .object.spec.template.spec -}}
{{- with .root.Values.image.pullSecrets -}}
{{- $secrets := list -}}
{{- range . -}}{{- $secrets = append $secrets (dict "name" .) -}}{{- end -}}
{{- $_ := set $pod "imagePullSecrets" $secrets -}}
{{- end -}}
{{- with .values.nodeSelector -}}{{- $_ := set $pod "nodeSelector" . -}}{{- end -}}
{{- with .values.tolerations -}}{{- $_ := set $pod "tolerations" . -}}{{- end -}}
{{- end -}}

{{- /* Folder of CNI executables on the node. Takes the root. */ -}}
{{- define "multi-nic.pluginFolder" -}}
{{- .Values.agent.pluginFolder | default (ternary "/var/lib/cni/bin" "/opt/cni/bin" .Values.openshift) -}}
{{- end -}}

{{- /* Puts a volume somewhere else on the node. Takes a dict: object, volume, path. */ -}}
{{- define "multi-nic.place" -}}
{{- $volume := .volume -}}
{{- $path := .path -}}
{{- range .object.spec.template.spec.volumes -}}
{{- if eq .name $volume -}}{{- $_ := set .hostPath "path" $path -}}{{- end -}}
{{- end -}}
{{- end -}}
