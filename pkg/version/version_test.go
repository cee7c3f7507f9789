// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package version

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"
	apimachineryversion "k8s.io/apimachinery/pkg/version"
)

func TestTheStampIsWhatCounts(t *testing.T) {
	fromGit := &debug.BuildInfo{
		Main: debug.Module{Version: "v0.1.1-0.20260301120000-abcdefabcdef+dirty"},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "abcdef"}, {Key: "vcs.time", Value: "2026-03-01T12:00:00Z"}, {Key: "vcs.modified", Value: "true"},
		},
	}
	for name, c := range map[string]struct {
		stamp, commit, treeState, date string
		built                          *debug.BuildInfo
		want                           apimachineryversion.Info
	}{
		"a release": {
			"v0.1.0", "fedcba", "clean", "2026-01-01T00:00:00Z", fromGit,
			apimachineryversion.Info{Major: "0", Minor: "1", GitVersion: "v0.1.0", GitCommit: "fedcba", GitTreeState: "clean", BuildDate: "2026-01-01T00:00:00Z"},
		},
		"go build in a clone": {
			"", "", "", "", fromGit,
			apimachineryversion.Info{Major: "0", Minor: "1", GitVersion: fromGit.Main.Version, GitCommit: "abcdef", GitTreeState: "dirty", BuildDate: "2026-03-01T12:00:00Z"},
		},
		"go build without git": {
			"", "", "", "", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}},
			apimachineryversion.Info{Major: "0", Minor: "0", GitVersion: "v0.0.0-devel"},
		},
		"nothing known": {"", "", "", "", nil, apimachineryversion.Info{Major: "0", Minor: "0", GitVersion: "v0.0.0-devel"}},
	} {
		t.Run(name, func(t *testing.T) {
			stamp, commit, treeState, date = c.stamp, c.commit, c.treeState, c.date
			t.Cleanup(func() { stamp, commit, treeState, date = "", "", "", "" })
			c.want.GoVersion, c.want.Compiler, c.want.Platform = runtime.Version(), runtime.Compiler, runtime.GOOS+"/"+runtime.GOARCH
			if diff := cmp.Diff(c.want, from(c.built)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
