// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestTheReplicasHaveTheFlagsOfTheOverlay(t *testing.T) {
	root, err := FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	o, err := readOverlay(root, "ha")
	if err != nil {
		t.Fatal(err)
	}
	if o.replicas != 2 {
		t.Errorf("%d replicas, want 2", o.replicas)
	}
	e, err := prepare(layout{root: root, dir: t.TempDir()}, Options{Service: NewService()})
	if err != nil {
		t.Fatal(err)
	}
	args, err := o.args(e.replaced())
	if err != nil {
		t.Fatal(err)
	}
	if len(args) != len(o.container.Args) {
		t.Errorf("flags %v, the overlay has %v", args, o.container.Args)
	}
}

func TestAFlagOfTheOverlayThatNothingReplacesIsRefused(t *testing.T) {
	o := &overlay{container: corev1.Container{Args: []string{"--cert=/etc/tls.crt", "--delay=5s", "--etcd=https://etcd:2379"}}}
	for _, tc := range []struct {
		name string
		here map[string]string
		want []string
		says string
	}{
		{"all", map[string]string{"--cert": "/here.crt", "--etcd": "https://a,https://b"}, []string{"--cert=/here.crt", "--delay=5s", "--etcd=https://a,https://b"}, ""},
		{"a path is left", map[string]string{"--etcd": "https://a"}, nil, "--cert=/etc/tls.crt"},
		{"an address is left", map[string]string{"--cert": "/here.crt"}, nil, "--etcd=https://etcd:2379"},
		{"the overlay has lost one", map[string]string{"--cert": "/here.crt", "--etcd": "https://a", "--key": "/here.key"}, nil, "does not have --key"},
	} {
		got, err := o.args(tc.here)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tc.name, diff)
		}
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.says)
		}
	}
}
