// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryRouteWantsTheCookie(t *testing.T) {
	hub := newFakeHub(t)
	smallFleet(hub)
	stranger, another := open(t, hub), open(t, hub).enter()
	routes := stranger.server.paths()
	if len(routes) < 30 {
		t.Fatalf("there are %d routes", len(routes))
	}
	for _, r := range append(routes, route{http.MethodGet, "/nothing", nil}, route{http.MethodDelete, "/", nil}) {
		for name, cookie := range map[string]*http.Cookie{
			"none":            nil,
			"a wrong one":     {Name: stranger.server.guard.cookie, Value: "wrong"},
			"an empty one":    {Name: stranger.server.guard.cookie},
			"another port's":  {Name: another.server.guard.cookie, Value: another.server.guard.session},
			"another's value": {Name: stranger.server.guard.cookie, Value: another.server.guard.session},
		} {
			request := stranger.request(r.method, r.pattern, url.Values{"reason": {"x"}})
			request.Header.Set("Origin", stranger.http.URL)
			if cookie != nil {
				request.AddCookie(cookie)
			}
			if answer, body := stranger.do(request); answer.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "kubectl stagegate dashboard") {
				t.Errorf("%s %s with the cookie %s is answered with %s: %s", r.method, r.pattern, name, answer.Status, body)
			}
		}
	}
	if asked := hub.changes(); len(asked) > 0 {
		t.Errorf("the hub was asked for %v", asked)
	}
}

func TestTheKeyOpensOnce(t *testing.T) {
	o := open(t, newFakeHub(t))
	path := strings.TrimPrefix(o.server.guard.address(), o.http.URL)
	for _, wrong := range []string{"/?key=", "/?key=" + strings.Repeat("0", 32), path + "0"} {
		if answer, _ := o.do(o.request(http.MethodGet, wrong, nil)); answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", wrong, answer.Status)
		}
	}
	answer, _ := o.do(o.request(http.MethodGet, path, nil))
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/" {
		t.Fatalf("the key is answered with %s to %q", answer.Status, answer.Header.Get("Location"))
	}
	cookies := answer.Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || cookies[0].Path != "/" || cookies[0].Domain != "" {
		t.Errorf("the cookies are %v", cookies)
	}
	o.get("/")
	// Who comes second has no cookie.
	o.client.Jar = nil
	for _, used := range []string{path, "/?key="} {
		if answer, body := o.do(o.request(http.MethodGet, used, nil)); answer.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "was used") {
			t.Errorf("the used key is answered with %s: %s", answer.Status, body)
		}
	}
}

func TestRequestsFromElsewhereAreRefused(t *testing.T) {
	hub := newFakeHub(t)
	smallFleet(hub)
	o := open(t, hub).enter()
	_, port, err := net.SplitHostPort(o.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		method, host string
		headers      map[string]string
		code         int
	}{
		"a name that leads here":       {http.MethodGet, "evil.example.com:" + port, nil, http.StatusMisdirectedRequest},
		"another port":                 {http.MethodGet, "127.0.0.1:1", nil, http.StatusMisdirectedRequest},
		"no port":                      {http.MethodGet, "127.0.0.1", nil, http.StatusMisdirectedRequest},
		"a prefix of the name":         {http.MethodGet, "127.0.0.1.example.com:" + port, nil, http.StatusMisdirectedRequest},
		"a page elsewhere":             {http.MethodGet, "", map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		"another port of the machine":  {http.MethodGet, "", map[string]string{"Sec-Fetch-Site": "same-site"}, http.StatusForbidden},
		"a form elsewhere":             {http.MethodPost, "", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}, http.StatusForbidden},
		"a form of another port":       {http.MethodPost, "", map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"}, http.StatusForbidden},
		"a form without a name":        {http.MethodPost, "", map[string]string{"Sec-Fetch-Site": "", "Origin": "null"}, http.StatusForbidden},
		"a form of an old browser":     {http.MethodPost, "", map[string]string{"Sec-Fetch-Site": "", "Origin": "https://evil.example.com"}, http.StatusForbidden},
		"a form that tells of nothing": {http.MethodPost, "", map[string]string{"Sec-Fetch-Site": "", "Origin": ""}, http.StatusForbidden},
		"the address line":             {http.MethodGet, "", map[string]string{"Sec-Fetch-Site": "none"}, http.StatusOK},
		"localhost":                    {http.MethodGet, "localhost:" + port, nil, http.StatusOK},
		"IPv6":                         {http.MethodGet, "[::1]:" + port, nil, http.StatusOK},
	} {
		path := "/"
		if tc.method == http.MethodPost {
			path = "/runs/checkout-12/stop"
		}
		r := o.request(tc.method, path, url.Values{"reason": {"x"}, "uid": {"uid-of-checkout-12"}, "resourceVersion": {"1"}})
		if tc.host != "" {
			r.Host = tc.host
			r.AddCookie(&http.Cookie{Name: o.server.guard.cookie, Value: o.server.guard.session})
		}
		for header, value := range tc.headers {
			r.Header.Set(header, value)
			if value == "" {
				r.Header.Del(header)
			}
		}
		if answer, _ := o.do(r); answer.StatusCode != tc.code {
			t.Errorf("%s: got %s, want %d", name, answer.Status, tc.code)
		}
	}
	if asked := hub.changes(); len(asked) > 0 {
		t.Errorf("the hub was asked for %v", asked)
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	hub := newFakeHub(t)
	smallFleet(hub)
	o := open(t, hub).enter()
	for _, path := range []string{"/", "/approvals", "/runs/checkout-12", "/runs/missing", "/nothing", "/assets/dashboard.mjs", "/assets/dashboard.css", "/assets/missing", "/?key=x"} {
		answer, body := o.do(o.request(http.MethodGet, path, nil))
		for header, want := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if got := answer.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q", path, header, got)
			}
		}
		// The policy lets no script and no style in a page be, and nothing is from elsewhere.
		for _, sign := range []string{"<script>", " style=", " onclick=", "https://", "//cdn"} {
			if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") && strings.Contains(body, sign) {
				t.Errorf("%s has %s", path, sign)
			}
		}
	}
	if strings.Contains(policy, "unsafe") || !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") {
		t.Errorf("the policy is %s", policy)
	}
}

func TestReadingChangesNothing(t *testing.T) {
	hub := newFakeHub(t)
	smallFleet(hub)
	o := open(t, hub).enter()
	for _, r := range o.server.paths() {
		if r.method != http.MethodGet {
			continue
		}
		path := strings.ReplaceAll(r.pattern, "/example", "/checkout-12")
		o.do(o.request(http.MethodGet, path+"?reason=x&uid=uid-of-checkout-12&resourceVersion=1", nil))
	}
	if asked := hub.changes(); len(asked) > 0 {
		t.Errorf("the hub was asked for %v", asked)
	}
}

func TestReadOnlyHasNoRouteThatChangesAnything(t *testing.T) {
	hub := newFakeHub(t)
	smallFleet(hub)
	o := open(t, hub, func(o *Options) { o.ReadOnly = true }).enter()
	for _, r := range o.server.routes() {
		if r.method != http.MethodGet {
			t.Errorf("there is %s %s", r.method, r.pattern)
		}
	}
	if page := o.get("/runs/checkout-12"); !strings.Contains(page, "Approve is off: the dashboard was started with --read-only.") || strings.Contains(page, "data-act") {
		t.Errorf("the page is\n%s", page)
	}
}

func TestListensOnLoopbackAlone(t *testing.T) {
	listeners, port, err := listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, l := range listeners {
		defer l.Close()
		address := l.Addr().(*net.TCPAddr)
		addresses = append(addresses, address.IP.String())
		if !address.IP.IsLoopback() || address.Port != port {
			t.Errorf("it listens on %s", address)
		}
	}
	if diff := cmp.Diff([]string{"127.0.0.1", "::1"}, addresses); diff != "" && hasIPv6(t) {
		t.Errorf("-want +got:\n%s", diff)
	}
	// Who has the port on one of the addresses would be taken for the dashboard.
	if _, _, err := listen(t.Context(), port); err == nil || !strings.Contains(err.Error(), "cannot be listened on: give another with --port") {
		t.Errorf("a port that is taken is answered with %v", err)
	}
}

func hasIPv6(t *testing.T) bool {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(context.WithoutCancel(t.Context()), "tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	return l.Close() == nil
}
