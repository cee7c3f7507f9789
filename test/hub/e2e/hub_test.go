// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/test/hub"
)

var (
	keep = flag.Bool("keep", false, "use the environment of the test, in _output/e2e or _output/e2e-failures, if there is one, and leave it running")
	// What is different then is in binaries that take minutes to build: see make nightly.
	oldKube = flag.Bool("oldkube", false, "have clusters of the oldest Kubernetes that a hub may be")
)

func TestMain(m *testing.M) {
	// What the client libraries log about a server that is down, on purpose, is noise here.
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	code := m.Run()
	timeouts.tell(os.Stdout)
	os.Exit(code)
}

// part is one of the tests that share an environment.
type part struct {
	name string
	run  func(*testing.T, *suite)
}

// TestHub runs what users and administrators do on one environment: bringing up a hub for each test would take longer than the tests. They
// run one after the other, each with objects of its own, and the last ones look at what all the others have left.
func TestHub(t *testing.T) {
	runParts(t, "e2e", []part{
		{"TutorialClusterScoped", testTutorialClusterScoped},
		{"TutorialNamespaced", testTutorialNamespaced},
		{"Documents", testDocuments},
		{"DryRun", testDryRun},
		{"Approval", testApproval},
		{"Rejection", testRejection},
		{"ApprovalPolicy", testApprovalPolicy},
		{"Permissions", testPermissions},
		{"Roles", testRoles},
		{"RequestMadeInAdvance", testRequestMadeInAdvance},
		{"ApprovalAudit", testApprovalAudit},
		{"NamespaceTeam", testNamespaceTeam},
		{"Plugin", testPlugin},
		{"Dashboard", testDashboard},
		{"Policies", testPolicies},
		{"GuardRails", testGuardRails},
		{"Authors", testAuthors},
		{"TenantFloods", testTenantFloods},
		{"ForeignNamespace", testForeignNamespace},
		{"StopAndResume", testStopAndResume},
		{"RollingUpdateAndDrift", testRollingUpdateAndDrift},
		{"Evictions", testEvictions},
		{"StatusMirror", testStatusMirror},
		{"ReportBack", testReportBack},
		{"Monitoring", testMonitoring},
		{"Traces", testTraces},
		{"Notifications", testNotifications},
		{"Image", testImage},
		{"OperatorPaths", testOperatorPaths},
		{"Scheduling", testScheduling},
		{"GitOps", testGitOps},
		{"Removal", testRemoval},
		{"RollingUpdateNamesRemovals", testRollingUpdateNamesRemovals},
		{"SelectedOfANamespace", testSelectedOfANamespace},
		{"HistoryLimit", testHistoryLimit},
		{"NothingPlaced", testNothingPlaced},
		{"CannotHeal", testCannotHeal},
		{"Applying", testApplying},
		{"Overrides", testOverrides},
		{"Rivals", testRivals},
		{"LossesOnMembers", testLossesOnMembers},
		{"Envelopes", testEnvelopes},
		{"SecretValues", testSecretValues},
		{"MemberLeaves", testMemberLeaves},
		{"MemberReports", testMemberReports},
		{"Credentials", testCredentials},
		{"ForcedLeave", testForcedLeave},
		{"ClusterProfiles", testClusterProfiles},
		{"BadInput", testBadInput},
		{"BadRun", testBadRun},
		{"PropagationFlags", testPropagationFlags},
		{"FailurePolicy", testFailurePolicy},
		{"RollBack", testRollBack},
		{"Pause", testPause},
		{"RollsItselfBack", testRollsItselfBack},
		{"Split", testSplit},
		{"Workloads", testWorkloads},
		{"Product", testProduct},
		{"ServerHasTheRightsItNeeds", testServerHasTheRightsItNeeds},
		{"NothingIsLeft", testNothingIsLeft},
	})
}

// TestFailures runs, on an environment of its own beside that of TestHub, what kills, damages or replaces the server, a member or the hub.
func TestFailures(t *testing.T) {
	runParts(t, "e2e-failures", []part{
		{"ServerKilledWhileWaiting", testServerKilledWhileWaiting},
		{"ServerKilledWithinStage", testServerKilledWithinStage},
		{"MemberDown", testMemberDown},
		{"RemovalFromMemberDown", testRemovalFromMemberDown},
		{"MemberHangs", testMemberHangs},
		{"MemberHangsForMinutes", testMemberHangsForMinutes},
		{"SwappedKubeconfig", testSwappedKubeconfig},
		{"MemberNamespaceDeleted", testMemberNamespaceDeleted},
		{"HubAsMember", testHubAsMember},
		{"DeliveryDuringRun", testDeliveryDuringRun},
		{"AgentHasTheRightsItNeeds", testAgentHasTheRightsItNeeds},
		// Before the hub is killed: one that starts forbids everything until it has read its roles.
		{"ServerHasTheRightsItNeeds", testServerHasTheRightsItNeeds},
		{"HubKilled", testHubKilled},
		{"HubAway", testHubAway},
		{"LateDefinitions", testLateDefinitions},
		// It kills the hub too, which refuses everybody until it has read its roles again.
		{"PullMember", testPullMember},
		{"RebuiltHub", testRebuiltHub},
		{"DamagedLog", testDamagedLog},
		{"RestoredBackup", testRestoredBackup},
		{"Encryption", testEncryption},
		{"NothingIsLeft", testNothingIsLeft},
		{"StoreLost", testStoreLost},
	})
}

// runParts runs tests on one environment in a directory below _output.
func runParts(t *testing.T, dir string, parts []part) {
	if testing.Short() {
		t.Skip("brings up a hub")
	}
	t.Parallel()
	s := bringUp(t, dir)
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.run(t, s) })
	}
}

// bringUp returns the environment of the tests, in a directory of its own so that it disturbs no other hub.
func bringUp(t *testing.T, dir string) *suite {
	t.Helper()
	root, err := hub.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	options := hub.Options{Root: root, Dir: filepath.Join(root, "_output", dir), Members: 3, OldKubernetes: *oldKube, ServerFlags: []string{"--v=2"}, Out: os.Stderr}
	if !*keep {
		if err := hub.Down(options); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := hub.Down(options); err != nil {
				t.Error(err)
			}
		})
	}
	s := &suite{options: options, changes: &changes{}, since: time.Now()}
	s.up(t)
	t.Cleanup(s.changes.close)
	return s
}
