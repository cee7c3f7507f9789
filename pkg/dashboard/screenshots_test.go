// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"flag"
	"html"
	"io"
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
		takePicture(t, picture.name, picture.path, picture.size, func(w http.ResponseWriter, r *http.Request) {
			r.Host = o.server.guard.hosts[0]
			r.Header.Del("Origin")
			r.AddCookie(&http.Cookie{Name: o.server.guard.cookie, Value: o.server.guard.session})
			shown.ServeHTTP(w, r)
		})
	}
	if only.MatchString("status") {
		page := terminalPage(t, "$ kubectl stagegate status csur/checkout-12 -w\n", "../view/terminal/testdata/updating-color.txt")
		takePicture(t, "status", "/", "760,300", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })
	}
}

// takePicture takes a picture of a page in light and one in dark.
func takePicture(t *testing.T, name, path, size string, handler http.HandlerFunc) {
	t.Helper()
	front := httptest.NewServer(handler)
	defer front.Close()
	defer front.CloseClientConnections()
	for scheme, setting := range map[string]string{"light": "preferredColorScheme=1", "dark": "preferredColorScheme=0"} {
		file := filepath.Join(*screenshots, name+"-"+scheme+".png")
		command := exec.CommandContext(t.Context(), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir="+t.TempDir(),
			"--blink-settings="+setting, "--window-size="+size, "--timeout=8000", "--screenshot="+file, front.URL+path)
		if output, err := command.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, output)
		} else if info, err := os.Stat(file); err != nil || info.Size() > 200<<10 {
			t.Errorf("%s: it is no picture of less than 200 KiB: %v", file, err)
		}
	}
}

// terminalPage is a page that looks like a terminal in which the plugin has painted what is in a file.
func terminalPage(t *testing.T, before, file string) string {
	t.Helper()
	painted, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`\x1b\[(\d+)m`).ReplaceAllStringFunc(html.EscapeString(before+string(painted)), func(sequence string) string {
		if sequence == "\x1b[0m" {
			return "</span>"
		}
		return `<span class="s` + sequence[2:len(sequence)-1] + `">`
	})
	return `<!doctype html><meta charset="utf-8"><style>
:root { --ground: #ffffff; --edge: #e2e2e6; --ink: #1b1d22; --faint: #6b6f78; --red: #b3261e; --green: #1e7d4d; --yellow: #8a5a00; --cyan: #1c55c0 }
@media (prefers-color-scheme: dark) {
  :root { --ground: #16181d; --edge: #2c3038; --ink: #ececf0; --faint: #8d929c; --red: #ff8a80; --green: #6fd6a0; --yellow: #f0c060; --cyan: #8ab4ff }
}
body { margin: 0; padding: 24px; background: var(--ground); color: var(--ink) }
pre { margin: 0; font: 14px/1.6 "DejaVu Sans Mono", monospace }
.s1 { font-weight: 700 } .s2 { color: var(--faint) } .s31 { color: var(--red) } .s32 { color: var(--green) } .s33 { color: var(--yellow) } .s36 { color: var(--cyan) }
</style><pre>` + text + `</pre>`
}
