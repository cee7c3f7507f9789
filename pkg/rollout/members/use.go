// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package members

// use is a member that something works on.
type use struct {
	users int
	idle  chan struct{}
}

// Idle is closed once nothing that Supervise started works on the member; where nothing does, it is closed already. A member
// that leaves is cleaned up only then.
func (d *Directory) Idle(cluster string) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u := d.uses[cluster]; u != nil {
		return u.idle
	}
	idle := make(chan struct{})
	close(idle)
	return idle
}

// acquire marks a member as in use until release is called.
func (d *Directory) acquire(cluster string) (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.uses[cluster]
	if u == nil {
		u = &use{idle: make(chan struct{})}
		d.uses[cluster] = u
	}
	u.users++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if u.users--; u.users == 0 {
			delete(d.uses, cluster)
			close(u.idle)
		}
	}
}
