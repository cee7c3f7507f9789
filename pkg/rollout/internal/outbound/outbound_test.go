// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestWhichAddressesMayBeReached(t *testing.T) {
	for address, reason := range map[string]string{
		"8.8.8.8":                 "",
		"2606:4700::1111":         "",
		"64:ff9b::808:808":        "",
		"127.0.0.1":               "own machine",
		"127.9.9.9":               "own machine",
		"::1":                     "own machine",
		"::ffff:127.0.0.1":        "own machine",
		"::127.0.0.1":             "stands for 127.0.0.1",
		"0.0.0.0":                 "not the address of one host",
		"0.1.2.3":                 "not the address of one host",
		"::":                      "not the address of one host",
		"255.255.255.255":         "not the address of one host",
		"2001:0:53aa:64c:1:1:1:1": "not the address of one host",
		"169.254.169.254":         "credentials",
		"::ffff:169.254.169.254":  "credentials",
		"64:ff9b::a9fe:a9fe":      "stands for 169.254.169.254",
		"2002:a9fe:a9fe::1":       "stands for 169.254.169.254",
		"fd00:ec2::254":           "credentials",
		"100.100.100.200":         "credentials",
		"168.63.129.16":           "credentials",
		"169.254.1.1":             "link-local",
		"fe80::1":                 "link-local",
		"fe80::1%eth0":            "link-local",
		"224.0.0.1":               "multicast",
		"ff02::1":                 "multicast",
		"10.1.2.3":                "private address; use a public one, or start the server with its network in --networks",
		"172.31.0.1":              "private",
		"192.168.1.1":             "private",
		"100.64.0.1":              "private",
		"198.18.0.1":              "private",
		"fd12:3456::1":            "private",
		"fd00:ec2::23":            "credentials",
		"64:ff9b:1::a00:1":        "not the address of one host",
		"::ffff:0:808:808":        "not the address of one host",
		"2002:a00:1::1":           "stands for 10.0.0.1: it is a private address; use a public one, or start the server with its network in --networks",
	} {
		rules := &Rules{Flag: "--networks"}
		switch err := rules.Check(netip.MustParseAddr(address)); {
		case reason == "" && err != nil:
			t.Errorf("%s: %v", address, err)
		case reason != "" && (err == nil || !strings.Contains(err.Error(), reason)):
			t.Errorf("%s: got %v, want %q", address, err, reason)
		}
	}
}

func TestNetworksOpenWhatIsPrivateAndNothingElse(t *testing.T) {
	for _, tc := range []struct {
		allowed, address string
		want             bool
	}{
		{"10.20.0.0/16", "10.20.1.1", true},
		{"10.20.0.0/16", "10.21.1.1", false},
		{"10.20.0.0/16", "::ffff:10.20.1.1", true},
		{"fd12::/16", "fd12::1", true},
		{"0.0.0.0/0", "192.168.1.1", true},
		{"0.0.0.0/0", "127.0.0.1", false},
		{"127.0.0.0/8", "127.0.0.1", true},
		{"127.0.0.1/32", "127.0.0.1", true},
		{"127.0.0.1/32", "127.0.0.2", false},
		{"::/0", "::1", false},
		{"::1/128", "::1", true},
		{"169.254.0.0/16", "169.254.169.254", false},
		{"169.254.0.0/16", "169.254.1.1", false},
		{"100.64.0.0/10", "100.100.100.200", false},
		{"::/0", "fd00:ec2::254", false},
		{"::/0", "64:ff9b:1::a9fe:a9fe", false},
		{"64:ff9b:1::/48", "64:ff9b:1::a9fe:a9fe", false},
		{"::/0", "::ffff:0:a9fe:a9fe", false},
		{"10.0.0.0/8", "64:ff9b::a00:1", true},
		{"0.0.0.0/0", "224.0.0.1", false},
		{"0.0.0.0/0", "0.0.0.0", false},
	} {
		networks, err := ParseNetworks([]string{tc.allowed})
		if err != nil {
			t.Fatal(err)
		}
		if err := (&Rules{Allowed: networks}).Check(netip.MustParseAddr(tc.address)); (err == nil) != tc.want {
			t.Errorf("%s with %s: %v", tc.address, tc.allowed, err)
		}
	}
}

func TestNetworksThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1":    "write it as 10.20.0.0/16",
		"10.0.0.1/8":  "did you mean 10.0.0.0/8 or 10.0.0.1/32",
		"example.com": "write it as 10.20.0.0/16",
	} {
		if _, err := ParseNetworks([]string{text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// endpoint is a server on this machine, and whom to trust to reach it.
func endpoint(t *testing.T, handler http.HandlerFunc) (*httptest.Server, *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return server, pool
}

func get(t *testing.T, client *http.Client, url string) (*http.Response, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err == nil {
		t.Cleanup(func() { _ = response.Body.Close() })
	}
	return response, err
}

var loopbackOnly = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func TestANameIsJudgedByWhatItResolvesTo(t *testing.T) {
	asked := false
	server, pool := endpoint(t, func(http.ResponseWriter, *http.Request) { asked = true })
	named := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	_, err := get(t, NewClient(&Rules{}, pool), named)
	if refused := (*RefusedError)(nil); !errors.As(err, &refused) {
		t.Errorf("got %v, want a RefusedError", err)
	}
	if asked {
		t.Error("the endpoint is reached")
	}
}

func TestTheHubIsRefused(t *testing.T) {
	server, pool := endpoint(t, func(http.ResponseWriter, *http.Request) {})
	rules := &Rules{Allowed: loopbackOnly}
	if _, err := get(t, NewClient(rules, pool), server.URL); err != nil {
		t.Fatalf("an address that is allowed: %v", err)
	}
	rules.Hub = strings.Replace(strings.TrimPrefix(server.URL, "https://"), "127.0.0.1", "localhost", 1)
	if _, err := get(t, NewClient(rules, pool), server.URL); err == nil || !strings.Contains(err.Error(), "it is the hub") {
		t.Errorf("got %v", err)
	}
}

func TestTheHubIsRefusedByWhateverStandsForIt(t *testing.T) {
	for _, remote := range []string{"8.8.8.8:443", "[::ffff:8.8.8.8]:443", "[64:ff9b::808:808]:443", "[2002:808:808::1]:443"} {
		for _, hub := range []string{"8.8.8.8:443", "[64:ff9b::808:808]:443"} {
			err := (&Rules{Hub: hub}).control(t.Context(), "tcp", remote, nil)
			if err == nil || !strings.Contains(err.Error(), "it is the hub") {
				t.Errorf("%s with the hub at %s: got %v", remote, hub, err)
			}
		}
	}
	if err := (&Rules{Hub: "8.8.8.8:443"}).control(t.Context(), "tcp", "[2002:808:804::1]:443", nil); err != nil {
		t.Errorf("another address: %v", err)
	}
}

func TestTheServersOwnAddressesAreRefused(t *testing.T) {
	interfaces := func() ([]net.Addr, error) {
		return []net.Addr{&net.IPNet{IP: net.ParseIP("10.20.0.7"), Mask: net.CIDRMask(24, 32)}, &net.IPNet{IP: net.ParseIP("2606:4700::7"), Mask: net.CIDRMask(64, 128)}}, nil
	}
	const why = "it is the server's own machine; use another one, or start the server with 10.20.0.7/32 in --networks"
	for _, tc := range []struct{ allowed, address, reason string }{
		{"10.20.0.0/16", "10.20.0.7", why},
		{"10.20.0.0/16", "::ffff:10.20.0.7", why},
		{"10.20.0.0/16", "64:ff9b::a14:7", why},
		{"10.20.0.0/16", "10.20.0.8", ""},
		{"10.20.0.7/32", "10.20.0.7", ""},
		{"10.20.0.7/32", "2606:4700::7", "it is the server's own machine"},
		{"127.0.0.1/32", "127.0.0.1", ""},
	} {
		rules := &Rules{Allowed: []netip.Prefix{netip.MustParsePrefix(tc.allowed)}, Flag: "--networks"}
		switch err := rules.checkOwn(netip.MustParseAddr(tc.address), interfaces); {
		case tc.reason == "" && err != nil:
			t.Errorf("%s with %s: %v", tc.address, tc.allowed, err)
		case tc.reason != "" && (err == nil || !strings.Contains(err.Error(), tc.reason)):
			t.Errorf("%s with %s: got %v, want %q", tc.address, tc.allowed, err, tc.reason)
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own {
		address, _ := netip.AddrFromSlice(a.(*net.IPNet).IP)
		if err := (&Rules{}).control(t.Context(), "tcp", netip.AddrPortFrom(address, 443).String(), nil); err == nil {
			t.Errorf("%s of this machine may be reached", address)
		}
	}
	unknown := func() ([]net.Addr, error) { return nil, errors.New("no netlink") }
	if err := (&Rules{}).checkOwn(netip.MustParseAddr("8.8.8.8"), unknown); err == nil {
		t.Error("an address may be reached that may be the server's own")
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	led := false
	elsewhere, _ := endpoint(t, func(http.ResponseWriter, *http.Request) { led = true })
	server, pool := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	response, err := get(t, NewClient(&Rules{Allowed: loopbackOnly}, pool), server.URL)
	if err != nil || response.StatusCode != http.StatusTemporaryRedirect || led {
		t.Errorf("got %v, error %v, followed %t", response, err, led)
	}
}

func TestADeadConnectionIsNotUsedForEver(t *testing.T) {
	if c := NewClient(&Rules{}, nil).Transport.(*http.Transport).HTTP2; c == nil || c.SendPingTimeout <= 0 || c.PingTimeout <= 0 {
		t.Error("a connection of HTTP/2 that is dead is used for each request that follows")
	}
}

func TestNoProxyIsTakenFromTheEnvironment(t *testing.T) {
	if NewClient(&Rules{}, nil).Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy would resolve names, and nobody would ask about their addresses")
	}
}

// TestConnectionsAreUsedAgain has as many requests at once as a sink gets, three times: the first ones make all the connections that there are.
func TestConnectionsAreUsedAgain(t *testing.T) {
	const atOnce, rounds = 4, 3
	var made atomic.Int32
	arrived, answer := make(chan struct{}), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-answer
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			made.Add(1)
		}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client := NewClient(&Rules{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, roots)
	t.Cleanup(client.CloseIdleConnections)
	for range rounds {
		var requests sync.WaitGroup
		for range atOnce {
			requests.Go(func() {
				response, err := client.Get(server.URL)
				if err != nil {
					t.Error(err)
					return
				}
				_ = response.Body.Close()
			})
		}
		for range atOnce {
			<-arrived
		}
		for range atOnce {
			answer <- struct{}{}
		}
		requests.Wait()
	}
	if made := made.Load(); made != atOnce {
		t.Errorf("%d requests at once, %d times, made %d connections", atOnce, rounds, made)
	}
}
