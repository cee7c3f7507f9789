// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

const (
	// dialTimeout is how long a connection may take to be made, its TLS handshake apart, which has the same time.
	dialTimeout = 5 * time.Second
	// idleTimeout is how long a connection is kept that nothing uses.
	idleTimeout = 30 * time.Second
	// maxIdle is how many connections to a host are kept: as many as there are requests at once, since with fewer most requests to an endpoint without
	// HTTP/2 begin with a TLS handshake, which takes twice as long as all the rest.
	maxIdle = 4
	// maxHeader is how large the header of an answer may be.
	maxHeader = 64 << 10
	// pingAfter is how long a connection of HTTP/2 may be silent before it is asked whether it lives: requests that time out do not end it.
	pingAfter = 10 * time.Second
)

// NewClient makes a client that asks the rules about each address that it connects to, once names are resolved: a name that changes its
// addresses meanwhile gains nothing. It follows no redirect, keeps no cookies, and takes no proxy from the environment: the proxy would resolve the
// name, and nobody could ask about its address. roots are whom to trust, nil those of the system. The caller bounds the time of a request
// by its context, and reads as much of an answer as it wants.
func NewClient(rules *Rules, roots *x509.CertPool) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, ControlContext: rules.control}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    dialTimeout,
			IdleConnTimeout:        idleTimeout,
			MaxIdleConnsPerHost:    maxIdle,
			MaxResponseHeaderBytes: maxHeader,
			ForceAttemptHTTP2:      true,
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: dialTimeout},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// control is asked about a socket before it connects.
func (r *Rules) control(ctx context.Context, network, address string, _ syscall.RawConn) error {
	remote, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%s %s is no address: %w", network, address, err)
	}
	if err := r.Check(remote.Addr()); err != nil {
		return err
	}
	if err := r.checkHub(ctx, remote); err != nil {
		return err
	}
	return r.checkOwn(remote.Addr(), net.InterfaceAddrs)
}

// checkOwn refuses the addresses of the server's own interfaces: what listens there may take whoever comes from the machine for a friend. Loopback
// addresses are judged by Check.
func (r *Rules) checkOwn(address netip.Addr, interfaces func() ([]net.Addr, error)) error {
	reached := meant(address)
	if in(loopback, reached) || slices.ContainsFunc(r.Allowed, func(n netip.Prefix) bool { return n.IsSingleIP() && n.Contains(reached) }) {
		return nil
	}
	own, err := interfaces()
	if err != nil {
		return &RefusedError{address, "the server cannot tell whether it is its own: " + err.Error()}
	}
	isOwn := slices.ContainsFunc(own, func(a net.Addr) bool {
		network, ok := a.(*net.IPNet)
		if !ok {
			return false
		}
		ip, ok := netip.AddrFromSlice(network.IP)
		return ok && ip.Unmap() == reached
	})
	if !isOwn {
		return nil
	}
	reason := "it is the server's own machine"
	if r.Flag != "" {
		reason += fmt.Sprintf("; use another one, or start the server with %s in %s", netip.PrefixFrom(reached, reached.BitLen()), r.Flag)
	}
	return &RefusedError{address, reason}
}

// checkHub refuses the hub. The port counts: on a small hub something else may be at the same address.
func (r *Rules) checkHub(ctx context.Context, remote netip.AddrPort) error {
	if r.Hub == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(r.Hub)
	if err != nil {
		return fmt.Errorf("the address of the hub: %w", err)
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return fmt.Errorf("the port of the hub: %w", err)
	}
	if number != int(remote.Port()) {
		return nil
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return &RefusedError{remote.Addr(), "the host of the hub cannot be looked up, so that nobody can tell whether it is that"}
	}
	if slices.ContainsFunc(addresses, func(a netip.Addr) bool { return meant(a) == meant(remote.Addr()) }) {
		return &RefusedError{remote.Addr(), "it is the hub"}
	}
	return nil
}
