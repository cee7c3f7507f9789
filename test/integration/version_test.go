// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"strings"
	"testing"

	apimachineryversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes"

	"github.com/stagegate/stagegate/pkg/apiserver"
	"github.com/stagegate/stagegate/pkg/rollout/agent"
	"github.com/stagegate/stagegate/pkg/version"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// TestEverythingSaysTheSameVersion asks wherever somebody looks who wants to know what runs.
func TestEverythingSaysTheSameVersion(t *testing.T) {
	want := version.String()
	if got := apiserver.NewCommand(t.Context()).Version; got != want {
		t.Errorf("stagegate-apiserver --version says %s, want %s", got, want)
	}
	if got := agent.NewCommand(t.Context()).Version; got != want {
		t.Errorf("stagegate-member-agent --version says %s, want %s", got, want)
	}
	s := testserver.Start(t)
	client, err := kubernetes.NewForConfig(s.As(testserver.Alice))
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) string {
		t.Helper()
		data, err := client.Discovery().RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").DoRaw(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return string(data)
	}
	var info apimachineryversion.Info
	if err := json.Unmarshal([]byte(get("/version")), &info); err != nil || info != version.Get() {
		t.Errorf("/version says %+v, want %+v (%v)", info, version.Get(), err)
	}
	for _, path := range []string{"/openapi/v2", "/openapi/v3/apis/placement.kubernetes-fleet.io/v1"} {
		var document struct{ Info struct{ Version string } }
		if err := json.Unmarshal([]byte(get(path)), &document); err != nil || document.Info.Version != want {
			t.Errorf("%s says %q, want %s (%v)", path, document.Info.Version, want, err)
		}
	}
	if metrics := get("/metrics"); !strings.Contains(metrics, "\nstagegate_build_info{") || !strings.Contains(metrics, `version="`+want+`"} 1`) {
		t.Errorf("/metrics has no stagegate_build_info of version %s", want)
	}
}
