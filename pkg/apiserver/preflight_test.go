// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"github.com/stagegate/stagegate/pkg/importer"
)

// writePair writes a certificate and a key that belong together.
func writePair(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	cert, key, err := certutil.GenerateSelfSignedCertKey("localhost", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for file, data := range map[string][]byte{certFile: cert, keyFile: key} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// hub answers every request with the status and the object.
func hub(t *testing.T, status int, obj any) *rest.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(obj)
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

func crds(names ...string) *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}}
	for _, name := range names {
		list.Items = append(list.Items, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	return list
}

func TestCheckCertificate(t *testing.T) {
	certFile, keyFile := writePair(t)
	_, otherKey := writePair(t)
	for name, tc := range map[string]struct{ cert, key, want string }{
		"a pair":            {certFile, keyFile, ""},
		"none given":        {"", "", "--tls-cert-file and --tls-private-key-file must be set"},
		"no key given":      {certFile, "", "--tls-cert-file and --tls-private-key-file must be set"},
		"a missing file":    {certFile + "x", keyFile, "no such file"},
		"another one's key": {certFile, otherKey, "does not match"},
	} {
		t.Run(name, func(t *testing.T) { checkError(t, checkCertificate(tc.cert, tc.key), tc.want) })
	}
}

func TestCheckDataDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "dir")
	checkError(t, checkDataDir(dir), "")
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("the check leaves %v, %v", left, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	checkError(t, checkDataDir(file), "data directory")
	switch {
	case os.Geteuid() != 0:
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
	case runtime.GOOS == "linux":
		// Nobody creates a file there.
		dir = "/proc/self/fd"
	default:
		t.Skip("nothing is unwritable for root")
	}
	checkError(t, checkDataDir(dir), "not writable")
}

// hubWith answers with CustomResourceDefinitions and APIServices.
func hubWith(t *testing.T, crds, apiServices *metav1.PartialObjectMetadataList) *rest.Config {
	t.Helper()
	mux := http.NewServeMux()
	for path, list := range map[string]*metav1.PartialObjectMetadataList{
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions": crds, "/apis/apiregistration.k8s.io/v1/apiservices": apiServices,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(list)
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

func TestADefinitionThatComesAfterTheAPIServicesKeepsNoServerFromStarting(t *testing.T) {
	installed := metav1.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	at := func(list *metav1.PartialObjectMetadataList, after time.Duration) *metav1.PartialObjectMetadataList {
		for i := range list.Items {
			list.Items[i].CreationTimestamp = metav1.NewTime(installed.Add(after))
		}
		return list
	}
	const crd = "works.placement.kubernetes-fleet.io"
	apiServices := func() *metav1.PartialObjectMetadataList {
		return at(crds("v1.placement.kubernetes-fleet.io", "v1beta1.placement.kubernetes-fleet.io"), 0)
	}
	automanaged := apiServices()
	automanaged.Items[1].Labels = map[string]string{importer.AutomanagedLabel: "true"}
	recreated := apiServices()
	recreated.Items[1].CreationTimestamp = metav1.NewTime(installed.Add(2 * time.Hour))
	of := at(crds("v1.cluster.kubernetes-fleet.io", "v1beta1.cluster.kubernetes-fleet.io"), 0)
	for name, tc := range map[string]struct {
		apiServices *metav1.PartialObjectMetadataList
		after       time.Duration
		want        string
	}{
		"it came later":                          {apiServices(), time.Hour, ""},
		"it was there before":                    {apiServices(), -time.Hour, crd},
		"it came within the same second":         {apiServices(), 0, crd},
		"there are no APIServices":               {crds(), time.Hour, crd},
		"there are those of another group":       {of, time.Hour, crd},
		"the hub serves a version of it":         {automanaged, time.Hour, crd},
		"an APIService was away for a while":     {recreated, time.Hour, crd},
		"it came after that APIService was back": {recreated, 3 * time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			hidden, err := checkHub(t.Context(), hubWith(t, at(crds(crd), tc.after), tc.apiServices))
			checkError(t, err, "")
			checkError(t, hidden.refuse(nil), tc.want)
		})
	}
}

// TestTheLogNamesVersionsThatTheHubServes has a definition come with a version that is not served here.
func TestTheLogNamesVersionsThatTheHubServes(t *testing.T) {
	const group, own = "placement.kubernetes-fleet.io", "v1alpha1.placement.kubernetes-fleet.io"
	registered := metav1.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	definition := crds("works." + group)
	definition.Items[0].CreationTimestamp = metav1.NewTime(registered.Add(time.Hour))
	logged := func(t *testing.T, apiServices *metav1.PartialObjectMetadataList) string {
		t.Helper()
		for i := range apiServices.Items {
			apiServices.Items[i].CreationTimestamp = registered
			if name := apiServices.Items[i].Name; name == own || name == "v1.example.com" {
				apiServices.Items[i].Labels = map[string]string{importer.AutomanagedLabel: "onstart"}
			}
		}
		logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
		hidden, err := checkHub(klog.NewContext(t.Context(), logger), hubWith(t, definition, apiServices))
		checkError(t, err, "")
		checkError(t, hidden.refuse(nil), "")
		return logger.GetSink().(ktesting.Underlier).GetBuffer().String()
	}
	ours := []string{"v1." + group, "v1beta1." + group, "v1.example.com"}
	if got := logged(t, crds(ours...)); !strings.Contains(got, "have no effect, since") || strings.Contains(got, "example.com") {
		t.Errorf("the log of a hub that serves no version itself is %s", got)
	}
	got := logged(t, crds(append(ours, own)...))
	for _, want := range []string{own, "export those objects", "which deletes those objects"} {
		if !strings.Contains(got, want) || strings.Contains(got, "example.com") {
			t.Errorf("the log lacks %q, or names others: %s", want, got)
		}
	}
}

func TestCheckHub(t *testing.T) {
	forbidden := &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Reason: metav1.StatusReasonForbidden, Code: http.StatusForbidden, Message: "user may not",
	}
	for name, tc := range map[string]struct {
		hub  *rest.Config
		want string
	}{
		"a hub":                    {hub(t, http.StatusOK, crds("foos.example.com", "placement.example.com")), ""},
		"nobody there":             {&rest.Config{Host: "http://127.0.0.1:1"}, "cannot reach the hub http://127.0.0.1:1"},
		"no rights":                {hub(t, http.StatusForbidden, forbidden), "lacks the rights that its manifests give it"},
		"KubeFleet is there":       {hub(t, http.StatusOK, crds("works.placement.kubernetes-fleet.io")), "works.placement.kubernetes-fleet.io"},
		"its clusters are there":   {hub(t, http.StatusOK, crds("memberclusters.cluster.kubernetes-fleet.io")), "stagegate-apiserver import"},
		"policies are there":       {hub(t, http.StatusOK, crds("rolloutpolicies.rollout.stagegate.dev")), "stagegate-apiserver import"},
		"another group's are fine": {hub(t, http.StatusOK, crds("works.placement.kubefleet.dev")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			hidden, err := checkHub(t.Context(), tc.hub)
			checkError(t, errors.Join(hidden.refuse(nil), err), tc.want)
		})
	}
}

func TestOnlyDefinitionsThatWereImportedMayBeHidden(t *testing.T) {
	const works, members = "works.placement.kubernetes-fleet.io", "memberclusters.cluster.kubernetes-fleet.io"
	list := crds(works, members)
	list.Items[0].UID, list.Items[1].UID = "works-uid", "members-uid"
	hidden, err := checkHub(t.Context(), hubWith(t, list, crds()))
	checkError(t, err, "")
	both := map[string]types.UID{works: "works-uid", members: "members-uid"}
	for name, tc := range map[string]struct {
		record *importer.Record
		want   string
	}{
		"nothing was imported":    {nil, "would hide their objects: move them by stagegate-apiserver import into an empty store"},
		"an import is under way":  {&importer.Record{Phase: importer.Importing}, ""},
		"an import is taken back": {&importer.Record{Phase: importer.Returning}, ""},
		"both were imported":      {&importer.Record{Phase: importer.Complete, Definitions: both}, ""},
		"one came later":          {&importer.Record{Phase: importer.Complete, Definitions: map[string]types.UID{works: "works-uid"}}, "(" + members + ")"},
		"one was made again": {&importer.Record{Phase: importer.Complete, Definitions: map[string]types.UID{works: "earlier-uid", members: "members-uid"}},
			"(" + works + ")"},
	} {
		t.Run(name, func(t *testing.T) { checkError(t, hidden.refuse(tc.record), tc.want) })
	}
}

func TestHubConfigNamesTheFlag(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err := hubConfig("")
	checkError(t, err, "--kubeconfig is not set")
	_, err = hubConfig("/nonexistent/kubeconfig")
	checkError(t, err, "kubeconfig of the hub")
}

// checkError wants an error of one line that says so, or none.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v, want no error", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want %q in it", err, want)
	case err != nil && strings.Contains(err.Error(), "\n"):
		t.Errorf("%q is more than one line", err)
	}
}
