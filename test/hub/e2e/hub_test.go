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
	keep = flag.Bool("keep", false, "use the environment in _output/e2e if there is one, and leave it running")
	// What is different then is in binaries that take minutes to build: see make nightly.
	oldKube = flag.Bool("oldkube", false, "have clusters of the oldest Kubernetes that a hub may be")
)

// TestHub runs everything on one environment: bringing up a hub for each test would take longer than the tests. They run
// one after the other, each with objects of its own, and the last ones look at what all the others have left.
func TestHub(t *testing.T) {
	if testing.Short() {
		t.Skip("brings up a hub")
	}
	// What the client libraries log about a server that is down, on purpose, is noise here.
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	s := bringUp(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
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
		{"ServerKilledWhileWaiting", testServerKilledWhileWaiting},
		{"ServerKilledWithinStage", testServerKilledWithinStage},
		{"MemberDown", testMemberDown},
		{"RemovalFromMemberDown", testRemovalFromMemberDown},
		{"MemberHangs", testMemberHangs},
		{"MemberHangsForMinutes", testMemberHangsForMinutes},
		{"FailurePolicy", testFailurePolicy},
		{"RollBack", testRollBack},
		{"Pause", testPause},
		{"RollsItselfBack", testRollsItselfBack},
		{"Split", testSplit},
		{"Workloads", testWorkloads},
		{"Product", testProduct},
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
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}

// bringUp returns the environment of the tests, in a directory of its own so that it disturbs no other hub.
func bringUp(t *testing.T) *suite {
	t.Helper()
	root, err := hub.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	options := hub.Options{Root: root, Dir: filepath.Join(root, "_output", "e2e"), Members: 3, OldKubernetes: *oldKube, ServerFlags: []string{"--v=2"}, Out: os.Stderr}
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
