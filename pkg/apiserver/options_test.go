// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"os"
	"testing"
	"time"

	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

// parse reads flags as the program does.
func parse(t *testing.T, args ...string) (*Options, error) {
	t.Helper()
	o := NewOptions()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	for _, set := range o.Flags().FlagSets {
		fs.AddFlagSet(set)
	}
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	o.Complete()
	return o, nil
}

func TestValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"the defaults":                      {nil, ""},
		"an external etcd":                  {[]string{"--etcd-servers=https://etcd:2379", "--etcd-cafile=ca", "--data-dir="}, ""},
		"no place for the state":            {[]string{"--data-dir="}, "--data-dir must be set"},
		"no room for the state":             {[]string{"--embedded-etcd-quota-bytes=0"}, "--embedded-etcd-quota-bytes"},
		"no time to start":                  {[]string{"--embedded-etcd-start-timeout=0s"}, "--embedded-etcd-start-timeout"},
		"certificates without servers":      {[]string{"--etcd-cafile=ca"}, "--etcd-cafile is for an external etcd"},
		"one controller":                    {[]string{"--controllers=snapshot"}, ""},
		"all but one controller":            {[]string{"--controllers=*,-snapshot"}, ""},
		"an unknown controller":             {[]string{"--controllers=bogus"}, "bogus"},
		"no wait for members":               {[]string{"--force-delete-wait-time=29s"}, "--force-delete-wait-time is 29s; use 30s to 1h0m0s"},
		"a wait for members of a day":       {[]string{"--force-delete-wait-time=24h"}, "--force-delete-wait-time"},
		"a short wait for members":          {[]string{"--force-delete-wait-time=30s"}, ""},
		"a lease shorter than its renewal":  {[]string{"--leader-elect-lease-duration=5s"}, "--leader-elect-lease-duration"},
		"objects without a limit":           {[]string{"--max-objects-per-namespace=0"}, ""},
		"fewer objects than none":           {[]string{"--max-objects-per-namespace=-1"}, "--max-objects-per-namespace"},
		"what is not placed":                {[]string{"--skipped-propagating-apis=apps/v1/Deployment; v1/Secret; example.com/v1/Widget", "--skipped-propagating-namespaces=vault,infra"}, ""},
		"a list that is no list":            {[]string{"--allowed-propagating-apis=v1"}, "--allowed-propagating-apis: \"v1\" is a version and no group"},
		"a kind that is misspelled":         {[]string{"--skipped-propagating-apis=v1/Secrets"}, "--skipped-propagating-apis: there is no kind Secrets in group \"\": write v1/Secret"},
		"a kind that is misspelled badly":   {[]string{"--allowed-propagating-apis=v1/Secert"}, "--allowed-propagating-apis: there is no kind Secert in group \"\": correct it"},
		"a kind of another group":           {[]string{"--allowed-propagating-apis=v1/Deployment"}, "--allowed-propagating-apis: there is no kind Deployment in group \"\": write apps/v1/Deployment"},
		"a resource and no group":           {[]string{"--skipped-propagating-apis=secrets"}, "--skipped-propagating-apis: \"secrets\" is no group: write v1/Secret"},
		"a word that is no group":           {[]string{"--skipped-propagating-apis=app"}, "--skipped-propagating-apis: \"app\" is no group: write kinds of the core group as v1/Secret"},
		"a group without a dot, aggregated": {[]string{"--skipped-propagating-apis=things/v1; apps; batch/v1"}, ""},
		"a namespace that is none":          {[]string{"--skipped-propagating-namespaces=a;b"}, "--skipped-propagating-namespaces: \"a;b\" is no name"},
		"no election":                       {[]string{"--leader-elect=false", "--leader-elect-lease-duration=5s"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parse(t, tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			checkError(t, o.Validate(), tc.want)
		})
	}
}

func TestRequestsAreSubjectToPriorityAndFairness(t *testing.T) {
	o, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	if !o.Recommended.Features.EnablePriorityAndFairness {
		t.Error("it is off by default")
	}
}

func TestExternalSnapshotsIsOneOfTwo(t *testing.T) {
	if _, err := parse(t, "--external-snapshots=OnRun"); err != nil {
		t.Error(err)
	}
	if _, err := parse(t, "--external-snapshots=Never"); err == nil {
		t.Error("Never is accepted")
	}
}

func TestFlagsThatLeaveNoChoiceAreAbsent(t *testing.T) {
	for _, flag := range []string{"--storage-media-type=application/json", "--cert-dir=/tmp", "--etcd-servers-overrides=/a#b"} {
		if _, err := parse(t, flag); err == nil {
			t.Errorf("%s is accepted", flag)
		}
	}
}

func TestTheHubsKubeconfigServesAuthenticationAndAuthorizationToo(t *testing.T) {
	o, err := parse(t, "--kubeconfig=hub", "--authorization-kubeconfig=other")
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Recommended.Authentication.RemoteKubeConfigFile; got != "hub" {
		t.Errorf("authentication uses %q", got)
	}
	if got := o.Recommended.Authorization.RemoteKubeConfigFile; got != "other" {
		t.Errorf("authorization uses %q", got)
	}
}

func TestTheStartupProbeOutlastsTheStartOfEtcd(t *testing.T) {
	manifest, err := os.ReadFile("../../artifacts/deploy/base/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	if err := yaml.UnmarshalStrict(manifest, &deployment); err != nil {
		t.Fatal(err)
	}
	container := &deployment.Spec.Template.Spec.Containers[0]
	o, err := parse(t, container.Args...)
	if err != nil {
		t.Fatal(err)
	}
	probe := container.StartupProbe
	budget := time.Duration(probe.InitialDelaySeconds+probe.PeriodSeconds*probe.FailureThreshold) * time.Second
	// What comes before and after etcd took two minutes of the probe before etcd had a time of its own.
	if want := o.Embedded.StartTimeout + 2*time.Minute; budget < want {
		t.Errorf("the probe ends a start after %s, want %s or more: etcd alone may take %s", budget, want, o.Embedded.StartTimeout)
	}
}
