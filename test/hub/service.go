// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Service stands for the Service of the overlay ha, with kube-proxy, the kubelet and the controller of EndpointSlices behind it, none of
// which runs on this machine. It is a TCP balancer within the process that made it, and ends with it. A connection goes to one of the
// replicas that are ready, at random, and stays with it whatever becomes of that; where none is ready it is refused. As in a cluster, a
// replica is not ready while it is being ended, as soon as its process is gone, and when its readiness probe has failed as often in a row
// as the overlay allows.
type Service struct {
	mu       sync.Mutex
	listener net.Listener
	backends map[string]*backend
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

type backend struct {
	address string
	ready   bool
	// ending is set from when the replica is asked to end until another one of its name is ready.
	ending bool
}

// NewService returns a Service that Up puts before the replicas. Whoever made it closes it.
func NewService() *Service { return &Service{backends: map[string]*backend{}} }

// Close ends all connections.
func (s *Service) Close() error {
	s.mu.Lock()
	if s.listener == nil {
		s.mu.Unlock()
		return nil
	}
	s.cancel()
	err := s.listener.Close()
	s.mu.Unlock()
	s.running.Wait()
	return err
}

// serve listens, unless it does.
func (s *Service) serve(address string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.listener, s.cancel = listener, cancel
	s.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.running.Go(func() { s.pass(ctx, conn.(*net.TCPConn)) })
		}
	})
	return nil
}

// admit lets connections to a replica that is ready, and asks it from then on whether it still is.
func (s *Service) admit(name, address, url string, client *http.Client, kubelet *corev1.Probe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.backends[name]; known != nil {
		known.ready, known.ending = true, false
		return
	}
	s.backends[name] = &backend{address: address, ready: true}
	ctx, cancel := context.WithCancel(context.Background())
	end := s.cancel
	s.cancel = func() { cancel(); end() }
	s.running.Go(func() { s.probe(ctx, name, url, client, kubelet) })
}

// drain keeps new connections from a replica, as its deletion does.
func (s *Service) drain(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backends[name].ending = true
}

func (s *Service) probe(ctx context.Context, name, url string, client *http.Client, kubelet *corev1.Probe) {
	// What is 0 has the default of Kubernetes.
	threshold := max(1, int(kubelet.FailureThreshold))
	if kubelet.FailureThreshold == 0 {
		threshold = 3
	}
	client = &http.Client{Transport: client.Transport, Timeout: time.Duration(max(1, kubelet.TimeoutSeconds)) * time.Second}
	every := time.NewTicker(time.Duration(max(1, kubelet.PeriodSeconds)) * time.Second)
	defer every.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		err := probe(ctx, client, url)
		failures++
		if err == nil {
			failures = 0
		}
		gone := errors.Is(err, syscall.ECONNREFUSED)
		s.mu.Lock()
		if b := s.backends[name]; err == nil {
			b.ready = true
		} else if gone || failures >= threshold {
			b.ready = false
		}
		s.mu.Unlock()
	}
}

// pass connects a client with a replica until either ends.
func (s *Service) pass(ctx context.Context, client *net.TCPConn) {
	defer client.Close()
	var addresses []string
	s.mu.Lock()
	for _, b := range s.backends {
		if b.ready && !b.ending {
			addresses = append(addresses, b.address)
		}
	}
	s.mu.Unlock()
	if len(addresses) == 0 {
		return
	}
	dialed, err := net.Dial("tcp", addresses[rand.IntN(len(addresses))])
	if err != nil {
		return
	}
	replica := dialed.(*net.TCPConn)
	defer replica.Close()
	defer context.AfterFunc(ctx, func() { client.Close(); replica.Close() })()
	var copying sync.WaitGroup
	for _, way := range [][2]*net.TCPConn{{client, replica}, {replica, client}} {
		copying.Go(func() {
			_, err := io.Copy(way[1], way[0])
			if err != nil {
				// What a connection that breaks does to its other end.
				client.Close()
				replica.Close()
				return
			}
			_ = way[1].CloseWrite()
		})
	}
	copying.Wait()
}
