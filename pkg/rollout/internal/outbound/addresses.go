// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Rules say which addresses may be reached. Public ones may.
type Rules struct {
	// Allowed are networks of private and loopback addresses that may be reached as well. Loopback addresses are allowed by a network that has
	// nothing else, so that 0.0.0.0/0 does not open them, and those of the server's interfaces by one that is that address alone. They open none of
	// the addresses that nobody may reach.
	Allowed []netip.Prefix
	// Flag is the server's flag that sets Allowed, for messages.
	Flag string
	// Hub is host:port of the hub, which nobody may reach by this. Empty is none.
	Hub string
}

// RefusedError is an address that may not be reached.
type RefusedError struct {
	// Address that was refused.
	Address netip.Addr
	// Reason is why, and what helps.
	Reason string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s is not allowed: %s", e.Address, e.Reason)
}

// ParseNetworks reads networks such as 10.20.0.0/16.
func ParseNetworks(texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range texts {
		network, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%q is no network: write it as 10.20.0.0/16", text)
		}
		if network.Masked() != network {
			return nil, fmt.Errorf("%q has bits beyond its length: did you mean %s or %s/%d?", text, network.Masked(), network.Addr(), network.Addr().BitLen())
		}
		networks = append(networks, network)
	}
	return networks, nil
}

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

var (
	loopback = prefixes("127.0.0.0/8", "::1/128")
	// private are the addresses of networks that are not public: RFC 1918, CGNAT, IETF protocol assignments, benchmarks, unique and site local
	// ones.
	private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15",
		"fc00::/7", "fec0::/10")
	// metadata are the addresses at which clouds tell a machine its credentials, beyond those that are link-local.
	metadata = prefixes("fd00:ec2::/32", "fd20:ce::254/128", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32")
	// unusable are no addresses of one host: this network, reserved and broadcast; Teredo, a local NAT64 and IPv4-translated addresses, which hide
	// another one: where it is in them depends on the network.
	unusable = prefixes("0.0.0.0/8", "240.0.0.0/4", "::/128", "2001::/32", "64:ff9b:1::/48", "::ffff:0:0:0/96")

	// nat64, compatible and sixToFour have an IPv4 address in them.
	nat64, compatible, sixToFour = netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("::/96"), netip.MustParsePrefix("2002::/16")
)

func in(networks []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(address) })
}

// Check returns a RefusedError if an address may not be reached. It knows neither the hub nor the server's interfaces.
func (r *Rules) Check(address netip.Addr) error {
	address = address.Unmap().WithZone("")
	if inner, ok := embedded(address); ok {
		if err := r.Check(inner); err != nil {
			reason := err.Error()
			if refused := (*RefusedError)(nil); errors.As(err, &refused) {
				reason = refused.Reason
			}
			return &RefusedError{address, fmt.Sprintf("it stands for %s: %s", inner, reason)}
		}
	}
	refuse := func(reason string) error { return &RefusedError{address, reason} }
	switch {
	case in(metadata, address) || address == netip.AddrFrom4([4]byte{169, 254, 169, 254}):
		return refuse("a cloud tells its machines their credentials there")
	case address.IsLinkLocalUnicast():
		return refuse("it is link-local")
	case address.IsMulticast():
		return refuse("it is a multicast address")
	case in(unusable, address):
		return refuse("it is not the address of one host")
	case in(loopback, address):
		onlyLoopback := slices.DeleteFunc(slices.Clone(r.Allowed), func(n netip.Prefix) bool { return !isWithin(n, loopback) })
		if !in(onlyLoopback, address) {
			return refuse("it is the server's own machine" + r.remedy())
		}
	case in(private, address):
		if !in(r.Allowed, address) {
			return refuse("it is a private address" + r.remedy())
		}
	}
	return nil
}

func (r *Rules) remedy() string {
	if r.Flag == "" {
		return ""
	}
	return "; use a public one, or start the server with its network in " + r.Flag
}

func isWithin(network netip.Prefix, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(network.Addr()) && n.Bits() <= network.Bits() })
}

// meant returns the address that is reached by an address: the IPv4 address in it, if there is one.
func meant(address netip.Addr) netip.Addr {
	address = address.Unmap().WithZone("")
	if inner, ok := embedded(address); ok {
		return inner
	}
	return address
}

// embedded returns the IPv4 address that an IPv6 address leads to.
func embedded(address netip.Addr) (netip.Addr, bool) {
	if !address.Is6() {
		return netip.Addr{}, false
	}
	b := address.As16()
	switch {
	case nat64.Contains(address), compatible.Contains(address) && !in(loopback, address) && !address.IsUnspecified():
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToFour.Contains(address):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}
