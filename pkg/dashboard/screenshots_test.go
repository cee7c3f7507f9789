// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

var screenshots = flag.String("screenshots", "", "Take pictures of the pages with chromium into this directory.")

var pictures = flag.String("pictures", "", "A regular expression that the names of the pictures match which are taken.")

// TestScreenshots takes the pictures of the documents: go test ./pkg/dashboard -run TestScreenshots -screenshots=DIR. They show a fake hub, since a fleet
// of ten thousand clusters is none that a test has.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("-screenshots=DIR is not given")
	}
	only := regexp.MustCompile(*pictures)
	for _, picture := range []struct {
		name, path, size string
		fill             func(*fakeHub)
	}{
		{"dashboard-run", "/runs/checkout-12", "1200,1000", smallFleet},
		{"dashboard-run-10000", "/runs/edge-48", "1200,1560", largeFleet},
		{"dashboard-runs", "/", "1200,760", largeFleet},
		{"dashboard-runs-3", "/", "1200,560", smallFleet},
		{"dashboard-approvals", "/approvals", "1200,560", smallFleet},
		{"dashboard-approve", "/approvals/checkout-12-before-canary/approve", "1200,640", smallFleet},
		{"dashboard-members", "/members", "1200,560", smallFleet},
		{"dashboard-members-10000", "/members", "1200,700", largeFleet},
		{"dashboard-placement", "/placements/checkout?from=3&to=4", "1200,1000", smallFleet},
		{"dashboard-empty", "/", "1200,480", func(*fakeHub) {}},
		{"dashboard-clusters", "/runs/edge-48/clusters?stage=early&state=Failed", "1200,600", largeFleet},
		{"dashboard-narrow", "/runs/checkout-12", "500,1200", smallFleet},
	} {
		if !only.MatchString(picture.name) {
			continue
		}
		hub := newFakeHub(t)
		picture.fill(hub)
		o := open(t, hub)
		// The browser has no cookie, and is let in by what stands before the dashboard here.
		shown := o.server.handler()
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Host = o.server.guard.hosts[0]
			r.Header.Del("Origin")
			r.AddCookie(&http.Cookie{Name: o.server.guard.cookie, Value: o.server.guard.session})
			shown.ServeHTTP(w, r)
		}))
		for scheme, setting := range map[string]string{"light": "preferredColorScheme=1", "dark": "preferredColorScheme=0"} {
			file := filepath.Join(*screenshots, picture.name+"-"+scheme+".png")
			command := exec.CommandContext(t.Context(), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
				"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir="+t.TempDir(),
				"--blink-settings="+setting, "--window-size="+picture.size, "--timeout=8000", "--screenshot="+file, front.URL+picture.path)
			if output, err := command.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", file, err, output)
			} else if info, err := os.Stat(file); err != nil || info.Size() > 200<<10 {
				t.Errorf("%s: it is no picture of less than 200 KiB: %v", file, err)
			}
		}
		front.CloseClientConnections()
		front.Close()
	}
}
