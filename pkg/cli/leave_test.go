// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	hubfake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
)

// What others do between two requests of the command needs clients that are not real.
func TestLeavingDeletesNoCredentialOfAnother(t *testing.T) {
	member := func(uid types.UID) *clusterv1beta1.MemberCluster {
		return &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: "paris", UID: uid}}
	}
	isGone := func(c *fake.Clientset, _ *hubfake.Clientset) error {
		return c.Tracker().Delete(clusterv1beta1.SchemeGroupVersion.WithResource("memberclusters"), "", "paris")
	}
	for name, tt := range map[string]struct {
		no      bool
		prepare func(c *fake.Clientset, hub *hubfake.Clientset) error
		want    string
		// stays reports whether the Secret is there afterwards.
		stays bool
	}{
		"it leaves":     {},
		"nobody agrees": {no: true, want: "there is nobody to ask: give --yes", stays: true},
		"an earlier attempt was killed": {prepare: isGone, stays: true,
			want: "there is no MemberCluster paris, and its Secret fleet-system/member-paris stays: if nobody needs it, kubectl -n fleet-system delete secret member-paris"},
		"it is recreated meanwhile": {prepare: func(c *fake.Clientset, _ *hubfake.Clientset) error {
			c.PrependReactor("delete", "memberclusters", func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, c.Tracker().Update(clusterv1beta1.SchemeGroupVersion.WithResource("memberclusters"), member("another"), "")
			})
			return nil
		}, want: "member paris has left, and there is another MemberCluster of that name: Secret fleet-system/member-paris stays", stays: true},
		"its credential is changed meanwhile": {prepare: func(_ *fake.Clientset, hub *hubfake.Clientset) error {
			hub.PrependReactor("delete", "secrets", func(a clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewConflict(corev1.Resource("secrets"), "member-paris", errors.New("it is another one"))
			})
			return nil
		}, want: "member paris has left, and somebody has changed its credential meanwhile", stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: wellknown.SystemNamespace, Name: "member-paris", UID: "s", ResourceVersion: "7"}}
			c, hub := fake.NewClientset(member("m")), hubfake.NewClientset(secret)
			if tt.prepare != nil {
				if err := tt.prepare(c, hub); err != nil {
					t.Fatal(err)
				}
			}
			streams := genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: &bytes.Buffer{}, ErrOut: &bytes.Buffer{}}
			o := &options{IOStreams: streams, terminal: terminalOf{in: streams.In, out: streams.Out}, stagegate: c, kubernetes: hub}
			err := o.leave(t.Context(), "paris", !tt.no)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if _, err := hub.CoreV1().Secrets(secret.Namespace).Get(t.Context(), secret.Name, metav1.GetOptions{}); (err == nil) != tt.stays {
				t.Errorf("reading the Secret afterwards: %v", err)
			}
			// The fake clients do not look at preconditions.
			for _, action := range append(c.Actions(), hub.Actions()...) {
				if d, ok := action.(clienttesting.DeleteActionImpl); ok {
					seen := d.DeleteOptions.Preconditions
					isMember := d.Resource.Resource == "memberclusters"
					if seen == nil || seen.UID == nil || isMember && *seen.UID != "m" || !isMember && (*seen.UID != "s" || seen.ResourceVersion == nil || *seen.ResourceVersion != "7") {
						t.Errorf("%s is deleted whichever it is: %+v", d.Resource.Resource, seen)
					}
				}
			}
		})
	}
}
