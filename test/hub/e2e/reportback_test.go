// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
)

var kindReported = schema.GroupVersionKind{Group: "reportback.example.com", Version: "v1", Kind: "Machine"}

// reportedKind is a kind with a status, which nobody on the hub writes.
const reportedKind = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: machines.reportback.example.com}
spec:
  group: reportback.example.com
  scope: Namespaced
  names: {plural: machines, singular: machine, kind: Machine}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// reportedObjects are placed with the namespace that they are in.
const reportedObjects = `apiVersion: reportback.example.com/v1
kind: Machine
metadata: {name: one, namespace: reportback}
spec: {size: 3}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: reportback}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: none}]}
`

// reportedPlacement places them with their Namespace.
const reportedPlacement = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: reportback}
spec:
  resourceSelectors:
  - {group: "", version: v1, kind: Namespace, name: reportback}
  - {group: apiextensions.k8s.io, version: v1, kind: CustomResourceDefinition, name: machines.reportback.example.com}
  policy: {placementType: PickFixed, clusterNames: [member1]}
  strategy:
    rollingUpdate: {unavailablePeriodSeconds: 1}
    reportBackStrategy: {type: Mirror, destination: OriginalResource}
`

// reportedByTeam is what a team places of its own.
const reportedByTeam = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: machines, namespace: reportback-team}
spec:
  resourceSelectors: [{group: reportback.example.com, version: v1, kind: Machine, name: two}]
  policy: {placementType: PickFixed, clusterNames: [member1]}
  strategy:
    rollingUpdate: {unavailablePeriodSeconds: 1}
    reportBackStrategy: {type: Mirror, destination: OriginalResource}
`

// testReportBack has members report statuses to the objects on the hub: not before the server may write them, not where a controller of the
// hub writes one, and not for an author who may not write them.
func testReportBack(t *testing.T, s *suite) {
	component := filepath.Join(s.options.Root, "artifacts", "deploy", "report-back", "rbac.yaml")
	t.Cleanup(func() {
		s.mustRunInCleanup(t, `kubectl delete rp machines -n reportback-team --ignore-not-found --timeout=50s
kubectl delete crp reportback --ignore-not-found --timeout=50s
kubectl delete ns reportback reportback-team --ignore-not-found --wait=false
kubectl delete crd machines.reportback.example.com --ignore-not-found --wait=false
kubectl delete clusterrolebinding reportback-machines --ignore-not-found; kubectl delete clusterrole reportback-machines --ignore-not-found
kubectl delete -f `+component+` --ignore-not-found`)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if _, err := s.run(ctx, "member1", "kubectl delete ns reportback reportback-team --ignore-not-found --wait=false; kubectl delete crd machines.reportback.example.com --ignore-not-found"); err != nil {
			t.Error(err)
		}
	})
	s.explain(t, "crp/reportback", "rp -n reportback-team", "works -n fleet-member-member1")
	machine := func(namespace, name, phase string) {
		t.Helper()
		s.eventually(t, func() error {
			_, err := s.run(t.Context(), "member1", fmt.Sprintf(`kubectl patch machines.reportback.example.com %s -n %s --subresource=status --type=merge -p '{"status":{"phase":%q}}'`, name, namespace, phase))
			return err
		})
	}
	says := func(placement, condition string, words ...string) {
		t.Helper()
		s.eventually(t, func() error {
			said := s.mustRun(t, fmt.Sprintf(`kubectl get %s -o jsonpath='{range .status.conditions[?(@.type==%q)]}{.status} {.reason}: {.message}{end}'`, placement, condition))
			for _, w := range words {
				if !strings.Contains(said, w) {
					return fmt.Errorf("%s says %q, want %q", placement, said, w)
				}
			}
			return nil
		})
	}
	has := func(namespace, name, phase string) {
		t.Helper()
		s.eventually(t, func() error {
			object, err := s.hub().get(t.Context(), kindReported, namespace, name)
			if err != nil {
				return err
			}
			if got := fmt.Sprint(object.Object["status"]); got != "map[phase:"+phase+"]" {
				return fmt.Errorf("Machine %s/%s on the hub has the status %s, want %s", namespace, name, got, phase)
			}
			if size := fmt.Sprint(object.Object["spec"]); size != "map[size:3]" {
				return fmt.Errorf("its spec is %s", size)
			}
			return nil
		})
	}

	s.mustRun(t, "kubectl create ns reportback")
	s.hub().mustCreate(t, reportedKind)
	s.eventually(t, func() error {
		definition, err := s.hub().get(t.Context(), kindDefinition, "", "machines.reportback.example.com")
		if err != nil {
			return err
		}
		return condition(definition, "Established", "True", "")
	})
	s.hub().mustCreate(t, reportedObjects)
	// Two statuses that came in the same second are alike, and there is nothing to write.
	s.eventually(t, func() error {
		text, _, _ := strings.Cut(s.mustRun(t, `kubectl get deployment web -n reportback -o jsonpath='{range .status.conditions[*]}{.lastUpdateTime} {end}'`), " ")
		if at, err := time.Parse(time.RFC3339, text); err != nil || time.Since(at) < time.Second {
			return fmt.Errorf("the hub's status of the Deployment is of %q: %w", text, err)
		}
		return nil
	})
	s.hub().mustCreate(t, reportedPlacement)
	const reported = "ClusterResourcePlacementStatusReportedBack"
	machine("reportback", "one", "Starting")
	says("crp/reportback", reported, "False ", "Machine reportback/one: give the server's ServiceAccount the permission (artifacts/deploy/report-back)",
		"Deployment reportback/web: its status on the hub is written by kube-controller-manager")

	s.mustRun(t, `kubectl apply -f `+component+`
kubectl create clusterrole reportback-machines --verb=update --resource=machines.reportback.example.com/status
kubectl create clusterrolebinding reportback-machines --clusterrole=reportback-machines --serviceaccount=fleet-system:stagegate-apiserver`)
	machine("reportback", "one", "Ready")
	has("reportback", "one", "Ready")
	says("crp/reportback", reported, "False StatusWrittenByOther: Deployment reportback/web")
	s.mustRun(t, "kubectl delete deployment web -n reportback --wait=false")
	says("crp/reportback", reported, "True StatusReportedBack: The status of 1 object on cluster member1 is on the hub", "never reported: CustomResourceDefinition, Namespace")

	// A team in its namespace.
	if _, err := s.environment.User("rhea", "machinists"); err != nil {
		t.Fatal(err)
	}
	s.mustRun(t, `kubectl create ns reportback-team
kubectl create rolebinding edit -n reportback-team --clusterrole=edit --group=machinists
kubectl create role machines -n reportback-team --verb='*' --resource=machines.reportback.example.com
kubectl create rolebinding machines -n reportback-team --role=machines --group=machinists`)
	if _, err := s.run(t.Context(), "member1", "kubectl create ns reportback-team && kubectl label ns reportback-team kubernetes-fleet.io/accept-placements=true"); err != nil {
		t.Fatal(err)
	}
	s.awaitPermission(t, "rhea", "reportback-team", "create", "resourceplacements")
	rhea := s.as(t, "rhea")
	s.eventually(t, func() error {
		// The hub's authorizer sees the role a moment after it is stored.
		return rhea.create(t.Context(), strings.ReplaceAll(strings.SplitN(reportedObjects, "---", 2)[0], "name: one, namespace: reportback", "name: two, namespace: reportback-team"))
	})
	const refused = `user "rhea" cannot report the status of Machine reportback-team/two: needs update on machines.reportback.example.com/status in namespace reportback-team`
	if err := rhea.create(t.Context(), reportedByTeam); err == nil || !strings.Contains(err.Error(), refused) {
		t.Fatalf("who may not write the status is answered with %v", err)
	}
	s.mustRun(t, `kubectl create role machine-statuses -n reportback-team --verb=update --resource=machines.reportback.example.com/status
kubectl create rolebinding machine-statuses -n reportback-team --role=machine-statuses --group=machinists`)
	// The server remembers the hub's answer for ten seconds.
	if err := wait.PollUntilContextTimeout(t.Context(), time.Second, patience, true, func(ctx context.Context) (bool, error) {
		err := rhea.create(ctx, reportedByTeam)
		if apierrors.IsForbidden(err) {
			return false, nil
		}
		return err == nil, err
	}); err != nil {
		t.Fatal(err)
	}
	machine("reportback-team", "two", "Ready")
	has("reportback-team", "two", "Ready")
	says("rp/machines -n reportback-team", "ResourcePlacementStatusReportedBack", "True StatusReportedBack")

	// What was reported stays.
	s.mustRun(t, "kubectl delete rp machines -n reportback-team --timeout=50s")
	has("reportback-team", "two", "Ready")
}
