// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package authorvalidation

import (
	"context"
	"sync"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	registry "github.com/stagegate/stagegate/pkg/registry/placement"
)

// paced is an authorizer that is asked askers questions at once about each user. One write can have hundreds, and all of them go to the
// hub at the rate that every request to the server shares: who sends many such writes waits for their own answers, and not others.
type paced struct {
	authorizer.UnconditionalAuthorizer

	mu sync.Mutex
	// turns are those of the users about whom there is a question, by whom they count as.
	turns map[string]*turn
}

// turn is one user's.
type turn struct {
	// free has room for each question that is being asked.
	free chan struct{}
	// questions are those that are asked or wait.
	questions int
}

func newPaced(of authorizer.UnconditionalAuthorizer) *paced {
	return &paced{UnconditionalAuthorizer: of, turns: map[string]*turn{}}
}

// Authorize implements authorizer.UnconditionalAuthorizer. It fails where the time of the request is over before it is the user's turn.
func (p *paced) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	name := registry.CountedAs(a.GetUser())
	t := p.enter(name)
	defer p.leave(name)
	select {
	case t.free <- struct{}{}:
		defer func() { <-t.free }()
	case <-ctx.Done():
		return authorizer.DecisionNoOpinion, "", ctx.Err()
	}
	return p.UnconditionalAuthorizer.Authorize(ctx, a)
}

func (p *paced) enter(name string) *turn {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.turns[name]
	if t == nil {
		t = &turn{free: make(chan struct{}, askers)}
		p.turns[name] = t
	}
	t.questions++
	return t
}

func (p *paced) leave(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.turns[name]; t.questions > 1 {
		t.questions--
	} else {
		delete(p.turns, name)
	}
}
