// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/agent"
	"github.com/stagegate/stagegate/pkg/rules/reportback"
)

// manifest reads the one object of a kind in a file of artifacts.
func manifest[T any](t *testing.T, file, kind string) T {
	t.Helper()
	var into T
	found := 0
	for _, obj := range readManifests(t, file) {
		if obj.GetKind() != kind {
			continue
		}
		found++
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, &into, true); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	if found != 1 {
		t.Fatalf("%s has %d objects of kind %s", file, found, kind)
	}
	return into
}

func serverContainer(t *testing.T) (appsv1.Deployment, corev1.Container) {
	t.Helper()
	deployment := manifest[appsv1.Deployment](t, "deploy/base/deployment.yaml", "Deployment")
	return deployment, deployment.Spec.Template.Spec.Containers[0]
}

// TestTheMemoryLimitOfTheManifestIsTheOneThatIsDocumented holds that the server takes it from its container, and that the table from which
// people take others has it.
func TestTheMemoryLimitOfTheManifestIsTheOneThatIsDocumented(t *testing.T) {
	_, container := serverContainer(t)
	if slices.ContainsFunc(container.Env, func(env corev1.EnvVar) bool { return env.Name == "GOMEMLIMIT" }) {
		t.Error("the Deployment has GOMEMLIMIT, which does not follow its limit")
	}
	limit := container.Resources.Limits.Memory()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "sizes.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| up to [^|]+ \| (\w+) \| (\w+) \|$`).FindAllStringSubmatch(string(data), -1)
	if len(rows) < 3 {
		t.Fatalf("docs/sizes.md has %d rows of limits", len(rows))
	}
	for _, row := range rows {
		request, err := resource.ParseQuantity(row[1])
		if err != nil {
			t.Fatalf("docs/sizes.md: %s: %v", row[0], err)
		}
		most, err := resource.ParseQuantity(row[2])
		if err != nil || request.Cmp(most) > 0 {
			t.Errorf("docs/sizes.md: %s: the request is above the limit, or %v", row[0], err)
		}
	}
	if !slices.ContainsFunc(rows, func(row []string) bool { return row[2] == limit.String() }) {
		t.Errorf("docs/sizes.md has no row for the limit of the manifest, %s", limit)
	}
}

// TestANetworkPolicyCutsTheHubOffNowhereByItself holds that nobody gets it who has not asked for it, and not before it has an address.
func TestANetworkPolicyCutsTheHubOffNowhereByItself(t *testing.T) {
	for _, overlay := range []string{"base", "ha"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "artifacts", "deploy", overlay, "kustomization.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var kustomization struct{ Resources, Components []string }
		if err := yaml.Unmarshal(data, &kustomization); err != nil {
			t.Fatal(err)
		}
		for _, used := range slices.Concat(kustomization.Resources, kustomization.Components) {
			if strings.Contains(used, "network-policy") {
				t.Errorf("%s has the NetworkPolicy", overlay)
			}
		}
	}
	policy := manifest[networkingv1.NetworkPolicy](t, "deploy/network-policy/network-policy.yaml", "NetworkPolicy")
	deployment, container := serverContainer(t)
	selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
	if err != nil {
		t.Fatal(err)
	}
	if selector.Empty() || !selector.Matches(labels.Set(deployment.Spec.Template.Labels)) || policy.Namespace != deployment.Namespace {
		t.Errorf("the policy is for pods %s of %s, and not for the server's", selector, policy.Namespace)
	}
	if !slices.Equal(policy.Spec.PolicyTypes, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}) {
		t.Errorf("the policy is about %v: what the server connects to is not to be limited", policy.Spec.PolicyTypes)
	}
	blocks := 0
	for _, rule := range policy.Spec.Ingress {
		if len(rule.Ports) != 1 || rule.Ports[0].Port.StrVal != container.Ports[0].Name {
			t.Errorf("a rule is for the ports %+v, and not for %s", rule.Ports, container.Ports[0].Name)
		}
		if len(rule.From) == 0 {
			t.Error("a rule lets everybody in")
		}
		for _, from := range rule.From {
			if from.IPBlock == nil {
				continue
			}
			blocks++
			if _, err := netip.ParsePrefix(from.IPBlock.CIDR); err == nil {
				t.Errorf("the address is given as %s, which is no hub's but one: an API server would take it", from.IPBlock.CIDR)
			}
		}
	}
	if blocks != 1 {
		t.Errorf("there are %d addresses to fill in", blocks)
	}
}

// TestTheServerIsBoundToTheNamespacesOfMembers holds that the policy is about the server's own account, and the names that it uses.
func TestTheServerIsBoundToTheNamespacesOfMembers(t *testing.T) {
	policy := manifest[admissionregistrationv1.ValidatingAdmissionPolicy](t, "deploy/base/admission.yaml", "ValidatingAdmissionPolicy")
	binding := manifest[admissionregistrationv1.ValidatingAdmissionPolicyBinding](t, "deploy/base/admission.yaml", "ValidatingAdmissionPolicyBinding")
	deployment, _ := serverContainer(t)
	account := "system:serviceaccount:" + deployment.Namespace + ":" + deployment.Spec.Template.Spec.ServiceAccountName
	if len(policy.Spec.MatchConditions) != 1 || policy.Spec.MatchConditions[0].Expression != "request.userInfo.username == '"+account+"'" {
		t.Errorf("the policy is about %+v, and not about %s", policy.Spec.MatchConditions, account)
	}
	if len(policy.Spec.Validations) != 1 || policy.Spec.Validations[0].Expression != "request.name.startsWith('"+wellknown.MemberNamespacePrefix+"')" {
		t.Errorf("the policy allows what %+v says", policy.Spec.Validations)
	}
	if binding.Spec.PolicyName != policy.Name || !slices.Equal(binding.Spec.ValidationActions, []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}) {
		t.Errorf("the binding is %+v", binding.Spec)
	}
	data, err := os.ReadFile(filepath.Join("..", "..", "artifacts", "deploy", "base", "kustomization.yaml"))
	if err != nil || !strings.Contains(string(data), "\n- admission.yaml\n") {
		t.Errorf("base does not have admission.yaml: %v", err)
	}
}

// TestNamespacesOfTheFleetAreMadeByItsAdministrators holds that the policy is in force for the names that the server uses.
func TestNamespacesOfTheFleetAreMadeByItsAdministrators(t *testing.T) {
	const file = "deploy/base/reserved-namespaces.yaml"
	policy := manifest[admissionregistrationv1.ValidatingAdmissionPolicy](t, file, "ValidatingAdmissionPolicy")
	binding := manifest[admissionregistrationv1.ValidatingAdmissionPolicyBinding](t, file, "ValidatingAdmissionPolicyBinding")
	const prefix = "fleet-"
	if !strings.HasPrefix(wellknown.MemberNamespacePrefix, prefix) || !strings.HasPrefix(wellknown.SystemNamespace, prefix) ||
		len(policy.Spec.MatchConditions) != 1 || policy.Spec.MatchConditions[0].Expression != "object.metadata.name.startsWith('"+prefix+"')" {
		t.Errorf("the policy is about %+v", policy.Spec.MatchConditions)
	}
	if len(policy.Spec.Validations) != 1 || !strings.Contains(policy.Spec.Validations[0].Expression, "namespace('"+wellknown.SystemNamespace+"')") {
		t.Errorf("the policy allows what %+v says", policy.Spec.Validations)
	}
	if binding.Spec.PolicyName != policy.Name || !slices.Equal(binding.Spec.ValidationActions, []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}) {
		t.Errorf("the binding is %+v", binding.Spec)
	}
	data, err := os.ReadFile(filepath.Join("..", "..", "artifacts", "deploy", "base", "kustomization.yaml"))
	if err != nil || !strings.Contains(string(data), "\n- reserved-namespaces.yaml\n") {
		t.Errorf("base does not have reserved-namespaces.yaml: %v", err)
	}
}

// TestTheNamespacesOfMembersAreWrittenByTheServer holds that the policy is in force for the names that the server uses.
func TestTheNamespacesOfMembersAreWrittenByTheServer(t *testing.T) {
	const file = "deploy/base/member-namespaces.yaml"
	policy := manifest[admissionregistrationv1.ValidatingAdmissionPolicy](t, file, "ValidatingAdmissionPolicy")
	binding := manifest[admissionregistrationv1.ValidatingAdmissionPolicyBinding](t, file, "ValidatingAdmissionPolicyBinding")
	deployment, _ := serverContainer(t)
	account := "system:serviceaccount:" + deployment.Namespace + ":" + deployment.Spec.Template.Spec.ServiceAccountName
	if c := policy.Spec.MatchConditions; len(c) != 1 || !strings.HasSuffix(c[0].Expression, ".startsWith('"+wellknown.MemberNamespacePrefix+"')") {
		t.Errorf("the policy is about %+v", c)
	}
	if v := policy.Spec.Validations; len(v) != 3 || !strings.Contains(v[0].Expression, "'"+account+"'") || !strings.Contains(v[0].Expression, "'"+user.APIServerUser+"'") {
		t.Errorf("the policy allows what %+v says", v)
	}
	if fails := policy.Spec.FailurePolicy; fails == nil || *fails != admissionregistrationv1.Fail {
		t.Error("the policy lets through what it cannot judge")
	}
	if binding.Spec.PolicyName != policy.Name || !slices.Equal(binding.Spec.ValidationActions, []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}) {
		t.Errorf("the binding is %+v", binding.Spec)
	}
	data, err := os.ReadFile(filepath.Join("..", "..", "artifacts", "deploy", "base", "kustomization.yaml"))
	if err != nil || !strings.Contains(string(data), "\n- member-namespaces.yaml\n") {
		t.Errorf("base does not have member-namespaces.yaml: %v", err)
	}
}

// TestAnAgentHasTheRightsOfOneNamespace holds that an agent has no verb on more than it needs, that the server may bind this role and no
// other, and that the names are those that the server and the agent use.
func TestAnAgentHasTheRightsOfOneNamespace(t *testing.T) {
	var role, server *rbacv1.ClusterRole
	for _, obj := range readManifests(t, "deploy/base/rbac.yaml") {
		found := &rbacv1.ClusterRole{}
		if obj.GetKind() != "ClusterRole" {
			continue
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, found, true); err != nil {
			t.Fatal(err)
		}
		switch found.Name {
		case wellknown.MemberAgentRole:
			role = found
		case "stagegate-apiserver":
			server = found
		}
	}
	if role == nil || server == nil {
		t.Fatal("no ClusterRole of agents, or of the server")
	}
	allowed := map[string][]string{
		"works": {"get", "list", "watch", "update", "patch"}, "works/status": {"get", "update", "patch"},
		"internalmemberclusters": {"get", "list", "watch"}, "internalmemberclusters/status": {"get", "update", "patch"},
		"serviceaccounts/token": {"create"}, "events": {"create", "patch"},
	}
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			if !slices.Equal(rule.Verbs, allowed[resource]) {
				t.Errorf("an agent may %v %s", rule.Verbs, resource)
			}
		}
		if slices.Contains(rule.Resources, "serviceaccounts/token") && !slices.Equal(rule.ResourceNames, []string{agent.Account}) {
			t.Errorf("an agent makes tokens of %v", rule.ResourceNames)
		}
	}
	for _, rule := range server.Rules {
		if slices.Contains(rule.Verbs, "bind") && !slices.Equal(rule.ResourceNames, []string{wellknown.MemberAgentRole}) {
			t.Errorf("the server binds %v", rule.ResourceNames)
		}
		if slices.Contains(rule.Verbs, "escalate") || slices.Contains(rule.Verbs, "impersonate") {
			t.Errorf("the server may %v %v", rule.Verbs, rule.Resources)
		}
	}
	policy := manifest[admissionregistrationv1.ValidatingAdmissionPolicy](t, "deploy/base/member-namespaces.yaml", "ValidatingAdmissionPolicy")
	if !strings.Contains(policy.Spec.Validations[0].Expression, "request.userInfo.username == 'system:serviceaccount:' + request.namespace + ':"+agent.Account+"' && (") {
		t.Error("the policy for namespaces of members does not let the agent of each through")
	}
	for _, v := range policy.Spec.Validations[1:] {
		if !strings.Contains(v.Expression, "request.userInfo.username != 'system:serviceaccount:' + request.namespace + ':"+agent.Account+"' ||") {
			t.Errorf("%s is about others than the agent of each member", v.Expression)
		}
	}
	if life := policy.Spec.Validations[2].Expression; !strings.HasSuffix(life, fmt.Sprintf("<= %d", int64(agent.TokenLife/time.Second))) {
		t.Errorf("an agent asks for a token of %s, and is let have one where %s", agent.TokenLife, life)
	}
}

// TestTheServerGivesAgentsOneRole holds that the policy is about the server's own account, and the names that it uses.
func TestTheServerGivesAgentsOneRole(t *testing.T) {
	const file = "deploy/base/member-agents.yaml"
	policy := manifest[admissionregistrationv1.ValidatingAdmissionPolicy](t, file, "ValidatingAdmissionPolicy")
	binding := manifest[admissionregistrationv1.ValidatingAdmissionPolicyBinding](t, file, "ValidatingAdmissionPolicyBinding")
	deployment, _ := serverContainer(t)
	account := "system:serviceaccount:" + deployment.Namespace + ":" + deployment.Spec.Template.Spec.ServiceAccountName
	if c := policy.Spec.MatchConditions; len(c) != 1 || c[0].Expression != "request.userInfo.username == '"+account+"'" {
		t.Errorf("the policy is about %+v", c)
	}
	if v := policy.Spec.Validations; len(v) != 2 || v[0].Expression != "request.namespace.startsWith('"+wellknown.MemberNamespacePrefix+"')" ||
		!strings.Contains(v[1].Expression, "object.roleRef.name == '"+wellknown.MemberAgentRole+"'") {
		t.Errorf("the policy allows what %+v says", v)
	}
	if binding.Spec.PolicyName != policy.Name || !slices.Equal(binding.Spec.ValidationActions, []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}) {
		t.Errorf("the binding is %+v", binding.Spec)
	}
	data, err := os.ReadFile(filepath.Join("..", "..", "artifacts", "deploy", "base", "kustomization.yaml"))
	if err != nil || !strings.Contains(string(data), "\n- member-agents.yaml\n") {
		t.Errorf("base does not have member-agents.yaml: %v", err)
	}
}

// TestATokenOfAnAgentIsForTheHub holds that the policy is in force, and about the account of agents.
func TestATokenOfAnAgentIsForTheHub(t *testing.T) {
	const file = "deploy/base/member-agents.yaml"
	policy := manifest[admissionregistrationv1.MutatingAdmissionPolicy](t, file, "MutatingAdmissionPolicy")
	binding := manifest[admissionregistrationv1.MutatingAdmissionPolicyBinding](t, file, "MutatingAdmissionPolicyBinding")
	if c := policy.Spec.MatchConditions; len(c) != 2 || !strings.Contains(c[0].Expression, "request.namespace.startsWith('"+wellknown.MemberNamespacePrefix+"')") ||
		!strings.HasSuffix(c[0].Expression, "request.userInfo.username == 'system:serviceaccount:' + request.namespace + ':"+agent.Account+"'") {
		t.Errorf("the policy is about %+v", c)
	}
	if fails := policy.Spec.FailurePolicy; fails == nil || *fails != admissionregistrationv1.Fail || binding.Spec.PolicyName != policy.Name {
		t.Errorf("the policy fails to %v, and the binding is of %s", fails, binding.Spec.PolicyName)
	}
}

// TestTheAgentOfAMemberFindsWhatItNeeds holds the manifests for members to the flags and names of the agent.
func TestTheAgentOfAMemberFindsWhatItNeeds(t *testing.T) {
	deployment := manifest[appsv1.Deployment](t, "member-agent/deployment.yaml", "Deployment")
	role := manifest[rbacv1.Role](t, "member-agent/rbac.yaml", "Role")
	namespace := manifest[corev1.Namespace](t, "member-agent/namespace.yaml", "Namespace")
	flags := agent.NewCommand(t.Context()).Flags()
	if got := flags.Lookup("namespace").DefValue; got != namespace.Name || deployment.Namespace != namespace.Name || role.Namespace != namespace.Name {
		t.Errorf("the agent looks in namespace %s, and the manifests are for %s", got, namespace.Name)
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	for _, arg := range container.Args {
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if flags.Lookup(name) == nil {
			t.Errorf("the agent has no flag %s", arg)
		}
	}
	for _, rule := range role.Rules {
		if slices.Contains(rule.Resources, "secrets") && !slices.Equal(rule.ResourceNames, []string{flags.Lookup("hub-secret").DefValue}) {
			t.Errorf("the agent reads the Secrets %v", rule.ResourceNames)
		}
	}
	if context := container.SecurityContext; !*context.ReadOnlyRootFilesystem || *context.AllowPrivilegeEscalation {
		t.Errorf("the agent runs with %+v", context)
	}
	if address := flags.Lookup("health-bind-address").DefValue; len(container.Ports) != 1 || fmt.Sprintf(":%d", container.Ports[0].ContainerPort) != address {
		t.Errorf("the agent listens on %s, and the container has the ports %+v", address, container.Ports)
	}
	for path, probe := range map[string]*corev1.Probe{"/healthz": container.LivenessProbe, "/readyz": container.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != container.Ports[0].Name {
			t.Errorf("the probe of %s is %+v", path, probe)
		}
	}
}

// TestNothingRunsOnAHubThatSaysSo holds that the component exempts the namespace of the server.
func TestNothingRunsOnAHubThatSaysSo(t *testing.T) {
	policy := manifest[admissionregistrationv1.ValidatingAdmissionPolicy](t, "deploy/no-workloads/no-workloads.yaml", "ValidatingAdmissionPolicy")
	binding := manifest[admissionregistrationv1.ValidatingAdmissionPolicyBinding](t, "deploy/no-workloads/no-workloads.yaml", "ValidatingAdmissionPolicyBinding")
	if !strings.HasPrefix(wellknown.SystemNamespace, "fleet-") || len(policy.Spec.Validations) != 1 || !strings.Contains(policy.Spec.Validations[0].Expression, "'fleet-'") {
		t.Errorf("the policy allows what %+v says", policy.Spec.Validations)
	}
	if binding.Spec.PolicyName != policy.Name || !slices.Equal(binding.Spec.ValidationActions, []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}) {
		t.Errorf("the binding is %+v", binding.Spec)
	}
}

// TestStatusesOnTheHubAreWrittenWhereSomebodySaysSo holds that the server may write no status of users' objects by itself, and with the
// component nothing but statuses of kinds that are reported.
func TestStatusesOnTheHubAreWrittenWhereSomebodySaysSo(t *testing.T) {
	const file = "deploy/report-back/rbac.yaml"
	role, binding := manifest[rbacv1.ClusterRole](t, file, "ClusterRole"), manifest[rbacv1.ClusterRoleBinding](t, file, "ClusterRoleBinding")
	for _, rule := range role.Rules {
		if !slices.Equal(rule.Verbs, []string{"update"}) || len(rule.APIGroups) != 1 || len(rule.ResourceNames) > 0 {
			t.Errorf("the component allows %+v", rule)
			continue
		}
		for _, resource := range rule.Resources {
			plural, isStatus := strings.CutSuffix(resource, "/status")
			kinds := map[string]string{"daemonsets": "DaemonSet", "deployments": "Deployment", "statefulsets": "StatefulSet"}
			if !isStatus || !reportback.IsReported(schema.GroupKind{Group: rule.APIGroups[0], Kind: kinds[plural]}) {
				t.Errorf("the component allows to update %s of group %s", resource, rule.APIGroups[0])
			}
		}
	}
	deployment, _ := serverContainer(t)
	account := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: deployment.Spec.Template.Spec.ServiceAccountName, Namespace: deployment.Namespace}
	if len(role.Rules) == 0 || binding.RoleRef.Name != role.Name || !slices.Equal(binding.Subjects, []rbacv1.Subject{account}) {
		t.Errorf("%s binds %+v to %+v", file, binding.Subjects, binding.RoleRef)
	}
	for _, object := range readManifests(t, "deploy/base/rbac.yaml") {
		var base rbacv1.ClusterRole
		if object.GetKind() != "ClusterRole" {
			continue
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &base); err != nil {
			t.Fatal(err)
		}
		for _, rule := range base.Rules {
			reads := slices.Equal(rule.Verbs, []string{"get", "list", "watch"})
			if !reads && (slices.Contains(rule.APIGroups, "*") || slices.Contains(rule.APIGroups, "apps")) {
				t.Errorf("%s of base allows to %v %v", base.Name, rule.Verbs, rule.Resources)
			}
		}
	}
}

// TestWhoReleasesWritesNoGate holds the example to what it is for.
func TestWhoReleasesWritesNoGate(t *testing.T) {
	role := manifest[rbacv1.ClusterRole](t, "example/gates/role.yaml", "ClusterRole")
	if len(role.Labels) > 0 {
		t.Errorf("the role has the labels %v, by which it could become part of others", role.Labels)
	}
	if !allows(role, "create", v1beta1.GroupName, "stagedupdateruns") {
		t.Error("the role does not create runs")
	}
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			if kind, _, _ := strings.Cut(resource, "/"); kind != "stagedupdateruns" {
				t.Errorf("the role allows to %v %s", rule.Verbs, resource)
			}
		}
	}
}
