// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

// page is a document of this project that is read as the reader of it would: all commands in their order, on the fleet of these tests.
type page struct {
	// name is the file, below the repository's root.
	name string
	// setUp is what the reader has before the first command, and cleanUp removes all of it and what the commands have made.
	setUp, cleanUp string
	// membersLeave reports whether the fleet is to be completed after that.
	membersLeave bool
	// deviations are what is done otherwise than the page says, and why. A command that is not run is one of them.
	deviations []deviation
}

const (
	// examplePlacement is the tutorial up to the second version.
	examplePlacement = `kubectl apply -f artifacts/example/cluster-scoped/1-workload.yaml -f artifacts/example/cluster-scoped/2-placement.yaml
kubectl wait clusterresourcesnapshot/example-placement-0-snapshot --for=create --timeout=1m
kubectl wait crp/example-placement --for=condition=ClusterResourcePlacementScheduled --timeout=1m
kubectl patch cm test-cm -n test-namespace --type=merge -p '{"data":{"key":"value2"}}'
kubectl wait clusterresourcesnapshot/example-placement-1-snapshot --for=create --timeout=1m
`
	// startRun creates the run of the tutorial as one that starts by itself.
	startRun = `sed 's/state: Initialize/state: Run/' artifacts/example/cluster-scoped/4-run.yaml | kubectl apply -f -
`
	awaitRequest = `kubectl wait careq/example-run-before-canary --for=create --timeout=1m
`
	// exampleRun is the tutorial up to the approval, with a wait of one second.
	exampleRun = examplePlacement + `sed 's/waitTime: 1m/waitTime: 1s/' artifacts/example/cluster-scoped/3-strategy.yaml | kubectl apply -f -
` + startRun + awaitRequest
	approve = `kubectl patch careq example-run-before-canary --subresource=approve --type=merge -p '{"spec":{}}'
`
	awaitEnd = `kubectl wait csur/example-run --for=jsonpath='{.status.outcome}' --timeout=1m
`
	// removal goes on from a run that has ended, to the approval of a removal.
	removal = `kubectl delete csur example-run
kubectl patch crp example-placement --type=merge -p '{"spec":{"policy":{"affinity":{"clusterAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":
  {"clusterSelectorTerms":[{"labelSelector":{"matchLabels":{"environment":"staging"}}}]}}}}}}'
` + startRun + awaitRequest + approve + `kubectl wait careq/example-run-before-delete-stage --for=create --timeout=1m
`
	// removeExample deletes what goes away after five seconds, as Kubernetes has it for namespaces, at once.
	removeExample = `kubectl delete csur --all
kubectl delete csus --all
kubectl delete crp/example-placement ns/test-namespace ns/team-a --ignore-not-found
`

	// gateOpens has the object that keeps member2 from being available become available there.
	gateOpens = `kubectl --kubeconfig=_output/hub/member2.kubeconfig -n test-namespace wait svc/gate --for=create --timeout=1m
kubectl --kubeconfig=_output/hub/member2.kubeconfig -n test-namespace patch svc gate --subresource=status --type=merge \
  -p '{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}'
`
	// awaitWait waits until the run of operating-runs is in the wait after its first stage.
	awaitWait = `kubectl wait csur/example-run --for=jsonpath='{.status.stagesStatus[0].updatedTime}' --timeout=1m
`
	skipWait = `kubectl patch csur example-run --subresource=skip --type=merge -p '{"spec":{"reason":"too long","stage":"canary","task":"TimedWait"}}'
`

	// rejoin has the cluster of member3 join as paris once more, after the page has told how it leaves.
	rejoin = `kubectl -n fleet-system create secret generic member-paris --from-file=kubeconfig=paris.kubeconfig
kubectl apply -f - << EOF
apiVersion: cluster.kubernetes-fleet.io/v1beta1
kind: MemberCluster
metadata: {name: paris}
spec: {identity: {kind: ServiceAccount, namespace: fleet-system, name: stagegate-apiserver}}
EOF
kubectl wait membercluster/paris --for=condition=Joined --timeout=1m
kubectl --kubeconfig=paris.kubeconfig create ns team-a
`

	// servingCertificate has the server's certificate and key, and their authority, as files.
	servingCertificate = `cp -L _output/hub/pki/hub/stagegate-apiserver.crt tls.crt
cp -L _output/hub/pki/hub/stagegate-apiserver.key tls.key
kubectl get apiservice v1.placement.kubernetes-fleet.io -o jsonpath='{.spec.caBundle}' | base64 -d > ca.crt
`

	inOtherState = "The command is for another state of the run than the commands before it leave."
	nameOfReader = "The name that the reader puts in."
)

func awaitProgress(reason string) string {
	return `kubectl wait csur/example-run --timeout=1m --for=jsonpath='{.status.conditions[?(@.type=="Progressing")].reason}'=` + reason + "\n"
}

// anotherRun recreates the run of operating-runs with a version.
func anotherRun(index string) string {
	return `kubectl delete csur --all
sed 's/state: Initialize/state: Run/; s/"1"/"` + index + `"/' artifacts/example/cluster-scoped/4-run.yaml | kubectl apply -f -
`
}

// mention is for what is in the text like a command and none to type.
func mention(text string) deviation {
	return deviation{command: text + "\n", skipped: true, reason: "The text names something of kubectl, and nothing to type."}
}

// byPullMember are commands for a member that the hub cannot reach, and for its cluster.
func byPullMember(commands ...string) []deviation {
	var skipped []deviation
	for _, command := range commands {
		skipped = append(skipped, deviation{command: command, skipped: true, reason: "TestFailures/PullMember has an agent serve a member of these tests, as a process."})
	}
	return skipped
}

func hanging(command string) deviation {
	return deviation{
		section: "A removal from a cluster hangs", command: command, skipped: true,
		reason: "TestHub/CannotHeal has a removal that hangs, and looks for what it waits for.",
	}
}

// noPod is for a command that is about the server as a pod.
func noPod(section, command string) deviation {
	return deviation{section: section, command: command, skipped: true, reason: "The server is no pod here."}
}

// operation is for an operation on a run that another page tells of.
func operation(section, subresource string) deviation {
	return deviation{
		section: section, command: "kubectl patch csur RUN --subresource=" + subresource, skipped: true,
		reason: "docs/operating-runs.md has the operations, and is read here.",
	}
}

func onMember3(commands ...string) []deviation {
	var all []deviation
	for _, command := range commands {
		all = append(all, deviation{section: "Join a member", command: command, on: "member3", reason: "The page has it run on the member."})
	}
	return all
}

var pages = []page{
	{
		name: "README.md",
		setUp: exampleRun + approve + awaitEnd + `kubectl apply -f artifacts/example/cluster-scoped/rollback/run.yaml
kubectl wait csur/example-run-2 --for=condition=Initialized --timeout=1m
`,
		cleanUp: removeExample,
		deviations: []deviation{
			{command: "make demo ", skipped: true, reason: "It is the tutorial on a hub of its own; the tutorial is read here."},
			{command: "make test ", skipped: true, reason: "It is the tests beside these."},
			{command: "kubectl apply -k .", skipped: true, reason: "docs/operations.md has the overlay, and is read here."},
		},
	},
	{
		name: "docs/tutorial.md",
		cleanUp: `kubectl delete sur,sus,rp --all -n test-namespace
kubectl delete crp test-namespace-placement --ignore-not-found
` + removeExample,
		deviations: []deviation{
			{command: "make hub-up", skipped: true, reason: "The fleet of these tests is the same, brought up by the same function."},
			{
				reason: "A test does not wait for a minute.",
				old:    "kubectl apply -f artifacts/example/cluster-scoped/3-strategy.yaml",
				new:    "sed 's/waitTime: 1m/waitTime: 5s/' artifacts/example/cluster-scoped/3-strategy.yaml | kubectl apply -f -",
			},
			{
				reason: "A test does not wait for a minute.",
				old:    "kubectl apply -f artifacts/example/namespaced/4-strategy.yaml",
				new:    "sed 's/waitTime: 1m/waitTime: 3s/' artifacts/example/namespaced/4-strategy.yaml | kubectl apply -f -",
			},
			{
				command: "kubectl delete sur example-run example-run-2", reason: `The reader rolls back "as above" before.`,
				before: `kubectl wait sur/example-run -n test-namespace --for=condition=Succeeded --timeout=1m
kubectl apply -f artifacts/example/namespaced/rollback/run.yaml`,
			},
		},
	},
	{
		name: "docs/concepts.md", setUp: exampleRun + approve, cleanUp: removeExample,
		deviations: []deviation{mention("kubectl create --dry-run=server")},
	},
	{
		name: "docs/approvals.md", setUp: exampleRun + "kubectl create ns team-a",
		cleanUp: `kubectl delete -f artifacts/example/gates -f artifacts/example/policies/prod-guard.yaml --ignore-not-found
kubectl delete clusterrolebinding alice-approves --ignore-not-found
` + removeExample,
		deviations: []deviation{
			{
				section: "Whose approvals it takes", reason: "Another run, with the policy that the page shows, which bob has approved.",
				before: awaitEnd + `kubectl delete csur example-run
kubectl patch csus example-strategy --type=json -p '[{"op":"add","path":"/spec/stages/1/beforeStageTasks/0/approval","value":
  {"required":2,"groups":["sre","release"],"allowRequester":false,"expiresAfter":"24h"}}]'
` + startRun + awaitRequest + `kubectl patch careq example-run-before-canary --subresource=approve --type=merge -p '{"spec":{}}' --as=bob --as-group=system:masters`,
			},
			{
				section: "Before resources are removed", reason: "Another run, of a placement that no longer picks some clusters.",
				before: `kubectl patch csus example-strategy --type=json -p '[{"op":"remove","path":"/spec/stages/1/beforeStageTasks/0/approval"}]'
kubectl delete csur example-run
` + startRun + awaitRequest + approve + awaitEnd + removal,
			},
			mention("kubectl --as"),
			{
				command: "grep 0b7c...", needs: "jq", reason: "The id of a decision, and the path of the log, that the reader puts in.",
				old: "0b7c... audit.log", new: "$(kubectl get careq example-run-before-delete-stage -o jsonpath='{.status.decisions[0].auditID}') _output/hub/logs/hub-audit.log",
				before: `kubectl patch careq example-run-before-delete-stage --subresource=approve --type=merge -p '{"spec":{}}'`,
			},
		},
	},
	{
		name: "docs/notifications.md",
		// Nobody answers at the documented names: what is written is created and looked at.
		cleanUp: "kubectl delete notificationsinks --all\nkubectl -n fleet-system delete secret chatops pipeline\n",
	},
	{
		name: "docs/policies.md",
		setUp: `kubectl label --overwrite membercluster member1 member3 environment=prod
kubectl create ns shop
kubectl create rolebinding team -n shop --clusterrole=edit --user=alice --user=carol
kubectl create rolebinding owners -n shop --clusterrole=admin --user=dan
kubectl create rolebinding approvers -n shop --clusterrole=stagegate-approver --group=sre
kubectl apply -f - << EOF
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: shop}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: shop, selectionScope: NamespaceOnly}]
EOF
kubectl wait crp/shop --for=condition=ClusterResourcePlacementAvailable --timeout=1m
`,
		cleanUp: `kubectl delete crpol --all
kubectl delete clusterrolebinding oncall-overrides --ignore-not-found
kubectl delete ns/shop crp/shop
kubectl label --overwrite membercluster member1 member3 environment=canary
`,
		deviations: []deviation{
			{
				reason:  "It is refused, as the page shows in lines of its own. A run of a placement that was not looked at yet would be created.",
				command: "kubectl create -f artifacts/example/policies/run.yaml",
				old:     "kubectl create -f artifacts/example/policies/run.yaml --as=alice",
				new:     "{ kubectl create -f artifacts/example/policies/run.yaml --as=alice 2>&1 || true; } | fold -s -w 136",
				before: `kubectl wait -n shop resourcesnapshot/web-0-snapshot --for=create --timeout=1m
kubectl wait -n shop rp/web --for=condition=ResourcePlacementScheduled --timeout=1m`,
			},
			{
				reason: "A test does not wait for a minute.", command: "kubectl apply -f artifacts/example/policies/strategy.yaml",
				old: "kubectl apply -f artifacts/example/policies/strategy.yaml", new: "sed 's/waitTime: 1m/waitTime: 1s/' artifacts/example/policies/strategy.yaml | kubectl apply -f -",
				before: `kubectl patch crpol prod-guard --type=merge -p '{"spec":{"rules":{"soak":{"duration":"1s"}}}}'`,
			},
			{
				section: "In an emergency", reason: "Another run moves the placement.",
				before: "kubectl wait sur/web-1 -n shop --for=jsonpath='{.status.outcome}'=Succeeded --timeout=1m",
			},
			mention("kubectl diff"), mention("kubectl apply"), mention("kubectl patch"),
		},
	},
	{
		name: "docs/operating-runs.md",
		setUp: examplePlacement + `kubectl create ns team-a
kubectl apply -f - << EOF
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: at-once}
spec: {stages: [{name: all, labelSelector: {}, maxConcurrency: 100%}]}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: example-strategy}
spec:
  stages:
  - name: canary
    labelSelector: {matchLabels: {environment: staging}}
    afterStageTasks: [{type: TimedWait, waitTime: 1h}]
  - name: prod
    labelSelector: {matchLabels: {environment: canary}}
    maxConcurrency: 2
    failurePolicy: {clusterTimeout: 2s, onFailure: Pause}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateRun
metadata: {name: first}
spec: {placementName: example-placement, resourceSnapshotIndex: "1", stagedRolloutStrategyName: at-once, state: Run}
EOF
kubectl wait csur/first --for=condition=Succeeded --timeout=1m
kubectl apply -f - << EOF
apiVersion: v1
kind: Service
metadata: {name: gate, namespace: test-namespace}
spec: {type: LoadBalancer, ports: [{port: 80}]}
EOF
kubectl wait clusterresourcesnapshot/example-placement-2-snapshot --for=create --timeout=1m
sed 's/state: Initialize/state: Run/; s/"1"/"2"/' artifacts/example/cluster-scoped/4-run.yaml | kubectl apply -f -
kubectl --kubeconfig=_output/hub/member2.kubeconfig -n test-namespace wait svc/gate --for=create --timeout=1m
`,
		cleanUp: "kubectl delete clusterrolebinding oncall-operates --ignore-not-found\n" + removeExample,
		deviations: []deviation{
			{reason: "The clusters of these tests.", old: "oslo, paris", new: "member1, member3"},
			{reason: "The clusters of these tests.", old: `"paris"`, new: `"member3"`},
			{section: "Roll back", skipped: true, command: "kubectl patch csur example-run --subresource=rollback", reason: "It is the command that is read under Ask."},
			{command: "kubectl patch csur example-run --subresource=resume", reason: inOtherState, before: gateOpens + awaitProgress("UpdateRunStopped")},
			{
				command: `kubectl patch csur example-run --subresource=retry --type=merge -p '{"spec":{"reason":"quota raised"}}'`, reason: inOtherState,
				before: awaitWait + skipWait + awaitProgress("UpdateRunPaused"),
			},
			{
				command: `kubectl patch csur example-run --subresource=retry --type=merge -p '{"spec":{"reason":"quota raised","clusters"`, reason: inOtherState,
				before: awaitProgress("UpdateRunProgressing") + awaitProgress("UpdateRunPaused"),
			},
			{
				command: `kubectl patch csur example-run --subresource=skip --type=merge -p '{"spec":{"reason":"urgent fix"`, reason: inOtherState,
				before: awaitEnd + anotherRun("1") + awaitWait,
			},
			{
				command: "kubectl patch csur example-run --type=merge", reason: inOtherState,
				before: "kubectl wait csur/example-run --for=jsonpath='{.status.rolledBackBy.uid}' --timeout=1m\n" + anotherRun("1") + awaitWait,
			},
			{
				section: "When clusters fail", reason: inOtherState,
				before: anotherRun("2") + gateOpens + awaitWait + skipWait + awaitProgress("UpdateRunPaused"),
			},
			{
				section: "What is recorded", reason: "The run and the users that the page shows.",
				before: `kubectl delete csur --all
kubectl delete csus example-strategy
kubectl apply -f artifacts/example/cluster-scoped/3-strategy.yaml
kubectl apply -f artifacts/example/cluster-scoped/4-run.yaml
kubectl wait csur/example-run --for=condition=Initialized --timeout=1m
kubectl patch csur example-run --type=merge -p '{"spec":{"state":"Run"}}' --as=alice --as-group=system:masters
` + awaitWait + `kubectl patch csur example-run --subresource=stop --type=merge -p '{"spec":{"reason":"INC-7 errors in paris"}}' --as=bob --as-group=system:masters
`,
			},
		},
	},
	{
		name: "docs/kubectl-stagegate.md", setUp: exampleRun, cleanUp: removeExample,
		deviations: []deviation{
			{command: "kubectl stagegate approve careq/example-run-before-canary", skipped: true, reason: "It asks at a terminal: test Plugin has one."},
			mention("kubectl stagegate completion bash"),
			{section: "Look", command: "kubectl stagegate status csur/example-run", skipped: true, reason: "Ages and times differ: test Plugin looks at what it prints."},
			{command: "kubectl stagegate rollback", skipped: true, reason: "No cluster had another version before this run: test Plugin has one that had."},
			{section: "Dashboard", command: "kubectl stagegate dashboard", skipped: true, reason: "It goes on until it is interrupted: test Dashboard opens it."},
			{section: "Join, leave, check", command: "kubectl stagegate join paris", skipped: true, reason: "Test Plugin has a member leave and join."},
			{section: "Join, leave, check", command: "kubectl stagegate leave paris", skipped: true, reason: "The same."},
		},
	},
	{
		name: "docs/gitops.md",
		setUp: examplePlacement + `kubectl create ns argocd
kubectl create cm argocd-cm -n argocd --from-literal=resource.exclusions='- {apiGroups: [""], kinds: [Endpoints]}'
kubectl apply -f - << EOF
apiVersion: placement.kubernetes-fleet.io/v1
kind: ClusterStagedUpdateStrategy
metadata: {name: example-strategy}
spec: {stages: [{name: everywhere, labelSelector: {}, maxConcurrency: 100%}]}
EOF
`,
		cleanUp: removeExample + "kubectl delete ns argocd --ignore-not-found\nrm -f run run.yaml exclusions.yaml\n",
		deviations: []deviation{
			mention("kubectl diff"),
			{
				command: "kubectl create cm argocd-cm", reason: "A reader trusts the tool; a test looks for what is there.",
				after: `for text in Endpoints ClusterResourceBinding health.placement.kubernetes-fleet.io_StagedUpdateRun; do
  kubectl get cm argocd-cm -n argocd -o yaml | grep $text || exit 1
done
`,
			},
		},
	},
	{
		name: "docs/adopting.md",
		setUp: `kubectl create ns web
kubectl create configmap settings -n web --from-literal=key=hub
kubectl --kubeconfig=_output/hub/member1.kubeconfig create ns web
kubectl --kubeconfig=_output/hub/member1.kubeconfig create configmap settings -n web --from-literal=key=member
`,
		cleanUp: `kubectl delete crp/web ns/web --ignore-not-found
for member in member1 member2 member3; do kubectl --kubeconfig=_output/hub/$member.kubeconfig delete ns web --ignore-not-found --wait=false; done
`,
		deviations: []deviation{
			{
				section: "Read the differences", reason: "A reader looks; a test looks for what is there.",
				after: `kubectl get crp web -o jsonpath='{.status.placementStatuses[?(@.clusterName=="member1")].diffedPlacements[?(@.kind=="ConfigMap")].observedDiffs[0]}' |
  grep '"path":"/data/key".*"valueInHub":"hub","valueInMember":"member"'`,
			},
		},
	},
	{
		name: "docs/overrides.md",
		setUp: `kubectl create ns shop
kubectl apply -f - << EOF
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web}]}}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: shop}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: shop}]
  strategy: {type: External}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: shop}
spec: {stages: [{name: all, labelSelector: {}, maxConcurrency: 100%}]}
EOF
cat > run.yaml << EOF
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateRun
metadata: {name: shop}
spec: {placementName: shop, stagedRolloutStrategyName: shop, state: Run}
EOF
kubectl label membercluster member1 size=small region=north
kubectl label membercluster member2 purpose=lab
kubectl wait crp/shop --for=condition=ClusterResourcePlacementScheduled --timeout=1m
`,
		cleanUp: `kubectl label membercluster --all size- region- purpose-
kubectl delete csur,csus shop --ignore-not-found
kubectl delete resourceoverride --all -n shop
kubectl delete crp/shop ns/shop --ignore-not-found
`,
	},
	{
		name: "docs/kubefleet.md",
		deviations: []deviation{
			mention("kubectl diff"),
			mention("kubectl patch"),
			mention("kubectl explain"),
			mention("kubectl apply -f dir/"),
			mention("kubectl wait"),
			{command: "kubectl fleet", skipped: true, reason: "It is KubeFleet's plugin."},
		},
	},
	{
		name: "docs/migration.md",
		deviations: []deviation{
			{command: "stagegate-apiserver import", skipped: true, reason: "It takes a hub that KubeFleet rules: TestImport has one, and plays them."},
			noPod("Import", "kubectl apply -k ."),
			noPod("Import", "kubectl -n fleet-system wait job"),
			noPod("Import", "kubectl -n fleet-system logs job"),
			noPod("Start", "kubectl apply -k ."),
			noPod("Start", "kubectl delete job"),
			noPod("Start", "kubectl delete clusterrolebinding"),
		},
	},
	{
		name:    "docs/known-issues.md",
		setUp:   exampleRun + "kubectl create ns team-a",
		cleanUp: "kubectl delete rp --all -n team-a\n" + removeExample,
		deviations: []deviation{
			{command: "kubectl get crd | grep", on: "member1", reason: "A hub that serves the kinds has no such definition; a member has one."},
			{
				command: "kubectl delete -f artifacts/deploy/base/apiservices.yaml", reason: "The hub is used further.",
				old: "apiservices.yaml", new: "apiservices.yaml --dry-run=server",
			},
			{section: "Namespaces stay Terminating", reason: nameOfReader, old: " NAME ", new: " test-namespace "},
			{section: "A member has not joined", reason: nameOfReader, old: " NAME ", new: " member1 "},
			{
				section: "A MemberCluster does not go", reason: nameOfReader, old: " NAME ", new: " member1 ",
				after: `kubectl patch membercluster member1 --type=json -p '[{"op":"remove","path":"/spec/deleteOptions"}]'`,
			},
			{
				section: "A MemberCluster does not go", skipped: true, command: "kubectl -n fleet-system delete clusterprofile NAME",
				reason: "The hub of these tests has that kind only while the tests of the ClusterProfiles run.",
			},
			{
				section: "A MemberCluster does not go", skipped: true, command: "kubectl edit membercluster NAME",
				reason: "It opens an editor.",
			},
			{section: "A run is not initialized", reason: nameOfReader, old: " NAME ", new: " example-run "},
			{reason: nameOfReader, old: "PLACEMENT", new: "example-placement"},
			{reason: nameOfReader, old: "HOLDER", new: "example-run"},
			{
				section: "A run waits for an approval that no stage has", reason: inOtherState,
				before: `kubectl patch csur example-run --subresource=resume --type=merge -p '{"spec":{"reason":"INC-7"}}'
` + approve + awaitEnd + removal,
				after: awaitEnd,
			},
			{reason: nameOfReader, old: "RUN", new: "example-run"},
			{
				section: "A run waits for a cluster that cannot be reached", reason: inOtherState,
				before: `kubectl delete csur example-run
kubectl patch crp example-placement --type=json -p '[{"op":"remove","path":"/spec/policy/affinity"}]'
` + startRun + awaitRequest,
			},
			{section: "A run waits for a cluster that cannot be reached", reason: nameOfReader, old: "NAME", new: "member1"},
			{
				section: "NamespaceNotAccepted", reason: "The namespaces, and a placement in that of the hub.",
				before: `kubectl --kubeconfig=_output/hub/member1.kubeconfig create ns team-a
kubectl apply -f - << EOF
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: web, namespace: team-a}
spec: {resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: web}]}
EOF`,
				after: `kubectl label membercluster member1 kubernetes-fleet.io/accept-placements-
kubectl delete rp web -n team-a
kubectl --kubeconfig=_output/hub/member1.kubeconfig delete ns team-a --wait=false`,
			},
			{section: "NamespaceNotAccepted", reason: nameOfReader, old: " NAME ", new: " web "},
			{reason: nameOfReader, old: "MEMBER.kubeconfig", new: "_output/hub/member1.kubeconfig"},
			{section: "NamespaceNotAccepted", reason: nameOfReader, old: "NAMESPACE", new: "team-a"},
			{reason: nameOfReader, old: " MEMBER ", new: " member1 "},
			{command: "kubectl get apiservices -l kube-aggregator", reason: "There are no definitions of KubeFleet here.", old: " | grep kubernetes-fleet.io", new: ""},
			{command: "kubectl get clusterresourceplacements.v1alpha1", skipped: true, reason: "The same."},
			hanging("kubectl delete crp NAME"),
			hanging("kubectl get crp shop"),
			hanging("kubectl patch cm c -n shop"),
			{section: "A Work is refused after a restore", command: "kubectl annotate", on: "member2", reason: "The page has it run on the member."},
			{section: "A Work is refused after a restore", reason: nameOfReader, old: " NAME ", new: " example-placement-work "},
			{
				section: "The disk of the data directory is full", reason: "Nobody provides volumes here, so this one is made by hand.",
				before: `kubectl apply -f - << EOF
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: documented}
provisioner: kubernetes.io/no-provisioner
allowVolumeExpansion: true
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: documented}
spec: {storageClassName: documented, capacity: {storage: 10Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /nonexistent}}
EOF
sed 's/^spec:/spec:\n  storageClassName: documented/' artifacts/deploy/base/pvc.yaml | kubectl -n fleet-system apply -f -
kubectl -n fleet-system wait pvc/stagegate-apiserver --for=jsonpath='{.status.phase}'=Bound --timeout=1m`,
				after: `kubectl -n fleet-system patch pvc stagegate-apiserver --type=merge -p '{"metadata":{"finalizers":null}}'
kubectl -n fleet-system delete pvc stagegate-apiserver --ignore-not-found
kubectl patch pv documented --type=merge -p '{"metadata":{"finalizers":null}}'
kubectl delete pv documented --ignore-not-found
kubectl delete storageclass documented`,
			},
			mention("kubectl apply --server-side"),
			mention("kubectl replace"),
			{command: "kubectl get apiservice v1.placement.kubernetes-fleet.io -o jsonpath='{.spec.caBundle}'", needs: "openssl", reason: "It takes openssl."},
			noPod("An APIService is not Available", "kubectl -n fleet-system get secret stagegate-apiserver-tls"),
			noPod("etcd is full", "kubectl -n fleet-system patch deployment"),
			noPod("StagegateNoLeader", "kubectl -n fleet-system get deployment"),
			noPod("StagegateTwoLeaders", "kubectl -n fleet-system delete pod"),
			noPod("StagegateControllerDown", "kubectl -n fleet-system logs"),
			noPod("StagegateControllerFailing", "kubectl -n fleet-system logs"),
			noPod("StagegateControllerPanics", "kubectl -n fleet-system logs"),
			{section: "StagegateControllerPanics", reason: nameOfReader, old: "KIND NAME", new: "crp example-placement"},
			operation("StagegateRunStuck", "skip"), operation("StagegateRunStuck", "rollback"), operation("StagegateRunPaused", "retry"),
			{section: "StagegateNotificationsFailing", skipped: true, command: "kubectl patch nsink NAME", reason: "There is no sink here."},
			noPod("StagegateEtcdNearQuota", "kubectl -n fleet-system rollout restart"),
			{section: "StagegateOrchestrationSlow", skipped: true, command: "kubectl -n fleet-system top pods", reason: "It takes a metrics server."},
			{section: "StagegateMembersUnhealthy", reason: nameOfReader, old: " NAME", new: " member1"},
			{section: "StagegateApplyFailing", reason: "Everything is applied here.", old: " | grep ': False'", new: ""},
			{section: "StagegateCertificateExpires", skipped: true, command: "kubectl -n fleet-system get certificate", reason: "There is no cert-manager here."},
			{section: "StagegateCertificateExpires", skipped: true, command: "kubectl -n fleet-system describe certificate", reason: "The same."},
		},
	},
	{
		name: "docs/install.md",
		deviations: []deviation{
			mention("kubectl kustomize"),
			{command: "kubectl diff -k .", skipped: true, reason: "docs/operations.md has the overlay, and is read here."},
			{command: "kubectl apply -k .", skipped: true, reason: "The same."},
			{command: "helm ", skipped: true, reason: "There is no Helm here. The tests of hack/release render the charts."},
			{command: "kubectl create ns fleet-system", skipped: true, reason: "It is there."},
			{command: "kubectl -n fleet-system create secret generic stagegate-apiserver-tls", skipped: true, reason: "docs/keys-and-certificates.md has it, and is read here."},
		},
	},
	{
		name: "docs/pull-members.md",
		deviations: append(byPullMember(
			"kubectl apply -f - << EOF", "kubectl wait membercluster/paris", "kubectl -n fleet-member-paris create token", "kubectl config view --raw",
			"kubectl apply -f artifacts/member-agent", "kubectl -n stagegate-system create secret", "kubectl apply -k .", "kubectl get membercluster paris -o wide",
			"kubectl -n stagegate-system patch secret stagegate-hub",
		), deviation{command: "helm install", skipped: true, reason: "There is no Helm here. The tests of hack/release render the chart."}),
	},
	{
		name: "docs/operations.md",
		setUp: `kubectl create ns monitoring
` + servingCertificate,
		cleanUp: `kubectl -n fleet-system delete secret stagegate-etcd-client --ignore-not-found
kubectl delete ns monitoring --wait=false
`,
		deviations: []deviation{
			{command: "kubectl apply -k .", reason: "There are no nodes for the Deployment here and no cert-manager: what it would apply is built.", old: "kubectl apply -k .", new: "kubectl kustomize ."},
			{command: "skopeo copy", skipped: true, reason: "There is no registry here. TestAnImageRunsFromItsOwnFiles of hack/release reads the layout."},
			{command: "helm install", skipped: true, reason: "There is no Helm here. The tests of hack/release render the charts, and compare them with what is built above."},
			{section: "Helm", skipped: true, command: "kubectl create ns fleet-system", reason: "It is there."},
			{command: "kubectl delete -k .", reason: "The same.", old: "kubectl delete -k .", new: "kubectl kustomize ."},
			{
				command: "kubectl delete -f artifacts/deploy/base/apiservices.yaml", reason: "The hub is used further.",
				old: "apiservices.yaml", new: "apiservices.yaml --dry-run=server",
			},
		},
	},
	{
		name:  "docs/roles.md",
		setUp: "for namespace in x team-a; do kubectl create ns $namespace; done\n",
		cleanUp: `kubectl delete clusterrole,clusterrolebinding place place-x read-all members-view team-a-members --ignore-not-found
kubectl delete ns x team-a --wait=false
`,
	},
	{
		name:         "docs/members.md",
		membersLeave: true,
		cleanUp: `kubectl delete crpe --all
kubectl delete membercluster paris --ignore-not-found
kubectl -n fleet-system delete secret member-paris --ignore-not-found
kubectl --kubeconfig=_output/hub/member3.kubeconfig delete ns team-a --ignore-not-found --wait=false
`,
		deviations: append(onMember3(
			"kubectl create ns fleet-system", "kubectl -n fleet-system create sa", "kubectl create clusterrolebinding stagegate",
			"kubectl -n fleet-system apply", "kubectl -n fleet-system wait", "kubectl -n fleet-system get secret stagegate", "config set-credentials",
		), []deviation{
			mention("kubectl stagegate join"),
			{
				section: "Join a member", reason: "The third member leaves, so that its cluster can join under the name of the page.",
				before: `kubectl delete membercluster member3
kubectl -n fleet-system delete secret member-member3
kubectl --kubeconfig=_output/hub/member3.kubeconfig delete ns fleet-system
kubectl --kubeconfig=_output/hub/member3.kubeconfig delete clusterrolebinding stagegate`,
			},
			mention("kubectl create token"),
			{
				reason: "The address of that cluster.", old: "https://paris.example.com:6443",
				new: "$(kubectl --kubeconfig=_output/hub/member3.kubeconfig config view --minify -o jsonpath='{.clusters[0].cluster.server}')",
			},
			{section: "Let a member leave", reason: "The page goes on with the member.", after: rejoin},
			{section: "Let a member leave", skipped: true, command: "kubectl get appliedworks", reason: "The same."},
			{section: "Let a member leave", skipped: true, command: "kubectl get works -n fleet-member-paris", reason: "The same."},
			{
				command: "kubectl annotate --overwrite membercluster paris", reason: nameOfReader,
				old: "=UID", new: "=$(kubectl --kubeconfig=paris.kubeconfig get ns kube-system -o jsonpath='{.metadata.uid}')",
			},
			{command: "kubectl delete appliedworks --all --cascade=orphan", by: "RebuiltHub", reason: "It takes a member that no server serves."},
			{command: "kubectl get appliedwork -o name", by: "RebuiltHub", reason: "The same."},
			{command: "kubectl annotate --overwrite crd", on: "member3", reason: "The page has it run on the member."},
			{command: "kubectl get appliedworks -o name", on: "member3", reason: "The page has it run on the member."},
		}...),
	},
	{
		name:    "docs/backup.md",
		cleanUp: "kubectl -n fleet-system delete deployment stagegate-apiserver --ignore-not-found\n",
		deviations: []deviation{
			{
				section: "Back up and restore", command: "kubectl -n fleet-system scale deployment stagegate-apiserver --replicas=0",
				before: "kubectl -n fleet-system apply -f artifacts/deploy/base/deployment.yaml", reason: "The server is no pod here.",
			},
			{command: "etcdctl --endpoints=unix:///var/lib/stagegate/client.sock snapshot", by: "RestoredBackup", reason: "The path is another one here."},
			{command: "mv /var/lib/stagegate/etcd", by: "RestoredBackup", reason: "The server must not run."},
			{command: "etcdutl snapshot restore", by: "RestoredBackup", reason: "The same."},
			noPod("Back up and restore", "kubectl apply -f restore.yaml"),
			noPod("Back up and restore", "kubectl -n fleet-system wait pod/restore"),
			noPod("Back up and restore", "kubectl -n fleet-system cp"),
			noPod("Back up and restore", "kubectl -n fleet-system exec"),
			noPod("Back up and restore", "kubectl -n fleet-system delete pod restore"),
			{command: "kubectl -n fleet-system delete configmap stagegate-store", by: "StoreLost", reason: "It takes a hub whose store is lost."},
			{command: "kubectl annotate crd appliedworks.placement.kubernetes-fleet.io kubernetes-fleet.io/store-id-", by: "StoreLost", reason: "The same."},
			{command: "kubectl get crp web -o jsonpath=", by: "StoreLost", reason: "The same."},
			{command: "kubectl get crp web -o yaml", by: "StoreLost", reason: "The same."},
			{command: "kubectl patch crp web --subresource=prune", by: "StoreLost", reason: "The same."},
			{command: "kubectl -n team-a patch rp web --subresource=prune", skipped: true, reason: "It is the command before for the other scope, which test/integration/prune_test.go asks for both."},
			{command: "kubectl -n fleet-system create configmap stagegate-store", by: "RebuiltHub", reason: "It takes a hub that was rebuilt."},
			{command: "kubectl annotate crd appliedworks.placement.kubernetes-fleet.io kubernetes-fleet.io/hub-uid-", by: "RebuiltHub", reason: "The same."},
		},
	},
	{name: "docs/high-availability.md"},
	{
		name:    "docs/keys-and-certificates.md",
		setUp:   servingCertificate,
		cleanUp: "kubectl -n fleet-system delete secret stagegate-apiserver-tls --ignore-not-found\n",
		deviations: []deviation{
			noPod("Rotate the key", "kubectl -n fleet-system rollout"),
			{command: "for resource in clusterresourceenvelopes", by: "Encryption", reason: "It takes a server that encrypts."},
			{command: "etcdctl --endpoints=unix:///var/lib/stagegate/client.sock get", by: "Encryption", reason: "The path is another one here."},
		},
	},
	{
		name:    "docs/sizes.md",
		setUp:   "kubectl create ns team-a\n",
		cleanUp: "kubectl delete ns team-a --wait=false\n",
		deviations: []deviation{
			{section: "Sizes", reason: nameOfReader, old: "PLACEMENT", new: "web"},
			{
				section: "An object is too large to read", reason: "An object to read and delete.",
				before: `kubectl apply -f - << EOF
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourceEnvelope
metadata: {name: large, namespace: team-a}
data: {a: {apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: team-a}}}
EOF`,
			},
			{section: "An object is too large to read", reason: nameOfReader, old: "NAMESPACE", new: "team-a"},
			{section: "An object is too large to read", reason: nameOfReader, old: " NAME", new: " large"},
		},
	},
	{
		name:    "docs/monitoring.md",
		cleanUp: "kubectl delete clusterrolebinding prometheus-stagegate --ignore-not-found\n",
		deviations: []deviation{
			{command: "sum by (job, scope)", skipped: true, reason: "A query for Prometheus, which TestHub/Monitoring asks."},
			noPod("Health, metrics, logs, audit", "kubectl get --raw"),
			noPod("Health, metrics, logs, audit", "kubectl -n fleet-system port-forward"),
			noPod("Health, metrics, logs, audit", "kubectl --server="),
			{command: "kubectl apply -k artifacts/monitoring", reason: "There is no Prometheus Operator here: what it would apply is built.", old: "apply -k", new: "kustomize"},
			{command: "kubectl get csur NAME", by: "Traces", reason: "It takes a run that is traced."},
			{section: "Events, logs, audit", reason: nameOfReader, old: "csur/NAME", new: "csur/example-run"},
		},
	},
	{
		name: "docs/development.md",
		deviations: []deviation{
			{command: "make ", skipped: true, reason: "The fleet of these tests is brought up and taken down by the same functions."},
			{command: "tail -f", reason: "It would not end.", old: "tail -f", new: "tail"},
			{command: "kill ", skipped: true, reason: "ServerKilledWhileWaiting and its neighbors do it."},
			{command: "tr ", needs: "jq", reason: "It takes jq."},
			{command: "go run ./cmd/apiserver", skipped: true, reason: "It would not end; the server of these tests is that program."},
			mention("kubectl get"),
		},
	},
	{
		name: "docs/performance.md",
		deviations: []deviation{
			{command: "make bench", skipped: true, reason: "It takes an hour, and that of agents a quarter of one."},
			{command: "go test ./pkg/", nightly: true, reason: "They build and measure for minutes."},
			{command: "go test -run", skipped: true, reason: "It takes hours, and more memory than is left here."},
			mention("kubectl create"), mention("kubectl wait"), mention("kubectl get"),
		},
	},
}
