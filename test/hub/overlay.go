// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubectl/pkg/cmd/kustomize"
	"sigs.k8s.io/yaml"
)

// overlay is what artifacts/deploy/base, or an overlay of it, has of the server's pods.
type overlay struct {
	// name is that of its directory.
	name string
	// replicas is how many there are.
	replicas int
	// container is the one of a pod.
	container corev1.Container
	// security is what the pod has of it: who it runs as.
	security *corev1.PodSecurityContext
}

// readOverlay reads an overlay as `kubectl kustomize` renders it for users.
func readOverlay(root, name string) (*overlay, error) {
	dir := filepath.Join(root, "artifacts", "deploy", name)
	var rendered bytes.Buffer
	render := kustomize.NewCmdKustomize(struct {
		In          io.Reader
		Out, ErrOut io.Writer
	}{nil, &rendered, io.Discard})
	render.SetArgs([]string{dir})
	if err := render.Execute(); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	var deployment appsv1.Deployment
	for docs := utilyaml.NewYAMLReader(bufio.NewReader(&rendered)); deployment.Name == ""; {
		doc, err := docs.Read()
		if err != nil {
			return nil, fmt.Errorf("%s: looking for its Deployment: %w", dir, err)
		}
		if !bytes.Contains(doc, []byte("\nkind: Deployment\n")) {
			continue
		}
		if err := yaml.UnmarshalStrict(doc, &deployment); err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
	}
	spec := deployment.Spec
	if spec.Replicas == nil || len(spec.Template.Spec.Containers) != 1 || spec.Template.Spec.Containers[0].ReadinessProbe == nil {
		return nil, fmt.Errorf("%s: want a number of replicas, and one container with a readiness probe", dir)
	}
	return &overlay{
		name: name, replicas: int(*spec.Replicas), container: spec.Template.Spec.Containers[0], security: spec.Template.Spec.SecurityContext,
	}, nil
}

// args returns the flags of the overlay with the paths and addresses of this machine in place of those of a pod. It is an error if a path
// or an address is not replaced, or if something is to be replaced that the overlay does not have: all others are used as they are, so that
// the overlay has no flag that is never tried.
func (o *overlay) args(here map[string]string) ([]string, error) {
	missing := maps.Clone(here)
	var args []string
	for _, arg := range o.container.Args {
		flag, value, _ := strings.Cut(arg, "=")
		replaced, ok := here[flag]
		switch {
		case ok:
			delete(missing, flag)
			arg = flag + "=" + replaced
		case strings.HasPrefix(value, "/") || strings.Contains(value, "://"):
			return nil, fmt.Errorf("the overlay %s has %s, and nothing here takes its place", o.name, arg)
		}
		args = append(args, arg)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the overlay %s does not have %s", o.name, strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
	return args, nil
}
