// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package memberidentity

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/rules/loss"
)

const namespace = "fleet-member-paris"

var agent = &user.DefaultInfo{Name: "system:serviceaccount:fleet-member-paris:agent", Groups: []string{"agents"}}

func memberCluster(identity rbacv1.Subject, delivery string) *clusterv1beta1.MemberCluster {
	return &clusterv1beta1.MemberCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "paris", Annotations: map[string]string{wellknown.DeliveryAnnotation: delivery}},
		Spec:       clusterv1beta1.MemberClusterSpec{Identity: identity},
	}
}

func workWith(change func(*v1beta1.Work)) *v1beta1.Work {
	work := &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: "web-work", ResourceVersion: "1", Finalizers: []string{"example.com/other"}, Annotations: map[string]string{"a": "b"},
	}}
	if change != nil {
		change(work)
	}
	return work
}

func validate(t *testing.T, cluster *clusterv1beta1.MemberCluster, who user.Info, resource, subresource string, operation admission.Operation, object, old runtime.Object) error {
	t.Helper()
	plugin := New()
	objects := []runtime.Object{}
	if cluster != nil {
		objects = append(objects, cluster)
	}
	plugin.SetFleetClient(fake.NewClientset(objects...))
	plugin.SetUnconditionalAuthorizer(deletersOnly(t))
	gv := v1beta1.SchemeGroupVersion
	if resource == "internalmemberclusters" {
		gv = clusterv1beta1.SchemeGroupVersion
	}
	a := admission.NewAttributesRecord(object, old, gv.WithKind("Any"), namespace, "web-work", gv.WithResource(resource), subresource, operation, nil, false, who)
	return plugin.Validate(genericapirequest.WithUser(t.Context(), who), a, nil)
}

func TestWhatAnAgentMayWrite(t *testing.T) {
	pulled := memberCluster(rbacv1.Subject{Kind: "ServiceAccount", Namespace: namespace, Name: "agent"}, "Pull")
	update := func(change func(*v1beta1.Work)) *v1beta1.Work { return workWith(change) }
	for _, tc := range []struct {
		name                  string
		resource, subresource string
		operation             admission.Operation
		object                runtime.Object
		allowed               bool
	}{
		{"its finalizer on a Work", "works", "", admission.Update, update(func(w *v1beta1.Work) {
			w.Finalizers = append(w.Finalizers, wellknown.WorkCleanupFinalizer)
			w.ResourceVersion, w.ManagedFields = "2", []metav1.ManagedFieldsEntry{{Manager: "agent"}}
		}), true},
		{"its note on an AppliedWork that was deleted on the member", "works", "", admission.Update, update(func(w *v1beta1.Work) {
			w.Annotations = map[string]string{"a": "b", wellknown.LostAppliedWorkAnnotation: note(t)}
		}), true},
		{"the status of a Work", "works", "status", admission.Update, update(func(w *v1beta1.Work) { w.Annotations = nil }), true},
		{"the status of its InternalMemberCluster", "internalmemberclusters", "status", admission.Update, &clusterv1beta1.InternalMemberCluster{}, true},
		{"another finalizer", "works", "", admission.Update, update(func(w *v1beta1.Work) { w.Finalizers = nil }), false},
		{"the manifests of a Work", "works", "", admission.Update, update(func(w *v1beta1.Work) {
			w.Spec.Workload.Manifests = []v1beta1.Manifest{{}}
		}), false},
		{"what a Work is told to remove", "works", "", admission.Update, update(func(w *v1beta1.Work) {
			w.Annotations = map[string]string{"a": "b", wellknown.PruneAnnotation: "s"}
		}), false},
		{"a label of a Work", "works", "", admission.Update, update(func(w *v1beta1.Work) { w.Labels = map[string]string{"a": "b"} }), false},
		{"an owner of a Work", "works", "", admission.Update, update(func(w *v1beta1.Work) { w.OwnerReferences = []metav1.OwnerReference{{}} }), false},
		{"a new Work", "works", "", admission.Create, workWith(nil), false},
		{"a Work's end", "works", "", admission.Delete, nil, false},
		{"what its InternalMemberCluster asks for", "internalmemberclusters", "", admission.Update, &clusterv1beta1.InternalMemberCluster{}, false},
		{"a new InternalMemberCluster", "internalmemberclusters", "", admission.Create, &clusterv1beta1.InternalMemberCluster{}, false},
		{"a status that is none of an agent's", "resourcebindings", "status", admission.Update, &v1beta1.ResourceBinding{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := validate(t, pulled, agent, tc.resource, tc.subresource, tc.operation, tc.object, workWith(nil))
			if (err == nil) != tc.allowed {
				t.Errorf("got %v", err)
			}
			if err != nil && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "everything else there is the hub's")) {
				t.Errorf("refused with %v", err)
			}
			// The controllers write all of it, whatever they are called.
			if err := validate(t, pulled, registry.Controllers(), tc.resource, tc.subresource, tc.operation, tc.object, workWith(nil)); err != nil {
				t.Errorf("the server's own controllers are refused: %v", err)
			}
		})
	}
}

// deletersOnly lets administrators delete, and expects no other question.
func deletersOnly(t *testing.T) authorizer.AuthorizerFunc {
	return func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if a.GetVerb() != "delete" || a.GetNamespace() != namespace || a.GetName() != "web-work" || a.GetResource() != "works" || a.GetAPIGroup() != v1beta1.GroupName {
			t.Errorf("asked for %s of %s %s in %s", a.GetVerb(), a.GetResource(), a.GetName(), a.GetNamespace())
		}
		if a.GetUser().GetName() == "unknown" {
			return authorizer.DecisionNoOpinion, "", errors.New("no hub")
		}
		if slices.Contains(a.GetUser().GetGroups(), "system:masters") {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	}
}

// note is one that the agent writes.
func note(t *testing.T) string {
	t.Helper()
	text, err := (&loss.Note{Objects: []v1beta1.WorkResourceIdentifier{{Version: "v1", Kind: "ConfigMap", Namespace: "shop", Name: "web"}}}).Pack()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestWhatAnAgentMayNote(t *testing.T) {
	pulled := memberCluster(rbacv1.Subject{Kind: "ServiceAccount", Namespace: namespace, Name: "agent"}, "Pull")
	noting := func(text string, change func(*v1beta1.Work)) *v1beta1.Work {
		return workWith(func(w *v1beta1.Work) {
			if text != "" {
				w.Annotations[wellknown.LostAppliedWorkAnnotation] = text
			}
			if change != nil {
				change(w)
			}
		})
	}
	finalizer := func(w *v1beta1.Work) { w.Finalizers = append(w.Finalizers, wellknown.WorkCleanupFinalizer) }
	team := func(w *v1beta1.Work) { w.Labels = map[string]string{wellknown.ParentNamespaceLabel: "team-a"} }
	for _, tc := range []struct {
		name     string
		old, new *v1beta1.Work
		refused  string
	}{
		{"that a loss is over", noting(note(t), nil), noting("", nil), ""},
		{"what cannot be read", noting("", nil), noting("x", nil), "only what the Work's AppliedWork listed that was deleted on the member: annotation " + wellknown.LostAppliedWorkAnnotation},
		{"too much", noting("", nil), noting(strings.Repeat("x", loss.MaxPacked+1), nil), "too large"},
		{"what is not in the namespace of the placement", noting("", team), noting(note(t), team), "ConfigMap shop/web, which is not in the namespace of the placement"},
		{"nothing else in a Work with such a note", noting("x", nil), noting("x", finalizer), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := validate(t, pulled, agent, "works", "", admission.Update, tc.new, tc.old)
			if tc.refused == "" && err != nil || tc.refused != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), tc.refused)) {
				t.Errorf("got %v, want %q", err, tc.refused)
			}
			if err := validate(t, pulled, registry.Controllers(), "works", "", admission.Update, tc.new, tc.old); err != nil {
				t.Errorf("the server's own controllers are refused: %v", err)
			}
		})
	}
}

func TestWhoIsAnAgent(t *testing.T) {
	account := rbacv1.Subject{Kind: "ServiceAccount", Namespace: namespace, Name: "agent"}
	upstream := rbacv1.Subject{Kind: "User", Name: "upstream"}
	admin := &user.DefaultInfo{Name: "admin", Groups: []string{"system:masters"}}
	for _, tc := range []struct {
		name    string
		cluster *clusterv1beta1.MemberCluster
		who     user.Info
		want    bool
	}{
		{"the ServiceAccount", memberCluster(account, "Pull"), agent, true},
		{"the user", memberCluster(upstream, "Pull"), &user.DefaultInfo{Name: "upstream"}, true},
		{"the user, who is an administrator", memberCluster(upstream, "Pull"), &user.DefaultInfo{Name: "upstream", Groups: []string{"system:masters"}}, true},
		{"one of the group", memberCluster(rbacv1.Subject{Kind: "Group", Name: "agents"}, "Pull"), &user.DefaultInfo{Name: "x", Groups: []string{"agents"}}, true},
		{"the identity of a member that the server reaches", memberCluster(account, "Push"), agent, true},
		{"the user of a member that the server reaches", memberCluster(upstream, "Push"), &user.DefaultInfo{Name: "upstream"}, true},
		{"the ServiceAccount of a member with another identity", memberCluster(upstream, "Pull"), agent, true},
		{"another ServiceAccount of the namespace", memberCluster(account, "Pull"), &user.DefaultInfo{Name: "system:serviceaccount:fleet-member-paris:other"}, true},
		{"the ServiceAccount where there is no MemberCluster", nil, agent, true},
		{"a user who was the identity, and updates what only others may delete", memberCluster(account, "Push"), &user.DefaultInfo{Name: "upstream"}, true},
		{"the same without a MemberCluster", nil, &user.DefaultInfo{Name: "upstream"}, true},
		{"a ServiceAccount of another namespace", memberCluster(rbacv1.Subject{Kind: "ServiceAccount", Namespace: "fleet-member", Name: "paris:agent"}, "Pull"),
			&user.DefaultInfo{Name: "system:serviceaccount:fleet-member:other", Groups: admin.Groups}, false},
		{"a user whose name begins like that", memberCluster(account, "Pull"), &user.DefaultInfo{Name: agent.Name + "-2:x", Groups: admin.Groups}, false},
		{"an administrator", memberCluster(account, "Pull"), admin, false},
		{"an administrator where there is no MemberCluster", nil, admin, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := validate(t, tc.cluster, tc.who, "works", "", admission.Update, workWith(func(w *v1beta1.Work) { w.Labels = map[string]string{"a": "b"} }), workWith(nil))
			if got := apierrors.IsForbidden(err); got != tc.want || !got && err != nil {
				t.Errorf("taken for an agent: %t (%v)", got, err)
			}
		})
	}
	t.Run("where it cannot be told", func(t *testing.T) {
		err := validate(t, nil, &user.DefaultInfo{Name: "unknown"}, "works", "", admission.Update, workWith(func(w *v1beta1.Work) { w.Labels = map[string]string{"a": "b"} }), workWith(nil))
		if !apierrors.IsInternalError(err) {
			t.Errorf("answered %v", err)
		}
	})
}
