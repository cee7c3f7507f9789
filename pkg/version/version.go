// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version knows which version of Stagegate a program is. It is asked by the commands, the API and the metrics, so that all say the same.
package version

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	utilversion "k8s.io/apimachinery/pkg/util/version"
	apimachineryversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

// unstamped is what a program calls itself of which nobody knows the version, such as a test. It is older than any release.
const unstamped = "v0.0.0-devel"

// A release is stamped with -ldflags "-X github.com/stagegate/stagegate/pkg/version.stamp=v0.1.0", and likewise commit, treeState and date. What
// the go tool finds in git would not do: it depends on which tags a clone has, so that two builds of one commit would differ.
var (
	stamp     string
	commit    string // the full hash
	treeState string // clean or dirty
	date      string // of the commit, RFC 3339
)

// String returns the version, such as v0.1.0. Without a stamp that is the one that the go tool made from git, such as
// v0.1.1-0.20261130003300-a593da4abcde+dirty, or v0.0.0-devel.
func String() string { return Get().GitVersion }

// Get returns what is known of the build, as /version serves it. Fields that nobody knows are empty.
func Get() apimachineryversion.Info {
	built, _ := debug.ReadBuildInfo()
	return from(built)
}

func from(built *debug.BuildInfo) apimachineryversion.Info {
	info := apimachineryversion.Info{
		GitVersion: stamp, GitCommit: commit, GitTreeState: treeState, BuildDate: date,
		GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if built != nil && stamp == "" {
		if built.Main.Version != "(devel)" {
			info.GitVersion = built.Main.Version
		}
		for _, setting := range built.Settings {
			switch setting.Key {
			case "vcs.revision":
				info.GitCommit = setting.Value
			case "vcs.time":
				info.BuildDate = setting.Value
			case "vcs.modified":
				info.GitTreeState = map[string]string{"false": "clean", "true": "dirty"}[setting.Value]
			}
		}
	}
	info.GitVersion = cmp.Or(info.GitVersion, unstamped)
	if parsed, err := utilversion.ParseSemantic(info.GitVersion); err == nil {
		info.Major, info.Minor = fmt.Sprint(parsed.Major()), fmt.Sprint(parsed.Minor())
	}
	return info
}

var buildInfo = metrics.NewGaugeVec(&metrics.GaugeOpts{
	Namespace: "stagegate", Name: "build_info", StabilityLevel: metrics.ALPHA,
	Help: "1, with the version of the program, the commit and the Go that it was built from, in its labels.",
}, []string{"version", "commit", "go_version"})

// RegisterMetric has the metrics tell the version. It is called once the feature gates of metrics are set.
var RegisterMetric = sync.OnceFunc(func() {
	legacyregistry.MustRegister(buildInfo)
	info := Get()
	buildInfo.WithLabelValues(info.GitVersion, info.GitCommit, info.GoVersion).Set(1)
})
