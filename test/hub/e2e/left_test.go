// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"

	"github.com/stagegate/stagegate/test/hub"
)

const serverUser = "system:serviceaccount:fleet-system:stagegate-apiserver"

// testNothingIsLeft holds that when all placements are gone, so is all that was made for them: on the hub, in the server's
// store, and on the members.
func testNothingIsLeft(t *testing.T, s *suite) {
	s.explain(t, "works -A")
	members := s.environment.Members()
	builtIn := []string{"default", "fleet-system", "kube-node-lease", "kube-public", "kube-system"}
	wantOnHub := slices.Clone(builtIn)
	for _, member := range members {
		wantOnHub = append(wantOnHub, "fleet-member-"+member)
	}
	s.namespacesAre(t, hub.HubName, wantOnHub)
	for _, member := range members {
		s.namespacesAre(t, member, builtIn)
		if left := s.names(t, member, "appliedworks"); len(left) > 0 {
			t.Errorf("AppliedWorks left on %s: %v", member, left)
		}
	}

	config, err := s.environment.RESTConfig(hub.HubName)
	if err != nil {
		t.Fatal(err)
	}
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, version := range []string{"placement.kubernetes-fleet.io/v1beta1", "cluster.kubernetes-fleet.io/v1beta1", "rollout.stagegate.dev/v1alpha1"} {
		list, err := client.ServerResourcesForGroupVersion(version)
		if err != nil {
			t.Fatal(err)
		}
		for _, resource := range list.APIResources {
			if !slices.Contains(resource.Verbs, "list") {
				continue
			}
			seen++
			var want []string
			switch resource.Name {
			case "memberclusters":
				want = members
			case "internalmemberclusters":
				for _, member := range members {
					want = append(want, "fleet-member-"+member+"/"+member)
				}
			}
			s.eventually(t, func() error {
				if diff := cmp.Diff(want, s.names(t, hub.HubName, resource.Name)); diff != "" {
					return fmt.Errorf("%s (-want +left):\n%s", resource.Name, diff)
				}
				return nil
			})
		}
	}
	if seen < 29 {
		t.Errorf("only %d kinds were looked at", seen)
	}
}

func (s *suite) namespacesAre(t *testing.T, cluster string, want []string) {
	t.Helper()
	slices.Sort(want)
	s.eventually(t, func() error {
		if diff := cmp.Diff(want, s.names(t, cluster, "namespaces")); diff != "" {
			return fmt.Errorf("namespaces on %s (-want +left):\n%s", cluster, diff)
		}
		return nil
	})
}

// names returns the sorted names of all objects of a resource, with their namespaces.
func (s *suite) names(t *testing.T, cluster, resource string) []string {
	t.Helper()
	gv := placementV1beta1
	switch resource {
	case "memberclusters", "internalmemberclusters":
		gv.Group = "cluster.kubernetes-fleet.io"
	case "clusterrolloutpolicies", "rolloutpolicies", "notificationsinks":
		gv.Group, gv.Version = "rollout.stagegate.dev", "v1alpha1"
	case "namespaces":
		gv.Group, gv.Version = "", "v1"
	}
	list, err := s.clusters[cluster].Resource(gv.WithResource(resource)).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatalf("listing %s on %s: %v", resource, cluster, err)
	}
	var names []string
	for i := range list.Items {
		name := list.Items[i].GetName()
		if namespace := list.Items[i].GetNamespace(); namespace != "" {
			name = namespace + "/" + name
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// auditEvent is what is read of the events of audit.k8s.io.
type auditEvent struct {
	AuditID        string           `json:"auditID"`
	Verb           string           `json:"verb"`
	RequestURI     string           `json:"requestURI"`
	UserAgent      string           `json:"userAgent"`
	StageTimestamp metav1.MicroTime `json:"stageTimestamp"`
	User           struct {
		Username string `json:"username"`
	} `json:"user"`
	// ObjectRef is nil for a request about no resource.
	ObjectRef *struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
		APIGroup    string `json:"apiGroup"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"responseStatus"`
}

// testServerHasTheRightsItNeeds holds that the hub has forbidden the server nothing in all these tests, by what it has recorded.
func testServerHasTheRightsItNeeds(t *testing.T, s *suite) {
	asked := false
	forbidden := map[string]bool{}
	if err := eachLine(s.environment.AuditLog(hub.HubName), func(line string) error {
		var event auditEvent
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			return err
		}
		if event.User.Username != serverUser || event.StageTimestamp.Time.Before(s.since) {
			return nil
		}
		asked = true
		// What is created in a namespace that is being deleted is refused to everybody, whatever their rights.
		// ReportBack shows what becomes of a status without the right to write it.
		onPurpose := strings.HasPrefix(event.RequestURI, "/apis/reportback.example.com/")
		if event.ResponseStatus.Code == http.StatusForbidden && !onPurpose && !strings.Contains(event.ResponseStatus.Message, "because it is being terminated") {
			path, _, _ := strings.Cut(event.RequestURI, "?")
			forbidden[event.Verb+" "+path] = true
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !asked {
		t.Errorf("%s has asked the hub for nothing", serverUser)
	}
	for _, request := range slices.Sorted(maps.Keys(forbidden)) {
		t.Errorf("the hub has forbidden the server to %s", request)
	}
}

func eachLine(path string, do func(string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimSpace(line); line != "" && err == nil {
			if err := do(line); err != nil {
				return fmt.Errorf("%s: %w: %s", path, err, line)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
