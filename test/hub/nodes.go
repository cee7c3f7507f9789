// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	kwokBinary = "kwok"

	// UnreadyAnnotation makes a Pod that runs on a member not ready for as long as it has it, whatever its value.
	UnreadyAnnotation = "test-hub/unready"

	// TagMissing ends an image that no node can pull: its Pods stay Pending.
	TagMissing = ":missing"
	// TagCrashes ends an image whose containers end at once, with code 1, and are started again and again: its Pods are never ready.
	TagCrashes = ":crashes"
	// TagFails ends an image whose Pods fail, with code 1.
	TagFails = ":fails"
)

// podStages tell kwok what becomes of nodes and Pods.
//
//go:embed stages.yaml
var podStages []byte

func schedulerName(cluster string) string { return cluster + "-scheduler" }
func kwokName(cluster string) string      { return cluster + "-kwok" }

// NodeName returns the name of the i-th node of a member, counted from 1.
func NodeName(i int) string { return fmt.Sprintf("node%d", i) }

// ensureNodes gives a member the nodes that are wanted, a scheduler, and kwok, which says of nodes and Pods what a kubelet would. With no
// nodes it takes away what there is of that: a member without is as light as it was.
func (e *Environment) ensureNodes(ctx context.Context, member string) error {
	config, err := e.RESTConfig(member)
	if err != nil {
		return err
	}
	cluster, err := newClients(config)
	if err != nil {
		return err
	}
	nodes := cluster.kube.CoreV1().Nodes()
	there, err := nodes.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for i := range e.state.Nodes {
		wanted[NodeName(i+1)] = true
	}
	for i := range there.Items {
		name := there.Items[i].Name
		if wanted[name] {
			delete(wanted, name)
			continue
		}
		if err := nodes.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	for name := range wanted {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}}}
		if _, err := nodes.Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	if e.state.Nodes == 0 {
		if err := e.stop(schedulerName(member)); err != nil {
			return err
		}
		return e.stop(kwokName(member))
	}
	if err := e.ensureUser(member, schedulerName(member), e.componentConfig(schedulerName(member)), "system:kube-scheduler"); err != nil {
		return err
	}
	// As the kubelet of every node at once, for which there is no role.
	if err := e.ensureUser(member, kwokName(member), e.componentConfig(kwokName(member)), kwokBinary, "system:masters"); err != nil {
		return err
	}
	if err := writeFile(e.podStages(), podStages); err != nil {
		return err
	}
	client, err := e.probeClient(member)
	if err != nil {
		return err
	}
	if err := e.ensure(ctx, e.kubeController("kube-scheduler", schedulerName(member), member, client)); err != nil {
		return err
	}
	if err := e.ensure(ctx, e.kwok(member)); err != nil {
		return err
	}
	for i := range e.state.Nodes {
		if err := waitFor(ctx, cluster.dynamic.Resource(corev1.SchemeGroupVersion.WithResource("nodes")), "Node", NodeName(i+1), string(corev1.NodeReady)); err != nil {
			return err
		}
	}
	return nil
}

func (e *Environment) kwok(member string) process {
	name := kwokName(member)
	return process{
		name: name,
		path: e.bin(kwokBinary),
		args: []string{
			"--kubeconfig=" + e.componentConfig(name),
			"--config=" + e.podStages(),
			"--manage-all-nodes=true",
			"--node-lease-duration-seconds=40",
			"--server-address=" + e.address(name),
		},
		ready: func(ctx context.Context) error {
			return probe(ctx, http.DefaultClient, "http://"+e.address(name)+"/healthz")
		},
	}
}
