// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
)

// onMember places a namespace with a ConfigMap on one member.
const onMember = `apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: %[1]s}
data: {key: value1}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: %[1]s}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: %[1]s}]
  policy: {placementType: PickFixed, clusterNames: [%[2]s]}
  strategy: {type: RollingUpdate, rollingUpdate: {unavailablePeriodSeconds: 1}}
`

// placedOn is what is placed on a member by onMember.
type placedOn struct {
	*suite
	name, member string
}

func (s *suite) placeOn(t *testing.T, name, member string) placedOn {
	t.Helper()
	s.explain(t, "membercluster/"+member, "crp/"+name, "works -A -l kubernetes-fleet.io/parent-CRP="+name)
	t.Cleanup(func() {
		s.mustRunInCleanup(t, fmt.Sprintf("kubectl delete crp %[1]s --timeout=50s && kubectl delete ns %[1]s --wait=false", name))
	})
	s.hub().mustCreate(t, fmt.Sprintf(onMember, name, member))
	p := placedOn{s, name, member}
	p.has(t, "value1")
	return p
}

func (p placedOn) has(t *testing.T, value string) {
	t.Helper()
	p.eventually(t, func() error { return p.values(t.Context(), p.name, "settings", map[string]string{p.member: value}) })
}

func (p placedOn) change(t *testing.T, value string) {
	t.Helper()
	p.hub().mustPatch(t, kindConfigMap, p.name, "settings", fmt.Sprintf(`{"data":{"key":%q}}`, value))
}

func (p placedOn) objects() []object {
	return []object{{kindNamespace, "", p.name}, {kindConfigMap, p.name, "settings"}}
}

// is waits until a condition of the member is as it should be, with a message that has the words.
func (p placedOn) is(t *testing.T, conditionType, status, reason, words string) {
	t.Helper()
	p.eventually(t, func() error {
		obj, err := p.hub().get(t.Context(), kindMemberCluster, "", p.member)
		if err != nil {
			return err
		}
		if err := condition(obj, conditionType, status, reason); err != nil {
			return err
		}
		if found, err := findCondition(obj, conditionType); err != nil || !strings.Contains(found.Message, words) {
			return fmt.Errorf("%s says %+v, want %q: %w", conditionType, found, words, err)
		}
		return nil
	})
}

// mustRunOn runs a script as the administrator of the member.
func (p placedOn) mustRunOn(t *testing.T, script string) string {
	t.Helper()
	out, err := p.run(t.Context(), p.member, script)
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return strings.TrimSpace(out)
}

// cleanUpOn is mustRunOn for when the context of the test has ended.
func (p placedOn) cleanUpOn(t *testing.T, script string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if _, err := p.run(ctx, p.member, script); err != nil {
		t.Errorf("%s: %v", script, err)
	}
}

// testCredentials rotates the credentials of a member, has the member refuse them, and takes them away: each time a condition says it,
// nothing on the member is touched, and all goes on with good ones.
func testCredentials(t *testing.T, s *suite) {
	const member = "member2"
	p := s.placeOn(t, "members-credentials", member)
	before := s.awaitUIDs(t, []string{member}, p.objects())
	works := s.appliedWorks(t, []string{member})
	// What the member refuses is seen at a heartbeat.
	s.mustRun(t, "kubectl patch membercluster "+member+` --type=merge -p '{"spec":{"heartbeatPeriodSeconds":1}}'`)
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl patch membercluster "+member+` --type=merge -p '{"spec":{"heartbeatPeriodSeconds":60}}'`)
	})

	encoded := s.mustRun(t, "kubectl -n fleet-system get secret member-"+member+" -o jsonpath='{.data.kubeconfig}'")
	give := func(encoded string) string {
		return fmt.Sprintf(`kubectl apply -f - << EOF
apiVersion: v1
kind: Secret
metadata: {name: member-%s, namespace: fleet-system}
data: {kubeconfig: %s}
EOF
`, member, encoded)
	}
	t.Cleanup(func() { s.mustRunInCleanup(t, give(encoded)) })
	t.Cleanup(func() {
		p.cleanUpOn(t, "kubectl delete clusterrolebinding members-rotated --ignore-not-found; kubectl -n fleet-system delete sa members-rotated --ignore-not-found")
	})
	original, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	token := p.mustRunOn(t, `kubectl -n fleet-system create sa members-rotated > /dev/null
kubectl create clusterrolebinding members-rotated --clusterrole=cluster-admin --serviceaccount=fleet-system:members-rotated > /dev/null
kubectl -n fleet-system create token members-rotated`)
	rotated := regexp.MustCompile(`token: .*`).ReplaceAll(original, []byte("token: "+token))

	s.mustRun(t, give(base64.StdEncoding.EncodeToString(rotated)))
	p.change(t, "value2")
	p.has(t, "value2")
	p.is(t, "Healthy", "True", "", "")
	s.sameUIDs(t, before, []string{member}, p.objects())

	// That these are in use is seen when the member refuses them.
	p.mustRunOn(t, "kubectl -n fleet-system delete sa members-rotated")
	p.change(t, "value3")
	p.is(t, "Healthy", "False", "Unauthorized", "does not accept the credentials")
	p.is(t, "Joined", "True", "", "")
	s.sameUIDs(t, before, []string{member}, p.objects())

	s.mustRun(t, give(encoded))
	p.has(t, "value3")
	p.is(t, "Healthy", "True", "", "")

	s.mustRun(t, "kubectl -n fleet-system delete secret member-"+member)
	p.is(t, "Healthy", "False", "SecretNotFound", "Secret fleet-system/member-"+member+" does not exist")
	p.is(t, "Joined", "True", "", "")
	p.change(t, "value4")
	s.sameUIDs(t, before, []string{member}, p.objects())
	if err := p.values(t.Context(), p.name, "settings", map[string]string{member: "value3"}); err != nil {
		t.Error(err)
	}
	s.mustRun(t, give(encoded))
	p.has(t, "value4")
	p.is(t, "Healthy", "True", "", "")
	s.sameUIDs(t, before, []string{member}, p.objects())
	if diff := cmp.Diff(namesOf(works), namesOf(s.appliedWorks(t, []string{member}))); diff != "" {
		t.Errorf("AppliedWorks (-before +now):\n%s", diff)
	}
}

// namesOf leaves the versions out.
func namesOf(works map[string]string) map[string]string {
	names := map[string]string{}
	for name, version := range works {
		names[name], _, _ = strings.Cut(version, " ")
	}
	return names
}

// testForcedLeave has a member leave that is down: it is waited for, then it leaves with everything on it as it is, an Event names what
// that is, and it comes back without losing anything.
func testForcedLeave(t *testing.T, s *suite) {
	const member = "member3"
	p := s.placeOn(t, "members-forced", member)
	before := s.awaitUIDs(t, []string{member}, p.objects())

	flags := s.options.ServerFlags
	s.options.ServerFlags = append(slices.Clone(flags), "--force-delete-wait-time=30s")
	t.Cleanup(func() {
		s.options.ServerFlags = flags
		s.up(t)
	})
	s.up(t)
	s.kill(t, member+"-apiserver")
	s.mustRun(t, "kubectl delete membercluster "+member+" --wait=false")
	p.is(t, "Joined", "Unknown", "MemberClusterLeaving", "then the cluster leaves without it")
	if _, err := s.hub().get(t.Context(), kindNamespace, "", "fleet-member-"+member); err != nil {
		t.Errorf("the namespace of a member that is waited for: %v", err)
	}
	s.eventuallyGone(t, t.Context(), kindMemberCluster, member)
	s.eventuallyGone(t, t.Context(), kindNamespace, "fleet-member-"+member)
	said := s.mustRun(t, "kubectl get events --field-selector reason=MemberClusterNotCleanedUp,involvedObject.name="+member+" -o jsonpath='{.items[*].message}'")
	for _, words := range []string{"AppliedWork", "members-forced-work", "cannot be reached"} {
		if !strings.Contains(said, words) {
			t.Errorf("the Event says %q, want %q", said, words)
		}
	}

	s.options.ServerFlags = flags
	s.up(t)
	s.sameUIDs(t, before, []string{member}, p.objects())
	p.is(t, "Joined", "True", "", "")
	p.change(t, "value2")
	p.has(t, "value2")
	s.sameUIDs(t, before, []string{member}, p.objects())
}

// testMemberReports has a member report a node, a Pod that takes a part of it, and its namespaces.
func testMemberReports(t *testing.T, s *suite) {
	const member = "member1"
	p := s.placeOn(t, "members-reports", member)
	s.mustRun(t, "kubectl patch membercluster "+member+` --type=merge -p '{"spec":{"heartbeatPeriodSeconds":1}}'`)
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl patch membercluster "+member+` --type=merge -p '{"spec":{"heartbeatPeriodSeconds":60}}'`)
	})
	p.is(t, "ClusterPropertyProviderStarted", "True", "Started", "")
	p.is(t, "ClusterPropertyCollectionSucceeded", "True", "PropertiesCollected", "")
	p.is(t, "NamespaceCollectionSucceeded", "True", "Succeeded", "")
	capacity, available := p.quantity(t, "capacity"), p.quantity(t, "available")

	t.Cleanup(func() {
		p.cleanUpOn(t, "kubectl delete pod takes --force --ignore-not-found; kubectl delete node members-reports --ignore-not-found")
	})
	p.mustRunOn(t, `kubectl apply -f - << EOF
apiVersion: v1
kind: Node
metadata: {name: members-reports}
EOF
kubectl patch node members-reports --subresource=status --type=merge \
  -p '{"status":{"capacity":{"cpu":"64","memory":"64Gi"},"allocatable":{"cpu":"60","memory":"60Gi"}}}'`)
	p.awaitQuantities(t, capacity+64_000, available+60_000)
	s.eventually(t, func() error {
		if owner := p.reported(t, ".status.namespaces.members-reports"); owner != "members-reports-work" {
			return fmt.Errorf("the namespace is %q's", owner)
		}
		return nil
	})
	if out := s.mustRun(t, "kubectl get membercluster "+member); !regexp.MustCompile(`\d+Gi`).MatchString(out) {
		t.Errorf("the table has no memory that is available:\n%s", out)
	}

	p.picksByReports(t)

	// An init container takes three CPUs, what runs after it one.
	p.mustRunOn(t, `kubectl apply -f - << EOF
apiVersion: v1
kind: Pod
metadata: {name: takes, namespace: default}
spec:
  nodeName: members-reports
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  initContainers: [{name: first, image: none, resources: {requests: {cpu: "3"}}}]
  containers: [{name: then, image: none, resources: {requests: {cpu: "1"}}}]
EOF`)
	p.awaitQuantities(t, capacity+64_000, available+57_000)
	p.mustRunOn(t, `kubectl patch pod takes --subresource=status --type=merge -p '{"status":{"phase":"Succeeded"}}'`)
	p.awaitQuantities(t, capacity+64_000, available+60_000)

	p.mustRunOn(t, "kubectl delete pod takes --force; kubectl delete node members-reports")
	p.awaitQuantities(t, capacity, available)
}

// picksByReports has placements pick the member by what it alone reports: the most CPU, enough of it, and a namespace. They place nothing.
func (p placedOn) picksByReports(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		p.mustRunInCleanup(t, "kubectl delete crp members-sorted members-required --ignore-not-found; kubectl delete rp settings -n "+p.name+" --ignore-not-found")
	})
	const picked = `placement.kubernetes-fleet.io/v1
kind: ClusterResourcePlacement
metadata: {name: members-%s}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: members-reports}]
  policy: {placementType: %s, affinity: {clusterAffinity: {%s}}}
  strategy: {type: External}
`
	p.hub().mustCreate(t, "apiVersion: "+fmt.Sprintf(picked, "sorted", "PickN, numberOfClusters: 1", "preferredDuringSchedulingIgnoredDuringExecution: "+
		"[{weight: 10, preference: {propertySorter: {name: resources.kubernetes-fleet.io/total-cpu, sortOrder: Descending}}}]")+
		"---\napiVersion: "+fmt.Sprintf(picked, "required", "PickAll", "requiredDuringSchedulingIgnoredDuringExecution: {clusterSelectorTerms: "+
		`[{propertySelector: {matchExpressions: [{name: resources.kubernetes-fleet.io/available-cpu, operator: Ge, values: ["60"]}]}}]}`)+
		`---
apiVersion: placement.kubernetes-fleet.io/v1
kind: ResourcePlacement
metadata: {name: settings, namespace: members-reports}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: settings}]
  strategy: {type: External}
`)
	for bindings, why := range map[string]string{
		"crb -l kubernetes-fleet.io/parent-CRP=members-sorted":             "the most CPU",
		"crb -l kubernetes-fleet.io/parent-CRP=members-required":           "enough CPU",
		"rb -n members-reports -l kubernetes-fleet.io/parent-CRP=settings": "the namespace",
	} {
		p.eventually(t, func() error {
			got, err := p.run(t.Context(), "hub", "kubectl get "+bindings+" -o jsonpath='{.items[*].spec.targetCluster}'")
			if err == nil && got != p.member {
				err = fmt.Errorf("for %s %q is picked, want %s", why, got, p.member)
			}
			return err
		})
	}
}

// reported reads from the MemberCluster.
func (p placedOn) reported(t *testing.T, path string) string {
	t.Helper()
	return p.mustRun(t, fmt.Sprintf("kubectl get membercluster %s -o jsonpath='{%s}'", p.member, path))
}

// quantity is a CPU of the member's report in thousandths, zero where none is reported.
func (p placedOn) quantity(t *testing.T, list string) int64 {
	t.Helper()
	text := p.reported(t, ".status.resourceUsage."+list+".cpu")
	if text == "" {
		return 0
	}
	quantity := resource.MustParse(text)
	return quantity.MilliValue()
}

func (p placedOn) awaitQuantities(t *testing.T, capacity, available int64) {
	t.Helper()
	p.eventually(t, func() error {
		var errs []error
		for list, want := range map[string]int64{"capacity": capacity, "available": available} {
			if got := p.quantity(t, list); got != want {
				errs = append(errs, fmt.Errorf("%s has %dm of CPU, want %dm", list, got, want))
			}
		}
		return errors.Join(errs...)
	})
}

// profileKind is the definition of ClusterProfiles, without what it validates.
const profileKind = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: clusterprofiles.multicluster.x-k8s.io}
spec:
  group: multicluster.x-k8s.io
  scope: Namespaced
  names: {plural: clusterprofiles, singular: clusterprofile, kind: ClusterProfile}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// testClusterProfiles has the definition of ClusterProfiles come to the hub, and go: members are shown while it is there.
func testClusterProfiles(t *testing.T, s *suite) {
	const remove = "kubectl delete crd clusterprofiles.multicluster.x-k8s.io --ignore-not-found --timeout=50s"
	t.Cleanup(func() { s.mustRunInCleanup(t, remove) })
	held := func(want bool) {
		t.Helper()
		s.eventually(t, func() error {
			for _, member := range s.environment.Members() {
				obj, err := s.hub().get(t.Context(), kindMemberCluster, "", member)
				if err != nil {
					return err
				}
				if got := slices.Contains(obj.GetFinalizers(), "kubernetes-fleet.io/cluster-profile-cleanup"); got != want {
					return fmt.Errorf("%s has the finalizers %v", member, obj.GetFinalizers())
				}
			}
			return nil
		})
	}
	held(false)
	s.mustRun(t, "kubectl apply -f - << EOF\n"+profileKind+"EOF\n")
	held(true)
	for _, member := range s.environment.Members() {
		version := s.mustRun(t, fmt.Sprintf(`kubectl -n fleet-system wait clusterprofile/%[1]s --for=create --timeout=1m > /dev/null
kubectl -n fleet-system wait clusterprofile/%[1]s --for=condition=ControlPlaneHealthy --timeout=1m > /dev/null
kubectl -n fleet-system get clusterprofile %[1]s -o jsonpath='{.status.version.kubernetes}'`, member))
		if !strings.HasPrefix(version, "v1.") {
			t.Errorf("%s has the version %q", member, version)
		}
	}
	s.mustRun(t, remove)
	held(false)
}
