// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

// Ports are taken from below Linux's ephemeral range, so that no outgoing connection holds the port of a process that is
// down for a moment.
const (
	firstPort = 20000
	lastPort  = 32000
)

// state is what an environment remembers from one command to the next.
type state struct {
	// Members is the number of member clusters.
	Members int `json:"members"`
	// Nodes is the number of nodes of each member.
	Nodes int `json:"nodes,omitempty"`
	// OldKubernetes reports whether the clusters are of the oldest Kubernetes that a hub may be.
	OldKubernetes bool `json:"oldKubernetes,omitempty"`
	// ServerFlags are the extra flags of stagegate-apiserver.
	ServerFlags []string `json:"serverFlags,omitempty"`
	// Ports is the port of each listener, chosen at its first start and kept.
	Ports map[string]int `json:"ports"`
}

// loadState returns nil if there is no environment in path.
func loadState(path string) (*state, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &state{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func (s *state) save(path string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(data, '\n'))
}

// choosePorts gives each listener that has no port yet a free one.
func (s *state) choosePorts(listeners ...string) error {
	if s.Ports == nil {
		s.Ports = map[string]int{}
	}
	taken := map[int]bool{}
	for _, port := range s.Ports {
		taken[port] = true
	}
	for _, name := range listeners {
		if s.Ports[name] != 0 {
			continue
		}
		port, err := freePort(taken)
		if err != nil {
			return fmt.Errorf("choosing a port for %s: %w", name, err)
		}
		s.Ports[name], taken[port] = port, true
	}
	return nil
}

func (s *state) address(listener string) string {
	return net.JoinHostPort(loopback, strconv.Itoa(s.Ports[listener]))
}

func freePort(taken map[int]bool) (int, error) {
	start := rand.IntN(lastPort - firstPort)
	for i := range lastPort - firstPort {
		port := firstPort + (start+i)%(lastPort-firstPort)
		if taken[port] {
			continue
		}
		if l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("none is free between %d and %d", firstPort, lastPort)
}
