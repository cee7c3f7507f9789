// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	serverName = "stagegate-apiserver"
	agentName  = "stagegate-member-agent"

	imageExpression = `"{{ .Values.image.repository }}{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}"`
)

// serverFeatures are the overlays of docs/operations.md, by the values that stand for them.
func serverFeatures() []feature {
	base := []string{"deploy/base"}
	return []feature{
		{".Values.ha.enabled", overlay{resources: []string{"deploy/ha"}}},
		{`eq .Values.certificates.mode "cert-manager"`, overlay{resources: base, components: []string{"deploy/cert-manager"}}},
		{".Values.roles.create", overlay{resources: []string{"deploy/base", "rbac"}}},
		{".Values.reportBack.enabled", overlay{resources: base, components: []string{"deploy/report-back"}}},
		{".Values.noWorkloads.enabled", overlay{resources: base, components: []string{"deploy/no-workloads"}}},
		{".Values.networkPolicy.enabled", overlay{resources: base, components: []string{"deploy/network-policy"}}},
	}
}

// serverChart is the chart of artifacts/deploy and artifacts/rbac.
func serverChart(root, version string, images map[string]imageName) (chart, error) {
	base := overlay{resources: []string{"deploy/base"}}
	defaults, err := defaultsOf(root, base, images[serverName])
	if err != nil {
		return chart{}, err
	}
	return newChart(root, "stagegate", version, base, serverFeatures(), func(b *blocks, obj object) {
		switch kind, _ := obj["kind"].(string); kind {
		case "Deployment":
			pod := editDeployment(b, obj)
			for _, volume := range maps(pod, "volumes") {
				if secret := at(volume, "secret"); secret != nil && secret["secretName"] == "stagegate-apiserver-tls" {
					secret["secretName"] = b.quoted(".Values.certificates.secretName")
				}
			}
			if spec := at(obj, "spec"); fmt.Sprint(spec["replicas"]) != "1" {
				spec["replicas"] = b.value("{{ .Values.ha.replicas }}")
			}
			args, _ := maps(pod, "containers")[0]["args"].([]any)
			for i, arg := range args {
				if text, _ := arg.(string); strings.HasPrefix(text, "--etcd-servers=") {
					args[i] = b.quoted(`printf "--etcd-servers=%s" (join "," .Values.ha.etcdServers)`)
				}
			}
			b.more(pod, "volumes", ".Values.extraVolumes")
			b.more(maps(pod, "containers")[0], "volumeMounts", ".Values.extraVolumeMounts")
		case "PersistentVolumeClaim":
			spec := at(obj, "spec")
			at(spec, "resources", "requests")["storage"] = b.quoted(".Values.persistence.size")
			b.scalar(spec, "storageClassName", ".Values.persistence.storageClassName")
		case "APIService":
			// With the annotation it is cert-manager that writes the bundle, and whoever renders again must not take it away.
			if at(obj, "metadata", "annotations") == nil {
				b.scalar(at(obj, "spec"), "caBundle", ".Values.certificates.caBundle")
			}
		case "Certificate":
			if spec := at(obj, "spec"); spec["secretName"] == "stagegate-apiserver-tls" {
				spec["secretName"] = b.quoted(".Values.certificates.secretName")
			}
		case "NetworkPolicy":
			ingress, _ := at(obj, "spec")["ingress"].([]any)
			first, _ := ingress[0].(object)
			delete(first, "from")
			// Without an address the rule would let everybody in.
			first[b.lines("from: {{- required \"networkPolicy.controlPlane is empty: from where the hub's kube-apiserver connects\" "+
				"(.Values.networkPolicy.controlPlane | default nil) | toYaml | nindent @0 }}")] = nil
		}
	}, defaults)
}

// agentFeatures are what of artifacts/member-agent is not applied by itself.
func agentFeatures() []feature {
	return []feature{{".Values.leastRole.create", overlay{resources: []string{"member-agent", "member-agent/least.yaml"}}}}
}

// agentChart is the chart of artifacts/member-agent. The agent lives in whatever namespace the chart is installed in.
func agentChart(root, version string, images map[string]imageName) (chart, error) {
	base := overlay{resources: []string{"member-agent"}}
	defaults, err := defaultsOf(root, base, images[agentName])
	if err != nil {
		return chart{}, err
	}
	return newChart(root, agentName, version, base, agentFeatures(), func(b *blocks, obj object) {
		const namespace = ".Release.Namespace"
		switch kind, _ := obj["kind"].(string); kind {
		case "Namespace":
			at(obj, "metadata")["name"] = b.quoted(namespace)
		case "Deployment":
			pod := editDeployment(b, obj)
			at(obj, "spec")["replicas"] = b.value("{{ .Values.replicas }}")
			for _, env := range maps(maps(pod, "containers")[0], "env") {
				if env["name"] == "MEMBER_CLUSTER_NAME" {
					env["value"] = b.quoted(`required "cluster is missing: the name of the MemberCluster that this cluster is" .Values.cluster`)
				}
			}
		case "ClusterRoleBinding":
			at(obj, "roleRef")["name"] = b.quoted(".Values.clusterRole")
		}
		if metadata := at(obj, "metadata"); metadata["namespace"] != nil {
			metadata["namespace"] = b.quoted(namespace)
		}
		for _, subject := range maps(obj, "subjects") {
			subject["namespace"] = b.quoted(namespace)
		}
	}, defaults)
}

// editDeployment puts the values in that both Deployments have, and returns the spec of the pod.
func editDeployment(b *blocks, obj object) object {
	pod, container, _ := podOf(obj)
	container["image"] = b.value(imageExpression)
	b.scalar(container, "imagePullPolicy", ".Values.image.pullPolicy")
	b.replace(container, "resources", ".Values.resources")
	b.more(container, "args", ".Values.extraArgs")
	if maps(container, "env") == nil {
		b.optional(container, "env", ".Values.extraEnv")
	} else {
		b.more(container, "env", ".Values.extraEnv")
	}
	b.optional(pod, "imagePullSecrets", ".Values.image.pullSecrets")
	b.optional(pod, "nodeSelector", ".Values.nodeSelector")
	b.optional(pod, "tolerations", ".Values.tolerations")
	b.optional(pod, "affinity", ".Values.affinity")
	b.optional(at(obj, "spec", "template", "metadata"), "annotations", ".Values.podAnnotations")
	return pod
}

func podOf(obj object) (pod, container object, err error) {
	pod = at(obj, "spec", "template", "spec")
	containers := maps(pod, "containers")
	if len(containers) != 1 {
		return nil, nil, errors.New("the Deployment has not one container")
	}
	return pod, containers[0], nil
}

// defaultsOf are the values for which the manifests decide, by their tokens in values.yaml.
func defaultsOf(root string, base overlay, image imageName) (map[string]string, error) {
	objects, err := base.build(root)
	if err != nil {
		return nil, err
	}
	defaults := map[string]string{"repository": image.repository}
	for _, obj := range objects {
		switch obj["kind"] {
		case "Deployment":
			_, container, err := podOf(obj)
			if err != nil {
				return nil, err
			}
			resources, err := yaml.Marshal(container["resources"])
			if err != nil {
				return nil, err
			}
			defaults["resources"] = strings.ReplaceAll(strings.TrimSpace(string(resources)), "\n", "\n  ")
			defaults["replicas"] = fmt.Sprint(at(obj, "spec")["replicas"])
		case "PersistentVolumeClaim":
			defaults["storage"], _, _ = unstructured.NestedString(obj, "spec", "resources", "requests", "storage")
		}
	}
	return defaults, nil
}

// at returns the map at a path, nil if there is none.
func at(obj object, path ...string) object {
	for _, name := range path {
		obj, _ = obj[name].(object)
	}
	return obj
}

// maps returns the maps in a list.
func maps(obj object, field string) []object {
	list, _ := obj[field].([]any)
	var found []object
	for _, item := range list {
		if m, ok := item.(object); ok {
			found = append(found, m)
		}
	}
	return found
}
