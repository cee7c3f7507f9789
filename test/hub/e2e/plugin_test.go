// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stagegate/stagegate/test/hub"
)

// pluginStrategy waits, and then asks for an approval by somebody else than who has created the run.
const pluginStrategy = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: StagedUpdateStrategy
metadata: {name: rings, namespace: team}
spec:
  stages:
  - name: staging
    labelSelector: {matchLabels: {environment: staging}}
    afterStageTasks: [{type: TimedWait, waitTime: 1s}]
  - name: canary
    labelSelector: {matchLabels: {environment: canary}}
    sortingLabelKey: order
    beforeStageTasks: [{type: Approval, approval: {allowRequester: false}}]
`

// testPlugin plays the tutorial with the plugin alone: erin has the edit role of a namespace and frank approves there. It takes half a minute, most of it
// for the namespace to get to the members.
func testPlugin(t *testing.T, s *suite) {
	t.Cleanup(func() {
		// What a member that left had stays there: Members has member3 leave.
		s.mustRunInCleanup(t, "kubectl delete ns team --ignore-not-found --wait=false; kubectl delete crp team --ignore-not-found\n"+
			"kubectl --kubeconfig="+s.environment.Kubeconfig("member3")+" delete ns team --ignore-not-found --wait=false")
	})
	s.explain(t, "sur,areq,rp,resourcesnapshots,rb,sus -n team", "crp/team")
	// The part before has a team of the same name.
	s.mustRun(t, fmt.Sprintf("kubectl wait ns/team crp/team --for=delete --timeout=%s", patience))
	s.newTeam(t, "team", "erin", "frank")
	p := plugin{t, s}
	p.wants("erin", "kubectl stagegate plan rp/settings -n team --strategy=rings", "1  staging  1 cluster", "wait 1s after", "2  canary  2 clusters", "approval before", "member3\n   member1")
	p.code("erin", "kubectl stagegate plan rp/settings -n team --strategy=missing", 1, "could not be initialized", "missing")

	p.wants("erin", "kubectl stagegate run rp/settings -n team --strategy=rings --name=first", "sur/first -n team created")
	p.wants("erin", "kubectl stagegate status -n team", "first  Planned", "kubectl stagegate start sur/first -n team")
	p.wants("erin", "kubectl stagegate start sur/first -n team", "sur/first -n team started")
	p.code("erin", "kubectl stagegate status sur/first -n team --until=stage=staging --timeout=1m", 0, "✔ staging")
	p.code("erin", "kubectl stagegate status sur/first -n team --until=attention --timeout=1m", 4, "waits for approval", "kubectl stagegate approve areq/first-before-canary -n team")
	p.code("erin", "kubectl stagegate status sur/first -n team --until=succeeded --timeout=1s", 124, "--timeout")
	p.wants("erin", "kubectl stagegate why sur/first -n team", "waits for approval: first-before-canary")

	t.Run("ApprovalsOfMine", func(t *testing.T) { testApprovalsOfMine(t, s) })

	p.code("frank", "kubectl stagegate approve areq/first-before-canary -n team < /dev/null", 1, "there is nobody to ask: give --yes, and the reason with -m")
	p.code("frank", "kubectl stagegate approve areq/first-before-canary -n team --yes < /dev/null", 1, "give the reason with -m")
	p.code("erin", "kubectl stagegate approve areq/first-before-canary -n team --yes -m ours", 1, "forbidden")

	// The picture is repainted on a terminal of frank's until the run is over, while he approves on another one, after he was asked.
	p.do("frank", `cd "$(mktemp -d)"
trap 'cat asked painted >&2' ERR
mkfifo screen
script -qefc 'stty cols 100 rows 30; kubectl stagegate status sur/first -n team -w' painted > screen < /dev/null &
watching=$!
exec 3< screen
# The picture is there before he approves.
grep -qm 1 WaitingForApproval <&3
cat <&3 > /dev/null &
(echo 'CHG-1042 smoke ok'; echo y) | script -qefc 'stty -echo; kubectl stagegate approve --run=sur/first -n team' asked > /dev/null
wait $watching
grep -q 'The stage moves 2 clusters to snapshot 0 of ResourcePlacement team/settings' asked
grep -q 'member3, member1' asked
grep -q 'erin has created the run' asked
grep -q 'areq/first-before-canary -n team approved' asked
grep -qP '\x1b\[[0-9]+A\r' painted
grep -q 'WaitingForApproval' painted
tail -n 14 painted | grep -q 'Succeeded'
tail -n 3 painted | grep -qP '\x1b\[\?25h'
rm painted asked screen
`)
	if err := s.values(t.Context(), "team", "settings", onAll("value1")); err != nil {
		t.Error(err)
	}
	p.wants("erin", "kubectl stagegate history sur/first -n team", "StartRequested by erin", `"CHG-1042 smoke ok"`, "Succeeded")
	p.code("erin", "kubectl stagegate approve --run=sur/first -n team --yes -m late", 1, "waits for no approval")

	t.Run("AnotherVersion", func(t *testing.T) { testPluginAnotherVersion(t, s) })
	t.Run("Members", func(t *testing.T) { testPluginMembers(t, s) })
	t.Run("TeamsSeeTheirOwn", func(t *testing.T) {
		p := plugin{t, s}
		p.code("erin", "kubectl stagegate status", 1, "for what is in a namespace give -n NAMESPACE")
		p.code("erin", "kubectl stagegate status sur/first -n default", 1, "forbidden")
		p.code("erin", "kubectl stagegate status sur/gone -n team", 1, "not found")
	})
}

// newTeam has a namespace on the hub and all members, with an editor and an approver, a placement with a snapshot, and the strategy rings.
func (s *suite) newTeam(t *testing.T, namespace, editor, approver string) {
	t.Helper()
	for _, user := range []string{editor, approver} {
		if _, err := s.environment.User(user); err != nil {
			t.Fatal(err)
		}
	}
	s.mustRun(t, fmt.Sprintf(`
kubectl create ns %[1]s
kubectl create rolebinding edit -n %[1]s --clusterrole=edit --user=%[2]s
kubectl create rolebinding approve -n %[1]s --clusterrole=stagegate-approver --user=%[3]s
kubectl apply -f - << 'EOF'
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: %[1]s}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: %[1]s, selectionScope: NamespaceOnly}]
EOF
`, namespace, editor, approver))
	s.mustRun(t, fmt.Sprintf("kubectl wait crp/%s --for=condition=ClusterResourcePlacementAvailable --timeout=%s", namespace, patience))
	s.awaitPermission(t, editor, namespace, "update", "stagedupdateruns")
	s.awaitPermission(t, approver, namespace, "update", "approvalrequests/approve")
	manifests := strings.ReplaceAll(teamManifests+"---\n"+pluginStrategy, "namespace: team", "namespace: "+namespace)
	plugin{t, s}.do(editor, "kubectl apply -f - << 'EOF'\n"+manifests+
		"EOF\nkubectl wait -n "+namespace+" resourcesnapshot/settings-0-snapshot --for=create --timeout=1m\n")
}

// testApprovalsOfMine lists requests as users who may approve them or not, in all and by name.
func testApprovalsOfMine(t *testing.T, s *suite) {
	for _, user := range []string{"grace", "heidi"} {
		if _, err := s.environment.User(user); err != nil {
			t.Fatal(err)
		}
	}
	s.mustRun(t, `
kubectl create rolebinding approve-creator -n team --clusterrole=stagegate-approver --user=erin
kubectl create rolebinding view-grace -n team --clusterrole=view --user=grace
kubectl create rolebinding view-heidi -n team --clusterrole=view --user=heidi
kubectl create role first-only -n team --verb=create,update --resource=approvalrequests.placement.kubernetes-fleet.io/approve --resource-name=first-before-canary
kubectl create rolebinding first-only -n team --role=first-only --user=heidi
`)
	s.awaitPermission(t, "erin", "team", "update", "approvalrequests/approve")
	s.awaitPermission(t, "grace", "team", "list", "approvalrequests")
	s.awaitPermission(t, "heidi", "team", "list", "approvalrequests")
	for user, mine := range map[string]int{
		"frank": 1,
		// She may approve, and has created the run: her approval would not count.
		"erin":  0,
		"grace": 0,
		"heidi": 1,
	} {
		for flag, want := range map[string]int{"": 1, " --mine": mine} {
			command := "kubectl stagegate approvals -n team -o json" + flag
			out, err := s.run(t.Context(), user, command)
			if err != nil {
				t.Fatalf("%s as %s: %v", command, user, err)
			}
			var list struct {
				APIVersion, Kind string
				Items            []struct{ Run, Stage string }
			}
			if err := json.Unmarshal([]byte(out), &list); err != nil {
				t.Fatal(err)
			}
			if list.APIVersion != "view.stagegate.dev/v1alpha1" || list.Kind != "ApprovalViewList" || len(list.Items) != want {
				t.Errorf("%s as %s: want %d: %s", command, user, want, out)
			}
		}
	}
	s.mustRun(t, "kubectl delete rolebinding approve-creator -n team")
}

// testPluginAnotherVersion stops a run, resumes it, rejects it, and rolls another one back.
func testPluginAnotherVersion(t *testing.T, s *suite) {
	p := plugin{t, s}
	p.do("erin", `kubectl patch cm settings -n team --type=merge -p '{"data":{"key":"value2"}}'
kubectl wait -n team resourcesnapshot/settings-1-snapshot --for=create --timeout=1m`)
	p.wants("erin", "kubectl stagegate run rp/settings -n team --strategy=rings --name=second --start", "created and started")
	p.code("erin", "kubectl stagegate status sur/second -n team --until=attention --timeout=1m", 4)
	p.code("erin", "kubectl stagegate stop sur/second -n team < /dev/null", 1, "give the reason with -m")
	p.wants("erin", "kubectl stagegate stop sur/second -n team -m 'INC-7 errors'", "stop requested")
	p.do("erin", `kubectl wait -n team sur/second --for=jsonpath='{.status.conditions[?(@.type=="Progressing")].reason}'=UpdateRunStopped --timeout=1m`)
	p.wants("erin", "kubectl stagegate status sur/second -n team", "Stopped", "kubectl stagegate resume sur/second -n team")
	p.code("erin", "kubectl stagegate skip sur/second -n team --clusters=member1 -m 'not hers'", 1, "forbidden")
	p.wants("erin", "kubectl stagegate resume sur/second -n team -m 'INC-7 mended'", "resume requested")
	p.code("erin", "kubectl stagegate status sur/second -n team --until=attention --timeout=1m", 4)
	p.wants("frank", "kubectl stagegate reject --run=sur/second -n team --stage=canary --yes -m 'errors in staging'", "rejected")
	p.code("erin", "kubectl stagegate status sur/second -n team -w", 2, "StopRequested by erin  INC-7 errors", "Rejected")
	p.wants("erin", "kubectl stagegate rollback sur/second -n team -m 'INC-7'", "rollback requested")
	p.do("erin", "kubectl wait -n team sur/second --for=jsonpath='{.status.rolledBackBy.uid}' --timeout=1m")
	p.code("erin", "kubectl stagegate status -n team sur/$(kubectl get sur second -n team -o jsonpath='{.status.rolledBackBy.name}') -w --timeout=1m", 0, "Succeeded")
	if err := s.values(t.Context(), "team", "settings", onAll("value1")); err != nil {
		t.Error(err)
	}
}

// testPluginMembers has a member leave and join again, by push, and another one be accepted that pulls.
func testPluginMembers(t *testing.T, s *suite) {
	t.Cleanup(func() { s.up(t) })
	p := plugin{t, s}
	member := s.environment.Kubeconfig("member3")
	p.wants(hub.HubName, "kubectl stagegate check", "ok       APIService v1.placement.kubernetes-fleet.io", "ok       clock of the hub", "3 of 3 members have joined and answer")
	p.code(hub.HubName, "kubectl stagegate leave member3 < /dev/null", 1, "give --yes")
	p.code(hub.HubName, "kubectl stagegate join member3 --member-kubeconfig="+member, 1, "there is a MemberCluster member3")
	p.wants(hub.HubName, "kubectl stagegate leave member3 --yes", "member member3 has left")
	p.code(hub.HubName, "kubectl get -n fleet-system secret member-member3", 1, "not found")
	p.code(hub.HubName, "kubectl stagegate join member3 --member-kubeconfig=$KUBECONFIG", 1, "the member is the hub itself")
	p.wants(hub.HubName, "kubectl stagegate join member3 --member-kubeconfig="+member+" --labels=environment=canary,order=1 --cluster-role=cluster-admin", "member member3 has joined")
	// The credential of who has it join stays theirs.
	p.do(hub.HubName, `kubectl get -n fleet-system secret member-member3 -o jsonpath='{.data.kubeconfig}' | base64 -d > joined
test "$(kubectl --kubeconfig=joined auth whoami -o jsonpath='{.status.userInfo.username}')" = system:serviceaccount:fleet-system:stagegate
! grep -q client- joined
rm joined`)
	p.do(hub.HubName, `cd "$(mktemp -d)"
kubectl stagegate join oslo --pull --image=agent:v1 > oslo.yaml
kubectl apply --dry-run=client -f oslo.yaml -o name | grep deployment.apps/stagegate-member-agent > /dev/null
token=$(kubectl create --dry-run=client -f oslo.yaml -o jsonpath='{.data.token}' | tr -d ' ' | base64 -d)
test "$(kubectl --kubeconfig=/dev/null --server="$(kubectl config view --minify -o jsonpath='{.clusters[0].cluster.server}')" --insecure-skip-tls-verify --token="$token" \
  auth whoami -o jsonpath='{.status.userInfo.username}')" = system:serviceaccount:fleet-member-oslo:agent
rm oslo.yaml
kubectl stagegate leave oslo --yes`)
}

// plugin runs commands of the plugin as users.
type plugin struct {
	t *testing.T
	s *suite
}

func (p plugin) do(user, script string) {
	p.t.Helper()
	if _, err := p.s.run(p.t.Context(), user, script); err != nil {
		p.t.Fatalf("as %s: %s: %v", user, script, err)
	}
}

// wants runs a command that must succeed and print all texts.
func (p plugin) wants(user, command string, texts ...string) {
	p.t.Helper()
	p.code(user, command, 0, texts...)
}

// code runs a command that must end with a code, and print all texts.
func (p plugin) code(user, command string, code int, texts ...string) {
	p.t.Helper()
	out, err := p.s.run(p.t.Context(), user, "code=0\n{ "+command+"\n} 2>&1 || code=$?\necho \"code $code\"\n")
	if err != nil {
		p.t.Fatalf("as %s: %s: %v", user, command, err)
	}
	for _, text := range append(texts, fmt.Sprintf("\ncode %d\n", code)) {
		if !strings.Contains("\n"+out, text) {
			p.t.Fatalf("as %s: %s: want %q in:\n%s", user, command, text, out)
		}
	}
}
